//! A connection to an upstream that may answer before it has read everything.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The stream of one connection, below TLS.
///
/// An upstream that refuses an upload in its middle closes on what is still coming, and the next write fails. hyper
/// would give up there, although the answer has arrived: so a write that fails is never done, and the reading side says
/// what came of the connection, be it an answer or its end.
#[derive(Debug)]
pub struct UpstreamStream(TokioIo<TcpStream>);

impl UpstreamStream {
    pub(super) fn new(stream: TokioIo<TcpStream>) -> Self {
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

impl Read for UpstreamStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl Write for UpstreamStream {
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

impl Connection for UpstreamStream {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

/// The socket, to see what it was told.
impl AsFd for UpstreamStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.inner().as_fd()
    }
}
