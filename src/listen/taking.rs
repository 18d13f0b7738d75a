//! Whether a client still takes what is on its way to it.
//!
//! A socket says that it has room only when a third of its buffer is free, which may be a megabyte. A slow client needs
//! longer for that than for the first byte, and TLS holds back some more. So the system is asked how much is still on its
//! way; but only where a client keeps us waiting, since that is a system call.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Watches a client that keeps us waiting.
#[derive(Debug)]
pub(super) struct Taking {
    /// When to look again.
    look: Pin<Box<Sleep>>,
    /// How much was on its way at the last look.
    unsent: Option<usize>,
    /// When that was last seen to change. More of it is a sign of life too: there was room.
    since: Instant,
}

impl Taking {
    /// Looks for the first time after this pause.
    pub(super) fn after(pause: Duration) -> Self {
        Self { look: Box::pin(sleep(pause)), unsent: None, since: Instant::now() }
    }

    /// Ready when it is time to look.
    pub(super) fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look.as_mut().poll(cx)
    }

    /// Looks again after this pause.
    pub(super) fn look_after(&mut self, pause: Duration) {
        self.look.as_mut().reset(Instant::now() + pause);
    }

    /// For how long the client has taken nothing, now that so much is on its way.
    pub(super) fn silence(&mut self, unsent: usize) -> Duration {
        if self.unsent.replace(unsent) != Some(unsent) {
            self.since = Instant::now();
        }
        self.since.elapsed()
    }
}
