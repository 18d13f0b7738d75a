//! The headers and envelopes of good answers on the current stack (H13).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::exchange::Call;
use crate::hostile;

pub(super) const STRICT_TRANSPORT: (&str, &str) = ("strict-transport-security", "max-age=15724800; includeSubDomains");
/// Two separate lines, from two layers.
const STRICT_TRANSPORTS: [(&str, &str); 2] = [("strict-transport-security", "max-age=2592000"), STRICT_TRANSPORT];
pub(super) const PREFERENCE: (&str, &str) = ("preference-applied", r#"odata.include-annotations="*""#);

/// `request-id`, which echoes the client's own id (H17), and `elapsed-time`.
pub(super) fn with_ids(answer: Answer, call: &Call<'_>) -> Answer {
    let id = call.header("x-ms-client-request-id").unwrap_or(call.id.as_str());
    answer.header("elapsed-time", "17").header("request-id", id)
}

fn good(call: &Call<'_>, answer: Answer) -> Answer {
    with_ids(answer, call).headers(hostile::HEADERS).headers([PREFERENCE]).headers(STRICT_TRANSPORTS)
}

/// 204.
pub(super) fn no_content(call: &Call<'_>) -> Answer {
    good(call, Answer::no_content())
}

/// 202 and 204 of what is only set going: nothing of OData in them (H16).
pub(super) fn bare(call: &Call<'_>, status: StatusCode) -> Answer {
    let answer = if status == StatusCode::NO_CONTENT { Answer::no_content() } else { Answer::new(status) };
    with_ids(answer, call).headers(hostile::HEADERS).headers(STRICT_TRANSPORTS)
}

/// 200 with a value of one of the api-version's types.
pub(super) fn typed(call: &Call<'_>, kind: &str, body: Value) -> Answer {
    of_type(call, &versioned(call, kind), body)
}

/// 200 with a value of a type that is named in full.
pub(super) fn of_type(call: &Call<'_>, name: &str, body: Value) -> Answer {
    let members = match body {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    json(call, StatusCode::OK, &format!("$metadata#{name}"), members)
}

/// A JSON object; `context` is its `@odata.context`, without the origin.
pub(super) fn json(call: &Call<'_>, status: StatusCode, context: &str, members: Map<String, Value>) -> Answer {
    let metadata = Metadata::of(call);
    let mut body = Map::new();
    if metadata == Metadata::Minimal {
        let context = format!("{}/{context}", call.origin);
        body.insert("@odata.context".to_owned(), Value::from(context));
    }
    body.extend(members);
    let content_type =
        format!("application/json; odata.metadata={}; odata.streaming=true; charset=utf-8", metadata.name());
    // `Value` writes what it read: never fails.
    send(call, status, content_type, Value::Object(body).to_string().into_bytes())
}

/// `$count` is the only text.
pub(super) fn text(call: &Call<'_>, text: String) -> Answer {
    let content_type = "text/plain; charset=utf-8".to_owned();
    send(call, StatusCode::OK, content_type, text.into_bytes())
}

fn send(call: &Call<'_>, status: StatusCode, content_type: String, body: Vec<u8>) -> Answer {
    let answer = good(call, Answer::new(status)).header("content-type", content_type).header("odata-version", "4.0");
    // Every 200 is compressed, if that is accepted; nothing else is.
    if status != StatusCode::OK {
        return answer.chunked(body);
    }
    let answer = answer.header("vary", "Accept-Encoding");
    match gzip(call, &body) {
        Some(zipped) => answer.header("content-encoding", "gzip").chunked(zipped),
        None => answer.chunked(body),
    }
}

fn gzip(call: &Call<'_>, body: &[u8]) -> Option<Vec<u8>> {
    let accepted = call.header("accept-encoding")?.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && quality.trim() != "q=0"
    });
    if !accepted {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// How much the client wants to be told about types (its `Accept`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metadata {
    None,
    Minimal,
}

impl Metadata {
    fn of(call: &Call<'_>) -> Self {
        let accept = call.header("accept").unwrap_or_default();
        if accept.replace(' ', "").contains("odata.metadata=none") { Self::None } else { Self::Minimal }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
        }
    }
}

/// `Microsoft.Azure.Search.V2025_09_01.IndexResult`: a type, with the request's version.
pub(super) fn versioned(call: &Call<'_>, name: &str) -> String {
    let version = call.parameter("api-version").unwrap_or_default().replace('-', "_");
    format!("Microsoft.Azure.Search.V{version}.{name}")
}

/// The same of types that are called otherwise (H18).
pub(super) fn core_type(call: &Call<'_>, name: &str) -> String {
    let version = call.parameter("api-version").unwrap_or_default().replace('-', "_");
    format!("Microsoft.WindowsAzure.Search.Core.Models.V{version}.{name}")
}
