//! A client's connection that stops speaking HTTP and is a stream of bytes from then on.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Extensions;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::turn::{Stage, Turn};

/// Leave to take a client's connection over, once our answer has told the client so.
#[derive(Debug)]
pub(crate) struct Upgrade {
    promised: OnUpgrade,
    /// `None` over HTTP/2, where a stream is taken over and not the connection, and under somebody else's server.
    turn: Option<Turn>,
}

/// A client's connection that was taken over.
#[derive(Debug)]
pub(crate) struct ClientBytes {
    io: TokioIo<Upgraded>,
    turn: Option<Turn>,
}

/// The last wish for another protocol that was not granted. hyper keeps it until the connection ends, and then leaves
/// the connection as it is to whoever holds the promise.
#[derive(Debug, Default)]
pub(super) struct Declined(Mutex<Option<OnUpgrade>>);

impl Upgrade {
    /// Takes the leave out of a request's extensions, where hyper puts it, and so does every server that stands on hyper.
    pub(crate) fn of(extensions: &mut Extensions) -> Option<Self> {
        let promised = extensions.remove::<OnUpgrade>()?;
        Some(Self { promised, turn: extensions.remove::<Turn>() })
    }

    /// Waits until the answer has left, and takes the connection over.
    ///
    /// # Errors
    /// The client went away before that, or the answer did not tell it.
    pub(crate) async fn take(self) -> hyper::Result<ClientBytes> {
        let io = TokioIo::new(self.promised.await?);
        if let Some(turn) = &self.turn {
            // No timer of a next request may run: both may speak until the connection ends.
            turn.enter(Stage::Open);
        }
        Ok(ClientBytes { io, turn: self.turn })
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
    /// whose words were answered by a reset would not read the rest. Over HTTP/2 its stream just ends, and hyper sees to
    /// it that what was written goes before; under somebody else's server it is for that to say how it ends.
    pub(crate) async fn close(mut self) {
        if let Some(turn) = &self.turn {
            turn.set_unread();
            // Nobody is left to be told of an error.
            drop(self.io.shutdown().await);
        }
    }
}

impl AsyncRead for ClientBytes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for ClientBytes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
