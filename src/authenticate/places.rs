//! The places where a legacy client puts its key: each is read here, and emptied here.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::plane::Plane;
use crate::refusal::{Refusal, UnknownKey};
use crate::route::{Route, hidden_names, parameters};

/// A key as a request brings it, good or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought<'r> {
    /// In its head, the offered subprotocols among it.
    InHead(&'r [u8]),
    /// In its URL.
    InUrl(Cow<'r, [u8]>),
    /// No key: a token of the client's own is in its place.
    Token,
}

/// The headers that hold nothing but a key (azure-wire, A2.1, A2.5, A2.9).
const KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    HeaderName::from_static("x-api-key"),
];

/// The query parameter that a key is taken from (azure-wire, A2.6, B2).
const KEY_PARAMETER: &str = "api-key";

/// What a browser's websocket has in place of the header, for a token (azure-wire, A2.7).
const AUTHORIZATION_PARAMETER: &str = "authorization";

/// Every query parameter in which some client puts a credential; the last is API Management's.
const CREDENTIAL_PARAMETERS: [&str; 3] = [KEY_PARAMETER, AUTHORIZATION_PARAMETER, "subscription-key"];

/// How a browser's websocket carries a key: as one of the subprotocols that it offers (azure-wire, A2.8).
const KEY_SUBPROTOCOL: &[u8] = b"openai-insecure-api-key.";

/// The key that counts, from the first place that has one.
///
/// # Errors
/// [`Refusal::NoCredential`], [`Refusal::ClientToken`] for a token in the URL, [`Refusal::UnknownKey`] where one place
/// has two keys, or [`Refusal::Ambiguous`] where a credential stands in the query that would not be taken out of it.
pub(super) fn key<'r>(request: &'r Parts, route: &Route) -> Result<Brought<'r>, Refusal> {
    let query = request.uri.query().unwrap_or_default();
    if hidden_names(query).any(|name| is_credential(&name)) {
        return Err(Refusal::Ambiguous("its query has a credential where only some servers would look for it"));
    }
    for name in &KEY_HEADERS {
        if let Some(key) = only(values(&request.headers, name))? {
            return Ok(Brought::InHead(key));
        }
    }
    if let Some(bearer) = only(bearers(&request.headers))? {
        return Ok(if is_token(bearer) { Brought::Token } else { Brought::InHead(bearer) });
    }
    // A browser cannot give a websocket a header of its own.
    let websocket = route.opens_websocket();
    if websocket {
        let offered = values(&request.headers, &SEC_WEBSOCKET_PROTOCOL);
        if let Some(key) = only(offered.filter_map(key_of_subprotocol))? {
            return Ok(Brought::InHead(key));
        }
    }
    if (websocket || route.plane() == Plane::Search)
        && let Some(key) = only(parameter(query, KEY_PARAMETER))?
    {
        return Ok(Brought::InUrl(key));
    }
    let is_clients = |value: Cow<'_, [u8]>| {
        // Of a form's blank, whichever way it was written.
        let value = value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>();
        bearer(&value).is_some_and(is_token)
    };
    let token = parameter(query, AUTHORIZATION_PARAMETER).any(is_clients);
    Err(if token { Refusal::ClientToken } else { Refusal::NoCredential })
}

/// Takes every client credential out of a request, wherever it may stand in head or query; the rest of the query stays
/// byte for byte.
pub(crate) fn strip(request: &mut Parts) {
    // One look at the names tells which are there.
    let holds_one = |name: &&HeaderName| KEY_HEADERS.contains(name) || **name == AUTHORIZATION;
    let held: Vec<_> = request.headers.keys().filter(holds_one).cloned().collect();
    for name in held {
        request.headers.remove(name);
    }
    strip_subprotocols(&mut request.headers);
    let target = request.uri.path_and_query().and_then(without_credentials);
    if let Some(target) = target {
        let mut uri = std::mem::take(&mut request.uri).into_parts();
        uri.path_and_query = Some(target);
        // Only the query became shorter, so the parts still make a URI.
        request.uri = http::Uri::from_parts(uri).unwrap_or_default();
    }
}

/// Whether a subprotocol is among those that are offered upstream when the request goes on.
pub(crate) fn offers(headers: &HeaderMap, protocol: &HeaderValue) -> bool {
    let mut offered = values(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|offered| key_of_subprotocol(offered).is_none());
    offered.any(|offered| offered == protocol.as_bytes())
}

/// The one value of a place. Two that differ are no key, since no rule says which of them was meant.
fn only<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Result<Option<T>, Refusal> {
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|value| value != first) {
        return Err(Refusal::UnknownKey(UnknownKey::Several));
    }
    Ok(Some(first))
}

/// What a header says, whether in several lines or in one, where some proxy joined them with a comma; what is empty
/// says nothing.
fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(parts)
}

/// What stands between the commas of a line.
fn parts(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let parts = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty())
}

/// What `Authorization` says with `Bearer`. Whatever follows that in its line without another `Bearer` may be the rest of
/// a key with a comma in it, and is a value of its own.
fn bearers(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(AUTHORIZATION).iter().map(parts);
    let lines = lines.map(|parts| parts.skip_while(|part| bearer(part).is_none()));
    lines.flatten().map(|part| bearer(part).unwrap_or(part))
}

/// The values of a query parameter, decoded; what is empty says nothing.
fn parameter<'q>(query: &'q str, name: &str) -> impl Iterator<Item = Cow<'q, [u8]>> {
    let named = parameters(query).filter(move |parameter| parameter.name().eq_ignore_ascii_case(name));
    let values = named.map(|parameter| match parameter.value() {
        Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
        Cow::Owned(value) => Cow::Owned(value.into_bytes()),
    });
    values.filter(|value| !value.is_empty())
}

/// What follows `Bearer`; no other scheme can carry a key.
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    let rest = scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())?;
    (!rest.is_empty()).then_some(rest)
}

/// A JWT has three parts, and its first, a JSON object in base64url, begins with `eyJ`. No key has a dot.
fn is_token(text: &[u8]) -> bool {
    text.starts_with(b"eyJ") && text.iter().filter(|byte| **byte == b'.').count() == 2
}

fn key_of_subprotocol(protocol: &[u8]) -> Option<&[u8]> {
    let (mark, key) = protocol.split_at_checked(KEY_SUBPROTOCOL.len())?;
    (mark.eq_ignore_ascii_case(KEY_SUBPROTOCOL) && !key.is_empty()).then_some(key)
}

/// The target without its credentials; `None` where it has none and stays as it is.
fn without_credentials(target: &PathAndQuery) -> Option<PathAndQuery> {
    let query = target.query()?;
    if !parameters(query).any(|parameter| is_credential(&parameter.name())) {
        return None;
    }
    let kept = parameters(query).filter(|parameter| !is_credential(&parameter.name()));
    let kept: Vec<_> = kept.map(|parameter| parameter.raw()).collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", target.path(), kept.join("&")).parse().ok()
}

/// Whether a query parameter of this name holds one.
fn is_credential(name: &str) -> bool {
    CREDENTIAL_PARAMETERS.iter().any(|held| name.eq_ignore_ascii_case(held))
}

fn strip_subprotocols(headers: &mut HeaderMap) {
    let holds_key = |protocol: &&[u8]| {
        protocol.get(..KEY_SUBPROTOCOL.len()).is_some_and(|start| start.eq_ignore_ascii_case(KEY_SUBPROTOCOL))
    };
    let (keys, kept): (Vec<_>, Vec<_>) = values(headers, &SEC_WEBSOCKET_PROTOCOL).partition(holds_key);
    if keys.is_empty() {
        return;
    }
    let kept = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok().filter(|value| !value.is_empty());
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Hosts;

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
            ("/x?Subscription-Key=SECRET&api-key=SECRET&api-key&y", "/x?y"),
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
        assert_eq!(bearer(b"Bearer "), None);
    }

    #[test]
    fn a_key_that_is_said_twice_is_one_and_two_keys_are_none() {
        let brought = |values: &[&str]| {
            let values = values.iter().fold(http::Request::get("/openai/models"), |r, v| r.header("api-key", *v));
            let (parts, ()) = values.body(()).unwrap().into_parts();
            let route = Route::of(&parts, &Hosts::default()).unwrap();
            key(&parts, &route).map(|brought| format!("{brought:?}"))
        };
        let good = Ok(format!("{:?}", Brought::InHead(b"k")));
        for same in [&["k"][..], &["k", "k"], &["k, k"], &["k,k", " k ", ""], &[",k,"]] {
            assert_eq!(brought(same), good, "{same:?}");
        }
        let several = Err(Refusal::UnknownKey(UnknownKey::Several));
        for other in [&["k", "l"][..], &["k, l"], &["k,k", "K"]] {
            assert_eq!(brought(other), several, "{other:?}");
        }
        assert_eq!(brought(&["", " , "]), Err(Refusal::NoCredential));
        assert_eq!(brought(&["\"k\""]), Ok(format!("{:?}", Brought::InHead(b"\"k\""))));
    }
}
