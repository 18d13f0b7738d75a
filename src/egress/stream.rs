//! A connection to an upstream that may answer before it has read everything.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

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
/// what came of the connection, be it an answer or its end.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

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
            Layers::Plain(Socket(socket)) => socket.as_fd(),
            Layers::Tls(stream) => stream.get_ref().0.0.as_fd(),
        }
    }
}

// === impl Socket ===

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }
}

/// Nobody has to be woken: after a reset there is always something to read, if only the end.
fn unless_gone<T>(written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    match written {
        Poll::Ready(Err(error)) if is_gone(error.kind()) => Poll::Pending,
        written => written,
    }
}

fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        unless_gone(Pin::new(&mut self.0).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unless_gone(Pin::new(&mut self.0).poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Closing must end, whatever became of the connection.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
