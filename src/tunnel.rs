//! Two connections that carry each other's bytes, whatever they mean, until both have ended.
//!
//! Nothing is parsed: frames, extensions, pings and close codes are between client and upstream. Each way has one buffer,
//! and reads no further before all of it was taken: whoever reads slowly slows the other side, and grows nothing here.
//!
//! An end of one side is an end for the other, which may still say what it has to say; a loss ends the other, after
//! everything that came before it. A client is told of a loss by an end without a word, not by a reset: a websocket has
//! its own word for an end, which passes here as bytes, so that without it a client knows of the loss; and one that
//! writes into a reset, a pong for one, never reads what came before. TLS that ends without a word counts as an end, too:
//! many peers never say it.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until, timeout};

use crate::listen::ClientBytes;

/// How many bytes went through, while they do.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides ended, in whichever order, or the upstream did, and the client had nothing more to say or nobody to hear
    /// it.
    Complete,
    /// The client's connection was lost, or it ended and the upstream had nothing more to say.
    ClientGone,
    /// The upstream's connection was lost.
    UpstreamBroke,
    /// Neither side said anything for too long.
    Idle,
}

/// Whose connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Client,
    Upstream,
}

/// When something last went through.
#[derive(Debug)]
struct Pulse {
    begun: Instant,
    /// In milliseconds after the beginning.
    last: AtomicU64,
}

/// How much one way holds, in bytes: as much as a record of TLS.
const BUFFER: usize = 16 * 1024;

/// How long one side may be silent when the other has ended: nothing is due then but the answer to a close. As long, in
/// all, the last words of a client that was lost have to reach the upstream.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Carries bytes both ways until both sides have ended, one was lost, or nothing was said for `idle`. The upstream's
/// connection has ended then; the client's is given back, to be closed, unless it has gone.
pub(crate) async fn carry<U>(
    client: ClientBytes,
    upstream: U,
    idle: Duration,
    traffic: &Traffic,
) -> (End, Option<ClientBytes>)
where
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = split(client);
    let (mut from_upstream, mut to_upstream) = split(upstream);
    let pulse = Pulse::new();
    let end = {
        let up = one_way(&mut from_client, &mut to_upstream, (Lost::Client, Lost::Upstream), &pulse, &traffic.received);
        let down = one_way(&mut from_upstream, &mut to_client, (Lost::Upstream, Lost::Client), &pulse, &traffic.sent);
        let (mut up, mut down) = (pin!(up), pin!(down));
        let last_words = idle.min(LAST_WORDS);
        tokio::select! {
            ended = &mut up => match ended {
                Ok(()) => tokio::select! {
                    ended = &mut down => End::of(ended),
                    () = pulse.silence(last_words) => End::ClientGone,
                },
                Err(Lost::Client) => End::ClientGone,
                // The upstream takes nothing any more, and what it said before may still be on its way.
                Err(Lost::Upstream) => tokio::select! {
                    ended = &mut down => End::of(ended),
                    () = pulse.silence(idle) => End::UpstreamBroke,
                },
            },
            ended = &mut down => match ended {
                // An upstream that has ended may be gone altogether, and is not lost.
                Ok(()) => tokio::select! {
                    ended = &mut up => if ended == Err(Lost::Client) { End::ClientGone } else { End::Complete },
                    () = pulse.silence(last_words) => End::Complete,
                },
                Err(Lost::Upstream) => End::UpstreamBroke,
                // What the client said before may still be on its way, too; one that only takes nothing might go on.
                Err(Lost::Client) => {
                    drop(timeout(last_words, &mut up).await);
                    End::ClientGone
                }
            },
            () = pulse.silence(idle) => End::Idle,
        }
    };
    (end, (end != End::ClientGone).then(|| from_client.unsplit(to_client)))
}

/// One of the two ways, to its end. `sides` are those from which and to which it leads.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    sides: (Lost, Lost),
    pulse: &Pulse,
    count: &AtomicU64,
) -> Result<(), Lost> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = read(&mut from, &mut buffer).await.map_err(|_| sides.0)?;
        pulse.beat();
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        to.write_all(bytes).await.map_err(|_| sides.1)?;
        to.flush().await.map_err(|_| sides.1)?;
        pulse.beat();
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
    to.shutdown().await.map_err(|_| sides.1)
}

/// Reads some bytes; none at the end.
async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<usize> {
    match from.read(buffer).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

// === impl Traffic ===

impl Traffic {
    /// From the client, in bytes.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// To the client, in bytes.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

// === impl End ===

impl End {
    /// The end of the way from the upstream, after that of the other.
    fn of(ended: Result<(), Lost>) -> Self {
        match ended {
            Ok(()) => Self::Complete,
            Err(Lost::Client) => Self::ClientGone,
            Err(Lost::Upstream) => Self::UpstreamBroke,
        }
    }
}

// === impl Pulse ===

impl Pulse {
    fn new() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0) }
    }

    fn beat(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Waits until there was no beat for so long. The timer is not reset with each beat: when it rings it sees how long
    /// the silence really is.
    async fn silence(&self, limit: Duration) {
        loop {
            let due = self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= due {
                return;
            }
            sleep_until(due).await;
        }
    }
}
