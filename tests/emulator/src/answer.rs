//! One answer: status, headers and body, before it is delivered.

use std::collections::VecDeque;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::hostile;
use crate::openai::Dialogue;

/// What a plane answers. Built by chaining.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The HTTP/1.1 reason phrase, where Azure's is not the standard one (A1.1).
    pub(crate) reason: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    body: Body,
    /// What is said over the websocket that this answer opens, if it opens one.
    pub(crate) dialogue: Option<Box<Dialogue>>,
}

enum Body {
    /// With a content-length, in one piece.
    Whole(Bytes),
    /// Chunked, in pieces of odd sizes.
    Chunked(Bytes),
    /// An event stream: chunked, with pauses, cut where no frame ends.
    Events(Vec<Bytes>),
    /// 204 and 304 have no body and no content-length either.
    None,
}

/// A body on its way out.
pub(crate) struct Pieces {
    pub(crate) pieces: VecDeque<Bytes>,
    /// Announced in content-length; `None` is chunked.
    pub(crate) length: Option<u64>,
    /// Whether there are pauses between the pieces.
    pub(crate) paced: bool,
}

impl Answer {
    /// Without a body: content-length 0.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, reason: None, headers: Vec::new(), body: Body::Whole(Bytes::new()), dialogue: None }
    }

    /// 204: without any body.
    pub(crate) fn no_content() -> Self {
        let mut answer = Self::new(StatusCode::NO_CONTENT);
        answer.body = Body::None;
        answer
    }

    /// The connection goes on in this dialogue. A 101 has no body and no content-length either.
    pub(crate) fn opening(mut self, dialogue: Dialogue) -> Self {
        self.body = Body::None;
        self.dialogue = Some(Box::new(dialogue));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Several headers at once.
    pub(crate) fn headers<const N: usize>(mut self, headers: [(&'static str, &str); N]) -> Self {
        let owned = headers.map(|(name, value)| (name, value.to_owned()));
        self.headers.extend(owned);
        self
    }

    pub(crate) fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Exactly these bytes, with a content-length.
    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self.header("content-type", content_type)
    }

    /// Exactly these bytes as `application/json`.
    pub(crate) fn json(self, body: impl Into<Bytes>) -> Self {
        self.body("application/json", body)
    }

    /// Exactly these bytes, chunked; the content type is the caller's.
    pub(crate) fn chunked(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Chunked(body.into());
        self
    }

    /// The same bytes with a content-length, if they were chunked.
    pub(crate) fn whole(mut self) -> Self {
        if let Body::Chunked(body) = self.body {
            self.body = Body::Whole(body);
        }
        self
    }

    /// An event stream of these frames; the content type is the caller's.
    pub(crate) fn events(mut self, frames: Vec<Bytes>) -> Self {
        self.body = Body::Events(frames);
        self
    }

    /// Sets a header to `value`, whether or not the answer had it.
    pub(crate) fn set_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self.header(name, value)
    }

    pub(crate) fn take_pieces(&mut self) -> Pieces {
        match std::mem::replace(&mut self.body, Body::None) {
            Body::Whole(body) => {
                Pieces { length: Some(body.len() as u64), pieces: VecDeque::from([body]), paced: false }
            }
            Body::Chunked(body) => Pieces { pieces: hostile::odd_sizes(body), length: None, paced: false },
            Body::Events(frames) => Pieces { pieces: hostile::between_frames(&frames), length: None, paced: true },
            Body::None => Pieces { pieces: VecDeque::new(), length: Some(0), paced: false },
        }
    }
}

/// `{"error":{"code":…,"message":…}}`, compact.
pub(crate) fn nested_error(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"code":{},"message":{}}}}}"#, Value::from(code), Value::from(message))
}

/// Indented by two spaces, as many of Azure's bodies are; some have a line feed behind (H10).
pub(crate) fn indented(value: &impl Serialize) -> String {
    // Only ever called with plain values, which always serialise.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
