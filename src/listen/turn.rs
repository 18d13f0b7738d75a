//! Whose turn it is on a connection: what its stream and its requests tell each other. Over HTTP/2 it is the client's until
//! its first request is there, and then nobody's any more.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// The state that a connection's stream, its service and its bodies share.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stage: AtomicU8,
    /// Grows with each change of stage, so that a timer of the last one is not taken for one of this.
    changes: AtomicU32,
    /// A service has been asked, and what it answered is not written yet.
    due: AtomicBool,
    /// The request that is being answered has come to its end.
    received: AtomicBool,
    /// A body of a request was dropped before its end, or who had taken the connection over reads no more of it: the
    /// client may still be sending.
    unread: AtomicBool,
    /// An answer broke off: what has been written must arrive, and then the connection must be reset.
    broken: AtomicBool,
    /// When the last answer ended.
    idle_since: Mutex<Option<Instant>>,
}

/// Who is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client: it has sent nothing yet of its first request, or of its next.
    Waiting,
    /// The client: a head has begun.
    Head,
    /// We: the head is complete, and the answer not yet.
    Answering,
    /// Either, at any time: over HTTP/2 once there was a request, or where the connection was taken over. Whatever is
    /// said then has an end of its own, which no end of the connection stands for.
    Open,
}

impl Turn {
    pub(super) fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Relaxed) {
            0 => Stage::Waiting,
            1 => Stage::Head,
            2 => Stage::Answering,
            _ => Stage::Open,
        }
    }

    pub(super) fn enter(&self, stage: Stage) {
        if matches!(stage, Stage::Answering | Stage::Open) {
            self.0.due.store(true, Ordering::Relaxed);
        }
        if stage == Stage::Waiting {
            *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        self.0.received.store(false, Ordering::Relaxed);
        self.0.stage.store(stage as u8, Ordering::Relaxed);
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// When the last answer ended, from when on the next request is waited for; `None` before the first.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the stage has changed.
    pub(super) fn changes(&self) -> u32 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Whether a service has been asked, and what it answered is not written yet: whatever is written meanwhile is it.
    pub(super) fn is_answer_due(&self) -> bool {
        self.0.due.load(Ordering::Relaxed)
    }

    /// All that was to be written has been.
    pub(super) fn set_written(&self) {
        if matches!(self.stage(), Stage::Waiting | Stage::Head) {
            self.0.due.store(false, Ordering::Relaxed);
        }
    }

    /// The request has come to its end.
    pub(super) fn set_received(&self) {
        self.0.received.store(true, Ordering::Relaxed);
    }

    /// Whether a request that has come to its end is being answered.
    pub(super) fn is_received(&self) -> bool {
        self.0.received.load(Ordering::Relaxed)
    }

    pub(super) fn set_unread(&self) {
        self.0.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed)
    }

    pub(super) fn set_broken(&self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// Whether the connection must not end as if all had been said: an answer broke off, or is not written to its end.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_broken() || (self.is_answer_due() && self.stage() != Stage::Open)
    }
}
