//! Closing on a client that is still sending, so that it gets its answer.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset overtakes the answer: a client that
//! was refused in the middle of an upload would see a broken pipe and try again. So the writing half is closed alone,
//! and what still comes is read and dropped, until the client has closed too or had its time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::request_body::Unread;

/// A stream that lingers when it is shut down, if a request was not read to its end.
#[derive(Debug)]
pub(super) struct Lingering<I> {
    io: I,
    unread: Unread,
    linger: Option<Linger>,
}

/// The time that the client still has.
#[derive(Debug)]
struct Linger {
    idle: Pin<Box<Sleep>>,
    whole: Pin<Box<Sleep>>,
}

/// How long the client may be silent.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// How long it may take in all.
const WHOLE_LIMIT: Duration = Duration::from_secs(30);

impl<I> Lingering<I> {
    pub(super) fn new(io: I, unread: Unread) -> Self {
        Self { io, unread, linger: None }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<I> {
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            if !this.unread.is_so() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this
            .linger
            .get_or_insert_with(|| Linger { idle: Box::pin(sleep(IDLE_LIMIT)), whole: Box::pin(sleep(WHOLE_LIMIT)) });
        let mut dropped = [0; 16 * 1024];
        loop {
            let mut dropped = ReadBuf::new(&mut dropped);
            match Pin::new(&mut this.io).poll_read(cx, &mut dropped) {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {
                    linger.idle.as_mut().reset(Instant::now() + IDLE_LIMIT);
                }
                // The client has closed, or is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        let over = linger.idle.as_mut().poll(cx).is_ready() || linger.whole.as_mut().poll(cx).is_ready();
        if over { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Lingering<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}
