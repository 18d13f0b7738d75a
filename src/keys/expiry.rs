//! The end of a key: what its operator is told of it, and what its client may be.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::{Key, Keys, Revoked};

/// A key that has ended, or will soon.
#[derive(Debug)]
pub struct Ending<'k> {
    /// The key.
    pub key: &'k Arc<Key>,
    /// When it ends, or has ended.
    pub at: SystemTime,
    /// How long it is still good; `None` once it has ended.
    pub left: Option<Duration>,
    /// What helps: a command, or what its client has to do.
    pub cure: String,
}

/// What an answer says of the end of the key that it was asked for with.
#[derive(Clone, Debug)]
pub(super) struct Announcement {
    deprecation: HeaderValue,
    sunset: HeaderValue,
}

/// From when on somebody should no longer rely on what he calls (RFC 9745).
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// From when on there will be no answer (RFC 8594).
const SUNSET: HeaderName = HeaderName::from_static("sunset");

const DAY: u64 = 24 * 60 * 60;

impl Keys {
    /// The keys that have ended, or will within the time of notice, by client. Those that were taken back have ended
    /// otherwise.
    pub fn endings(&self, now: SystemTime) -> Vec<Ending<'_>> {
        let keys = self.each();
        let of_clients = keys.chunk_by(|a, b| Arc::ptr_eq(&a.client, &b.client));
        of_clients.flat_map(|keys| keys.iter().filter_map(|key| self.ending(key, keys, now))).collect()
    }

    /// When, after this moment, there will be another ending, or one that is near will have come.
    pub(crate) fn next_ending(&self, now: SystemTime) -> Option<SystemTime> {
        let ends = self.by_digest.values().filter(|key| key.revoked == Revoked::No).filter_map(|key| key.expires);
        let moments = ends.flat_map(|at| [Some(at), at.checked_sub(self.notice)]).flatten();
        moments.filter(|moment| *moment > now).min()
    }

    fn ending<'k>(&self, key: &'k Arc<Key>, of_client: &[&Arc<Key>], now: SystemTime) -> Option<Ending<'k>> {
        let at = key.expires.filter(|_| key.revoked == Revoked::No)?;
        let left = at.duration_since(now).ok().filter(|left| !left.is_zero());
        if left.is_some_and(|left| left > self.notice) {
            return None;
        }
        Some(Ending { key, at, left, cure: cure(key, of_client, now) })
    }
}

/// What helps a client whose key ends: the key that it has besides, or another one.
fn cure(key: &Arc<Key>, of_client: &[&Arc<Key>], now: SystemTime) -> String {
    let client = &key.client.name;
    let others = of_client.iter().filter(|other| other.id != key.id && other.lives_at(now));
    let others: Vec<_> = others.collect();
    let lasts = |other: &&&&Arc<Key>| other.expires.is_none_or(|expires| Some(expires) > key.expires);
    match (others.iter().find(lasts), others.first()) {
        (Some(other), _) => format!("{client} must change over to its key {}", other.id),
        (None, Some(other)) => format!("keyswap keys revoke {}, then keyswap keys rotate {client}", other.id),
        (None, None) if key.lives_at(now) => format!("keyswap keys rotate {client}"),
        (None, None) => format!("keyswap keys new --client {client}"),
    }
}

impl Ending<'_> {
    /// How many whole days are left; `None` once it has ended.
    pub fn days_left(&self) -> Option<u64> {
        self.left.map(|left| left.as_secs() / DAY)
    }
}

impl Key {
    /// Has an answer say when this key ends, if its client wants to hear that. Where the upstream speaks of an end of its
    /// own, that stays, and is all that is said: of two ends a client could not tell which is which.
    pub(crate) fn announce_expiry(&self, answer: &mut HeaderMap) {
        let Some(Announcement { deprecation, sunset }) = self.announcement.as_deref() else { return };
        if !answer.contains_key(DEPRECATION) && !answer.contains_key(SUNSET) {
            answer.insert(DEPRECATION, deprecation.clone());
            answer.insert(SUNSET, sunset.clone());
        }
    }
}

impl Announcement {
    /// Of a key that ends at this moment: it is deprecated from the time of notice on. `None` where HTTP cannot write such
    /// a date.
    pub(super) fn of(expires: SystemTime, notice: Duration) -> Option<Self> {
        let ends = OffsetDateTime::from(expires);
        let begins = OffsetDateTime::from(expires.checked_sub(notice)?);
        let deprecation = format!("@{}", begins.unix_timestamp());
        let sunset = ends.to_offset(time::UtcOffset::UTC).format(&Rfc2822).ok()?.replace("+0000", "GMT");
        Some(Self { deprecation: deprecation.try_into().ok()?, sunset: sunset.try_into().ok()? })
    }
}
