//! Which credentials a request carries, and whether they may arrive where they did.
//!
//! Behind keyswap only one credential is right: a single `Authorization: Bearer` with a token
//! from our Entra. Everything else a client could have sent is a *violation*, even if the
//! request is refused anyway: an `api-key`, `ocp-apim-subscription-key` or `x-api-key` header,
//! an `api-key` or `Authorization` in the query string, an `openai-insecure-api-key`
//! subprotocol (A2.1 to A2.9).

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

use crate::Plane;
use crate::directory::{Directory, Judgement};
use crate::target;

const KEY_HEADERS: [&str; 3] = ["api-key", "ocp-apim-subscription-key", "x-api-key"];
const KEY_PARAMETERS: [&str; 3] = ["api-key", "subscription-key", "authorization"];

/// An api-key and where it stood.
pub(crate) enum Key {
    Header(String),
    Query(String),
}

/// The key that a plane would look at: the header before the query string (A2, B2).
pub(crate) fn key(headers: &HeaderMap, query: &str) -> Option<Key> {
    let header = ["api-key", "ocp-apim-subscription-key"].iter().find_map(|name| headers.get(*name));
    if let Some(value) = header {
        return Some(Key::Header(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    target::parameters(query).find(|(name, _)| name.eq_ignore_ascii_case("api-key")).map(|(_, value)| Key::Query(value))
}

/// The key among the subprotocols that a browser's websocket offers (A2.8).
pub(crate) fn subprotocol_key(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|line| line.to_str().ok());
    let mut offered = lines.flat_map(|line| line.split(',')).map(str::trim);
    offered.find_map(|protocol| protocol.strip_prefix("openai-insecure-api-key.")).map(str::to_owned)
}

/// The token of a single `Authorization: Bearer`; anything else is none.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What a client credential is doing here, if one is.
pub(crate) fn violation(directory: &Directory, plane: Plane, headers: &HeaderMap, query: &str) -> Option<String> {
    if let Some(name) = KEY_HEADERS.iter().find(|name| headers.contains_key(**name)) {
        return Some(format!("header {name}"));
    }
    for (name, _) in target::parameters(query) {
        if KEY_PARAMETERS.iter().any(|key| name.eq_ignore_ascii_case(key)) {
            return Some(format!("query parameter {name}"));
        }
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    if protocols.filter_map(|value| value.to_str().ok()).any(|value| value.contains("openai-insecure-api-key")) {
        return Some("subprotocol openai-insecure-api-key".to_owned());
    }
    if !headers.contains_key(AUTHORIZATION) {
        return None;
    }
    match bearer(headers).map(|token| directory.judge(token, plane)) {
        None => Some("Authorization is not one Bearer token".to_owned()),
        Some(Judgement::Foreign) => Some("a bearer token that Entra did not issue".to_owned()),
        Some(Judgement::Fit(_) | Judgement::Unfit) => None,
    }
}
