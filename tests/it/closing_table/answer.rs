//! A whole answer as a text: status line, all headers in the order of the alphabet, body. What varies stands by name: the
//! date as `DATE`, our id of the request as `OUR-ID`, every other id as `ID`, a length that is the body's as `LENGTH`.

use azure_emulator::{Door, Plane};
use serde_json::Value;
use uuid::Uuid;

use super::row::{Ask, Wire};
use crate::client::Answer;
use crate::world::World;

/// A1.1.
pub(crate) const OPENAI_WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;

/// B1.1.
pub(crate) const SEARCH_WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;

/// What the client gets.
pub(super) enum Expected {
    /// Azure's bytes for a wrong key, from us, for this reason.
    WrongKey(&'static str),
    /// An answer in our own words.
    Ours(Ours),
    /// What Azure said, untouched.
    Passed,
}

/// An answer in our own words, N in section F.
pub(super) struct Ours {
    /// With its phrase.
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) retry: Retry,
    pub(super) got: Got,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// What the client should think of trying again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Soon,
    Never,
    Unsaid,
}

/// How far the request got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// Its body was not even read.
    Nowhere,
    /// It was sent to Azure.
    Sent,
    /// Azure answered it: our answer has the id of that.
    Answered,
}

impl Ours {
    /// What no other try would mend.
    pub(super) fn never(status: &'static str, reason: &'static str, code: &'static str, message: &str) -> Self {
        Self { status, reason, retry: Retry::Never, got: Got::Nowhere, code, message: message.to_owned() }
    }

    /// The same in place of an answer of Azure's.
    pub(super) fn for_azures(status: &'static str, reason: &'static str, code: &'static str, message: &str) -> Self {
        Self { got: Got::Answered, ..Self::never(status, reason, code, message) }
    }

    fn body(&self, plane: Plane) -> String {
        let (code, message) = (Value::from(self.code), Value::from(&*self.message));
        // `type` and `param` are words of one plane alone.
        let more = match (plane, self.status.starts_with('5')) {
            (Plane::Search, _) => "",
            (_, true) => r#","type":"server_error","param":null"#,
            (_, false) => r#","type":"invalid_request_error","param":null"#,
        };
        format!(r#"{{"error":{{"code":{code},"message":{message}{more}}}}}"#)
    }
}

impl Expected {
    /// The answer as a text.
    pub(super) async fn shown(&self, ask: &Ask, world: &World, wire: Wire) -> String {
        let mut got = Got::Nowhere;
        let (status, body, own) = match self {
            Self::WrongKey(reason) if ask.plane == Plane::Search => {
                ("403 Forbidden", SEARCH_WRONG_KEY.to_owned(), vec![("x-keyswap-reason", *reason)])
            }
            Self::WrongKey(reason) => {
                ("401 PermissionDenied", OPENAI_WRONG_KEY.to_owned(), vec![("x-keyswap-reason", *reason)])
            }
            Self::Ours(ours) => {
                let retry = match ours.retry {
                    Retry::Soon => Some(("retry-after", "2")),
                    Retry::Never => Some(("x-should-retry", "false")),
                    Retry::Unsaid => None,
                };
                let azures = (ours.got == Got::Answered).then_some(("x-keyswap-upstream-request-id", "ID"));
                let own = [("x-keyswap-reason", ours.reason), ("x-request-id", "OUR-ID")];
                got = ours.got;
                (ours.status, ours.body(ask.plane), own.into_iter().chain(retry).chain(azures).collect())
            }
            Self::Passed => return passed(ask, world, wire).await,
        };
        let planes = match ask.plane {
            Plane::Search => [("content-type", "application/json; charset=utf-8"), ("request-id", "OUR-ID")],
            _ => [("content-type", "application/json"), ("apim-request-id", "OUR-ID")],
        };
        let framing = [("content-length", "LENGTH"), ("date", "DATE"), ("x-keyswap-request-id", "OUR-ID")];
        // What was not read of a request would be taken for the next one.
        let is_left = got == Got::Nowhere && ask.has_body() && wire == Wire::Http1;
        let close = is_left.then_some(("connection", "close"));
        let headers = planes.into_iter().chain(framing).chain(own).chain(close);
        text(wire, status, headers.map(|(name, value)| format!("{name}: {value}")), &body)
    }
}

/// What Azure says to the same request without us, and our id.
async fn passed(ask: &Ask, world: &World, wire: Wire) -> String {
    let door = match ask.plane {
        Plane::Search => world.emulator.search(Door::KeysEnabled),
        _ => world.emulator.openai(Door::KeysEnabled),
    };
    let mut direct = ask.to(world, &door).await;
    if wire == Wire::Http2 {
        direct.headers.remove("transfer-encoding");
    }
    let (direct, id) = (shown(&direct, wire), "x-keyswap-request-id: OUR-ID");
    let (head, body) = direct.split_once("\n\n").unwrap();
    let (status, headers) = head.split_once('\n').unwrap();
    let status = status.split_once(' ').unwrap().1;
    text(wire, status, headers.lines().chain([id]).map(str::to_owned), body)
}

/// An answer as a text.
pub(super) fn shown(answer: &Answer, wire: Wire) -> String {
    let phrase = answer.phrase.as_deref().or(answer.status.canonical_reason()).unwrap_or_default();
    let status = format!("{} {phrase}", answer.status.as_u16());
    let ours = answer.header("x-keyswap-request-id").unwrap_or("none");
    let headers =
        answer.headers.iter().map(|(name, value)| match (name.as_str(), &*String::from_utf8_lossy(value.as_bytes())) {
            ("date", _) => "date: DATE".to_owned(),
            ("content-length", length) if length == answer.body.len().to_string() => {
                "content-length: LENGTH".to_owned()
            }
            (name, value) => format!("{name}: {}", named(value, ours)),
        });
    text(wire, &status, headers, &named(&String::from_utf8_lossy(&answer.body), ours))
}

fn text(wire: Wire, status: &str, headers: impl Iterator<Item = String>, body: &str) -> String {
    let status = match wire {
        Wire::Http1 => format!("HTTP/1.1 {status}"),
        // It has no phrases.
        Wire::Http2 => format!("HTTP/2 {}", &status[..3]),
    };
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    format!("{status}\n{}\n\n{body}", headers.join("\n"))
}

/// A text with names in place of the ids in it.
fn named(text: &str, ours: &str) -> String {
    let is_of_id = |sign: char| sign.is_ascii_hexdigit() || sign == '-';
    let name = |word: &str| match Uuid::try_parse(word) {
        Ok(_) if word == ours => "OUR-ID".to_owned(),
        Ok(_) if word.len() == 36 => "ID".to_owned(),
        _ => word.to_owned(),
    };
    let mut shown = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(is_of_id) {
        let end = rest[begin..].find(|sign| !is_of_id(sign)).map_or(rest.len(), |length| begin + length);
        shown.push_str(&rest[..begin]);
        shown.push_str(&name(&rest[begin..end]));
        rest = &rest[end..];
    }
    shown + rest
}
