//! A connection to an upstream that may answer before it has read everything.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::tcp::Tcp;

/// The stream of one connection, with TLS where its URL says https.
#[derive(Debug)]
pub struct UpstreamStream(Layers);

#[derive(Debug)]
enum Layers {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What is below TLS.
///
/// An upstream that refuses an upload in its middle closes on what is still coming, and the next write fails. hyper
/// would give up there, although the answer has arrived: so a write that fails is never done, and the reading side says
/// what came of the connection, be it an answer or its end. When that is known the connection closes, and writes fail
/// again: nobody reads any more, and TLS has its last word to write, which must not be waited for.
///
/// Linux tells of a loss once. A write that was told has taken it from the reading side, which would see a clean end, and
/// pass a broken answer for a whole one.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: Tcp,
    is_closing: bool,
    /// What a write was told of a loss. That of an upstream which had ended before is no loss, but a broken pipe.
    lost: Option<io::ErrorKind>,
}

// === impl UpstreamStream ===

impl UpstreamStream {
    pub(super) fn plain(socket: Socket) -> Self {
        Self(Layers::Plain(socket))
    }

    pub(super) fn tls(stream: TlsStream<Socket>) -> Self {
        Self(Layers::Tls(Box::new(stream)))
    }
}

/// Does the same with either kind.
macro_rules! with {
    ($stream:ident: $layers:expr => $act:expr) => {
        match &mut $layers {
            Layers::Plain($stream) => $act,
            Layers::Tls($stream) => $act,
        }
    };
}

impl AsyncRead for UpstreamStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with!(stream: self.0 => Pin::new(stream).poll_read(cx, into))
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with!(stream: self.0 => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(stream: self.0 => Pin::new(stream).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Layers::Plain(stream) => stream.is_write_vectored(),
            Layers::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(stream: self.0 => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Layers::Tls(stream) = &mut self.0 {
            stream.get_mut().0.is_closing = true;
        }
        with!(stream: self.0 => Pin::new(stream).poll_shutdown(cx))
    }
}

/// What hyper's own client wants to know: nothing besides the stream.
impl Connection for UpstreamStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// The socket, to see what it was told.
impl AsFd for UpstreamStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Layers::Plain(socket) => socket.tcp.get_ref().as_fd(),
            Layers::Tls(stream) => stream.get_ref().0.tcp.get_ref().as_fd(),
        }
    }
}

// === impl Socket ===

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp: tcp.into(), is_closing: false, lost: None }
    }

    /// The address at its other end: the proxy's, if there is one.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.tcp.get_ref().peer_addr().ok()
    }

    /// Nobody has to be woken: after a reset there is always something to read, if only the end.
    fn unless_gone<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = &written else { return written };
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.lost = Some(error.kind());
        }
        if is_gone(error.kind()) && !self.is_closing { Poll::Pending } else { written }
    }
}

fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, into);
        match self.lost {
            Some(loss) if matches!(read, Poll::Ready(Ok(()))) && into.filled().len() == before => {
                Poll::Ready(Err(loss.into()))
            }
            _ => read,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.unless_gone(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, parts);
        self.unless_gone(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    /// Closing must end, whatever became of the connection.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
