//! The service as it answered until 2022 (H13): other headers around the same bodies.
//!
//! Everything is answered by the current stack, and turned back here for those who ask for the old one.

use crate::answer::Answer;
use crate::search::reply::{PREFERENCE, STRICT_TRANSPORT};

/// What the old stack put on every answer, errors and all.
const EVERYWHERE: [(&str, &str); 4] =
    [("cache-control", "no-cache"), ("pragma", "no-cache"), ("expires", "-1"), STRICT_TRANSPORT];

/// `answer` in the old stack's headers: with a length, a weak etag, and one kind of JSON for successes and errors.
pub(super) fn until_2022(answer: Answer) -> Answer {
    let header = |wanted: &str| answer.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    let content_type = header("content-type");
    if content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html")) {
        // From a layer in front of both.
        return answer;
    }
    let (etag, location) = (header("etag"), header("location"));
    let mut answer = answer;
    for (name, _) in EVERYWHERE.into_iter().chain([PREFERENCE]) {
        answer.headers.retain(|(given, _)| *given != name);
    }
    answer = answer.headers(EVERYWHERE);
    if let Some(kind) = content_type {
        let kind = match kind.split_once("; odata.streaming=true") {
            Some((kind, _)) => kind.to_owned(),
            None if kind.starts_with("application/json") => "application/json; odata.metadata=minimal".to_owned(),
            None => kind.split(';').next().unwrap_or_default().to_owned(),
        };
        let [(preference, applied)] = [PREFERENCE];
        answer = answer.set_header("content-type", kind).set_header("odata-version", "4.0").header(preference, applied);
    }
    if let Some(etag) = etag {
        answer = answer.set_header("etag", format!("W/{etag}"));
    }
    if let Some(location) = location {
        answer = answer.set_header("location", location.replacen(":443/", "/", 1));
    }
    answer.whole()
}
