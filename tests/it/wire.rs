//! What happens when somebody is slow, silent, or gone in the middle.

use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{client_hello, http2, request_text, secure};
use crate::gateway::LIMIT;
use crate::upstream::{Upstream, unfinished};
use crate::world::{CHAT, Plan, World, saying};

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a FIN, or TLS's close_notify.
    Clean,
    /// With a reset, or a TLS stream that breaks off.
    Broken,
}

/// A chat of a version of HTTP.
pub(crate) fn chat(world: &World, version: &str, body: &serde_json::Value) -> Vec<u8> {
    let key = world.emulator.keys().openai;
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {CHAT} {version}\r\nhost: gateway\r\napi-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Everything up to the end, and which it was.
pub(crate) async fn read_all(mut stream: impl AsyncRead + Unpin) -> (Vec<u8>, End) {
    let mut read = Vec::new();
    let end = match tokio::time::timeout(LIMIT, stream.read_to_end(&mut read)).await.expect("an end") {
        Ok(_) => End::Clean,
        Err(_) => End::Broken,
    };
    (read, end)
}

/// Whatever came from the upstream arrives, and then the connection breaks: with a length, in chunks, and for a client
/// of HTTP/1.0, to which the end of the connection is the end of the answer.
#[tokio::test]
async fn an_answer_that_breaks_off_arrives_as_far_as_it_came_and_ends_in_a_reset() {
    let world = World::start().await;
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    for (name, version, body, byte) in [
        ("a length", "HTTP/1.1", saying("hello"), 100),
        ("chunks", "HTTP/1.1", streamed.clone(), 700),
        ("HTTP/1.0", "HTTP/1.0", streamed.clone(), 700),
        ("HTTP/1.0, a length", "HTTP/1.0", saying("hello"), 100),
        ("nothing of the body", "HTTP/1.1", streamed, 0),
    ] {
        for secured in [false, true] {
            // A FIN in the middle loses nothing of what the upstream has sent; what came before it must arrive.
            world.emulator.next(Plane::OpenAi, Fault::named("truncate").at_byte(byte), 1).unwrap();
            let request = chat(&world, version, &body);
            let (answer, end) = if secured {
                let mut stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"http/1.1").await;
                stream.write_all(&request).await.unwrap();
                read_all(stream).await
            } else {
                let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
                stream.write_all(&request).await.unwrap();
                read_all(stream).await
            };
            let text = String::from_utf8_lossy(&answer);
            assert!(text.lines().next().is_some_and(|line| line.ends_with(" 200 OK")), "{name}: {text}");
            assert_eq!((payload(&answer), end), (byte, End::Broken), "{name}, secured: {secured}: {text}");
        }
    }
}

/// How much of an answer's body has come. Chunks have their own framing between, which does not count.
pub(crate) fn payload(answer: &[u8]) -> usize {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
    if head.contains("chunked") { unchunked(body) } else { body.len() }
}

/// The payload of a chunked body that may break off anywhere.
fn unchunked(mut body: &str) -> usize {
    let mut payload = 0;
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        assert_ne!(size, 0, "the last chunk tells of a whole answer");
        let here = size.min(rest.len());
        payload += here;
        body = rest.get(here + 2..).unwrap_or_default();
    }
    payload
}

/// Over HTTP/2 the stream is reset after all that came, and the connection lives.
#[tokio::test]
async fn a_stream_of_http_2_that_breaks_off_is_reset_alone() {
    let world = World::start().await;
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let request = |body: serde_json::Value| {
        Request::post(format!("https://localhost{CHAT}"))
            .header("api-key", world.emulator.keys().openai)
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body.to_string()))
            .unwrap()
    };
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    world.emulator.next(Plane::OpenAi, Fault::named("truncate").at_byte(700), 1).unwrap();
    let answer = send.send_request(request(streamed)).await.unwrap();
    assert_eq!(until_reset(answer).await, 700);

    let answer = send.send_request(request(saying("still here"))).await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// How much of an answer over HTTP/2 comes before its stream is reset.
async fn until_reset(mut answer: Response<Incoming>) -> usize {
    let mut came = 0;
    loop {
        let frame = tokio::time::timeout(LIMIT, answer.body_mut().frame()).await.expect("an end");
        match frame.expect("no clean end") {
            Ok(frame) => came += frame.into_data().unwrap().len(),
            Err(error) => {
                assert!(format!("{error:?}").contains("Reset"), "{error:?}");
                return came;
            }
        }
    }
}

/// A client that leaves in the middle of a silent stream takes the upstream's stream along, also over HTTP/2.
#[tokio::test]
async fn a_client_that_leaves_a_silent_stream_ends_it_upstream() {
    let world = World::start().await;
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let journal = world.emulator.journal();
    let cancelled = |after: u64| move |entry: &azure_emulator::Entry| entry.sequence > after && entry.cancelled;
    let newest = || world.arrived().last().map_or(0, |entry| entry.sequence);

    let before = newest();
    world.emulator.next(Plane::OpenAi, Fault::named("stall-mid-body"), 1).unwrap();
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&chat(&world, "HTTP/1.1", &streamed)).await.unwrap();
    let mut begin = [0; 400];
    stream.read_exact(&mut begin).await.unwrap();
    drop(stream);
    assert!(journal.wait_for(cancelled(before), LIMIT).await.is_some(), "HTTP/1.1");

    let before = newest();
    world.emulator.next(Plane::OpenAi, Fault::named("stall-mid-body"), 1).unwrap();
    drop(begun_over_http2(&world).await);
    assert!(journal.wait_for(cancelled(before), LIMIT).await.is_some(), "HTTP/2");
}

/// The answer to a streamed chat over HTTP/2, which has begun.
pub(crate) async fn begun_over_http2(world: &World) -> Response<Incoming> {
    let mut answer = chat_over_http2(world).await;
    answer.body_mut().frame().await.unwrap().unwrap();
    answer
}

/// The same, of which only the head is read.
async fn chat_over_http2(world: &World) -> Response<Incoming> {
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let request = Request::post(format!("https://localhost{CHAT}"))
        .header("api-key", world.emulator.keys().openai)
        .body(Full::<Bytes>::from(streamed.to_string()))
        .unwrap();
    send.send_request(request).await.unwrap()
}

/// A client whose request has arrived upstream, where nothing is answered.
async fn silent_chat(world: &World) -> TcpStream {
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&chat(world, "HTTP/1.1", &saying("hello"))).await.unwrap();
    let arrived = |entry: &azure_emulator::Entry| entry.target == CHAT && entry.body_whole;
    world.emulator.journal().wait_for(arrived, LIMIT).await.unwrap();
    stream
}

/// A FIN before the answer counts as gone.
#[tokio::test]
async fn a_client_that_closes_before_its_answer_is_gone() {
    let world = World::start().await;
    let mut stream = silent_chat(&world).await;
    stream.shutdown().await.unwrap();
    let journal = world.emulator.journal();
    assert!(journal.wait_for(|entry| entry.target == CHAT && entry.cancelled, LIMIT).await.is_some());
}

/// A world with these lines under `[timeouts]`.
pub(crate) fn with_timeouts(timeouts: &'static str) -> Plan {
    Plan { settings: Box::new(move |text, _| format!("{text}[timeouts]\n{timeouts}\n")), ..Plan::default() }
}

/// A world for so many connections at once.
pub(crate) fn with_places(count: usize) -> Plan {
    let places = format!("[listen]\nconnections = {count}\n");
    Plan { settings: Box::new(move |text, _| text.replace("[listen]\n", &places)), ..Plan::default() }
}

#[tokio::test]
async fn a_client_has_its_time_and_no_more() {
    let world = with_timeouts("first_byte = \"300ms\"").start().await;
    let silent = TcpStream::connect(world.gateway.http).await.unwrap();
    assert_eq!(read_all(silent).await, (Vec::new(), End::Clean), "no first byte");
    let silent = TcpStream::connect(world.gateway.https.unwrap()).await.unwrap();
    assert_eq!(read_all(silent).await, (Vec::new(), End::Clean), "no first message of TLS");

    let world = with_timeouts("head = \"300ms\"").start().await;
    let mut slow = TcpStream::connect(world.gateway.http).await.unwrap();
    slow.write_all(b"GET /openai/models HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let (answer, _) = read_all(slow).await;
    assert_eq!(String::from_utf8(answer).unwrap(), "", "half a head");

    let world = with_timeouts("keep_alive = \"300ms\"").start().await;
    let mut kept = TcpStream::connect(world.gateway.http).await.unwrap();
    kept.write_all(b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (answer, end) = read_all(kept).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("}}") && end == End::Clean,
        "no next request: {answer}"
    );
}

/// The timers of a turn do not run while we are the ones who are due.
#[tokio::test]
async fn a_slow_upstream_is_not_the_clients_fault() {
    let options = Options { stream_pause: Duration::from_millis(120), ..Options::default() };
    let plan = with_timeouts("first_byte = \"1s\"\nhead = \"1s\"\nkeep_alive = \"1s\"");
    let world = Plan { options, ..plan }.start().await;
    world.emulator.next(Plane::OpenAi, Fault::slow(2500), 1).unwrap();
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&streamed).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
}

/// One timer looks after all of a connection: it rings in the middle of an answer here, and must look again after it.
#[tokio::test]
async fn after_a_slow_answer_a_client_has_its_time_for_the_next_request_and_no_more() {
    let plan = with_timeouts("first_byte = \"1s\"\nhead = \"1s\"\nkeep_alive = \"300ms\"");
    let world = plan.start().await;
    for _ in 0..2 {
        world.emulator.next(Plane::OpenAi, Fault::slow(2500), 1).unwrap();
        let mut kept = TcpStream::connect(world.gateway.http).await.unwrap();
        kept.write_all(&chat(&world, "HTTP/1.1", &saying("hello"))).await.unwrap();
        let (answer, end) = read_all(kept).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && end == End::Clean, "no next request: {answer}");
    }
}

#[tokio::test]
async fn an_upstream_has_its_time_and_no_more() {
    let world = with_timeouts("answer = \"300ms\"").start().await;
    let key = world.emulator.keys().openai;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let answer = world.post(CHAT).key(&key).json(&saying("hello")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (504, "upstream-timed-out"));
    let text = "Azure did not answer in time.";
    let error = json!({"code": "UpstreamTimeout", "message": text, "type": "server_error", "param": null});
    assert_eq!(answer.json(), json!({ "error": error }));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, None));
}

/// So has one that falls silent in the middle of its answer. All that came arrives, and no client takes it for the whole:
/// not even one of HTTP/1.0, to which the end of the connection is the end of the answer.
#[tokio::test]
async fn an_upstream_has_its_time_in_the_middle_of_an_answer_and_no_more() {
    let upstream = Upstream::answering(&unfinished(700)).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nstream = \"1s\"\n").start().await;
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(&chat(&world, version, &saying("hello"))).await.unwrap();
        let (answer, end) = read_all(stream).await;
        assert_eq!((payload(&answer), end), (700, End::Broken), "{version}");
    }
    assert_eq!(until_reset(chat_over_http2(&world).await).await, 700, "HTTP/2");
    // The upstream's streams are ended, too.
    upstream.connections_ended(3).await;
}

/// A client that reads nothing holds its connection as long as it may, and no longer.
#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let environment = vec![("RUST_LOG", "keyswap=debug".to_owned())];
    let world = Plan { environment, ..with_timeouts("write = \"300ms\"") }.start().await;
    world.has_token().await;
    // More than the system's buffers on the way can hold.
    let long = "x".repeat(8_000_000);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut stream = socket.connect(world.gateway.http).await.unwrap();
    stream.write_all(&chat(&world, "HTTP/1.1", &saying(&long))).await.unwrap();
    let from = stream.local_addr().unwrap().to_string();
    let ended = |line: &serde_json::Value| {
        line["message"] == "connection ended" && line["from"].as_str().is_some_and(|text| text.contains(&from))
    };
    world.gateway.logged(ended).await;
    let (answer, end) = read_all(stream).await;
    assert_eq!(end, End::Broken);
    assert!(answer.len() < long.len(), "all of it came");
}

/// More connections than there are places wait, and are served when one ends.
#[tokio::test]
async fn a_connection_beyond_the_last_place_waits_for_one() {
    let world = with_places(2).start().await;
    let request = request_text("GET", "/openai/models", &[]);
    let one = TcpStream::connect(world.gateway.http).await.unwrap();
    let two = TcpStream::connect(world.gateway.http).await.unwrap();
    let mut three = TcpStream::connect(world.gateway.http).await.unwrap();
    three.write_all(&request).await.unwrap();
    let mut answer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(300), three.read_exact(&mut answer)).await;
    assert!(early.is_err(), "three connections had two places");
    drop((one, two));
    tokio::time::timeout(LIMIT, three.read_exact(&mut answer)).await.expect("a place").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

/// Clients that connect to the TLS port and say nothing, for as long as they like, take no turn from those who speak.
#[tokio::test]
async fn silent_tls_clients_are_nobodys_trouble() {
    let world = with_timeouts("first_byte = \"1h\"").start().await;
    let address = world.gateway.https.unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // More of them than handshakes may go on at once; all of these come after them.
    let key = world.emulator.keys().openai;
    let url = format!("https://{address}/openai/models?api-version=2024-10-21");
    for _ in 0..5 {
        let answer = world.client.call(http::Method::GET, &url).key(&key).send();
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("a turn");
        assert_eq!(answer.status, 200);
    }
    drop(silent);
}

/// Nor do those that have said hello and leave it at that, more of them than handshakes may go on at once.
#[tokio::test]
async fn clients_that_leave_their_handshake_unfinished_are_nobodys_trouble() {
    let world = with_timeouts("head = \"1h\"").start().await;
    let address = world.gateway.https.unwrap();
    let hello = client_hello(world.emulator.ca_pem());
    let mut unfinished = Vec::new();
    // As many for each of two workers as it answers at once.
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        unfinished.push(stream);
    }
    for stream in &mut unfinished {
        let answered = tokio::time::timeout(LIMIT, stream.read_u8()).await.expect("a turn");
        assert_eq!(answered.unwrap(), HANDSHAKE_RECORD);
    }
    let key = world.emulator.keys().openai;
    let url = format!("https://{address}/openai/models?api-version=2024-10-21");
    for _ in 0..2 {
        let answer = world.client.call(http::Method::GET, &url).header("connection", "close").key(&key).send();
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("a turn");
        assert_eq!(answer.status, 200);
    }
    drop(unfinished);
}

/// The first byte of what a server answers to a client's hello.
const HANDSHAKE_RECORD: u8 = 22;

/// A silent client is proven there. (The other leg: see egress.)
#[tokio::test]
async fn a_silent_clients_connection_is_kept_alive() {
    let world = World::start().await;
    let stream = silent_chat(&world).await;
    let output = std::process::Command::new("ss").args(["-tnoH", "state", "established"]).output().unwrap();
    let sockets = String::from_utf8(output.stdout).unwrap();
    let (front, client) = (world.gateway.http.to_string(), stream.local_addr().unwrap().to_string());
    // Local address first, then the peer's: the gateway's own end.
    let kept = sockets.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words[2..4] == [front.as_str(), client.as_str()] && line.contains("timer:(keepalive,")
    });
    assert!(kept, "{sockets}");
}
