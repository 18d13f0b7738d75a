//! Streams over one connection of HTTP/2: each has its own end, its own client's patience, and its own key.

use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use bytes::Bytes;
use futures_util::FutureExt;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use crate::client::{handshake, secure};
use crate::gateway::LIMIT;
use crate::upstream::{Then, Upstream};
use crate::wire::with_timeouts;
use crate::world::{CHAT, Plan, World, saying};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

/// What a client may be sent of a stream before it makes room, where a test wants it to be little, in bytes.
const NARROW: u32 = 4096;

/// What a client is told to whom there is too much of a head.
const TOO_LARGE: &str = "{\"error\":{\"code\":\"RequestHeaderFieldsTooLarge\",\"message\":\"The head of the request is too \
                         large: 64 KiB and 200 fields are the limit.\",\"type\":\"invalid_request_error\",\"param\":null}}";

/// A client's connection, whose streams it makes room for by hand.
struct Streams {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Streams {
    async fn open(world: &World) -> Self {
        Self::with_window(world, 1024 * 1024).await
    }

    /// Each stream has this much room at first.
    async fn with_window(world: &World, window: u32) -> Self {
        let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
        let mut builder = Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(16 * 1024 * 1024);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        Self { send, connection: tokio::spawn(connection) }
    }

    /// Sends a request without a body, and waits for the head of its answer.
    async fn ask(&mut self, request: http::request::Builder) -> Response<RecvStream> {
        let send = self.send.clone().ready().await.unwrap();
        self.send = send;
        let (answer, _) = self.send.send_request(request.body(()).unwrap(), true).unwrap();
        tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap()
    }

    /// Waits until the connection has ended; says how.
    async fn ended(self) -> Result<(), h2::Error> {
        let Self { send, connection } = self;
        let end = tokio::time::timeout(LIMIT, connection).await.expect("it stays open").unwrap();
        drop(send);
        end
    }
}

fn models(world: &World) -> http::request::Builder {
    keyless().header("api-key", world.emulator.keys().openai)
}

fn chat(world: &World) -> http::request::Builder {
    Request::post(format!("https://localhost{CHAT}")).header("api-key", world.emulator.keys().openai)
}

/// What is refused, if its connection lives.
fn keyless() -> http::request::Builder {
    Request::get(format!("https://localhost{MODELS}"))
}

/// Reads to the end, and makes room for what has come; how much came, and the reset if that was the end.
async fn read(mut body: RecvStream) -> (usize, Option<Reason>) {
    let reading = async {
        let mut length = 0;
        while let Some(piece) = body.data().await {
            match piece {
                Ok(piece) => {
                    length += piece.len();
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
                Err(error) => return (length, error.reason()),
            }
        }
        (length, None)
    };
    tokio::time::timeout(LIMIT, reading).await.expect("an end")
}

/// Reads to the end, and never makes room for more.
async fn read_what_fits(body: &mut RecvStream) -> (usize, Option<Reason>) {
    let mut length = 0;
    loop {
        match tokio::time::timeout(LIMIT, body.data()).await.expect("an end") {
            Some(Ok(piece)) => length += piece.len(),
            Some(Err(error)) => return (length, error.reason()),
            None => return (length, None),
        }
    }
}

/// The head of an answer in chunks, and these; but no end.
fn endless(chunks: &[usize]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for size in chunks {
        answer.extend(format!("{size:x}\r\n{}\r\n", "x".repeat(*size)).bytes());
    }
    answer
}

/// An answer of this length.
fn measured(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length)).into_bytes()
}

/// All that came before the break arrives, however little room its client has for it, and then the reset.
#[tokio::test]
async fn what_came_before_a_break_arrives_through_any_window() {
    for chunks in [vec![25_000; 8], vec![200_000], vec![100, 100_000], vec![]] {
        let upstream = Upstream::answering_in_turn(&[(&endless(&chunks), Then::Close)]).await;
        let world = upstream.plan().start().await;
        let mut streams = Streams::with_window(&world, NARROW).await;
        let answer = streams.ask(chat(&world)).await;
        assert_eq!(answer.status(), 200);
        // Its end is known before any room is made.
        upstream.connections_ended(1).await;
        let (length, end) = read(answer.into_body()).await;
        assert_eq!((length, end), (chunks.iter().sum(), Some(Reason::INTERNAL_ERROR)), "{chunks:?}");
        // The connection lives.
        assert_eq!(streams.ask(keyless()).await.status(), 401);
    }
}

/// The same where the window is wide and the socket is what is full.
#[tokio::test]
async fn what_came_before_a_break_arrives_at_a_client_that_is_slow_to_read() {
    let chunks = vec![1_000_000; 12];
    let upstream = Upstream::answering_in_turn(&[(&endless(&chunks), Then::Close)]).await;
    let world = upstream.plan().start().await;
    let (answer, connection) = chat_reading_little(&world).await;
    let reading = tokio::spawn(connection);
    assert_eq!(read(answer.into_body()).await, (12_000_000, Some(Reason::INTERNAL_ERROR)));
    drop(reading);
}

/// The head of an answer, at a client whose streams have all the room that there is, and whose socket has little; and its
/// connection, of which nothing more is read.
async fn chat_reading_little(world: &World) -> (Response<RecvStream>, Connection<TlsStream<TcpStream>, Bytes>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let stream = socket.connect(world.gateway.https.unwrap()).await.unwrap();
    let stream = handshake(stream, world.emulator.ca_pem(), b"h2").await.unwrap();
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    let (mut send, mut connection) = builder.handshake(stream).await.unwrap();
    let (answer, _) = send.send_request(chat(world).body(()).unwrap(), true).unwrap();
    let answer = tokio::select! {
        answer = answer => answer.unwrap(),
        _ = &mut connection => panic!("the connection ended"),
    };
    (answer, connection)
}

/// A client that answers every PING may still take nothing of an answer: that stream alone ends, and its upstream's
/// connection with it. One that waits for the upstream may wait.
#[tokio::test]
async fn a_stream_whose_client_makes_no_room_is_let_go_alone() {
    for room in [NARROW, 0] {
        let upstream =
            Upstream::answering_in_turn(&[(&endless(&[3]), Then::Stay), (&measured(1_000_000), Then::Stay)]).await;
        let world = upstream.plan_with("127.0.0.1", "[timeouts]\nwrite = \"300ms\"\n").start().await;
        let mut quiet = Streams::open(&world).await;
        let mut waiting = quiet.ask(chat(&world)).await.into_body();
        assert_eq!(waiting.data().await.unwrap().unwrap(), "xxx");

        let mut streams = Streams::with_window(&world, room).await;
        let mut stuck = streams.ask(chat(&world)).await.into_body();
        assert_eq!(read_what_fits(&mut stuck).await, (room as usize, Some(Reason::INTERNAL_ERROR)));
        upstream.connections_ended(1).await;
        let line = world.gateway.told(|_| true).await;
        assert_eq!((line["outcome"].as_str(), line["status"].as_u64()), (Some("client-gone"), Some(200)), "{line}");
        // It has waited for longer.
        assert!(waiting.data().now_or_never().is_none());
        assert_eq!(streams.ask(keyless()).await.status(), 401);
    }
}

/// A client that takes a little now and then is slow, and not gone.
#[tokio::test]
async fn a_client_that_takes_a_little_in_time_gets_all() {
    let upstream = Upstream::answering(&measured(40_000)).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nwrite = \"2s\"\n").start().await;
    let mut streams = Streams::with_window(&world, NARROW).await;
    let mut body = streams.ask(chat(&world)).await.into_body();
    let mut length = 0;
    // Longer in all than a client may take nothing.
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        length += piece.len();
        tokio::time::sleep(Duration::from_millis(350)).await;
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(length, 40_000);
}

/// A key that is revoked at once cuts off what its client does not take, too.
#[tokio::test]
async fn a_cut_reaches_a_stream_whose_client_makes_no_room() {
    let upstream = Upstream::answering(&measured(1_000_000)).await;
    let world = upstream.plan().start().await;
    let mut streams = Streams::with_window(&world, NARROW).await;
    let mut stuck = streams.ask(chat(&world)).await.into_body();
    world.change("keys.toml", |keys| keys.replacen("\" }]", "\", revoked = true, cut = true }]", 1));
    assert_eq!(read_what_fits(&mut stuck).await, (NARROW as usize, Some(Reason::INTERNAL_ERROR)));
    upstream.connections_ended(1).await;
    assert_eq!(world.gateway.told(|_| true).await["outcome"], "revoked");
}

/// The next piece of an answer is always there for a client that is slower than the upstream: the cut comes first.
#[tokio::test]
async fn a_cut_does_not_wait_for_a_slow_client_to_have_all() {
    let length = 60_000_000;
    let upstream = Upstream::answering(&measured(length)).await;
    let world = upstream.plan().start().await;
    let (answer, connection) = chat_reading_little(&world).await;
    world.change("keys.toml", |keys| keys.replacen("\" }]", "\", revoked = true, cut = true }]", 1));
    world.gateway.logged(|line| line["message"] == "what ran with these keys was cut").await;
    let reading = tokio::spawn(connection);
    let (came, end) = read(answer.into_body()).await;
    assert!(came < length && end.is_some(), "{came} {end:?}");
    assert_eq!(world.gateway.told(|_| true).await["outcome"], "revoked");
    drop(reading);
}

/// A connection without a stream ends as one of HTTP/1.1 does, and says so; one with a stream lives.
#[tokio::test]
async fn a_connection_without_a_stream_is_asked_to_leave() {
    let upstream = Upstream::answering(&endless(&[3])).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nkeep_alive = \"300ms\"\n").start().await;
    let mut busy = Streams::open(&world).await;
    let mut waiting = busy.ask(chat(&world)).await.into_body();
    assert_eq!(waiting.data().await.unwrap().unwrap(), "xxx");

    let mut idle = Streams::open(&world).await;
    let refused = idle.ask(keyless()).await;
    assert_eq!(refused.status(), 401);
    assert!(read(refused.into_body()).await.1.is_none());
    let end = idle.ended().await;
    assert!(
        end.as_ref().map_or_else(|error| error.is_io() || error.reason() == Some(Reason::NO_ERROR), |()| true),
        "{end:?}"
    );

    // It has been open for longer.
    assert!(!busy.connection.is_finished() && waiting.data().now_or_never().is_none());
    drop(waiting);
    drop(busy.ended().await);
}

/// Nor is one kept by a head that has begun and never ends.
#[tokio::test]
async fn half_a_head_keeps_no_connection() {
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let world = with_timeouts("keep_alive = \"300ms\"\nhead = \"300ms\"").start().await;
    let mut stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
    // GET, https, localhost and /.
    let head = [&[0x82, 0x87, 0x84, 0x41, 9], &b"localhost"[..]].concat();
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &head),
        frame(HEADERS, END_STREAM, 3, &head),
    ];
    stream.write_all(&bytes.concat()).await.unwrap();
    let mut came = Vec::new();
    // It says nothing to our GOAWAY, either; nor to a PING, which would end it twice as late.
    drop(tokio::time::timeout(LIMIT / 2, stream.read_to_end(&mut came)).await.expect("it stays open"));
    assert_eq!(world.gateway.told(|_| true).await["status"], 404, "the first request had its answer");
}

/// A client that asks whether to go on gets no word over HTTP/2; when it goes on without one, it is served as any.
#[tokio::test]
async fn a_client_that_does_not_wait_to_be_told_to_go_on_is_served() {
    let world = World::start().await;
    let mut streams = Streams::open(&world).await;
    let request = chat(&world).header("expect", "100-continue").header("content-type", "application/json");
    let (answer, mut body) = streams.send.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(saying("go on").to_string().into(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let arrived = world.only_arrival();
    assert!(arrived.body_whole && arrived.header("expect").is_none(), "{arrived:?}");
}

/// A client that gives up a request before its answer takes the upstream's along.
#[tokio::test]
async fn a_reset_before_the_answer_ends_the_request_upstream() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let mut streams = Streams::open(&world).await;
    let (answer, mut sent) = streams.send.send_request(models(&world).body(()).unwrap(), true).unwrap();
    let journal = world.emulator.journal();
    journal.wait_for(|entry| entry.target == MODELS, LIMIT).await.unwrap();
    sent.send_reset(Reason::CANCEL);
    assert!(journal.wait_for(|entry| entry.target == MODELS && entry.cancelled, LIMIT).await.is_some());
    assert!(answer.await.is_err());
    assert_eq!(world.gateway.told(|_| true).await["outcome"], "client-gone");
    assert_eq!(streams.ask(models(&world)).await.status(), 200);
}

/// A stream that runs when its connection is asked to leave ends whole.
#[tokio::test]
async fn a_stream_outlives_the_asking_to_leave() {
    let options = Options { stream_pause: Duration::from_millis(150), ..Options::default() };
    let mut world = Plan { options, ..Plan::default() }.start().await;
    let mut streams = Streams::open(&world).await;
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let (answer, mut body) = streams.send.send_request(chat(&world).body(()).unwrap(), false).unwrap();
    body.send_data(streamed.to_string().into(), true).unwrap();
    let mut answer = answer.await.unwrap().into_body();
    let mut text = answer.data().await.unwrap().unwrap().to_vec();
    world.gateway.signal("TERM");
    world.gateway.logged(|line| line["message"] == "stopping").await;
    while let Some(piece) = answer.data().await {
        text.extend(piece.unwrap());
    }
    assert!(text.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&text));
    drop(streams.ended().await);
    assert!(world.gateway.ended().await.success());
}

/// The bounds of a head are the same to the byte and the field as over HTTP/1.1.
#[tokio::test]
async fn a_head_has_its_bounds_to_the_byte_and_the_field() {
    let world = World::start().await;
    let mut streams = Streams::open(&world).await;
    let key = world.emulator.keys().openai;
    // Target, and names and values of all fields, count.
    let used = MODELS.len() + "api-key".len() + key.len();
    for (more, fields, status) in [(0, 16, 200), (1, 16, 431), (0, 200, 200), (0, 201, 431)] {
        // No field is larger than what hpack packs at once, and none is alike.
        let count = fields - 1;
        let left = 64 * 1024 + more - used;
        let mut request = models(&world);
        for n in 0..count {
            let name = format!("x-{n:04}");
            let value = left / count - name.len() + if n == 0 { left % count } else { 0 };
            request = request.header(name, "v".repeat(value));
        }
        let answer = streams.ask(request).await;
        assert_eq!(answer.status(), status, "{more} more, {fields} fields");
        let mut body = answer.into_body();
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            text.extend(piece.unwrap());
        }
        if status == 431 {
            assert_eq!(String::from_utf8(text).unwrap(), TOO_LARGE);
        }
    }
}

/// A client that does not even read its socket holds its connection as long as it may, and no longer.
#[tokio::test]
async fn a_client_that_reads_nothing_at_all_is_let_go() {
    let upstream = Upstream::answering(&measured(60_000_000)).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nwrite = \"300ms\"\n").start().await;
    let (answer, connection) = chat_reading_little(&world).await;
    upstream.connections_ended(1).await;
    assert_eq!(world.gateway.told(|_| true).await["outcome"], "client-gone");
    let reading = tokio::spawn(connection);
    let (came, end) = read(answer.into_body()).await;
    assert!(came < 60_000_000, "{came} {end:?}");
    drop(reading);
}
