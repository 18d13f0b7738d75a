//! What all workers share: one generation of it, and what goes on from each to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::alarms::Alarms;
use crate::authenticate::Guesses;
use crate::authorize::Passages;
use crate::cors::Cors;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::route::Hosts;
use crate::settings::Settings;
use crate::token::Tokens;
use crate::usage::Book;

/// The keys, who guesses some, the tokens, the counters. It never changes: other settings make another one, and whatever
/// has begun ends with the one that it began with.
#[derive(Debug)]
pub struct Gateway {
    /// The allowlist.
    pub keys: Keys,
    /// Who tries keys that are not on it.
    pub guesses: Arc<Guesses>,
    /// The resources by the hosts that clients call.
    pub hosts: Hosts,
    /// The resources that take clients' own tokens.
    pub passages: Passages,
    /// The web pages whose scripts are answered.
    pub cors: Cors,
    /// Our own tokens.
    pub tokens: Arc<Tokens>,
    /// The counters.
    pub metrics: Metrics,
    /// What the keys were used for.
    pub usage: Arc<Book>,
    /// What went wrong of late.
    pub(crate) recorder: Arc<Recorder>,
    /// How long nobody may say anything over a websocket.
    pub websocket_idle: Duration,
    /// How long an answer that has begun may wait for its request's body, where that decides.
    pub(super) condition_wait: Duration,
    /// What the operator is told of.
    pub(super) alarms: Alarms,
    /// Whether a stop cuts off what still runs: its requests are told so then, and not as their clients' doing.
    stopped: Arc<AtomicBool>,
}

/// What goes on from one generation to the next.
struct Lasting {
    guesses: Arc<Guesses>,
    tokens: Tokens,
    metrics: Metrics,
    usage: Arc<Book>,
    recorder: Arc<Recorder>,
    stopped: Arc<AtomicBool>,
}

impl Gateway {
    /// A gateway that has no token yet: [`Tokens::keep`] gets them.
    pub fn new(settings: &Settings, keys: Keys) -> Self {
        let tokens = Tokens::new(&keys);
        let guesses = Arc::new(Guesses::new(settings.guessing));
        let metrics = Metrics::new(guesses.counters().clone());
        let (usage, recorder) = (Arc::new(Book::new(settings.usage.clone())), Arc::new(Recorder::new()));
        let lasting = Lasting { guesses, tokens, metrics, usage, recorder, stopped: Arc::default() };
        Self::of(settings, keys, lasting)
    }

    /// The gateway of other settings and keys. Counts go on, and so do the tokens of identities that are the same in both
    /// settings.
    #[must_use]
    pub fn succeeding(&self, before: &Settings, settings: &Settings, mut keys: Keys) -> Self {
        keys.take_over(&self.keys);
        let is_same = |identity: &str| before.identity(identity) == settings.identity(identity);
        let tokens = self.tokens.succeeding(&keys, is_same);
        let guesses = if before.guessing == settings.guessing {
            self.guesses.clone()
        } else {
            Arc::new(self.guesses.under(settings.guessing))
        };
        let (metrics, stopped) = (self.metrics.clone(), self.stopped.clone());
        let (usage, recorder) = (self.usage.clone(), self.recorder.clone());
        Self::of(settings, keys, Lasting { guesses, tokens, metrics, usage, recorder, stopped })
    }

    fn of(settings: &Settings, keys: Keys, lasting: Lasting) -> Self {
        let Lasting { guesses, tokens, metrics, usage, recorder, stopped } = lasting;
        usage.follow(keys.listed());
        Self {
            keys,
            guesses,
            hosts: Hosts::of(settings),
            passages: Passages::of(settings),
            cors: Cors::of(&settings.cors),
            tokens: Arc::new(tokens),
            metrics,
            usage,
            recorder,
            websocket_idle: settings.timeouts.websocket,
            condition_wait: settings.timeouts.upstream.stream,
            alarms: Alarms::of(&settings.identities),
            stopped,
        }
    }

    /// Writes the use of keys to its file, if there is one and anything is new.
    pub(crate) fn keep_usage(&self) {
        self.metrics.usage_is_kept(self.usage.keep());
    }

    /// From now on, whatever has not ended is cut off by a stop.
    pub(crate) fn cut_off(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether a stop cuts off what has not ended.
    pub(super) fn is_cut_off(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
