//! What clients may do with their keys, from when on and until when, and what became of each of their requests.
//!
//! A change takes effect somewhere between the moment in which it was begun and the one in which it was shown. So a request
//! that was sent after its key was shown to be good, and answered before anybody began to change that, must pass. One that was
//! answered before anybody made its key good, or sent after the end of it was shown, must be refused, in the exact words. One
//! that a change overlaps may come to either of these, and to nothing else; but an end that cuts off whatever runs may break
//! off its answer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use tokio::sync::watch;

use super::crowd::Errand;
use crate::gateway::LIMIT;

/// A change, and the time within which it took effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) begun: SystemTime,
    pub(super) shown: SystemTime,
}

/// What a client wants to do with a key.
#[derive(Debug)]
pub(super) struct Right {
    pub(super) key: String,
    pub(super) errand: Errand,
    /// What made the key good for it, if anything has.
    granted: Option<Change>,
    /// What ended that.
    ended: Option<Change>,
    /// Whether what ran then was cut off.
    was_cut: bool,
    memories: Vec<Memory>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) sent: SystemTime,
    pub(super) answered: SystemTime,
    pub(super) fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Passed,
    Refused,
    /// Its answer had begun and did not end.
    BrokenOff(String),
    /// What never may happen.
    Neither(String),
}

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Pass,
    Refusal,
    Either,
}

/// Every right, by its name.
#[derive(Debug, Default)]
pub(super) struct Book {
    rights: Mutex<BTreeMap<String, Right>>,
    /// How many requests were noted.
    noted: watch::Sender<usize>,
}

// === impl Right ===

impl Right {
    fn due(&self, sent: SystemTime, answered: SystemTime) -> Due {
        let is_before = |change: Option<Change>| change.is_none_or(|change| answered <= change.begun);
        let is_after = |change: Option<Change>| change.is_some_and(|change| sent >= change.shown);
        if is_after(self.granted) && is_before(self.ended) {
            Due::Pass
        } else if is_before(self.granted) || is_after(self.ended) {
            Due::Refusal
        } else {
            Due::Either
        }
    }

    fn due_of(&self, memory: &Memory) -> Due {
        self.due(memory.sent, memory.answered)
    }

    /// Whether so many requests that were sent after this moment had to come to this.
    fn has_seen(&self, count: usize, due: Due, since: SystemTime) -> bool {
        // The latest are the last, and clients are few.
        let late = self.memories.iter().rev().take(10 * count);
        late.filter(|memory| memory.sent >= since && self.due_of(memory) == due).count() >= count
    }

    fn allows(&self, fate: &Fate, due: Due) -> bool {
        match (fate, due) {
            (Fate::Passed, Due::Pass | Due::Either) | (Fate::Refused, Due::Refusal | Due::Either) => true,
            (Fate::BrokenOff(_), Due::Either) => self.was_cut,
            (Fate::Passed | Fate::BrokenOff(_), Due::Refusal) => false,
            (Fate::Refused | Fate::BrokenOff(_), Due::Pass) | (Fate::Neither(_), _) => false,
        }
    }
}

// === impl Book ===

impl Book {
    /// A right that nobody has yet.
    pub(super) fn add(&self, name: &str, key: &str, errand: Errand) {
        let (granted, ended, was_cut, memories) = (None, None, false, Vec::new());
        let right = Right { key: key.to_owned(), errand, granted, ended, was_cut, memories };
        assert!(self.rights().insert(name.to_owned(), right).is_none(), "{name} is there already");
    }

    pub(super) fn grant(&self, name: &str, change: Change) {
        assert!(self.right(name, |right| right.granted.replace(change)).is_none());
    }

    pub(super) fn end(&self, name: &str, change: Change) {
        assert!(self.right(name, |right| right.ended.replace(change)).is_none());
    }

    /// The same of an end that cuts off what runs.
    pub(super) fn cut(&self, name: &str, change: Change) {
        self.end(name, change);
        self.right(name, |right| right.was_cut = true);
    }

    /// A right, looked at or changed.
    pub(super) fn right<T>(&self, name: &str, look: impl FnOnce(&mut Right) -> T) -> T {
        look(self.rights().get_mut(name).unwrap_or_else(|| panic!("no right is called {name}")))
    }

    pub(super) fn note(&self, name: &str, memory: Memory) {
        self.right(name, |right| right.memories.push(memory));
        self.noted.send_modify(|noted| *noted += 1);
    }

    /// Waits until so many requests of each right have shown what holds from now on.
    pub(super) async fn seen_by_all(&self, count: usize) {
        let names: Vec<String> = self.rights().keys().cloned().collect();
        let now = SystemTime::now();
        for name in names {
            let due = self.right(&name, |right| right.due(now, now));
            self.seen_since(&name, count, due, now).await;
        }
    }

    /// Waits until so many requests of a right had to come to this, as soon as they do.
    pub(super) async fn seen(&self, name: &str, count: usize, due: Due) {
        self.seen_since(name, count, due, SystemTime::UNIX_EPOCH).await;
    }

    async fn seen_since(&self, name: &str, count: usize, due: Due, since: SystemTime) {
        let mut noted = self.noted.subscribe();
        let seen = noted.wait_for(|_| self.right(name, |right| right.has_seen(count, due, since)));
        let seen = tokio::time::timeout(LIMIT, seen).await;
        assert!(seen.is_ok(), "{name}: too few requests of which {due:?} was due\n{}", self.summary());
    }

    /// Every request that came to what it must not.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, right) in &*self.rights() {
            for memory in &right.memories {
                let due = right.due_of(memory);
                if !right.allows(&memory.fate, due) {
                    wrong
                        .push(format!("{name}: {due:?} was due, {memory:?}, {:?} to {:?}", right.granted, right.ended));
                }
            }
        }
        wrong
    }

    /// How many requests of a right had to come to this.
    pub(super) fn count(&self, name: &str, due: Due) -> usize {
        self.right(name, |right| right.memories.iter().filter(|memory| right.due_of(memory) == due).count())
    }

    /// For each right, how many requests had to come to what.
    pub(super) fn summary(&self) -> String {
        let names: Vec<String> = self.rights().keys().cloned().collect();
        let mut text = String::new();
        for name in names {
            let [pass, refusal, either] = [Due::Pass, Due::Refusal, Due::Either].map(|due| self.count(&name, due));
            writeln!(text, "{name:30} must pass {pass:6}, must be refused {refusal:6}, either {either:5}").unwrap();
        }
        text
    }

    fn rights(&self) -> MutexGuard<'_, BTreeMap<String, Right>> {
        self.rights.lock().unwrap()
    }
}
