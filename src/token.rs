//! Our own tokens: cached, refreshed ahead, never fetched on the path of a request.
//!
//! For every identity and scope that some grant can lead to there is one control task ([`refresh`]); it alone fetches.
//! A worker reads the cache; only when there is no valid token does it wait, and not for long. `azure_identity`'s own
//! cache would hold every caller while it refreshes, so a credential is made for one fetch and dropped ([`issuer`]).

mod issuer;
mod refresh;
mod transport;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use moka::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::authorize::Permit;
use crate::egress::Egress;
use crate::keys::Keys;
use crate::refusal::Failure;
use crate::settings::Settings;
use issuer::Issuer;

/// Every token that some request may need.
#[derive(Debug)]
pub struct Tokens {
    cache: Cache<Purpose, Arc<Token>>,
    slots: HashMap<Purpose, Arc<Slot>>,
}

/// A token of ours, for one request. Made here alone, from a permit.
#[derive(Clone, Debug)]
pub struct Bearer {
    purpose: Purpose,
    header: HeaderValue,
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
    expires: SystemTime,
}

/// What workers and the control task of one purpose tell each other.
#[derive(Debug)]
struct Slot {
    purpose: Purpose,
    state: watch::Sender<State>,
    /// Wakes the control task before its time.
    wanted: Notify,
    forced: Mutex<Option<Forced>>,
    fetched: AtomicU64,
    failed: AtomicU64,
}

/// The state of a purpose after so many fetches.
#[derive(Clone, Debug)]
struct State {
    fetches: u64,
    outcome: Outcome,
}

/// The last refresh that a refused token forced.
#[derive(Clone, Copy, Debug)]
struct Forced {
    at: Instant,
    /// The number of fetches that there had been.
    fetches: u64,
}

/// How long a request waits for the first token, or for one that replaces a refused one.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// How far apart refused tokens may force a refresh: more would not cure it, and Entra throttles.
const FORCED_APART: Duration = Duration::from_secs(60);

// === impl Tokens ===

impl Tokens {
    /// Finds out which tokens the keys can lead to. Nothing is fetched before [`Tokens::keep`].
    pub fn new(settings: &Settings, keys: &Keys) -> Self {
        let clients = keys.clients();
        let grants = clients.iter().flat_map(|client| &client.grants);
        let purposes = grants.flat_map(|grant| {
            let scope = &grant.resource.scope;
            grant.families.iter().map(move |family| Purpose {
                identity: grant.identity.at(family.access()).clone(),
                scope: scope.clone(),
            })
        });
        let slots: HashMap<_, _> = purposes.map(|purpose| (purpose.clone(), Arc::new(Slot::new(purpose)))).collect();
        debug_assert!(slots.keys().all(|purpose| settings.identity(&purpose.identity).is_some()));
        let cache = Cache::builder().expire_after(UntilItExpires).build();
        Self { cache, slots }
    }

    /// Starts the control tasks, one for each purpose, on the current runtime. They never end; if one does, something
    /// is broken beyond repair.
    pub fn keep(&self, settings: &Settings, egress: &Egress) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (purpose, slot) in &self.slots {
            let Some(identity) = settings.identity(&purpose.identity) else { continue };
            let issuer = Issuer::new(identity.kind.clone(), egress);
            tasks.spawn(refresh::keep(slot.clone(), self.cache.clone(), issuer));
        }
        tasks
    }

    /// The token that a permitted request rides.
    ///
    /// # Errors
    /// [`Failure::TokenRefused`] or [`Failure::TokenUnavailable`] if there is no valid token, at once when the last
    /// fetch failed, else within ten seconds.
    pub async fn bearer(&self, permit: &Permit) -> Result<Bearer, Failure> {
        let scope = permit.resource().scope.clone();
        let purpose = Purpose { identity: permit.identity().clone(), scope };
        if let Some(bearer) = self.cached(&purpose) {
            return Ok(bearer);
        }
        let slot = self.slots.get(&purpose).ok_or(Failure::TokenUnavailable)?;
        let mut state = slot.state.subscribe();
        if state.borrow().outcome == Outcome::Fresh {
            // The clock jumped, or the machine slept: the task does not know yet that its token is gone.
            slot.wanted.notify_one();
        }
        let first = async {
            loop {
                let outcome = state.borrow_and_update().outcome.clone();
                if let Some(bearer) = self.cached(&purpose) {
                    return Ok(bearer);
                }
                if let Outcome::Failed(failure) = outcome {
                    return Err(failure);
                }
                state.changed().await.map_err(|_| Failure::TokenUnavailable)?;
            }
        };
        tokio::time::timeout(WAIT_LIMIT, first).await.unwrap_or(Err(Failure::TokenUnavailable))
    }

    /// Another token in place of one that the upstream did not take: the one that has replaced it by now, or one
    /// from a forced refresh, of which there is at most one a minute for each purpose.
    pub(crate) async fn replace(&self, refused: &Bearer) -> Option<Bearer> {
        let other = || self.cached(&refused.purpose).filter(|bearer| bearer.header != refused.header);
        if let Some(bearer) = other() {
            return Some(bearer);
        }
        let slot = self.slots.get(&refused.purpose)?;
        let mut state = slot.state.subscribe();
        let fetches = slot.force(state.borrow().fetches)?;
        let fetched = state.wait_for(|state| state.fetches > fetches);
        drop(tokio::time::timeout(WAIT_LIMIT, fetched).await.ok()?.ok()?);
        other()
    }

    /// How every purpose stands, in a stable order.
    pub fn standings(&self) -> Vec<Standing> {
        let now = SystemTime::now();
        let mut standings: Vec<_> = self.slots.values().map(|slot| self.standing(slot, now)).collect();
        standings.sort_by(|a, b| a.purpose.cmp(&b.purpose));
        standings
    }

    fn standing(&self, slot: &Slot, now: SystemTime) -> Standing {
        let token = self.cache.get(&slot.purpose);
        Standing {
            purpose: slot.purpose.clone(),
            outcome: slot.state.borrow().outcome.clone(),
            left: token.and_then(|token| token.expires.duration_since(now).ok()),
            fetched: slot.fetched.load(Ordering::Relaxed),
            failed: slot.failed.load(Ordering::Relaxed),
        }
    }

    fn cached(&self, purpose: &Purpose) -> Option<Bearer> {
        let token = self.cache.get(purpose)?;
        // moka's clock does not run while the machine sleeps; the token's does.
        (token.expires > SystemTime::now()).then(|| Bearer { purpose: purpose.clone(), header: token.header.clone() })
    }
}

// === impl Bearer ===

impl Bearer {
    /// The value of `Authorization`, marked sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

// === impl Slot ===

impl Slot {
    fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            state: watch::Sender::new(State { fetches: 0, outcome: Outcome::Pending }),
            wanted: Notify::new(),
            forced: Mutex::new(None),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Forces a refresh, or joins the one that is under way; gives the number of fetches to wait beyond. `None` if the
    /// last one is done and less than a minute ago.
    fn force(&self, fetches: u64) -> Option<u64> {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        match *forced {
            Some(last) if last.fetches >= fetches => Some(last.fetches),
            Some(last) if last.at.elapsed() < FORCED_APART => None,
            _ => {
                *forced = Some(Forced { at: Instant::now(), fetches });
                self.wanted.notify_one();
                Some(fetches)
            }
        }
    }

    /// Tells what a fetch came to.
    fn settle(&self, outcome: Outcome) {
        let counter = if outcome == Outcome::Fresh { &self.fetched } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.state.send_modify(|state| {
            state.fetches += 1;
            state.outcome = outcome;
        });
    }
}

/// A token leaves the cache when it expires.
struct UntilItExpires;

impl moka::Expiry<Purpose, Arc<Token>> for UntilItExpires {
    fn expire_after_create(&self, _: &Purpose, token: &Arc<Token>, _: Instant) -> Option<Duration> {
        Some(token.expires.duration_since(SystemTime::now()).unwrap_or_default())
    }

    fn expire_after_update(
        &self,
        purpose: &Purpose,
        token: &Arc<Token>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(purpose, token, now)
    }
}
