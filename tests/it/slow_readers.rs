//! Clients that read slowly, or not for a while: whoever takes anything at all gets everything.

use std::time::Duration;

use azure_emulator::{Fault, Plane};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::handshake;
use crate::gateway::LIMIT;
use crate::upstream::{Then, Upstream, unfinished};
use crate::wire::{End, chat, payload, read_all, with_timeouts};
use crate::world::{CHAT, Plan, World, saying};

/// More than the system keeps for a client whose own buffer is small, in bytes.
const LONG: usize = 5_000_000;

/// How much a slow reader takes at once, in bytes, and how long it then does something else.
const SIP: (u64, Duration) = (64 * 1024, Duration::from_millis(200));

/// A client whose own buffer is small.
async fn small(world: &World, secured: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(if secured { world.gateway.https.unwrap() } else { world.gateway.http }).await.unwrap()
}

/// Everything up to the end, sip by sip.
async fn sip_all(mut stream: impl AsyncRead + Unpin) -> (Vec<u8>, End) {
    let (size, pause) = SIP;
    let mut read = Vec::new();
    let sipped = async {
        loop {
            match (&mut stream).take(size).read_to_end(&mut read).await {
                Ok(0) => return End::Clean,
                Ok(_) => tokio::time::sleep(pause).await,
                Err(_) => return End::Broken,
            }
        }
    };
    let end = tokio::time::timeout(LIMIT, sipped).await.expect("an end");
    (read, end)
}

/// A client asks, reads nothing, and is reset all the same; what it finds when it reads after that.
async fn let_go<S>(mut stream: S, tcp: impl Fn(&S) -> &TcpStream, chat: &[u8]) -> (Vec<u8>, End)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(chat).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::timeout(LIMIT, tcp(&stream).ready(Interest::ERROR)).await.expect("a reset").unwrap();
    read_all(stream).await
}

/// A slow reader gets every byte too: the reset waits until all was acknowledged.
#[tokio::test]
async fn a_slow_reader_gets_every_byte_before_the_reset() {
    // Longer than the system keeps for it, and no longer than all that is between.
    const CAME: usize = 3_000_000;
    let measured = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", CAME + 1, "x".repeat(CAME));
    let (measured, chunked) = (measured.into_bytes(), unfinished(CAME));
    for (name, version, answer) in [
        ("a length", "HTTP/1.1", &measured),
        ("chunks", "HTTP/1.1", &chunked),
        ("HTTP/1.0", "HTTP/1.0", &chunked),
        ("HTTP/1.0, a length", "HTTP/1.0", &measured),
    ] {
        let upstream = Upstream::answering_in_turn(&[(answer, Then::Close)]).await;
        let world = upstream.plan().start().await;
        let mut stream = small(&world, false).await;
        stream.write_all(&chat(&world, version, &saying("hello"))).await.unwrap();
        // Nothing is read until the upstream is done with its part.
        upstream.connections_ended(1).await;
        let (answer, end) = read_all(stream).await;
        assert_eq!((payload(&answer), end), (CAME, End::Broken), "{name}");
    }
}

/// `write` is for a client that takes nothing. What is on its way to one that takes a little all the time needs longer
/// than that, both to be written and to be acknowledged.
#[tokio::test]
async fn a_reader_that_never_stops_gets_every_byte_however_long_that_takes() {
    let world = with_timeouts("write = \"2s\"").start().await;
    world.has_token().await;
    let chat = chat(&world, "HTTP/1.1", &saying(&"x".repeat(LONG)));
    world.emulator.next(Plane::OpenAi, Fault::named("truncate").at_byte(LONG), 2).unwrap();
    let plain = async {
        let mut stream = small(&world, false).await;
        stream.write_all(&chat).await.unwrap();
        sip_all(stream).await
    };
    let secured = async {
        let stream = small(&world, true).await;
        let mut stream = handshake(stream, world.emulator.ca_pem(), b"http/1.1").await.unwrap();
        stream.write_all(&chat).await.unwrap();
        stream.flush().await.unwrap();
        sip_all(stream).await
    };
    let (plain, secured) = tokio::join!(plain, secured);
    for (name, (answer, end)) in [("plain", plain), ("secured", secured)] {
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{name}");
        assert_eq!((payload(&answer), end), (LONG, End::Broken), "{name}");
    }
}

/// A client that takes nothing at all has its time, over TLS too.
#[tokio::test]
async fn a_client_of_tls_that_takes_nothing_is_let_go() {
    let environment = vec![("RUST_LOG", "keyswap=debug".to_owned())];
    let world = Plan { environment, ..with_timeouts("write = \"500ms\"") }.start().await;
    world.has_token().await;
    let stream = small(&world, true).await;
    let from = stream.local_addr().unwrap().to_string();
    let mut stream = handshake(stream, world.emulator.ca_pem(), b"http/1.1").await.unwrap();
    stream.write_all(&chat(&world, "HTTP/1.1", &saying(&"x".repeat(LONG)))).await.unwrap();
    stream.flush().await.unwrap();
    let ended = |line: &serde_json::Value| {
        line["message"] == "connection ended" && line["from"].as_str().is_some_and(|text| text.contains(&from))
    };
    world.gateway.logged(ended).await;
    let (answer, end) = read_all(stream).await;
    assert_eq!(end, End::Broken);
    assert!(answer.len() < LONG, "all of it came");
}

/// The same when all of an answer that broke off has been written, and only waits to be taken: no write is left to fail. The
/// system's own limit would end it later, and without a reset.
#[tokio::test]
async fn a_client_that_takes_nothing_of_a_broken_answer_is_let_go() {
    // The system takes all of it, and the client's own buffer does not.
    const CAME: usize = 500_000;
    let upstream = Upstream::answering_in_turn(&[(&unfinished(CAME), Then::Close)]).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nwrite = \"500ms\"\n").start().await;
    for (version, secured) in [("HTTP/1.1", false), ("HTTP/1.1", true), ("HTTP/1.0", false), ("HTTP/1.0", true)] {
        let chat = chat(&world, version, &saying("hello"));
        let stream = small(&world, secured).await;
        let (answer, end) = if secured {
            let stream = handshake(stream, world.emulator.ca_pem(), b"http/1.1").await.unwrap();
            let_go(stream, |stream| stream.get_ref().0, &chat).await
        } else {
            let_go(stream, |stream| stream, &chat).await
        };
        assert_eq!(end, End::Broken, "{version}, secured: {secured}");
        assert!(answer.len() < CAME, "{version}, secured: {secured}: all of it came");
    }
}

/// `make soak`: TCP's own limit, which counts a peer's full buffer as silence, does not cut `write` short.
#[tokio::test]
#[ignore = "takes most of a minute: make soak"]
async fn soak_a_reader_that_pauses_gets_every_byte_afterwards() {
    const PAUSE: Duration = Duration::from_secs(45);
    let world = World::start().await;
    world.has_token().await;
    let mut stream = small(&world, false).await;
    // The system has taken all of it when the pause begins, and nobody here waits to write.
    let long = "x".repeat(500_000);
    stream.write_all(&chat(&world, "HTTP/1.0", &saying(&long))).await.unwrap();
    world.emulator.journal().wait_for(|entry| entry.target == CHAT && entry.ended, LIMIT).await.unwrap();
    tokio::time::sleep(PAUSE).await;
    let (answer, end) = read_all(stream).await;
    assert!(answer.ends_with(b"}") && payload(&answer) > long.len(), "{} bytes came", answer.len());
    assert_eq!(end, End::Clean);
}
