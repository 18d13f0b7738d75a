//! The streams of a connection of HTTP/2: which are open, and whether their client takes what they have for it.
//!
//! A client that answers every PING may still open no window for an answer, for ever, and that answer holds a connection
//! upstream; or it may ask nothing any more. Neither is a matter of the socket, so its own timers see neither. One timer for
//! a connection looks at all of its streams now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

use super::progress::Progress;

/// The streams of a connection, and what runs their tasks.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    open: Arc<Mutex<Open>>,
    /// How long a client may take nothing of an answer.
    write: Duration,
}

#[derive(Debug, Default)]
struct Open {
    /// Those that were open at the last look or later.
    streams: Vec<Watched>,
    /// Whether one was opened since the last look.
    came: bool,
    /// The one whose task comes next: hyper hands out the task right after it has asked the service, and a second one right
    /// after an answer by which the stream is taken over.
    next: Option<Arc<Progress>>,
}

/// A stream, which is open for as long as somebody has it: its task, h2, which has a piece of it, or who has taken it over.
#[derive(Debug)]
struct Watched {
    stream: Weak<Progress>,
    /// How much was written when it was seen to be stuck first, and since when it has been.
    stuck: Option<(usize, Instant)>,
}

/// How often streams are looked at within the shortest time that they may have.
const LOOKS: u32 = 4;

/// The least time between two looks.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

impl Streams {
    /// Those of a connection whose client may take nothing of an answer for so long.
    pub(super) fn new(write: Duration) -> Self {
        Self { open: Arc::default(), write }
    }

    /// Opens a stream, whose task comes next.
    pub(super) fn open(&self) -> Arc<Progress> {
        let mut open = self.lock();
        let stream = open.add();
        open.next = Some(stream.clone());
        stream
    }

    /// The next task is a second one of this stream, which is taken over.
    pub(super) fn take_over(&self, stream: &Arc<Progress>) {
        self.lock().next = Some(stream.clone());
    }

    /// Ends streams whose client has had its time, and is done when none has been open for so long. One that has ended, but
    /// of which the client takes nothing any more, is not open.
    pub(super) async fn idle(&self, limit: Duration) {
        let pause = (self.write.min(limit) / LOOKS).max(LEAST_PAUSE);
        let mut since = Instant::now();
        loop {
            sleep(pause).await;
            let now = Instant::now();
            if self.lock().look(now, self.write) {
                since = now;
            } else if now - since >= limit {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, task: F) {
        let stream = {
            let mut open = self.lock();
            open.next.take().unwrap_or_else(|| open.add())
        };
        drop(tokio::spawn(stream.oversee(task)));
    }
}

// === impl Open ===

impl Open {
    fn add(&mut self) -> Arc<Progress> {
        // Before there are more than ever, those that have ended are forgotten.
        if self.streams.len() == self.streams.capacity() {
            self.streams.retain(|watched| watched.stream.strong_count() > 0);
        }
        let stream = Arc::<Progress>::default();
        self.streams.push(Watched { stream: Arc::downgrade(&stream), stuck: None });
        self.came = true;
        stream
    }

    /// Ends those that are stuck for so long; says whether any other was open since the last look.
    fn look(&mut self, now: Instant, limit: Duration) -> bool {
        let mut busy = std::mem::take(&mut self.came);
        self.streams.retain_mut(|watched| {
            let Some(stream) = watched.stream.upgrade() else { return false };
            if watched.is_stuck(&stream, now, limit) {
                stream.stop();
            } else {
                busy = true;
            }
            true
        });
        busy
    }
}

// === impl Watched ===

impl Watched {
    /// Whether nothing was written for so long of what waits.
    fn is_stuck(&mut self, stream: &Progress, now: Instant, limit: Duration) -> bool {
        let at = stream.stuck_at();
        match (self.stuck, at) {
            (Some((before, since)), Some(at)) if before == at => now - since >= limit,
            _ => {
                self.stuck = at.map(|at| (at, now));
                false
            }
        }
    }
}
