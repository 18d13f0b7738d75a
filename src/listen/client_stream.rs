//! The stream of one client, with what hyper leaves to us: its timers, and over HTTP/1.1 its end.
//!
//! - A first byte, a head and the next request each have their time; a client that does not read has its own.
//! - A connection that is closed while its client still sends *lingers*: a socket closed with bytes unread is reset, the
//!   reset overtakes the answer, and a client that was refused in the middle of an upload sees a broken pipe.
//! - An answer that breaks off is delivered as far as it came, and then the connection is *reset*. hyper alone would
//!   drop what it has buffered, and give a client of HTTP/1.0 a clean end, which every SDK takes for a whole answer.
//! - What hyper itself answers to a head that it cannot read has no body: it is written in our own words.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::mishap::{Cause, Witness};
use super::own_words;
use super::socket::Socket;
use super::turn::{Stage, Turn};
use crate::patience::Patience;
use crate::settings::ClientTimeouts;

/// The stream of one client.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    io: S,
    turn: Turn,
    limits: ClientTimeouts,
    witness: Witness,
    /// What the client owes us, and the change of stage that it owes it since.
    patience: Patience,
    since: u32,
    /// The time that is left for it to take what we write.
    writing: Option<Timer>,
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
    /// Shut down for writing; what still comes is dropped.
    Lingering { idle: Timer, whole: Timer },
    /// Waiting until the peer has acknowledged everything.
    Resetting { look: Timer, pause: Duration, limit: Timer },
}

type Timer = Pin<Box<Sleep>>;

/// How long a client may be silent while its connection lingers.
const LINGER_IDLE: Duration = Duration::from_secs(5);

/// How long a connection lingers in all.
const LINGER_WHOLE: Duration = Duration::from_secs(30);

/// The first and the longest pause between two looks at what is still unsent: the system tells nobody.
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
        Self { io, turn, limits, witness, patience, since, writing, ending, own_words, _open: open }
    }

    /// Whether the client has had its time to send what is due.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let idle_since = self.turn.idle_since();
        let (limit, cause) = match self.turn.stage() {
            Stage::Answering => {
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

    /// Takes the outcome of a write, and ends a client's connection that has taken nothing for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self.limits.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                // What it did not take would wait in the system's memory for a long time yet.
                self.io.reset_on_close();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// hyper's own answer to a head that it could not read, which no service has seen.
    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        !self.turn.is_answer_due() && bytes.starts_with(b"HTTP/1.1 4")
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
            let limit = Box::pin(sleep(self.limits.write));
            self.ending = Ending::Resetting { look: Box::pin(sleep(pause)), pause, limit };
        }
        let Ending::Resetting { look, pause, limit } = &mut self.ending else { return Poll::Pending };
        while self.io.unsent() > 0 && limit.as_mut().poll(cx).is_pending() {
            ready!(look.as_mut().poll(cx));
            *pause = (*pause * 2).min(LOOK_AGAIN.1);
            look.as_mut().reset(Instant::now() + *pause);
        }
        self.io.reset_on_close();
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }

    /// Drops what the client still sends, until it closes or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut dropped = [0; 16 * 1024];
        loop {
            let mut dropped = ReadBuf::new(&mut dropped);
            let read = Pin::new(&mut self.io).poll_read(cx, &mut dropped);
            let Ending::Lingering { idle, whole } = &mut self.ending else { return Poll::Ready(Ok(())) };
            match read {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {
                    idle.as_mut().reset(Instant::now() + LINGER_IDLE);
                    if whole.is_elapsed() {
                        return Poll::Ready(Ok(()));
                    }
                }
                // It has closed, or is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let over = idle.as_mut().poll(cx).is_ready() || whole.as_mut().poll(cx).is_ready();
                    return if over { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
            }
        }
    }
}

impl<S: Socket> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, into);
        if read.is_pending() {
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
        if this.turn.is_broken() { this.poll_reset(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !matches!(this.ending, Ending::Lingering { .. }) {
            let shut = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.poll_stalled(cx, shut))?;
            if !this.turn.is_unread() {
                return Poll::Ready(Ok(()));
            }
            let (idle, whole) = (Box::pin(sleep(LINGER_IDLE)), Box::pin(sleep(LINGER_WHOLE)));
            this.ending = Ending::Lingering { idle, whole };
        }
        this.poll_linger(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use tokio::net::UnixStream;
    use tokio::time::advance;

    use super::*;
    use crate::listen::Entrance;

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Reads as hyper does, which looks at a stream when it is woken.
    fn read(stream: &mut ClientStream<UnixStream>, bell: &Arc<Bell>) -> Poll<io::Result<()>> {
        bell.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(bell.clone());
        let mut into = [0; 16];
        Pin::new(stream).poll_read(&mut Context::from_waker(&waker), &mut ReadBuf::new(&mut into))
    }

    /// How long a client is silent after an answer of so many seconds until its connection ends.
    async fn silence_after(answer: u64, first_byte: u64, keep_alive: u64) -> Duration {
        let seconds = Duration::from_secs;
        let (first_byte, keep_alive) = (seconds(first_byte), seconds(keep_alive));
        let limits = ClientTimeouts { first_byte, head: seconds(15), keep_alive, write: seconds(60) };
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let turn = Turn::default();
        let witness = Witness::new(None, Entrance { listener: "unix", tls: None }, Arc::new(|_| ()));
        let (open, _) = oneshot::channel();
        let mut stream = ClientStream::new(ours, turn.clone(), limits, witness, open);
        let bell = Arc::<Bell>::default();
        assert!(read(&mut stream, &bell).is_pending());
        turn.enter(Stage::Answering);
        assert!(read(&mut stream, &bell).is_pending());
        for _ in 0..answer {
            advance(seconds(1)).await;
            if bell.0.load(Ordering::Relaxed) {
                assert!(read(&mut stream, &bell).is_pending(), "we are the ones who are due");
            }
        }
        turn.enter(Stage::Waiting);
        let since = Instant::now();
        while !bell.0.load(Ordering::Relaxed) || read(&mut stream, &bell).is_pending() {
            advance(Duration::from_millis(100)).await;
        }
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_end_of_an_answer_whatever_the_timer_was_set_for() {
        let mut wrong = Vec::new();
        for answer in [0, 1, 7, 100, 1000] {
            for (first_byte, keep_alive) in [(10, 180), (180, 10), (10, 10)] {
                let silence = silence_after(answer, first_byte, keep_alive).await.as_secs_f64();
                // The clock of timers has milliseconds, and this test looks ten times a second.
                if !(0.0..0.3).contains(&(silence - keep_alive as f64)) {
                    wrong.push((answer, first_byte, keep_alive, silence));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
