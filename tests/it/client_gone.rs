//! A client that goes while more than its request has come of it: hyper has something left to read then, and does not
//! look whether anybody is there.

use azure_emulator::{Fault, Plane};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{request_text, secure};
use crate::gateway::LIMIT;
use crate::wire::chat;
use crate::world::{CHAT, World, saying};

/// What may stand behind a chat: an empty line, as some clients have always sent; another request; more than one.
fn more() -> [(&'static str, Vec<u8>); 3] {
    let next = request_text("GET", "/openai/models", &[]);
    [("an empty line", b"\r\n".to_vec()), ("a request", next.clone()), ("ten requests", next.repeat(10))]
}

/// Chats, says more, and goes, while the upstream is silent; then there is nobody whom it would answer.
async fn chat_and_go(world: &World, mut stream: impl AsyncWrite + Unpin, name: &str, pieces: &[&[u8]]) {
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let journal = world.emulator.journal();
    let before = world.arrived().last().map_or(0, |entry| entry.sequence);
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        let arrived =
            |entry: &azure_emulator::Entry| entry.sequence > before && entry.target == CHAT && entry.body_whole;
        journal.wait_for(arrived, LIMIT).await.unwrap_or_else(|| panic!("{name}: no chat"));
    }
    stream.shutdown().await.unwrap();
    let gone = |entry: &azure_emulator::Entry| entry.sequence > before && entry.target == CHAT && entry.cancelled;
    journal.wait_for(gone, LIMIT).await.unwrap_or_else(|| panic!("{name}: it is not cancelled"));
}

#[tokio::test]
async fn a_client_that_has_said_more_than_its_request_is_gone_when_it_goes() {
    let world = World::start().await;
    let chat = chat(&world, "HTTP/1.1", &saying("hello"));
    for (name, more) in more() {
        let together = [&chat[..], &more].concat();
        // What comes later finds hyper waiting, or not: half of it comes with the chat.
        let (half, rest) = together.split_at(chat.len() + more.len() / 2);
        for pieces in [&[&together[..]][..], &[half, rest]] {
            let plain = TcpStream::connect(world.gateway.http).await.unwrap();
            chat_and_go(&world, plain, name, pieces).await;
            let secured = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"http/1.1").await;
            chat_and_go(&world, secured, &format!("{name}, secured"), pieces).await;
        }
    }
}

/// What was read in the meantime is not lost: all of it is answered, in order.
#[tokio::test]
async fn requests_that_came_while_another_was_answered_are_answered_after_it() {
    const REQUESTS: usize = 200;
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::slow(500), 1).unwrap();
    let request = "GET /openai/models HTTP/1.1\r\nhost: gateway\r\n\r\n".repeat(REQUESTS);
    let last = request_text("GET", "/openai/models", &[]);
    let chat = chat(&world, "HTTP/1.1", &saying("hello"));
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    // Piece by piece, more than is read ahead.
    stream.write_all(&[&chat[..], b"GET /open"].concat()).await.unwrap();
    let arrived = |entry: &azure_emulator::Entry| entry.target == CHAT && entry.body_whole;
    world.emulator.journal().wait_for(arrived, LIMIT).await.unwrap();
    let rest = [&request.as_bytes()[b"GET /open".len()..], &last].concat();
    for piece in rest.chunks(1500) {
        stream.write_all(piece).await.unwrap();
    }
    let mut answers = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answers)).await.expect("an end").unwrap();
    assert!(answers.starts_with("HTTP/1.1 200 OK\r\n"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 401 PermissionDenied\r\n").count(), REQUESTS + 1, "{answers}");
}
