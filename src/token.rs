//! Our own tokens: cached, refreshed ahead, never fetched on the path of a request.
//!
//! For every identity and scope that some grant can lead to there is one control task ([`refresh`]); it alone fetches.
//! A worker reads the cache; only when there is no valid token does it wait, and not for long. `azure_identity`'s own
//! cache would hold every caller while it refreshes, so a credential is made for one fetch and dropped ([`issuer`]).

mod aadsts;
mod clock;
mod fetch;
mod issuer;
mod keeper;
mod refresh;
mod slot;
mod transport;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use foldhash::fast::RandomState;
use http::HeaderValue;

use crate::authenticate::ClientToken;
use crate::authorize::Permit;
use crate::egress::Egress;
use crate::keys::{Digest, Keys};
use crate::refusal::Failure;
use crate::settings::Settings;
pub(crate) use aadsts::Ailment;
use clock::{Clock, Moment};
pub(crate) use fetch::{Fetched, Sample, fetch};
pub(crate) use issuer::Denial;
pub use keeper::Keeper;
use slot::Slot;
pub(crate) use transport::{Dated, Seen};

/// Nobody has said why.
const UNAVAILABLE: Failure = Failure::TokenUnavailable { cure: None };

/// Every token that some request may need.
#[derive(Debug)]
pub struct Tokens {
    /// The newest token of each slot, by its number. moka is told nothing of expiry: its clock stands still while the
    /// machine sleeps, and would be a second opinion beside [`Bearer`]'s own, which every reader asks.
    cache: Cache,
    /// By identity, each with its few scopes.
    slots: HashMap<Arc<str>, Vec<Arc<Slot>>>,
    clock: Clock,
}

/// Tokens by the numbers of their slots.
type Cache = moka::sync::Cache<u64, Bearer, RandomState>;

/// A token of ours. It is had from here alone, with a permit.
#[derive(Clone, Debug)]
pub struct Bearer(Arc<Cached>);

#[derive(Debug)]
struct Cached {
    slot: Arc<Slot>,
    token: Token,
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Purpose {
    /// Whose token it is.
    pub identity: Arc<str>,
    /// Its scope.
    pub scope: Arc<str>,
}

/// How a purpose stands, for readiness and metrics.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What the token is for.
    pub purpose: Purpose,
    /// Whether the last fetch brought a token, failed, or is still to come.
    pub outcome: Outcome,
    /// How long the token that is in use will still be valid; `None` if there is none.
    pub left: Option<Duration>,
    /// How many fetches brought a token.
    pub fetched: u64,
    /// How many fetches failed.
    pub failed: u64,
}

/// What the last fetch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was none yet.
    Pending,
    /// It brought a token.
    Fresh,
    /// It failed. This is remembered until the next one, so that nobody queues.
    Failed(Failure),
}

/// A token and how long it is good.
#[derive(Debug)]
struct Token {
    /// `Bearer ...`, marked sensitive.
    header: HeaderValue,
    expires: Moment,
}

/// How long a request waits for the first token, or for one that replaces a refused one.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

// === impl Tokens ===

impl Tokens {
    /// Finds out which tokens the keys can lead to. Nothing is fetched before [`Tokens::keep`].
    pub fn new(keys: &Keys) -> Self {
        Self::of(purposes(keys), Clock::default())
    }

    fn of(purposes: impl Iterator<Item = Purpose>, clock: Clock) -> Self {
        let cache = moka::sync::Cache::builder().build_with_hasher(RandomState::default());
        let none = Self { cache, slots: HashMap::default(), clock };
        none.with_slots(purposes, |_| false)
    }

    /// Those that other keys lead to. The tokens of identities that are the `same` go on being used; an identity that is
    /// another under the name of one before never gets that one's.
    #[must_use]
    pub fn succeeding(&self, keys: &Keys, same: impl Fn(&str) -> bool) -> Self {
        self.with_slots(purposes(keys), same)
    }

    /// Tokens for these purposes. A slot that was there already stays where its identity is the `same`.
    fn with_slots(&self, purposes: impl Iterator<Item = Purpose>, same: impl Fn(&str) -> bool) -> Self {
        let mut slots: HashMap<Arc<str>, Vec<Arc<Slot>>> = HashMap::default();
        for purpose in purposes {
            let of_identity = slots.entry(purpose.identity.clone()).or_default();
            if of_identity.iter().any(|slot| slot.purpose.scope == purpose.scope) {
                continue;
            }
            let before = self.slot(&purpose.identity, &purpose.scope).filter(|_| same(&purpose.identity)).cloned();
            of_identity.push(before.unwrap_or_else(|| Arc::new(Slot::new(purpose))));
        }
        Self { cache: self.cache.clone(), slots, clock: self.clock.clone() }
    }

    /// What is kept for a purpose. It is looked up by borrowed names: were they cloned with each request, the workers would
    /// wait for each other at their counts.
    fn slot(&self, identity: &str, scope: &str) -> Option<&Arc<Slot>> {
        self.slots.get(identity)?.iter().find(|slot| &*slot.purpose.scope == scope)
    }

    fn each_slot(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values().flatten()
    }

    /// Starts the control tasks, one for each purpose, on the current runtime. They never end; if one does, something
    /// is broken beyond repair.
    pub fn keep(&self, settings: &Settings, egress: &Egress) -> Keeper {
        let mut keeper = Keeper::new(egress.clone());
        keeper.keep(self, settings, egress);
        keeper
    }

    /// Has the tokens of an identity fetched at once: what it proves itself with has changed.
    pub fn fetch_anew(&self, identity: &str) {
        self.slots.get(identity).into_iter().flatten().for_each(|slot| slot.demand());
    }

    /// The token that a permitted request rides.
    ///
    /// # Errors
    /// [`Failure::TokenRefused`] or [`Failure::TokenUnavailable`] if there is no valid token, at once when the last
    /// fetch failed, else within ten seconds.
    pub async fn bearer(&self, permit: &Permit) -> Result<Bearer, Failure> {
        self.bearer_for(permit.identity(), &permit.resource().scope).await
    }

    async fn bearer_for(&self, identity: &str, scope: &str) -> Result<Bearer, Failure> {
        let slot = self.slot(identity, scope).ok_or(UNAVAILABLE)?;
        match self.cached(slot) {
            Some(bearer) => Ok(bearer),
            // In a box: few wait, and every request would carry the room for it.
            None => Box::pin(self.awaited(slot)).await,
        }
    }

    /// The token of a slot that has none at the moment.
    async fn awaited(&self, slot: &Slot) -> Result<Bearer, Failure> {
        let mut state = slot.subscribe();
        let first = async {
            loop {
                let outcome = state.borrow_and_update().outcome.clone();
                if let Some(bearer) = self.cached(slot) {
                    return Ok(bearer);
                }
                match outcome {
                    Outcome::Pending => {}
                    // The clock has jumped, or the machine has slept: the task does not know yet.
                    Outcome::Fresh => slot.nudge(),
                    Outcome::Failed(failure) => return Err(failure),
                }
                state.changed().await.map_err(|_| UNAVAILABLE)?;
            }
        };
        tokio::time::timeout(WAIT_LIMIT, first).await.unwrap_or(Err(UNAVAILABLE))
    }

    /// Another token in place of one that the upstream did not take: the one that has replaced it by now, or one
    /// from a fetch that it asks for, at most once a minute for each purpose. `None`, at once, where the issuer failed
    /// last; and where it gives the same token again, which is no failure of its own.
    pub(crate) async fn replace(&self, refused: &Bearer) -> Option<Bearer> {
        let slot = &refused.0.slot;
        let other = || self.cached(slot).filter(|bearer| bearer.header() != refused.header());
        // Counted before the cache is read: a fetch that ends in between is not asked for again.
        let mut state = slot.subscribe();
        let ended = state.borrow().ended();
        if let Some(bearer) = other() {
            return Some(bearer);
        }
        if !slot.ask(ended, self.clock.now()) {
            return None;
        }
        let fetched = state.wait_for(|state| state.ended() > ended);
        drop(tokio::time::timeout(WAIT_LIMIT, fetched).await.ok()?.ok()?);
        other()
    }

    /// Whether a token that a client brings is one of ours that is in use.
    pub(crate) fn hold(&self, token: &ClientToken) -> bool {
        let brought = token.digest();
        self.cache
            .iter()
            .any(|(_, ours)| ours.header().as_bytes().get(7..).is_some_and(|ours| Digest::of(ours) == brought))
    }

    /// How every purpose stands, in a stable order.
    pub fn standings(&self) -> Vec<Standing> {
        let mut standings: Vec<_> = self.each_slot().map(|slot| self.standing(slot)).collect();
        standings.sort_by(|a, b| a.purpose.cmp(&b.purpose));
        standings
    }

    fn standing(&self, slot: &Slot) -> Standing {
        let state = slot.state();
        let left = self.cache.get(&slot.number).map(|bearer| bearer.left(self.clock.now()));
        Standing {
            purpose: slot.purpose.clone(),
            outcome: state.outcome,
            left: left.filter(|left| !left.is_zero()),
            fetched: state.fetched,
            failed: state.failed,
        }
    }

    fn cached(&self, slot: &Slot) -> Option<Bearer> {
        self.cache.get(&slot.number).filter(|bearer| !bearer.left(self.clock.now()).is_zero())
    }
}

/// What the grants of these keys lead to.
fn purposes(keys: &Keys) -> impl Iterator<Item = Purpose> {
    let grants = keys.clients().into_iter().flat_map(|client| &client.grants);
    grants.flat_map(|grant| {
        let purpose =
            |access| Purpose { identity: grant.identity.at(access).clone(), scope: grant.resource.scope.clone() };
        grant.accesses().map(purpose)
    })
}

// === impl Bearer ===

impl Bearer {
    fn new(slot: Arc<Slot>, token: Token) -> Self {
        Self(Arc::new(Cached { slot, token }))
    }

    /// The value of `Authorization`, marked sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.0.token.header
    }

    /// The token itself, without its scheme.
    pub(crate) fn text(&self) -> &[u8] {
        let header = self.header().as_bytes();
        header.strip_prefix(b"Bearer ").unwrap_or(header)
    }

    /// How long it is still good.
    fn left(&self, now: Moment) -> Duration {
        self.0.token.expires.left(now)
    }
}
