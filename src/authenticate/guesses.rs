//! Somebody tries keys: sources of unknown keys are counted, told of, and slowed.
//!
//! Keys are too long to be found so. But who tries is worth knowing, and need not have all of our time. A source is an
//! address, or a network of 64 bits where addresses have 128. Its first unknown keys within a minute are refused at once,
//! as a program needs that has a wrong key by mistake; the refusals of further ones wait, each twice as long as the one
//! before. Only they: a valid key is never held up, whoever brings it, since it never gets here. A key that is listed, and
//! not good now, counts as one that is not: or else how long its refusal takes would tell that it was a key once.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::listen::ClientAddress;
use crate::refusal::{Refusal, UnknownKey};
use crate::settings::Guessing;

/// What is remembered of those who try keys, by all workers together.
#[derive(Debug)]
pub struct Guesses {
    settings: Guessing,
    /// How many unknown keys each source brought since the first of them, for a minute from then on.
    sources: Cache<Source, Arc<AtomicU32>>,
    /// Room for refusals that wait.
    room: Semaphore,
    pace: Mutex<Pace>,
    counters: Counters,
}

/// What is counted of guesses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Unknown keys.
    pub(crate) unknown: Counter,
    /// Those whose refusal was delayed.
    pub(crate) delayed: Counter,
    /// Refusals that wait now.
    pub(crate) held: Gauge,
}

/// Who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Address(IpAddr),
    /// The first 64 bits of an address of IPv6: whoever has one has all of them.
    Network(Ipv6Addr),
    /// Whoever has no address, as on a unix socket.
    Unknown,
}

/// How many warnings there were of late.
#[derive(Debug)]
struct Pace {
    since: Instant,
    told: u32,
}

/// How long a source's unknown keys are added up.
const MINUTE: Duration = Duration::from_secs(60);

/// How many sources are remembered; who was silent for the longest is forgotten first.
const SOURCES: u64 = 10_000;

/// How many warnings there are in a minute, of all sources together.
const WARNINGS: u32 = 60;

impl Guesses {
    /// Nobody has tried yet.
    pub fn new(settings: Guessing) -> Self {
        let sources =
            Cache::builder().max_capacity(SOURCES).time_to_live(MINUTE).eviction_policy(EvictionPolicy::lru()).build();
        let pace = Mutex::new(Pace { since: Instant::now(), told: 0 });
        Self { settings, sources, room: Semaphore::new(settings.held), pace, counters: Counters::default() }
    }

    /// The same under other settings: what is remembered and counted goes on.
    pub(crate) fn under(&self, settings: Guessing) -> Self {
        let (sources, counters) = (self.sources.clone(), self.counters.clone());
        Self { sources, counters, ..Self::new(settings) }
    }

    /// Takes note of a refusal, and holds it for a while if it is that of a guess too many.
    pub async fn hold(&self, refusal: &Refusal, from: Option<ClientAddress>) {
        let Refusal::UnknownKey(UnknownKey::NotListed | UnknownKey::NotNow(_)) = refusal else { return };
        let delay = self.delay_of(self.count(Source::of(from)));
        let Some(delay) = delay else { return };
        // Where there is no room the refusal goes: to hold all of a flood would be what floods us.
        let Ok(_room) = self.room.try_acquire() else { return };
        self.counters.delayed.inc();
        let _held = Held::of(&self.counters.held);
        // In a box: the future of every request would be as large as the timer otherwise.
        Box::pin(tokio::time::sleep(delay)).await;
    }

    /// Counts an unknown key; how many there were from its source within the last minute.
    fn count(&self, source: Source) -> u32 {
        self.counters.unknown.inc();
        let seen = self.sources.get_with(source, Arc::default);
        let count = seen.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // The first one too many is told, the second, the fourth, and so on: few lines, whatever the number.
        let too_many = count.saturating_sub(self.settings.free);
        if too_many.is_power_of_two() && self.pace.lock().unwrap_or_else(PoisonError::into_inner).allows(Instant::now())
        {
            let delay = self.delay_of(count).unwrap_or_default();
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            warn!(from = %source, in_last_minute = count, delay_ms, "unknown keys: somebody may be guessing");
        }
        count
    }

    /// How long the refusal of a source's `count`th unknown key waits.
    fn delay_of(&self, count: u32) -> Option<Duration> {
        let before = count.checked_sub(self.settings.free)?.checked_sub(1)?;
        let times = 1u32.checked_shl(before).unwrap_or(u32::MAX);
        Some(self.settings.delay.saturating_mul(times).min(self.settings.max_delay))
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// One more is held, until this is dropped.
struct Held<'g>(&'g Gauge);

impl<'g> Held<'g> {
    fn of(gauge: &'g Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Source ===

impl Source {
    fn of(from: Option<ClientAddress>) -> Self {
        match from.map(|from| from.ip) {
            None => Self::Unknown,
            Some(address @ IpAddr::V4(_)) => Self::Address(address),
            Some(IpAddr::V6(address)) => Self::Network(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => write!(f, "{network}/64"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

// === impl Pace ===

impl Pace {
    /// Whether one more warning may be given now.
    fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            *self = Self { since: now, told: 0 };
        }
        self.told = self.told.saturating_add(1);
        self.told <= WARNINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Untimely;

    fn guesses() -> Guesses {
        let (delay, max_delay) = (Duration::from_secs(1), Duration::from_secs(5));
        Guesses::new(Guessing { free: 3, delay, max_delay, held: 2 })
    }

    #[test]
    fn each_refusal_waits_twice_as_long_as_the_one_before_up_to_a_limit() {
        let guesses = guesses();
        let seconds: Vec<_> = (1..=8).map(|count| guesses.delay_of(count).map(|delay| delay.as_secs())).collect();
        assert_eq!(seconds, [None, None, None, Some(1), Some(2), Some(4), Some(5), Some(5)]);
        assert_eq!(guesses.delay_of(u32::MAX), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_source_is_an_address_or_a_network_of_64_bits() {
        let guesses = guesses();
        for (from, count, shown) in [
            (Some("192.0.2.1:1"), 1, "192.0.2.1"),
            (Some("192.0.2.1:2"), 2, "192.0.2.1"),
            (Some("192.0.2.2:1"), 1, "192.0.2.2"),
            (Some("[::ffff:192.0.2.2]:1"), 2, "192.0.2.2"),
            (Some("[2001:db8:0:1::1]:1"), 1, "2001:db8:0:1::/64"),
            (Some("[2001:db8:0:1:ffff::2]:1"), 2, "2001:db8:0:1::/64"),
            (Some("[2001:db8:0:2::1]:1"), 1, "2001:db8:0:2::/64"),
            (None, 1, "unknown"),
            (None, 2, "unknown"),
        ] {
            let source = Source::of(from.map(|from| from.parse::<std::net::SocketAddr>().unwrap().into()));
            assert_eq!((guesses.count(source), source.to_string().as_str()), (count, shown), "{from:?}");
        }
        assert_eq!(guesses.counters.unknown.get(), 9);
    }

    #[test]
    fn a_flood_of_sources_is_not_remembered_whole() {
        let guesses = guesses();
        for n in 0..u32::try_from(SOURCES).unwrap() * 3 {
            guesses.count(Source::Address(IpAddr::V4(n.into())));
        }
        guesses.sources.run_pending_tasks();
        assert!(guesses.sources.entry_count() <= SOURCES);
    }

    #[test]
    fn warnings_have_a_pace() {
        let begin = Instant::now();
        let mut pace = Pace { since: begin, told: 0 };
        let told = (0..1000).filter(|_| pace.allows(begin)).count();
        assert_eq!(told, 60);
        assert!(!pace.allows(begin + MINUTE - Duration::from_millis(1)));
        assert!(pace.allows(begin + MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_guess_is_never_held_and_no_more_is_held_than_there_is_room_for() {
        let guesses = guesses();
        let expired = Untimely { id: "k".into(), client: "c".into(), why: "expired" };
        let guess = Refusal::UnknownKey(UnknownKey::NotNow(expired.into()));
        let begin = tokio::time::Instant::now();
        for _ in 0..20 {
            guesses.hold(&Refusal::NoCredential, None).await;
            guesses.hold(&Refusal::UnknownKey(UnknownKey::Several), None).await;
        }
        // A key that was good once counts as any other.
        for guess in [&Refusal::UnknownKey(UnknownKey::NotListed), &guess, &guess] {
            guesses.hold(guess, None).await;
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
        // The fourth and the fifth wait, and the sixth has no room.
        let three = async {
            tokio::join!(
                async {
                    guesses.hold(&guess, None).await;
                    begin.elapsed().as_secs()
                },
                async {
                    guesses.hold(&guess, None).await;
                    begin.elapsed().as_secs()
                },
                async {
                    guesses.hold(&guess, None).await;
                    begin.elapsed().as_secs()
                },
            )
        };
        assert_eq!(three.await, (1, 2, 0));
        assert_eq!((guesses.counters.unknown.get(), guesses.counters.delayed.get()), (6, 2));
        assert_eq!(guesses.counters.held.get(), 0);
    }
}
