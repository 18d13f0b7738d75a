//! What a client is told whose head is no HTTP, or too much of it.

use bytes::Bytes;
use http::StatusCode;

use crate::dialect::{HEAD_TOO_LARGE, envelope};

/// The answer in place of one of hyper's, which have a status and nothing else. The plane is not known, since there is
/// no path: the shape is the one that every SDK reads.
pub(super) fn instead_of(answer: &[u8]) -> Bytes {
    let (status, reason, code, message) = match answer.get(9..12) {
        Some(b"431") => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            "RequestHeaderFieldsTooLarge",
            HEAD_TOO_LARGE,
        ),
        Some(b"414") => {
            (StatusCode::URI_TOO_LONG, "head-too-large", "UriTooLong", "The URL of the request is too long.")
        }
        _ => (StatusCode::BAD_REQUEST, "not-http", "BadRequest", "The request is not valid HTTP."),
    };
    let body = envelope(None, status, code, message);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
         x-keyswap-reason: {reason}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat().into()
}
