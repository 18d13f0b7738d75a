//! What the workers and the control task of one purpose tell each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::clock::Moment;
use super::{Outcome, Purpose};

/// The meeting point of one purpose.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its own, of all that there ever were: what is cached for it is nobody else's, whatever the purpose.
    pub(super) number: u64,
    pub(super) purpose: Purpose,
    state: watch::Sender<State>,
    /// Has the control task look at the clock and at [`State::asked`]. It fetches only if one of them says so: a second
    /// call for the same cause finds it dealt with, and doubles nothing.
    nudge: Notify,
}

/// How a purpose stands.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// What the last fetch came to.
    pub(super) outcome: Outcome,
    /// How many fetches brought a token.
    pub(super) fetched: u64,
    /// How many failed.
    pub(super) failed: u64,
    /// Whether a fetch is under way.
    fetching: bool,
    /// Whether the next fetch shall not wait until it is due.
    asked: bool,
    /// When a refused token may ask again.
    ask_again: Option<Moment>,
}

/// How far apart refused tokens may ask for a fetch: more would not cure it, and Entra throttles.
const ASKED_APART: Duration = Duration::from_secs(60);

// === impl Slot ===

impl Slot {
    pub(super) fn new(purpose: Purpose) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let state =
            State { outcome: Outcome::Pending, fetched: 0, failed: 0, fetching: false, asked: false, ask_again: None };
        Self { number, purpose, state: watch::Sender::new(state), nudge: Notify::new() }
    }

    /// The state as it is.
    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The state, and word of every fetch that ends.
    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Has the control task look at the clock, which has jumped over the end of its token.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Asks for a fetch, since the token that the first `ended` fetches had brought was refused; tells whether one is
    /// worth waiting for.
    pub(super) fn ask(&self, ended: u64, now: Moment) -> bool {
        let mut worth = false;
        self.change(|state| {
            worth = match state.outcome {
                // The issuer is in trouble: the control task asks it again in its own time, and nobody queues for that.
                Outcome::Failed(_) => false,
                // Another one is there or on its way, and whoever is refused now joins it.
                _ if state.ended() > ended || state.fetching || state.asked => true,
                _ if state.ask_again.is_some_and(|again| !again.left(now).is_zero()) => false,
                _ => {
                    state.ask_again = Some(now.after(ASKED_APART));
                    state.asked = true;
                    true
                }
            };
        });
        if worth {
            self.nudge();
        }
        worth
    }

    /// Asks for a fetch, whatever the last one came to.
    pub(super) fn demand(&self) {
        self.change(|state| state.asked = true);
        self.nudge();
    }

    /// Begins a fetch, for whatever reasons there are.
    pub(super) fn begin(&self) {
        self.change(|state| {
            state.fetching = true;
            state.asked = false;
        });
    }

    /// Tells everybody what a fetch came to.
    pub(super) fn settle(&self, outcome: Outcome) {
        self.state.send_modify(|state| {
            match outcome {
                Outcome::Fresh => state.fetched += 1,
                Outcome::Pending | Outcome::Failed(_) => state.failed += 1,
            }
            state.outcome = outcome;
            state.fetching = false;
        });
    }

    /// Whether a fetch shall not wait until it is due.
    pub(super) fn is_asked(&self) -> bool {
        self.state.borrow().asked
    }

    /// Waits for a reason to look.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Changes what nobody waits for.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            change(state);
            false
        });
    }
}

// === impl State ===

impl State {
    /// How many fetches have ended.
    pub(super) fn ended(&self) -> u64 {
        self.fetched + self.failed
    }
}
