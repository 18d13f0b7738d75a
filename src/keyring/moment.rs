//! Moments and terms as a person writes them on a command line.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::document::parse_duration;

/// Reads `2027-01-31`, the beginning of that day in UTC, or `2027-01-31T12:00:00Z`, with whatever offset.
///
/// # Errors
/// What to write instead.
pub fn parse_moment(text: &str) -> Result<OffsetDateTime, String> {
    let whole = if text.contains(['T', 't']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let moment = OffsetDateTime::parse(&whole, &Rfc3339)
        .map_err(|_| "must be a day, like 2027-01-31, or a moment, like 2027-01-31T12:00:00Z")?;
    Ok(moment.checked_to_offset(UtcOffset::UTC).ok_or("must be within the year 9999 in UTC, too")?)
}

/// Reads `7d`, `12h`, `30m` or `90s`.
///
/// # Errors
/// What to write instead.
pub fn parse_term(text: &str) -> Result<Duration, String> {
    let days = |days: &str| days.parse::<u64>().ok()?.checked_mul(24 * 60 * 60).map(Duration::from_secs);
    let term = text.strip_suffix('d').map_or_else(|| parse_duration(text), days);
    term.ok_or_else(|| "must be a whole number and a unit, s, m, h or d, like 7d".to_owned())
}

/// The moment as people and files have it: whole seconds, in UTC.
pub fn written(moment: impl Into<OffsetDateTime>) -> String {
    let moment = moment.into().to_offset(UtcOffset::UTC);
    let whole = moment.replace_nanosecond(0).unwrap_or(moment);
    // Only years beyond four digits cannot be written so, and none of them can be read either.
    whole.format(&Rfc3339).unwrap_or_else(|_| whole.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_moments_and_terms() {
        let moment = |text| parse_moment(text).map(written);
        assert_eq!(moment("2027-01-31").unwrap(), "2027-01-31T00:00:00Z");
        assert_eq!(moment("2027-01-31T12:00:00.5+01:00").unwrap(), "2027-01-31T11:00:00Z");
        assert!(moment("31.1.2027").is_err() && moment("2027-02-30").is_err() && moment("").is_err());
        assert_eq!(moment("9999-12-31T23:59:59Z").unwrap(), "9999-12-31T23:59:59Z");
        assert_eq!(moment("9999-12-31T23:59:59-05:00").unwrap_err(), "must be within the year 9999 in UTC, too");
        assert_eq!(parse_term("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_term("90s"), Ok(Duration::from_secs(90)));
        assert!(parse_term("7").is_err() && parse_term("d").is_err() && parse_term("99999999999999999d").is_err());
    }
}
