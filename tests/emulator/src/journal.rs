//! What arrived, whether it arrived whole, and what became of it.
//!
//! Waiting is by notification: a test that asks for an entry sleeps until an entry changes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use serde::Serialize;
use tokio::sync::watch;

use crate::{Door, Plane};

/// Violations are never pushed out by ordinary traffic, but they too are bounded.
const VIOLATIONS_KEPT: usize = 1000;

/// One request, from its head to the end of its answer. Updated as it goes.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// 1 for the first request of this emulator.
    pub sequence: u64,
    /// The number of the connection that it came on, unique over all doors.
    pub connection: u64,
    /// Who was asked.
    pub plane: Plane,
    /// Through which door; `None` for Entra and the identity endpoints, which have one each.
    pub door: Option<Door>,
    /// As it came: `GET`.
    pub method: String,
    /// Path and query exactly as they came: `//openai`, `%27`.
    pub target: String,
    /// `1.0`, `1.1` or `2`.
    pub version: &'static str,
    /// Names in lower case, values with their secrets, in order.
    pub headers: Vec<(String, String)>,
    /// Bytes of the request's body that arrived so far.
    pub body_length: u64,
    /// The body's end arrived.
    pub body_whole: bool,
    /// SHA-256 of the whole body in lower-case hexadecimal; `None` until it is whole.
    pub body_sha256: Option<String>,
    /// The operation, once recognised: `chat-completions`, `documents-write`.
    pub operation: Option<&'static str>,
    /// What the operation names: a deployment, an index.
    pub subject: Option<String>,
    /// The object id of the accepted bearer token, or of whom a token was given to.
    pub principal: Option<String>,
    /// What proved to Entra who asks: `secret`, `certificate` or `federated-token`.
    pub credential: Option<&'static str>,
    /// The answer's status, once decided.
    pub status: Option<u16>,
    /// The operation was really done; an answer on demand or a refusal does nothing.
    pub completed: bool,
    /// The exchange is over, in whatever way.
    pub ended: bool,
    /// The client went away before its request or our answer was over.
    pub cancelled: bool,
    /// A client's credential arrived where none may: see the list in `credentials.rs`.
    pub violation: Option<String>,
    /// What became of the websocket that it opened, if it did.
    pub websocket: Option<Websocket>,
}

/// A websocket. Updated as it goes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Websocket {
    /// It has not ended yet.
    pub open: bool,
    /// Bytes that came over it, of frames and all.
    pub received: u64,
    /// Bytes that were sent over it.
    pub sent: u64,
    /// The code of the client's close, if it sent one with a code.
    pub closed: Option<u16>,
}

impl Entry {
    /// The first value of the header `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// The emulator's memory of requests. Cloning gives another handle to the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    pages: Mutex<Pages>,
    changes: watch::Sender<()>,
}

struct Pages {
    /// Consecutive: the entry `n` stands at `n - first`.
    entries: VecDeque<Entry>,
    /// The sequence number of the front entry.
    first: u64,
    violations: Vec<Entry>,
    limit: usize,
}

/// An open entry. Dropped without [`Record::end`], it notes that the client went away:
/// that is what dropping a request's future or body means.
pub(crate) struct Record {
    journal: Journal,
    sequence: u64,
    ended: bool,
}

/// What an entry starts with.
pub(crate) struct Opening<'a> {
    pub(crate) connection: u64,
    pub(crate) plane: Plane,
    pub(crate) door: Option<Door>,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) version: &'static str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) violation: Option<String>,
}

// === impl Journal ===

impl Journal {
    pub(crate) fn new(limit: usize) -> Self {
        let pages = Pages { entries: VecDeque::new(), first: 1, violations: Vec::new(), limit: limit.max(1) };
        Self { shared: Arc::new(Shared { pages: Mutex::new(pages), changes: watch::Sender::new(()) }) }
    }

    /// All entries that are still kept, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries_after(0)
    }

    /// The kept entries whose sequence number is greater than `sequence`.
    #[must_use]
    pub fn entries_after(&self, sequence: u64) -> Vec<Entry> {
        let pages = self.pages();
        pages.entries.iter().filter(|entry| entry.sequence > sequence).cloned().collect()
    }

    /// The requests that brought a client credential where none may arrive, as they were when
    /// their head arrived. The first thousand are kept for good.
    #[must_use]
    pub fn violations(&self) -> Vec<Entry> {
        self.pages().violations.clone()
    }

    /// The first kept entry that satisfies `wanted`, now or within `limit`; `None` after that.
    pub async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool, limit: Duration) -> Option<Entry> {
        let mut changes = self.shared.changes.subscribe();
        let search = async {
            loop {
                changes.mark_unchanged();
                if let Some(entry) = self.find(&wanted) {
                    return Some(entry);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    /// Forgets all entries and violations. Numbers go on.
    pub fn clear(&self) {
        let mut pages = self.pages();
        pages.first += pages.entries.len() as u64;
        pages.entries.clear();
        pages.violations.clear();
    }

    fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let pages = self.pages();
        pages.entries.iter().find(|entry| wanted(entry)).cloned()
    }

    pub(crate) fn open(&self, opening: Opening<'_>) -> Record {
        let mut pages = self.pages();
        let sequence = pages.first + pages.entries.len() as u64;
        let headers = opening.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        let entry = Entry {
            sequence,
            connection: opening.connection,
            plane: opening.plane,
            door: opening.door,
            method: opening.method.to_owned(),
            target: opening.target.to_owned(),
            version: opening.version,
            headers: headers.collect(),
            body_length: 0,
            body_whole: false,
            body_sha256: None,
            operation: None,
            subject: None,
            principal: None,
            credential: None,
            status: None,
            completed: false,
            ended: false,
            cancelled: false,
            violation: opening.violation,
            websocket: None,
        };
        if entry.violation.is_some() && pages.violations.len() < VIOLATIONS_KEPT {
            pages.violations.push(entry.clone());
        }
        if pages.entries.len() == pages.limit {
            pages.entries.pop_front();
            pages.first += 1;
        }
        pages.entries.push_back(entry);
        drop(pages);
        self.shared.changes.send_replace(());
        Record { journal: self.clone(), sequence, ended: false }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere leaves whole entries behind: nothing to protect against.
        self.shared.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages();
        formatter
            .debug_struct("Journal")
            .field("entries", &pages.entries.len())
            .field("violations", &pages.violations.len())
            .finish()
    }
}

// === impl Record ===

impl Record {
    /// Changes the entry, if it is still kept, and wakes who waits.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Entry)) {
        let mut pages = self.journal.pages();
        let place = self.sequence.checked_sub(pages.first).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| pages.entries.get_mut(place)) {
            change(entry);
        }
        drop(pages);
        self.journal.shared.changes.send_replace(());
    }

    /// The exchange ended as we meant it to: whole, or broken off by a fault.
    pub(crate) fn end(mut self) {
        self.ended = true;
        self.note(|entry| entry.ended = true);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            self.note(|entry| {
                entry.ended = true;
                entry.cancelled = true;
            });
        }
    }
}
