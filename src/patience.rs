//! How long somebody may leave us waiting: a client, or an upstream.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Since when we have been waiting, and the timer that looks at it. The timer is one for as long as a connection lives: it
/// is not set anew with each request, or with each piece of an answer, which would cost more than all that it is for. When
/// it rings it sees how long the wait really is, and where nobody waits any more it rings for nothing.
#[derive(Debug)]
pub(crate) struct Patience {
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// The wait begins now.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), timer: None }
    }

    /// It begins anew.
    pub(crate) fn restart(&mut self) {
        self.restart_at(Instant::now());
    }

    /// When it began.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// It began anew at this moment, though nobody has looked since.
    pub(crate) fn restart_at(&mut self, since: Instant) {
        self.since = since;
    }

    /// Ready when it has been as long as this.
    pub(crate) fn poll_end(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.since + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // It was set for a longer wait.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Nobody is waited for now. The timer stays set all the same, so that it looks in time when somebody is again for as
    /// long as this, which nobody need tell it.
    pub(crate) fn rest(&mut self, limit: Duration, cx: &mut Context<'_>) {
        let latest = self.since + limit;
        if self.timer.as_ref().is_none_or(|timer| timer.is_elapsed() || timer.deadline() > latest) {
            self.restart();
            let due = self.since + limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            timer.as_mut().reset(due);
            // This is who it will wake.
            let _pending = timer.as_mut().poll(cx);
        }
    }
}
