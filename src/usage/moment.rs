//! Moments as pages have them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in whole seconds since 1970; written as RFC 3339 in UTC, like `2027-01-31T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// In seconds: by so much two clocks may differ.
const DAY: u64 = 24 * 60 * 60;

impl Moment {
    /// The beginning of 2026. There was no keyswap before.
    const FIRST: Self = Self(1_767_225_600);

    /// This one.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Seconds since 1970.
    pub(super) fn seconds(self) -> u64 {
        self.0
    }

    /// The moment that many seconds after 1970 began; none if that is 0.
    pub(super) fn of_seconds(seconds: u64) -> Option<Self> {
        (seconds > 0).then_some(Self(seconds))
    }

    /// Itself, or else now, where it is none at which anything can have been: before there was a keyswap, or long after now.
    /// A clock that was wrong for a while, as many are before they are first set, must not be remembered for good. What is
    /// said of such a moment is the least that is sure: it is past.
    pub(super) fn believed(self, now: Self) -> Self {
        let is_early = self < Self::FIRST;
        // A clock that is not yet set knows nothing of what is to come.
        let is_late = now >= Self::FIRST && self.0 > now.0.saturating_add(DAY);
        if is_early || is_late { now } else { self }
    }

    /// How long ago it was; nothing if it is still to come.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_secs(now.0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only years of five digits cannot be written.
        let time = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(self.0.min(MOST));
        f.write_str(&time.format(&Rfc3339).unwrap_or_default())
    }
}

/// The last second that can be written.
const MOST: u64 = 253_402_300_799;

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| D::Error::custom("not a moment"))?;
        Ok(SystemTime::from(time).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        let moment = Moment(1_795_341_600);
        let written = serde_json::to_string(&moment).unwrap();
        assert_eq!(written, "\"2026-11-22T10:00:00Z\"");
        assert_eq!(serde_json::from_str::<Moment>(&written).unwrap(), moment);
        assert_eq!(Moment(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_moment_that_cannot_be_is_not_believed() {
        let (now, unset) = (Moment(1_795_341_600), Moment(60));
        let yesterday = Moment(now.0 - DAY);
        for (moment, now, believed) in [
            (yesterday, now, yesterday),
            (Moment(now.0 + DAY), now, Moment(now.0 + DAY)),
            (Moment(now.0 + DAY + 1), now, now),
            (unset, now, now),
            (yesterday, unset, yesterday),
            (Moment(2), unset, unset),
        ] {
            assert_eq!(moment.believed(now), believed, "{moment} at {now}");
        }
    }
}
