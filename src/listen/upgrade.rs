//! A client's connection that stops speaking HTTP and is a stream of bytes from then on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Extensions;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::progress::Progress;
use super::turn::{Stage, Turn};

/// Leave to take a client's connection over, once our answer has told the client so.
#[derive(Debug)]
pub(crate) struct Upgrade {
    promised: OnUpgrade,
    /// `None` under somebody else's server.
    taken: Option<Taken>,
}

/// What is taken over.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    /// HTTP/1.1: the connection.
    Connection(Turn),
    /// HTTP/2: one stream of it.
    Stream(Arc<Progress>),
}

/// A client's connection that was taken over.
#[derive(Debug)]
pub(crate) struct ClientBytes {
    io: TokioIo<Upgraded>,
    taken: Option<Taken>,
}

/// The last wish for another protocol that was not granted. hyper keeps it until the connection ends, and then leaves
/// the connection as it is to whoever holds the promise.
#[derive(Debug, Default)]
pub(super) struct Declined(Mutex<Option<OnUpgrade>>);

impl Upgrade {
    /// Takes the leave out of a request's extensions, where hyper puts it, and so does every server that stands on hyper.
    pub(crate) fn of(extensions: &mut Extensions) -> Option<Self> {
        let promised = extensions.remove::<OnUpgrade>()?;
        Some(Self { promised, taken: extensions.remove::<Taken>() })
    }

    /// Waits until the answer has left, and takes the connection over.
    ///
    /// # Errors
    /// The client went away before that, or the answer did not tell it.
    pub(crate) async fn take(self) -> hyper::Result<ClientBytes> {
        let io = TokioIo::new(self.promised.await?);
        if let Some(Taken::Connection(turn)) = &self.taken {
            // No timer of a next request may run: both may speak until the connection ends.
            turn.enter(Stage::Open);
        }
        Ok(ClientBytes { io, taken: self.taken })
    }
}

// === impl Declined ===

impl Declined {
    pub(super) fn note(&self, asked: Option<OnUpgrade>) {
        if asked.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
    }

    /// Closes the connection that was left, as hyper would have.
    pub(super) async fn close(&self) {
        let declined = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(declined) = declined
            && let Ok(connection) = declined.await
        {
            // Nobody is left to be told of an error.
            drop(TokioIo::new(connection).shutdown().await);
        }
    }
}

// === impl ClientBytes ===

impl ClientBytes {
    /// Ends the connection after everything that was written. It lingers, which drops what the client still says: a client
    /// whose words were answered by a reset would not read the rest. Over HTTP/2 its stream just ends, and hyper sends what
    /// was written before; under somebody else's server it is for that to say how it ends.
    pub(crate) async fn close(mut self) {
        if let Some(Taken::Connection(turn)) = &self.taken {
            turn.set_unread();
            // Nobody is left to be told of an error.
            drop(self.io.shutdown().await);
        }
    }

    /// Tells that so much was taken of what is written, or nothing for now.
    fn offered(&self, taken: Option<usize>) {
        if let Some(Taken::Stream(stream)) = &self.taken {
            stream.offered(taken);
        }
    }
}

impl Drop for ClientBytes {
    fn drop(&mut self) {
        // The end of a stream comes after what was written, and its client has no more time to take that than before.
        self.offered(None);
    }
}

impl AsyncRead for ClientBytes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for ClientBytes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.offered(match &written {
            Poll::Ready(written) => Some(*written.as_ref().unwrap_or(&0)),
            Poll::Pending => None,
        });
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.offered(flushed.is_ready().then_some(0));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.io).poll_shutdown(cx);
        self.offered(ended.is_ready().then_some(0));
        match &self.taken {
            // To hyper, a stream that was ended for its client's sake has ended.
            Some(Taken::Stream(stream)) if stream.is_stopped() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => ended,
        }
    }
}
