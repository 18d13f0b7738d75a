//! Clients that are slow to say what they want: each has its time in all, byte by byte too, and nobody else feels it.

use std::time::Duration;

use azure_emulator::Plane;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{client_hello, request_text};
use crate::gateway::LIMIT;
use crate::wire::{End, chat, read_all, with_places, with_timeouts};
use crate::world::{CHAT, Plan, World, saying};

/// Sends these bytes one by one, and then one of them again and again, until the connection ends.
async fn trickle(mut stream: TcpStream, bytes: &[u8]) {
    let last = bytes.last().copied().unwrap();
    let endless = bytes.iter().copied().chain(std::iter::repeat(last));
    let trickled = async {
        let mut answer = [0];
        for byte in endless {
            if stream.write_u8(byte).await.is_err() {
                return;
            }
            tokio::select! {
                read = stream.read(&mut answer) => {
                    assert_eq!(read.unwrap_or_default(), 0, "there was an answer");
                    return;
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, trickled).await.expect("an end");
}

/// A head has its time in all, whoever sends a byte of it now and then; so has the first message of TLS.
#[tokio::test]
async fn a_client_that_sends_byte_by_byte_has_no_more_time() {
    let world = with_timeouts("first_byte = \"2s\"\nhead = \"1s\"").start().await;
    let hello = client_hello(world.emulator.ca_pem());
    let plain = TcpStream::connect(world.gateway.http).await.unwrap();
    let secured = TcpStream::connect(world.gateway.https.unwrap()).await.unwrap();
    let (from, hello_from) = (plain.local_addr().unwrap().to_string(), secured.local_addr().unwrap().to_string());
    // The last byte is never sent, whatever the number: half of it takes long enough.
    let half = &hello[..hello.len() / 2];
    tokio::join!(trickle(plain, b"GET /openai/models HTTP/1.1\r\nx: "), trickle(secured, half));
    world.gateway.logged(|line| line["cause"] == "slow-head" && line["from"] == from).await;
    world.gateway.logged(|line| line["cause"] == "silent" && line["from"] == hello_from).await;
}

/// A head that began on the heels of a request is a head that has begun.
#[tokio::test]
async fn a_head_that_began_with_the_request_before_has_the_time_of_a_head() {
    let world = with_timeouts("head = \"500ms\"\nkeep_alive = \"1h\"").start().await;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let from = stream.local_addr().unwrap().to_string();
    stream.write_all(b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\nGET /openai/mo").await.unwrap();
    let (answer, _) = read_all(stream).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("}}"), "{answer}");
    world.gateway.logged(|line| line["cause"] == "slow-head" && line["from"] == from).await;

    // The same after a body that was passed on.
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let chat = [&chat(&world, "HTTP/1.1", &saying("hello"))[..], b"GET /openai/mo"].concat();
    stream.write_all(&chat).await.unwrap();
    let (answer, end) = read_all(stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && end == End::Clean);
}

/// One that did not begin has not: a kept connection waits for its next request, whatever came before.
#[tokio::test]
async fn a_kept_connection_has_the_time_of_a_next_request() {
    const HEAD: Duration = Duration::from_millis(500);
    let world = with_timeouts("head = \"500ms\"\nkeep_alive = \"1h\"").start().await;
    world.has_token().await;
    let said = saying("hello").to_string();
    let key = world.emulator.keys().openai;
    let chunked = [
        &format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\ntransfer-encoding: chunked\r\n\r\n")[..],
        &format!("{:x}\r\n{said}\r\n0\r\n\r\n", said.len()),
    ];
    let answered = |entry: &azure_emulator::Entry| entry.plane == Plane::OpenAi && entry.ended;
    for (name, request) in [
        ("no body", b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("a length", chat(&world, "HTTP/1.1", &saying("hello"))),
        ("chunks", chunked.concat().into_bytes()),
    ] {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(&request).await.unwrap();
        if name != "no body" {
            world.emulator.journal().wait_for(answered, LIMIT).await.unwrap();
        }
        let mut status = [0; 12];
        tokio::time::timeout(LIMIT, stream.read_exact(&mut status)).await.expect("an answer").unwrap();
        tokio::time::sleep(3 * HEAD).await;
        stream.write_all(&request_text("GET", "/openai/models", &[])).await.unwrap();
        let (rest, _) = read_all(stream).await;
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains("HTTP/1.1 401 "), "{name}: {rest}");
    }
}

/// A client that is to be heard out has its place among all connections as long as that takes.
#[tokio::test]
async fn a_connection_that_lingers_has_its_place_until_its_end() {
    let world = with_places(1).start().await;
    let mut refused = TcpStream::connect(world.gateway.http).await.unwrap();
    let upload = request_text("POST", CHAT, &[("api-key", "wrong"), ("content-length", "50000000")]);
    refused.write_all(&upload).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(LIMIT, refused.read_to_end(&mut answer)).await.expect("an end").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&answer));
    let mut next = TcpStream::connect(world.gateway.http).await.unwrap();
    next.write_all(&request_text("GET", "/openai/models", &[])).await.unwrap();
    let mut answer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(300), next.read_exact(&mut answer)).await;
    assert!(early.is_err(), "two connections had one place");
    drop(refused);
    tokio::time::timeout(LIMIT, next.read_exact(&mut answer)).await.expect("a place").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

/// All of them are on the worker that serves the chat.
#[tokio::test]
async fn slow_clients_are_nobodys_trouble() {
    let plan = Plan {
        settings: Box::new(|text, _| {
            let text = text.replace("workers = 2\n", "workers = 1\n");
            text + "[timeouts]\nfirst_byte = \"1h\"\nhead = \"1h\"\nwrite = \"1h\"\n"
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    world.has_token().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(b"GET /openai/models HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(stream);
    }
    // Some that do not read are sent more than the system keeps for them.
    let (short, long) = (saying("hello"), saying(&"x".repeat(5_000_000)));
    for n in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(world.gateway.http).await.unwrap();
        let said = if n % 10 == 0 { &long } else { &short };
        stream.write_all(&chat(&world, "HTTP/1.1", said)).await.unwrap();
        slow.push(stream);
    }
    for stream in &mut slow[100..] {
        // Its answer has begun.
        tokio::time::timeout(LIMIT, stream.read_u8()).await.expect("an answer").unwrap();
    }
    let answered = |world: &World| world.arrived().iter().filter(|entry| entry.plane == Plane::OpenAi).count();
    assert_eq!(answered(&world), 100);
    for _ in 0..5 {
        let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("still here"));
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
    drop(slow);
}
