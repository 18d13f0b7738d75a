//! Whose key is it?
//!
//! A key is looked for where legacy clients put it, in this order; the first place that has one decides, whatever the
//! others say (openai-python 1.0 to 2.33 sends its key twice, in `api-key` and as a bearer):
//!
//! 1. the headers `api-key`, `Ocp-Apim-Subscription-Key`, `x-api-key`
//! 2. `Authorization: Bearer`
//! 3. `?api-key=` on a GET of Search, as Azure lets query keys do
//!
//! All of these places, and some where a credential may stand that we do not take, are emptied before the request goes
//! on: see [`strip`].

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::keys::{Key, Keys};
use crate::plane::Plane;
use crate::refusal::{Refusal, UnknownKey};
use crate::route::{Route, parameters};

/// A client whose key is good.
#[derive(Debug, Clone)]
pub struct Caller {
    key: Arc<Key>,
    place: Place,
}

/// Where a key stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a header.
    Header,
    /// In the URL.
    Url,
}

/// The headers that hold nothing but a key.
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    HeaderName::from_static("x-api-key"),
];

/// The query parameters that hold a credential.
const KEY_PARAMETERS: [&str; 2] = ["api-key", "authorization"];

/// How a browser's websocket carries a key: as one of the subprotocols that it offers.
const KEY_SUBPROTOCOL: &str = "openai-insecure-api-key.";

/// Finds out whose key a request brings.
///
/// # Errors
/// [`Refusal::NoCredential`], [`Refusal::ClientToken`], or [`Refusal::UnknownKey`] for a key that is not good now.
pub fn authenticate(request: &Parts, route: &Route, keys: &Keys, now: SystemTime) -> Result<Caller, Refusal> {
    let (text, place) = credential(request, route)?;
    let key = keys.find(&text).ok_or(Refusal::UnknownKey(UnknownKey::NotListed))?;
    key.good_at(now).map_err(|why| Refusal::UnknownKey(UnknownKey::NotNow(key.id.clone(), why)))?;
    Ok(Caller { key: key.clone(), place })
}

fn credential(request: &Parts, route: &Route) -> Result<(Vec<u8>, Place), Refusal> {
    for name in &KEY_HEADERS {
        if let Some(value) = only(&request.headers, name)? {
            return Ok((value.as_bytes().to_vec(), Place::Header));
        }
    }
    if let Some(value) = only(&request.headers, &AUTHORIZATION)? {
        let bearer = bearer(value.as_bytes()).ok_or(Refusal::NoCredential)?;
        if is_token(bearer) {
            return Err(Refusal::ClientToken);
        }
        return Ok((bearer.to_vec(), Place::Header));
    }
    if route.plane() == Plane::Search && request.method == Method::GET {
        let query = request.uri.query().unwrap_or_default();
        let key = parameters(query).find(|parameter| parameter.name().eq_ignore_ascii_case(KEY_PARAMETERS[0]));
        if let Some(key) = key {
            return Ok((key.value().as_bytes().to_vec(), Place::Url));
        }
    }
    Err(Refusal::NoCredential)
}

/// The header's value, if it says one thing; two keys in one place are no key.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.any(|value| Some(value) != first) {
        return Err(Refusal::UnknownKey(UnknownKey::NotListed));
    }
    Ok(first)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// A JWT has three parts, and its first, a JSON object in base64url, begins with `eyJ`. No key has a dot.
fn is_token(text: &[u8]) -> bool {
    text.starts_with(b"eyJ") && text.iter().filter(|byte| **byte == b'.').count() == 2
}

/// Takes every client credential out of a request, wherever it may stand in head or query; the rest of the query stays
/// byte for byte.
pub(crate) fn strip(request: &mut Parts) {
    for name in &KEY_HEADERS {
        request.headers.remove(name);
    }
    request.headers.remove(AUTHORIZATION);
    strip_subprotocols(&mut request.headers);
    let target = request.uri.path_and_query().and_then(without_key_parameters);
    if let Some(target) = target {
        let mut uri = std::mem::take(&mut request.uri).into_parts();
        uri.path_and_query = Some(target);
        // Only the query became shorter, so the parts still make a URI.
        request.uri = http::Uri::from_parts(uri).unwrap_or_default();
    }
}

/// The target without its credentials; `None` where it has none and stays as it is.
fn without_key_parameters(target: &PathAndQuery) -> Option<PathAndQuery> {
    let query = target.query()?;
    let holds_key = |name: &str| KEY_PARAMETERS.iter().any(|key| name.eq_ignore_ascii_case(key));
    if !parameters(query).any(|parameter| holds_key(&parameter.name())) {
        return None;
    }
    let kept: Vec<_> =
        parameters(query).filter(|parameter| !holds_key(&parameter.name())).map(|parameter| parameter.raw()).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", target.path(), kept.join("&")).parse().ok()
}

fn strip_subprotocols(headers: &mut HeaderMap) {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let holds_key = |protocol: &&[u8]| {
        protocol
            .get(..KEY_SUBPROTOCOL.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(KEY_SUBPROTOCOL.as_bytes()))
    };
    let (keys, kept): (Vec<_>, Vec<_>) = offered.partition(holds_key);
    if keys.is_empty() {
        return;
    }
    let kept = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok().filter(|value| !value.is_empty());
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

// === impl Caller ===

impl Caller {
    /// The key that was brought.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Where it stood.
    pub fn place(&self) -> Place {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(request: http::request::Builder) -> Parts {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        strip(&mut parts);
        parts
    }

    #[test]
    fn nothing_is_left_of_a_key_and_all_of_the_rest() {
        for (before, after) in [
            ("/indexes?api-key=SECRET", "/indexes"),
            ("/indexes?a=%27&API%2DKEY=SECRET&b=+", "/indexes?a=%27&b=+"),
            ("/x?Authorization=Bearer+SECRET&y=z", "/x?y=z"),
            ("//x?api-keys=1&&y", "//x?api-keys=1&&y"),
            ("/x?&a=1&&api-key=SECRET", "/x?&a=1&"),
        ] {
            let parts = stripped(http::Request::get(before));
            assert_eq!(parts.uri.to_string(), after, "{before}");
        }
        let parts = stripped(
            http::Request::get("/")
                .header("Api-Key", "SECRET")
                .header("api-key", "SECRET")
                .header("Ocp-Apim-Subscription-Key", "SECRET")
                .header("X-Api-Key", "SECRET")
                .header("Authorization", "Bearer SECRET")
                .header("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.SECRET")
                .header("Sec-WebSocket-Protocol", "openai-beta.realtime-v1")
                .header("x-ms-query-source-authorization", "eyJ"),
        );
        assert_eq!(parts.headers.len(), 2);
        assert_eq!(parts.headers["sec-websocket-protocol"], "realtime, openai-beta.realtime-v1");
    }

    #[test]
    fn a_token_is_told_from_a_key() {
        assert!(is_token(b"eyJ0eXAi.eyJhdWQi.c2ln"));
        assert!(!is_token(b"eyJ0eXAi"));
        assert!(!is_token(b"0123456789abcdef0123456789abcdef"));
        assert_eq!(bearer(b"bearer  k "), Some(&b"k"[..]));
        assert_eq!(bearer(b"Basic k"), None);
    }
}
