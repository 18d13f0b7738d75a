//! Whether our clock is right: compared with the `Date` of whoever answered.

use std::time::{Duration, SystemTime};

use azure_core::time::parse_rfc7231;

use super::{Finding, Status};
use crate::token::Dated;

/// How far our clock is from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skew {
    /// As near as can be told.
    None,
    /// Ours is ahead, by so much at least.
    Ahead(Duration),
    /// Ours is behind.
    Behind(Duration),
}

/// A clock that is no further off does no harm.
const HARMLESS: Duration = Duration::from_secs(30);

/// How far off Entra lets a clock be.
const ALLOWED: Duration = Duration::from_secs(5 * 60);

/// How our clock stands to another, of that name. `beyond` is how bad it is if it is further off than Entra allows. `None`
/// where there is no date that can be read.
pub(super) fn compared(dated: &Dated, whose: &str, beyond: Status) -> Option<Finding> {
    let (found, off) = match Skew::of(dated)? {
        Skew::None => (format!("in step with {whose}"), Duration::ZERO),
        Skew::Ahead(off) => (format!("{} ahead of {whose}", span(off)), off),
        Skew::Behind(off) => (format!("{} behind {whose}", span(off)), off),
    };
    let status = match off {
        off if off <= HARMLESS => Status::Ok,
        off if off <= ALLOWED => Status::Note,
        _ => beyond,
    };
    let finding = Finding::new("clock", status, found);
    if status == Status::Ok {
        return Some(finding);
    }
    Some(
        finding
            .means(
                "Beyond five minutes Entra refuses what keyswap signs with a certificate; and certificates and keys begin \
                 and end at the wrong time here.",
            )
            .cure("Have the clock set from the network; a container has that of its host.")
            .command("timedatectl set-ntp true"),
    )
}

impl Skew {
    /// Their date is of a second, and was made at some time between our question and their answer.
    fn of(Dated { date, sent, heard }: &Dated) -> Option<Self> {
        let theirs = SystemTime::from(parse_rfc7231(date).ok()?);
        let ends = theirs + Duration::from_secs(1);
        Some(if let Some(ahead) = sent.duration_since(ends).ok().filter(|ahead| !ahead.is_zero()) {
            Self::Ahead(ahead)
        } else if let Some(behind) = theirs.duration_since(*heard).ok().filter(|behind| !behind.is_zero()) {
            Self::Behind(behind)
        } else {
            Self::None
        })
    }
}

/// A length of time as one says it.
pub(super) fn span(time: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(2 * 86_400, "days"), (2 * 3600, "h"), (2 * 60, "min")];
    let seconds = time.as_secs();
    let unit = UNITS.iter().find(|(least, _)| seconds >= *least);
    unit.map_or_else(|| format!("{seconds} s"), |(twice, name)| format!("{} {name}", seconds / (twice / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_no_more_than_can_be_told() {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let skew = |sent: i64, heard: i64| {
            let at = |seconds: i64| {
                let off = Duration::from_secs(seconds.unsigned_abs());
                if seconds < 0 { theirs - off } else { theirs + off }
            };
            Skew::of(&Dated { date: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), sent: at(sent), heard: at(heard) })
        };
        assert_eq!(skew(-1, 1), Some(Skew::None));
        assert_eq!(skew(0, 0), Some(Skew::None));
        assert_eq!(skew(1, 2), Some(Skew::None));
        assert_eq!(skew(601, 602), Some(Skew::Ahead(Duration::from_secs(600))));
        assert_eq!(skew(-602, -600), Some(Skew::Behind(Duration::from_secs(600))));
        let unreadable = Dated { date: "today".to_owned(), sent: theirs, heard: theirs };
        assert_eq!(Skew::of(&unreadable), None);
    }

    #[test]
    fn a_span_has_one_unit() {
        for (seconds, said) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (3599, "59 min"), (7200, "2 h"), (200_000, "2 days")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }
}
