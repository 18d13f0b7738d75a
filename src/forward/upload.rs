//! A request's body on its way upstream, and what becomes of it.
//!
//! hyper sends a body beside whoever waits for the answer, and if it breaks off says no more than that the connection is
//! lost. But that is its client's doing and not the upstream's, and so is a wait while the client sends nothing.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::patience::Patience;

/// A request's body. It breaks off when its client sends nothing for too long, unless it has its answer already.
#[derive(Debug)]
pub(super) struct Upload<B> {
    body: B,
    course: Course,
    limit: Duration,
}

/// How the body goes that a connection sends, of one request after the other.
#[derive(Clone, Debug)]
pub(super) struct Course(Arc<Mutex<Going>>);

#[derive(Debug)]
struct Going {
    seen: Seen,
    /// For how long the client may leave us waiting for more.
    patience: Patience,
}

/// What was seen of a body.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Whether a piece of it has left.
    begun: bool,
    /// When the last one left; `None` where all so far was there at once, which is as good as when the request was sent.
    moved: Option<Instant>,
    /// Whether the next is the client's to send.
    is_awaited: bool,
    /// Whether the upstream has answered: then nobody waits for the rest but itself.
    is_answered: bool,
    broke: Option<Broke>,
}

/// Why a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broke {
    /// Its client went away.
    Gone,
    /// It is framed as no body may be.
    Malformed,
    /// Its client sent nothing for too long.
    Stalled,
}

type BoxError = Box<dyn Error + Send + Sync>;

// === impl Upload ===

impl<B> Upload<B> {
    /// The body of the request that a connection sends next. Its client may be silent for as long as this.
    pub(super) fn new(body: B, course: &Course, limit: Duration) -> Self {
        course.going().seen = Seen::default();
        Self { body, course: course.clone(), limit }
    }

    /// The body alone.
    pub(super) fn into_inner(self) -> B {
        self.body
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let Going { seen, patience } = &mut *this.course.going();
        let Poll::Ready(frame) = frame else {
            if seen.is_answered {
                return Poll::Pending;
            }
            if !std::mem::replace(&mut seen.is_awaited, true) {
                patience.restart();
            }
            ready!(patience.poll_end(this.limit, cx));
            seen.broke = Some(Broke::Stalled);
            return Poll::Ready(Some(Err(Broke::Stalled.into())));
        };
        // Most bodies have one piece, which is there: then nobody looks at a clock.
        if seen.begun || seen.is_awaited {
            seen.moved = Some(Instant::now());
        }
        (seen.begun, seen.is_awaited) = (true, false);
        if let Some(Err(error)) = &frame {
            seen.broke = Some(Broke::of(&**error));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Course ===

impl Course {
    /// Nothing was sent yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Going { seen: Seen::default(), patience: Patience::begin() })))
    }

    /// The upstream has answered.
    pub(super) fn answered(&self) {
        self.going().seen.is_answered = true;
    }

    /// Until when the body kept the upstream from answering, if that was after this: until its last piece left, or until
    /// now, where the next is awaited.
    pub(super) fn last_moved(&self, after: Instant) -> Option<Instant> {
        let Seen { moved, is_awaited, .. } = self.going().seen;
        if is_awaited { Some(Instant::now()) } else { moved.filter(|moved| *moved > after) }
    }

    /// Why it broke off, if it did.
    pub(super) fn broke(&self) -> Option<Broke> {
        self.going().seen.broke
    }

    /// Nothing that runs under this lock waits or panics.
    fn going(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Broke ===

impl Broke {
    /// What a body's own error comes to. hyper tells apart by an I/O error inside what cannot be read and what came to an
    /// end.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let kind = causes.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).next();
        match kind {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::Malformed,
            _ => Self::Gone,
        }
    }
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the client has gone",
            Self::Malformed => "the body is not valid HTTP",
            Self::Stalled => "the client was silent for too long",
        })
    }
}

impl Error for Broke {}
