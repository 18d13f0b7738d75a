//! The bodies of a connection: a request's, which tells whether it was read to its end, and an answer's, which tells
//! when it has ended, and does not break off before what came of it is on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::debug;

use super::progress::{Piece, Progress, Revocable};
use super::turn::{Stage, Turn};

/// The body of a request. If it is dropped before its end, the client may still be sending: closing on it would take
/// the answer away from it.
#[derive(Debug)]
pub struct RequestBody {
    /// `None` after its end.
    incoming: Option<Incoming>,
    leftover: Leftover,
}

/// What becomes of a body that is dropped before its end.
#[derive(Debug)]
pub(super) enum Leftover {
    /// HTTP/1.1: its connection learns of it, and lingers.
    Connection(Turn),
    /// HTTP/2: its stream is reset, a little later.
    Stream,
}

/// The body of an answer over HTTP/1.1. It has no error: where the inner one has, the connection is told to break, and
/// the body never ends.
#[derive(Debug)]
pub(super) struct AnswerBody<A> {
    /// `None` after its error: what it held upstream is let go, however long its client takes for what came.
    inner: Option<A>,
    turn: Turn,
}

/// The body of an answer over HTTP/2, whose stream can be reset alone. Its error waits until what came before it has
/// been written, since h2 drops what it holds of a stream that is reset.
#[derive(Debug)]
pub(super) struct StreamBody<A, E> {
    /// `None` after its error.
    inner: Option<A>,
    progress: Arc<Progress>,
    /// Whether a piece was handed out.
    begun: bool,
    broken: Option<E>,
}

/// How long after an answer the reset comes that tells a client of HTTP/2 to stop sending. curl (7.88, Debian 12's) takes
/// an answer for empty whose reset it reads together with it.
const RESET_PAUSE: Duration = Duration::from_millis(100);

impl RequestBody {
    pub(super) fn new(incoming: Incoming, leftover: Leftover) -> Self {
        let body = Self { incoming: Some(incoming), leftover };
        body.note_end();
        body
    }

    /// Tells the connection, where it is one's own, that the request has come to its end.
    fn note_end(&self) {
        if let Leftover::Connection(turn) = &self.leftover
            && self.is_end_stream()
        {
            turn.set_received();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        if frame.is_none() {
            self.incoming = None;
        }
        self.note_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else { return };
        match &self.leftover {
            Leftover::Connection(turn) => turn.set_unread(),
            Leftover::Stream => {
                // Without a runtime the connection is gone, too.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(timeout(RESET_PAUSE, discard(incoming)));
                }
            }
        }
    }
}

/// Reads a body to its end for nothing: what is not read would keep the connection's other streams from sending.
async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

impl<A> AnswerBody<A> {
    pub(super) fn new(inner: A, turn: Turn) -> Self {
        Self { inner: Some(inner), turn }
    }
}

impl<A> Body for AnswerBody<A>
where
    A: Body<Data = Bytes> + Unpin,
    A::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        match ready!(Pin::new(inner).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
            Some(Err(error)) => {
                let error: BoxError = error.into();
                debug!(error, "an answer broke off");
                // hyper flushes what it has when a body has nothing; the stream does the rest.
                self.turn.set_broken();
                self.inner = None;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<A> Drop for AnswerBody<A> {
    fn drop(&mut self) {
        self.turn.enter(Stage::Waiting);
    }
}

impl<A: Revocable, E> StreamBody<A, E> {
    pub(super) fn new(inner: A, progress: Arc<Progress>) -> Self {
        if let Some(token) = inner.revoked() {
            progress.revoked_by(token);
        }
        Self { inner: Some(inner), progress, begun: false, broken: None }
    }
}

impl<A> Body for StreamBody<A, A::Error>
where
    A: Body<Data = Bytes> + Unpin,
    A::Error: Unpin,
{
    type Data = Piece;
    type Error = A::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, A::Error>>> {
        let this = &mut *self;
        if let Some(inner) = &mut this.inner {
            match ready!(Pin::new(inner).poll_frame(cx)) {
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(this.handed_out(frame)))),
                None => return Poll::Ready(None),
                Some(Err(error)) => this.broken = Some(error),
            }
            this.inner = None;
            if !this.begun {
                // h2 would drop the head as well. What comes after it, and be it nothing, is written after it.
                return Poll::Ready(Some(Ok(this.handed_out(Frame::data(Bytes::new())))));
            }
        }
        ready!(this.progress.poll_written(cx));
        Poll::Ready(this.broken.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<A, E> StreamBody<A, E> {
    fn handed_out(&mut self, frame: Frame<Bytes>) -> Frame<Piece> {
        self.begun = true;
        frame.map_data(|bytes| self.progress.piece(bytes))
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
