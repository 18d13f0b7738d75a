//! What a client is told whose head is no HTTP, or too much of it.

use bytes::Bytes;
use http::{HeaderValue, Response};

use super::mishap::What;
use crate::dialect::{Asked, new_id, render};
use crate::refusal::{Refusal, Verdict};

/// The answer in place of one of hyper's, which have a status and nothing else: as it is told, and as it is written.
pub(super) fn instead_of(answer: &[u8]) -> (What, Bytes) {
    let refusal = match answer.get(9..12) {
        Some(b"431") => Refusal::HeadTooLarge,
        Some(b"414") => Refusal::UrlTooLong,
        _ => Refusal::NotHttp,
    };
    let id = new_id();
    // The plane is not known, since there is no path.
    let verdict = Verdict::Refused(refusal.clone());
    let answer = render(&verdict, Asked { plane: None, id: &id, client_id: None, upstream_id: None });
    let words = written(&answer);
    (What::Answered { id, refusal, answer }, words)
}

/// An answer as HTTP/1.1 has it, on a connection that ends with it.
fn written(answer: &Response<Bytes>) -> Bytes {
    let mut bytes = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    let length = HeaderValue::from(answer.body().len());
    let close = HeaderValue::from_static("close");
    let framing = [("content-length", &length), ("connection", &close)];
    for (name, value) in answer.headers().iter().map(|(name, value)| (name.as_str(), value)).chain(framing) {
        bytes.extend([name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(answer.body());
    bytes.into()
}
