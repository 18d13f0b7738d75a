//! The opening of a websocket: how a client asks for one, how an upstream is asked, and how the client is told.
//!
//! Over HTTP/1.1 it is a GET with `Upgrade` (RFC 6455, 4). Over HTTP/2 it is an extended CONNECT (RFC 8441): no client
//! needs it, since all of them fall back, but a proxy in front of us that speaks HTTP/2 to its backends can have no other.
//! Inside there is one form, that of HTTP/1.1, in which the upstream is asked, too.
//!
//! What client and upstream negotiate (key, version, extensions, subprotocols) is theirs and passes untouched, but for
//! keys among the subprotocols.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::request::Parts;
use http::{Method, StatusCode, response};
use http_body::Body;
use hyper::ext::Protocol;
use uuid::Uuid;

use crate::listen::Upgrade;

/// A client that asks for another protocol than HTTP, and whose connection can be had for it.
#[derive(Debug)]
pub(crate) struct Opening {
    upgrade: Upgrade,
    /// Over HTTP/2, where the client has none: the key with which we ask the upstream.
    our_key: Option<HeaderValue>,
}

/// An answer that opens nothing, although it says so.
#[derive(Debug)]
pub(crate) struct NotOpened;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What a server appends to a key before it digests it (RFC 6455, 1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a websocket is asked for, in the form of HTTP/1.1.
pub(crate) fn is_asked_for(head: &Parts) -> bool {
    head.method == Method::GET
        && says(&head.headers, &UPGRADE, WEBSOCKET.as_bytes())
        && says(&head.headers, &CONNECTION, UPGRADE.as_str().as_bytes())
}

/// Asks an upstream for one, in a head from which everything between two neighbours was stripped.
pub(crate) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether a word stands in a list, whichever way it is written.
fn says(headers: &HeaderMap, name: &HeaderName, word: &[u8]) -> bool {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|byte| *byte == b',')).any(|said| said.trim_ascii().eq_ignore_ascii_case(word))
}

// === impl Opening ===

impl Opening {
    /// Takes it out of a request. What cannot be opened (over HTTP/1.0, with a body) is then no longer asked for, and what
    /// was asked over HTTP/2 is a GET as over HTTP/1.1.
    pub(crate) fn of<B: Body>(head: &mut Parts, body: &B) -> Option<Self> {
        let upgrade = Upgrade::of(&mut head.extensions).filter(|_| body.is_end_stream());
        let Some(upgrade) = upgrade else {
            head.headers.remove(UPGRADE);
            return None;
        };
        let protocol = head.extensions.remove::<Protocol>();
        let extended = protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket"));
        if head.method != Method::CONNECT || !extended {
            return Some(Self { upgrade, our_key: None });
        }
        let key = new_key();
        head.method = Method::GET;
        ask(&mut head.headers);
        head.headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        Some(Self { upgrade, our_key: Some(key) })
    }

    /// Turns the upstream's 101, from which everything between two neighbours was stripped, into what tells the client.
    ///
    /// # Errors
    /// The upstream did not see the key that was ours.
    pub(crate) fn accept(self, answer: &mut response::Parts) -> Result<Upgrade, NotOpened> {
        // It would speak of a body, and there is none.
        answer.headers.remove(CONTENT_LENGTH);
        match self.our_key {
            None => ask(&mut answer.headers),
            Some(key) => {
                let accepted = answer.headers.remove(SEC_WEBSOCKET_ACCEPT).ok_or(NotOpened)?;
                if accepted != acceptance(&key) {
                    return Err(NotOpened);
                }
                answer.status = StatusCode::OK;
            }
        }
        Ok(self.upgrade)
    }
}

/// Sixteen random bytes (RFC 6455, 4.1): six bits of them are the version of the UUID, which is nobody's secret.
fn new_key() -> HeaderValue {
    let key = BASE64_STANDARD.encode(Uuid::new_v4().as_bytes());
    // Letters, digits and three signs make a header.
    HeaderValue::from_str(&key).unwrap_or(WEBSOCKET)
}

/// What a server that saw this key says (RFC 6455, 4.2.2).
fn acceptance(key: &HeaderValue) -> String {
    let mut seen = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    seen.update(key.as_bytes());
    seen.update(ACCEPT_SUFFIX);
    BASE64_STANDARD.encode(seen.finish())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        is_asked_for(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn it_is_asked_for_in_whatever_case_and_list_and_never_by_half() {
        assert!(asked(&[("upgrade", "websocket"), ("connection", "Upgrade")]));
        assert!(asked(&[("upgrade", "h2c, WebSocket"), ("connection", "keep-alive , UPGRADE")]));
        assert!(asked(&[("upgrade", "x"), ("upgrade", "websocket"), ("connection", "x"), ("connection", "upgrade")]));
        assert!(!asked(&[("upgrade", "websocket")]));
        assert!(!asked(&[("connection", "upgrade")]));
        assert!(!asked(&[("upgrade", "websocket"), ("connection", "close")]));
        assert!(!asked(&[("upgrade", "h2c"), ("connection", "upgrade")]));
        assert!(!asked(&[("upgrade", "websockets"), ("connection", "upgrade")]));
    }

    /// The example of RFC 6455, 1.3.
    #[test]
    fn the_answer_to_a_key_is_the_one_of_the_standard() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(acceptance(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(BASE64_STANDARD.decode(new_key()).unwrap().len(), 16);
        assert_ne!(new_key(), new_key());
    }
}
