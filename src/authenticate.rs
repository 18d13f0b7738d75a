//! Whose key is it?
//!
//! A key is looked for where legacy clients put it, in this order. The first place that has one decides, whatever the
//! others say: openai-python 1.0 to 2.33 sends its key twice, in `api-key` and as a bearer.
//!
//! 1. the headers `api-key`, `Ocp-Apim-Subscription-Key`, `x-api-key`
//! 2. `Authorization: Bearer`; a token in it is the client's own, and no key: [`ClientToken`]
//! 3. the subprotocol `openai-insecure-api-key.KEY`, where a realtime websocket is asked for
//! 4. `?api-key=`, there too, and on Search, where Azure takes it on GET and from a query key alone
//!
//! A place may say the same key twice, in two lines or joined with a comma by some proxy. If it says two keys, it has
//! none that is good. What is empty, or `Authorization` of another scheme, says nothing, and the next place is looked at.
//! Otherwise a key is the bytes that stand there, quotes and all, of whatever length and encoding; so a key with a comma
//! in it never fits. A query in which another server would find a key, and we do not, is refused.
//!
//! All of these places, and some that are not looked at, are emptied before the request goes on: see [`strip`].
//! `x-ms-query-source-authorization` is no place of ours: it says whose documents a search may see, and passes.
//!
//! Whoever brings unknown keys again and again is slowed by [`Guesses`].

mod client_token;
mod guesses;
mod places;

use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use http::request::Parts;

pub use client_token::ClientToken;
pub(crate) use guesses::Counters as GuessCounters;
pub use guesses::Guesses;
pub(crate) use places::{offers, strip};

use crate::family::{Families, Family};
use crate::keys::{Key, Keys};
use crate::plane::Plane;
use crate::refusal::{Refusal, UnknownKey, Untimely};
use crate::route::Route;
use places::Brought;

/// What a request proves itself with, to us or to Azure.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A key of ours.
    Key(Caller),
    /// A token of the client's own, which says nothing to us.
    Token(ClientToken),
}

/// A client whose key is good.
#[derive(Debug, Clone)]
pub struct Caller {
    key: Arc<Key>,
}

/// Finds out whose key a request brings, or that it brings a token in its place. The key is told that it was used.
///
/// # Errors
/// [`Refusal::NoCredential`], [`Refusal::ClientToken`] for a token in the URL, [`Refusal::UnknownKey`] for a key that is
/// not good now, or [`Refusal::AdminKeyInUrl`].
pub fn authenticate(request: &Parts, route: &Route, keys: &Keys, now: SystemTime) -> Result<Credential, Refusal> {
    let brought = places::key(request, route)?;
    let text = match &brought {
        Brought::InHead(text) => text,
        Brought::InUrl(text) => &text[..],
        Brought::Token => {
            return ClientToken::of(&request.headers).map(Credential::Token).ok_or(Refusal::NoCredential);
        }
    };
    let key = keys.find(text).ok_or(Refusal::UnknownKey(UnknownKey::NotListed))?;
    if let Err(why) = key.good_at(now) {
        key.uses.refused(now);
        return Err(not_now(key, why));
    }
    if let Brought::InUrl(_) = brought
        && route.plane() == Plane::Search
    {
        may_stand_in_url(key, &request.method)?;
    }
    key.uses.used(now);
    Ok(Credential::Key(Caller { key: key.clone() }))
}

/// A key of ours that is not good at this time.
fn not_now(key: &Key, why: &'static str) -> Refusal {
    let untimely = Untimely { id: key.id.clone(), client: key.client.name.clone(), why };
    Refusal::UnknownKey(UnknownKey::NotNow(untimely.into()))
}

/// What makes a key of Search a query key: it may read documents, and no more.
const QUERY_KEY: Families = Families::of(&[Family::DocumentsRead]);

/// A URL of Search has no admin key in it, and a query key on GET alone (azure-wire, B1.2, B2).
fn may_stand_in_url(key: &Key, method: &Method) -> Result<(), Refusal> {
    let mut grants = key.client.grants.iter().filter(|grant| grant.resource.plane == Plane::Search);
    if grants.any(|grant| grant.families != QUERY_KEY) {
        return Err(Refusal::AdminKeyInUrl);
    }
    if *method == Method::GET { Ok(()) } else { Err(Refusal::NoCredential) }
}

// === impl Caller ===

impl Caller {
    /// The key that was brought.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// What becomes of a request that was on its way when its key was revoked at once.
    pub(crate) fn cut(&self) -> Refusal {
        not_now(&self.key, "revoked")
    }
}
