//! Tells the operator of keys that end: when the time of notice begins, once a day from then on, and when they have ended.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::admin::Generation;
use crate::keyring::written;
use crate::keys::Ending;
use crate::swap::Gateway;

/// What was told, by the ids of keys.
#[derive(Debug, Default)]
struct Told(HashMap<Arc<str>, Telling>);

/// What was told last of a key, and when.
#[derive(Debug)]
struct Telling {
    ends: SystemTime,
    has_ended: bool,
    when: SystemTime,
}

/// How far apart a key is spoken of that ends soon. One that ended longer ago than this was spoken of by whoever ran then.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait at the most: the clock that keys end by may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Tells of the keys of each generation, as long as there are any.
pub(super) async fn watch(gateway: Arc<ArcSwap<Gateway>>, mut generations: watch::Receiver<Generation>) -> Infallible {
    let mut told = Told::default();
    loop {
        let now = SystemTime::now();
        let current = gateway.load_full();
        for ending in told.due(current.keys.endings(now), now) {
            tell(&ending);
        }
        let next = current.keys.next_ending(now).into_iter().chain(told.next()).min();
        let wait = next.and_then(|next| next.duration_since(now).ok()).unwrap_or(LONGEST_WAIT);
        drop(current);
        tokio::select! {
            () = sleep(wait.min(LONGEST_WAIT)) => {}
            changed = generations.changed() => if changed.is_err() {
                // A server whose settings do not change any more is about to end.
                pending::<()>().await;
            },
        }
    }
}

fn tell(ending: &Ending<'_>) {
    let Ending { key, at, cure, .. } = ending;
    let (client, key, expires) = (&*key.client.name, &*key.id, written(*at));
    match ending.days_left() {
        Some(days_left) => warn!(client, key, expires, days_left, cure, "a key ends soon"),
        None => warn!(client, key, expires, cure, "a key has ended: requests with it are refused"),
    }
}

impl Told {
    /// Which of these it is time to tell of. Those that are told of now are remembered, and no others.
    fn due<'k>(&mut self, endings: Vec<Ending<'k>>, now: SystemTime) -> Vec<Ending<'k>> {
        let mut before = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for ending in endings {
            let (ends, has_ended) = (ending.at, ending.left.is_none());
            let told = before.remove(&ending.key.id).filter(|told| {
                // Who was told at a time that is still to come was told by a clock that was wrong.
                told.ends == ends && told.has_ended == has_ended && told.when <= now
            });
            let is_due = match &told {
                Some(told) => !has_ended && told.when + DAY <= now,
                None => !has_ended || ends + DAY > now,
            };
            let when = told.filter(|_| !is_due).map_or(now, |told| told.when);
            self.0.insert(ending.key.id.clone(), Telling { ends, has_ended, when });
            if is_due {
                due.push(ending);
            }
        }
        due
    }

    /// When it is time again.
    fn next(&self) -> Option<SystemTime> {
        self.0.values().filter(|told| !told.has_ended).map(|told| told.when + DAY).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Client, Key};

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// The key of this client as it is at a moment: whether it is time to tell of its end.
    fn is_due(told: &mut Told, key: &Arc<Key>, now: SystemTime) -> bool {
        let at = key.expires.unwrap();
        let left = at.duration_since(now).ok().filter(|left| !left.is_zero());
        !told.due(vec![Ending { key, at, left, cure: String::new() }], now).is_empty()
    }

    #[test]
    fn an_end_is_told_of_once_a_day_and_when_it_has_come() {
        let client = Arc::new(Client { name: "a".into(), grants: Vec::new() });
        let now = SystemTime::now();
        let key = |expires| {
            let mut key = Key::new("a-1", client.clone());
            key.expires = Some(expires);
            Arc::new(key)
        };
        let (mut told, ends) = (Told::default(), now + DAY * 2 + HOUR);
        let first = key(ends);
        let hours = |told: &mut Told, hours| is_due(told, &first, now + HOUR * hours);
        let due: Vec<_> = (0..80).filter(|hour| hours(&mut told, *hour)).collect();
        assert_eq!(due, [0, 24, 48, 49], "and not again once it has ended");
        assert_eq!(told.next(), None);
        // Another end is another matter.
        assert!(is_due(&mut told, &key(ends + DAY * 9), now + HOUR * 80));
        assert_eq!(told.next(), Some(now + HOUR * 104));
        // Of one that ended a day before the start whoever ran then has told.
        assert!(is_due(&mut Told::default(), &first, ends + HOUR * 23));
        assert!(!is_due(&mut Told::default(), &first, ends + DAY));
        // Whoever is forgotten is told of again.
        assert!(told.due(Vec::new(), now).is_empty());
        assert!(is_due(&mut told, &first, now));
    }
    #[test]
    fn a_clock_that_has_run_ahead_and_is_set_back_silences_nobody() {
        let (mut told, now) = (Told::default(), SystemTime::now());
        let mut key = Key::new("a-1", Arc::new(Client { name: "a".into(), grants: Vec::new() }));
        key.expires = Some(now + DAY * 100);
        let key = Arc::new(key);
        assert!(is_due(&mut told, &key, now + DAY * 30));
        assert!(is_due(&mut told, &key, now));
        assert!(!is_due(&mut told, &key, now + HOUR));
    }
}
