//! What somebody meets who tries keys.

use std::time::Duration;

use crate::document::Section;

/// How refusals of unknown keys are slowed. Valid keys never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guessing {
    /// How many unknown keys from one source within a minute are refused at once.
    pub free: u32,
    /// How long the refusal of the next one waits; each further one waits twice as long.
    pub delay: Duration,
    /// The longest that one waits.
    pub max_delay: Duration,
    /// How many wait at once, whatever their source; more are refused at once.
    pub held: usize,
}

/// The longest that may be set: clients give up after a minute, and try again.
const LONGEST: Duration = Duration::from_secs(60);

impl Guessing {
    /// What holds where the settings say nothing. A program with a wrong key asks a few times and is told at once.
    pub const DEFAULT: Self =
        Self { free: 10, delay: Duration::from_millis(250), max_delay: Duration::from_secs(5), held: 1024 };

    /// Reads `[guessing]`. `None` where a mistake was noted.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let free = section.get("free").map_or(Some(Self::DEFAULT.free.into()), |value| value.whole(0..=1_000_000));
        let held = section.get("held").map_or(Some(Self::DEFAULT.held as u64), |value| value.whole(0..=65_535));
        let delay = section.get("delay").map_or(Some(Self::DEFAULT.delay), |value| value.duration());
        let written = section.get("max_delay");
        let max_delay = match &written {
            Some(value) => value.duration(),
            // A longer first delay alone makes them all as long.
            None => delay.map(|delay| delay.max(Self::DEFAULT.max_delay)),
        };
        let (delay, max_delay) = (delay?, max_delay?);
        if max_delay < delay || max_delay > LONGEST {
            let fix = "must be no shorter than delay, and no longer than 60s, after which clients give up";
            written.map_or_else(|| section.wrong(fix), |value| value.wrong(fix));
        }
        Some(Self { free: u32::try_from(free?).ok()?, delay, max_delay, held: usize::try_from(held?).ok()? })
    }
}
