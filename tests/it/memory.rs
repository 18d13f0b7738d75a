//! Long bodies in little memory: whatever their length, and however slow the side that takes them. The memory is that of the
//! binary as it is shipped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use azure_emulator::{Door, Emulator};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::http2;
use crate::shipped::shipped;
use crate::world::{CHAT, Plan, World};

/// How many bodies are on their way at once.
const AT_ONCE: usize = 20;

/// What the whole process may ever have held, in KiB.
pub(crate) const MOST_MEMORY: u64 = 64 * 1024;

/// How a body goes.
#[derive(Clone, Copy, Debug)]
struct Way {
    direction: Direction,
    front: Front,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    Http1,
    Http2,
    /// All bodies over one connection.
    OneHttp2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunks,
}

/// How much, and how fast the side that takes it takes it.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// The length of each body, in bytes.
    length: u64,
    /// In bytes a second, each.
    rate: u64,
}

const WAYS: [Way; 8] = [
    Way { direction: Direction::Up, front: Front::Http1, framing: Framing::Length },
    Way { direction: Direction::Up, front: Front::Http1, framing: Framing::Chunks },
    Way { direction: Direction::Up, front: Front::Http2, framing: Framing::Length },
    Way { direction: Direction::Up, front: Front::OneHttp2, framing: Framing::Length },
    Way { direction: Direction::Down, front: Front::Http1, framing: Framing::Length },
    Way { direction: Direction::Down, front: Front::Http1, framing: Framing::Chunks },
    Way { direction: Direction::Down, front: Front::Http2, framing: Framing::Length },
    Way { direction: Direction::Down, front: Front::OneHttp2, framing: Framing::Length },
];

/// A body that is made as it is sent.
struct Long {
    left: u64,
    framing: Framing,
}

impl Body for Long {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = self.left.min(PIECE.len() as u64);
        self.left -= size;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE[..usize::try_from(size).unwrap()])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length => SizeHint::with_exact(self.left),
            Framing::Chunks => SizeHint::default(),
        }
    }
}

/// Takes a body at no more than this rate; says how much it was.
async fn take(mut body: Incoming, rate: u64) -> u64 {
    let began = Instant::now();
    let mut taken = 0;
    while let Some(frame) = body.frame().await {
        taken += frame.unwrap().into_data().map_or(0, |data| data.len() as u64);
        sleep_until(began + Duration::from_micros(taken * 1_000_000 / rate)).await;
    }
    taken
}

/// An upstream that takes what comes at its pace, tells how much it was, and gives what is asked for as fast as it can.
async fn upstream(listener: TcpListener, way: Way, load: Load) {
    let answer = move |request: Request<Incoming>| async move {
        let taken = take(request.into_body(), load.rate).await;
        let left = if way.direction == Direction::Down { load.length } else { 0 };
        let answer = Response::builder().header("x-taken", taken);
        Ok::<_, Infallible>(answer.body(Long { left, framing: way.framing }).unwrap())
    };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let serving = hyper::server::conn::http1::Builder::new();
        connections.spawn(serving.serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

/// One body through the gateway, whole.
async fn pass(world: Arc<World>, one: Option<SendRequest<Long>>, way: Way, load: Load) {
    let left = if way.direction == Direction::Up { load.length } else { 0 };
    let request = Request::post(format!("https://localhost{CHAT}"))
        .header("host", "localhost")
        .header("api-key", world.emulator.keys().openai)
        .body(Long { left, framing: way.framing })
        .unwrap();
    // The connection has to live until its answer is read.
    let (answer, _connection): (_, Box<dyn Send>) = match way.front {
        Front::Http1 => {
            let stream = TcpStream::connect(world.gateway.http).await.unwrap();
            let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let mut request = request;
            *request.uri_mut() = CHAT.parse().unwrap();
            (send.send_request(request).await.unwrap(), Box::new(send))
        }
        Front::Http2 | Front::OneHttp2 => {
            let mut send = match one {
                Some(send) => send,
                None => http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await,
            };
            (send.send_request(request).await.unwrap(), Box::new(send))
        }
    };
    assert_eq!(answer.status(), 200, "{way:?}");
    let taken = answer.headers()["x-taken"].to_str().unwrap().parse::<u64>().unwrap();
    let given = take(answer.into_body(), load.rate).await;
    assert_eq!(taken + given, load.length, "{way:?}");
}

/// Many bodies at once through a gateway of their own: the most memory that it ever had, in KiB.
#[expect(clippy::print_stdout, reason = "`make soak` is run for these numbers")]
async fn peak(way: Way, load: Load) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let here = move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &endpoint);
    let world = Arc::new(Plan { binary: shipped().await, settings: Box::new(here), ..Plan::default() }.start().await);
    let upstream = tokio::spawn(upstream(listener, way, load));
    let before = world.gateway.peak_memory();
    let one = match way.front {
        Front::OneHttp2 => Some(http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await),
        Front::Http1 | Front::Http2 => None,
    };
    let passing: JoinSet<()> = (0..AT_ONCE).map(|_| pass(world.clone(), one.clone(), way, load)).collect();
    passing.join_all().await;
    upstream.abort();
    let peak = world.gateway.peak_memory();
    println!("{way:?}, {AT_ONCE} at once, {load:?}: VmHWM {before} KiB before, {peak} KiB after");
    peak
}

/// Longer than what the system's buffers between can hold: a gateway that held all would be at ten times the bound.
#[tokio::test]
async fn long_bodies_are_not_held() {
    let load = Load { length: 30_000_000, rate: 10_000_000 };
    for way in WAYS {
        let peak = peak(way, load).await;
        assert!(peak <= MOST_MEMORY, "{way:?}: {peak} KiB");
    }
}

/// `make soak`: twenty times a gigabyte, each way; ten minutes and more.
#[tokio::test]
#[ignore = "takes ten minutes: make soak"]
async fn soak_a_gigabyte_is_not_held() {
    let load = Load { length: 1_000_000_000, rate: 10_000_000 };
    for way in WAYS {
        let peak = peak(way, load).await;
        assert!(peak <= MOST_MEMORY, "{way:?}: {peak} KiB");
    }
}
