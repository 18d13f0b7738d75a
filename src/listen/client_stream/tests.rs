//! The timers of a client's stream, on a clock of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{advance, sleep};

use super::*;
use crate::listen::Entrance;
use crate::settings::Timeouts;

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

fn stream(turn: &Turn, limits: ClientTimeouts) -> (ClientStream<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let witness = Witness::new(None, Entrance { listener: "unix", tls: None }, Arc::new(|_| ()));
    let (open, _) = oneshot::channel();
    (ClientStream::new(ours, turn.clone(), limits, witness, open), theirs)
}

/// How long a client is silent after an answer of so many seconds until its connection ends.
async fn silence_after(answer: u64, first_byte: u64, keep_alive: u64) -> Duration {
    let seconds = Duration::from_secs;
    let (first_byte, keep_alive) = (seconds(first_byte), seconds(keep_alive));
    let limits = ClientTimeouts { first_byte, head: seconds(15), keep_alive, write: seconds(60) };
    let turn = Turn::default();
    let (mut stream, _theirs) = stream(&turn, limits);
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

/// How long a connection lingers whose client sends something after each of these pauses, and then closes.
async fn lingering(pauses: Vec<Duration>) -> f64 {
    let turn = Turn::default();
    turn.set_unread();
    let (mut stream, mut theirs) = stream(&turn, Timeouts::DEFAULT.client);
    let client = async move {
        for pause in pauses {
            sleep(pause).await;
            if theirs.write_all(b"more").await.is_err() {
                break;
            }
        }
    };
    tokio::spawn(client);
    let since = Instant::now();
    stream.shutdown().await.unwrap();
    since.elapsed().as_secs_f64().round()
}

#[tokio::test(start_paused = true)]
async fn a_connection_lingers_for_five_seconds_of_silence_and_thirty_in_all() {
    let seconds = Duration::from_secs;
    assert_eq!(lingering(vec![]).await, 0.0, "it closes at once");
    assert_eq!(lingering(vec![seconds(3); 4]).await, 12.0, "it closes in the end");
    assert_eq!(lingering(vec![seconds(100)]).await, 5.0, "it is silent");
    assert_eq!(lingering(vec![seconds(3), seconds(4), seconds(100)]).await, 12.0, "it falls silent");
    assert_eq!(lingering(vec![seconds(1); 100]).await, 30.0, "it goes on");
    assert_eq!(lingering(vec![Duration::from_millis(1); 100_000]).await, 30.0, "it goes on and on");
}
