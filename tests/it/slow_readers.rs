//! Clients that read slowly, or not for a while: whoever takes anything at all gets everything.

use std::time::Duration;

use azure_emulator::{Fault, Plane};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::handshake;
use crate::gateway::LIMIT;
use crate::wire::{End, chat, read_all, with_timeouts};
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

/// The size of an answer's body.
fn body(answer: &[u8]) -> usize {
    answer.len() - (answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4)
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
        assert_eq!((body(&answer), end), (LONG, End::Broken), "{name}");
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
    assert!(answer.ends_with(b"}") && body(&answer) > long.len(), "{} bytes came", answer.len());
    assert_eq!(end, End::Clean);
}
