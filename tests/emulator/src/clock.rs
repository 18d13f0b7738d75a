//! Times, in the forms that Azure writes them.

use time::OffsetDateTime;
use time::macros::format_description;

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Milliseconds since 1970.
pub(crate) fn unix_milliseconds() -> i128 {
    OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as HTTP dates an answer.
pub(crate) fn http_date(unix_seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    date.format(format).unwrap_or_default()
}

/// `2016-01-09 02:02:12Z`, as Entra dates its errors (C1).
pub(crate) fn entra_timestamp() -> String {
    OffsetDateTime::now_utc()
        .format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z"))
        .unwrap_or_default()
}

/// `2026-11-22 08:00:00.000000`, as the Azure CLI says when a token ends (C7); of UTC, which it is not there.
pub(crate) fn local_timestamp(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|moment| {
            moment
                .format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]"))
                .ok()
        })
        .unwrap_or_default()
}

/// .NET ticks (100 ns since the year 1): what an Azure AI Search etag is made of.
pub(crate) fn ticks() -> i128 {
    const UNIX_EPOCH: i128 = 621_355_968_000_000_000;
    OffsetDateTime::now_utc().unix_timestamp_nanos() / 100 + UNIX_EPOCH
}

/// `2019-12-15T12:33:13.008Z`, as Azure AI Search dates what has happened.
pub(crate) fn timestamp() -> String {
    OffsetDateTime::now_utc()
        .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
        .unwrap_or_default()
}

/// `06/20/2019 02:57:58 +00:00`, as App Service once dated its tokens (C3).
pub(crate) fn textual(unix_seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(format_description!("[month]/[day]/[year] [hour]:[minute]:[second] +00:00")).unwrap_or_default()
}
