//! The stream of one client, with what hyper leaves to us: its timers, and over HTTP/1.1 its end.
//!
//! - A first byte, a head and the next request each have their time; a client that does not read has its own.
//! - A connection that is closed while its client still sends *lingers*: a socket closed with bytes unread is reset, the
//!   reset overtakes the answer, and a client that was refused in the middle of an upload sees a broken pipe.
//! - An answer that breaks off is delivered as far as it came, and then the connection is *reset*. hyper alone would
//!   drop what it has buffered, and give a client of HTTP/1.0 a clean end, which every SDK takes for a whole answer. One
//!   that we ourselves cut off, since the process ends, is reset at once.
//! - A client that goes in the middle is gone at once, also where hyper has something left of what it sent, and so does
//!   not look.
//! - What hyper itself answers to a head that it cannot read has no body: it is written in our own words.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use super::mishap::{Cause, Witness};
use super::own_words;
use super::socket::Socket;
use super::taking::Taking;
use super::turn::{Stage, Turn};
use crate::patience::Patience;
use crate::settings::ClientTimeouts;

/// The stream of one client.
#[derive(Debug)]
pub(super) struct ClientStream<S: Socket> {
    io: S,
    turn: Turn,
    limits: ClientTimeouts,
    witness: Witness,
    /// What the client owes us, and the change of stage that it owes it since.
    patience: Patience,
    since: u32,
    /// Whether hyper has used up what was read, and waits for more.
    waits: bool,
    /// What was read while hyper did not ask, for the next time that it does.
    ahead: BytesMut,
    /// There while it does not take what we write.
    writing: Option<Taking>,
    ending: Ending,
    /// Our words in place of hyper's.
    own_words: Option<Bytes>,
    /// Dropped with the stream, whoever has it then: that tells of its end.
    _open: oneshot::Sender<Infallible>,
}

/// How the end of the connection goes.
#[derive(Debug, Default)]
enum Ending {
    #[default]
    None,
    /// Shut down for writing; what still comes is dropped, until it stays out for too long, or this moment.
    Lingering { idle: Pin<Box<Sleep>>, latest: Instant },
    /// Waiting until the peer has acknowledged everything.
    Resetting { taking: Taking, pause: Duration },
    /// Shut down.
    Shut,
}

/// How long a client may be silent while its connection lingers.
const LINGER_IDLE: Duration = Duration::from_secs(5);

/// How long a connection lingers in all.
const LINGER_WHOLE: Duration = Duration::from_secs(30);

/// How much is read, at most, while hyper does not ask, in bytes: a request or two.
const AHEAD: usize = 4 * 1024;

/// How often in its time a client that takes nothing is looked at: it is let go an eighth too late at most.
const LOOKS: u32 = 8;

/// The first and the longest pause between two looks at what is still unsent when only that is waited for.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

impl<S: Socket> ClientStream<S> {
    /// The end of the stream is the end of `open`.
    pub(super) fn new(
        io: S,
        turn: Turn,
        limits: ClientTimeouts,
        witness: Witness,
        open: oneshot::Sender<Infallible>,
    ) -> Self {
        let (patience, since) = (Patience::begin(), turn.changes());
        let (writing, ending, own_words) = (None, Ending::None, None);
        let (waits, ahead) = (false, BytesMut::new());
        Self { io, turn, limits, witness, patience, since, waits, ahead, writing, ending, own_words, _open: open }
    }

    /// Whether the client has had its time to send what is due.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let idle_since = self.turn.idle_since();
        let (limit, cause) = match self.turn.stage() {
            Stage::Answering | Stage::Open => {
                // hyper does not look at a silent stream again of its own when an answer has ended.
                self.patience.rest(self.limits.keep_alive, cx);
                return false;
            }
            Stage::Waiting if idle_since.is_none() => (self.limits.first_byte, Some(Cause::Silent)),
            // Nobody owes us a next request.
            Stage::Waiting => (self.limits.keep_alive, None),
            Stage::Head => (self.limits.head, Some(Cause::SlowHead)),
        };
        let changes = self.turn.changes();
        if self.since != changes {
            self.since = changes;
            // That an answer has ended may be seen here long after; a head is seen as it begins.
            let waiting = idle_since.filter(|_| self.turn.stage() == Stage::Waiting);
            self.patience.restart_at(waiting.unwrap_or_else(Instant::now));
        }
        let overdue = self.patience.poll_end(limit, cx).is_ready();
        if let Some(cause) = cause.filter(|_| overdue) {
            self.witness.ended(cause);
        }
        overdue
    }

    /// Looks whether the client has gone, in place of hyper: that does not read while it has something left of the last
    /// read, which may be a request on the heels of this one, or an empty line.
    fn poll_presence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut piece = [0; AHEAD];
        while self.ahead.len() < AHEAD {
            let mut into = ReadBuf::new(piece.get_mut(self.ahead.len()..).unwrap_or_default());
            match Pin::new(&mut self.io).poll_read(cx, &mut into)? {
                Poll::Ready(()) if into.filled().is_empty() => return Err(io::ErrorKind::ConnectionAborted.into()),
                Poll::Ready(()) => self.ahead.extend_from_slice(into.filled()),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Takes the outcome of a write, and ends a client's connection that has taken nothing for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self.limits.write;
        let pause = limit / LOOKS;
        let taking = self.writing.get_or_insert_with(|| Taking::after(pause));
        while taking.poll_look(cx).is_ready() {
            if taking.silence(self.io.unsent()) >= limit {
                // What it did not take would wait in the system's memory for a long time yet.
                self.io.reset_on_close();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            taking.look_after(pause);
        }
        Poll::Pending
    }

    /// hyper's own answer to a head that it could not read, which no service has seen.
    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        // In the version of the request before.
        let is_answer = bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.0 4");
        is_answer && !self.turn.is_answer_due()
    }

    /// Writes our words in place of hyper's; done when all of them are written.
    fn poll_own_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(words) = self.own_words.as_mut().filter(|words| words.has_remaining()) {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, words))?;
            words.advance(written);
        }
        self.own_words = None;
        Poll::Ready(Ok(()))
    }

    /// Everything has been written: waits until it has arrived, then makes the close a reset.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.ending, Ending::Resetting { .. }) {
            let (pause, _) = LOOK_AGAIN;
            self.ending = Ending::Resetting { taking: Taking::after(pause), pause };
        }
        let Ending::Resetting { taking, pause } = &mut self.ending else { return Poll::Pending };
        loop {
            let unsent = self.io.unsent();
            if unsent == 0 || taking.silence(unsent) >= self.limits.write {
                break;
            }
            ready!(taking.poll_look(cx));
            *pause = (*pause * 2).min(LOOK_AGAIN.1);
            taking.look_after(*pause);
        }
        self.io.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    /// Drops what the client still sends, until it closes or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut dropped = [0; 16 * 1024];
        loop {
            let mut dropped = ReadBuf::new(&mut dropped);
            let read = Pin::new(&mut self.io).poll_read(cx, &mut dropped);
            let Ending::Lingering { idle, latest } = &mut self.ending else { return Poll::Ready(()) };
            match read {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= *latest {
                        return Poll::Ready(());
                    }
                    idle.as_mut().reset((now + LINGER_IDLE).min(*latest));
                }
                // It has closed, or is gone.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return idle.as_mut().poll(cx),
            }
        }
    }
}

/// Whoever drops the stream in the middle of an answer has cut it off.
impl<S: Socket> Drop for ClientStream<S> {
    fn drop(&mut self) {
        let has_ended = matches!(self.ending, Ending::Lingering { .. } | Ending::Shut);
        if self.turn.is_unfinished() && !has_ended {
            self.io.reset_on_close();
        }
    }
}

impl<S: Socket> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let read = if this.ahead.is_empty() {
            Pin::new(&mut this.io).poll_read(cx, into)
        } else {
            into.put_slice(&this.ahead.split_to(this.ahead.len().min(into.remaining())));
            Poll::Ready(Ok(()))
        };
        let waited = std::mem::replace(&mut this.waits, read.is_pending());
        if read.is_pending() {
            // hyper did not ask for more while it answered: what it has left of the last read begins the next head.
            if !waited && this.turn.stage() == Stage::Waiting && this.turn.idle_since().is_some() {
                this.turn.enter(Stage::Head);
            }
            // To hyper, a client that is overdue has gone.
            return if this.poll_overdue(cx) { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        if into.filled().len() > before && this.turn.stage() == Stage::Waiting {
            this.turn.enter(Stage::Head);
        }
        read
    }
}

impl<S: Socket> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        if this.own_words.is_none() && this.is_hypers_own(first) {
            let (what, words) = own_words::instead_of(first);
            this.witness.tell(what);
            this.own_words = Some(words);
            // What stands behind such a head nobody reads.
            this.turn.set_unread();
        }
        if this.own_words.is_some() {
            let written = this.poll_own_words(cx);
            ready!(this.poll_stalled(cx, written))?;
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.poll_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper asks for this when its own buffer is empty: so when an answer has broken off, this is its end.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        ready!(this.poll_stalled(cx, flushed))?;
        this.turn.set_written();
        if this.turn.is_broken() {
            return this.poll_reset(cx);
        }
        Poll::Ready(if this.turn.is_received() && !this.waits { this.poll_presence(cx) } else { Ok(()) })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !matches!(this.ending, Ending::Lingering { .. }) {
            let shut = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.poll_stalled(cx, shut))?;
            if !this.turn.is_unread() {
                this.ending = Ending::Shut;
                return Poll::Ready(Ok(()));
            }
            let now = Instant::now();
            let idle = Box::pin(sleep_until(now + LINGER_IDLE));
            this.ending = Ending::Lingering { idle, latest: now + LINGER_WHOLE };
        }
        this.poll_linger(cx).map(Ok)
    }
}
