//! How far the answer of a stream of HTTP/2 has come.
//!
//! h2 keeps what a body gives it until the client makes room, and nobody is told how much that is; hyper asks a body for
//! nothing more meanwhile. So each piece of an answer tells by itself when it was written, and a stream can be ended from
//! outside, whatever its task waits for. Of a stream that was taken over hyper itself copies what is written, and does not
//! say when that has left: there, whoever has taken it over tells whether hyper takes more.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// An answer that may be cut off, whatever it waits for.
pub(crate) trait Revocable {
    /// What cuts it off.
    fn revoked(&self) -> Option<CancellationToken>;
}

/// What a stream's body, its pieces, its task and its connection know of it. All of them are on their worker's one thread, so
/// that nothing here has to be ordered.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many pieces h2 has.
    waiting: AtomicUsize,
    /// How many bytes were written so far; it wraps.
    written: AtomicUsize,
    /// Whether the stream was taken over, and hyper takes no more of what is written to it before its client makes room.
    blocked: AtomicBool,
    /// Whether the stream's task is to be woken when h2 has no piece any more.
    awaited: AtomicBool,
    /// The stream has to end.
    stopped: AtomicBool,
    task: Mutex<Option<Waker>>,
    revoked: OnceLock<CancellationToken>,
}

/// A piece of an answer, which is h2's to keep until it is written.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
}

impl Progress {
    /// Hands out a piece of the answer.
    pub(super) fn piece(self: &Arc<Self>, bytes: Bytes) -> Piece {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Piece { bytes, progress: self.clone() }
    }

    /// The stream was taken over, and hyper has taken so many bytes of what is written to it, or takes none for now.
    pub(super) fn offered(&self, taken: Option<usize>) {
        self.blocked.store(taken.is_none(), Ordering::Relaxed);
        self.written.fetch_add(taken.unwrap_or(0), Ordering::Relaxed);
    }

    /// From now on this cuts the answer off.
    pub(super) fn revoked_by(&self, token: CancellationToken) {
        // It has one answer.
        drop(self.revoked.set(token));
    }

    /// How much was written before what waits; `None` where nothing does.
    pub(super) fn stuck_at(&self) -> Option<usize> {
        let waits = self.waiting.load(Ordering::Relaxed) > 0 || self.blocked.load(Ordering::Relaxed);
        waits.then(|| self.written.load(Ordering::Relaxed))
    }

    /// Ready when every piece has been written.
    pub(super) fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        self.wake_up(cx);
        self.awaited.store(true, Ordering::Relaxed);
        if self.waiting.load(Ordering::Relaxed) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the stream: what h2 still has of it is dropped, and the client gets a reset.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether it had to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Runs the task of the stream, until that is done or the stream has to end: one whose task is dropped is reset.
    pub(super) async fn oversee(self: Arc<Self>, task: impl Future<Output = ()>) {
        let mut task = pin!(task);
        let mut revoked = None;
        poll_fn(|cx| {
            self.wake_up(cx);
            if self.is_stopped() || task.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // An answer that is asked for its next piece looks at this itself.
            if self.waiting.load(Ordering::Relaxed) > 0 { self.poll_revoked(&mut revoked, cx) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_revoked(
        &self,
        wait: &mut Option<Pin<Box<WaitForCancellationFutureOwned>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(token) = self.revoked.get() else { return Poll::Pending };
        wait.get_or_insert_with(|| Box::pin(token.clone().cancelled_owned())).as_mut().poll(cx)
    }

    /// Notes whom to wake: body and task are polled as one.
    fn wake_up(&self, cx: &Context<'_>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

// === impl Piece ===

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.progress.written.fetch_add(count, Ordering::Relaxed);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let last = self.progress.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
        if last && self.progress.awaited.load(Ordering::Relaxed) {
            self.progress.wake();
        }
    }
}
