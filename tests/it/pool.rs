//! Connections to Azure: kept, counted, given up in time, and what becomes of a request whose connection was gone.

use std::time::{Duration, Instant};

use azure_emulator::{Emulator, Fault, Plane};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::gateway::LIMIT;
use crate::namespace::was_run_inside;
use crate::upstream::{Then, Upstream};
use crate::wire::{chat, read_all};
use crate::world::{CHAT, Plan, World, saying};

/// The answer of an upstream that keeps its connection.
fn answer(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

fn with(resource: &'static str, timeouts: &'static str) -> Plan {
    let settings = move |text: String, _: &Emulator| {
        let text = text.replace("[resources.ai]\n", &format!("[resources.ai]\n{resource}\n"));
        format!("{text}[timeouts]\n{timeouts}\n")
    };
    Plan { settings: Box::new(settings), ..Plan::default() }
}

/// A chat on a connection of its own to the gateway: these are handed to the two workers in turn.
fn chat_on_a_new_connection(world: &World) -> impl Future<Output = String> + Send + 'static {
    let (address, request) = (world.gateway.http, chat(world, "HTTP/1.0", &saying("hello")));
    async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        String::from_utf8(read_all(stream).await.0).unwrap()
    }
}

/// The connections of the emulator on which the chats so far have come, in order.
fn connections(world: &World) -> Vec<u64> {
    world.arrived().iter().map(|entry| entry.connection).collect()
}

/// A resource has so many connections and no more; whoever comes then waits for one.
#[tokio::test]
async fn a_resource_has_its_connections_and_no_more() {
    let world = with("connections = 1", "wait = \"300ms\"").start().await;
    let key = world.emulator.keys().openai;
    // One that is never done keeps it; the next one is told so. (The other plane has connections of its own.)
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let stalled = tokio::spawn(world.post(CHAT).key(&key).json(&saying("stalled")));
    world.emulator.journal().wait_for(|entry| entry.target == CHAT, LIMIT).await.unwrap();
    let answer = world.post(CHAT).key(&key).json(&saying("second")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "overloaded"));
    let text = "keyswap has as many connections to this resource as it may have. Try again.";
    assert_eq!(answer.json()["error"]["message"], text);
    assert_eq!(world.arrived().len(), 1);
    stalled.abort();
}

/// Requests that wait get the connection when an answer has ended, whichever worker they are on, each in its turn.
#[tokio::test]
async fn whoever_waits_for_a_connection_gets_it_when_an_answer_ends() {
    let world = with("connections = 1", "wait = \"60s\"").start().await;
    world.emulator.next(Plane::OpenAi, Fault::slow(300), 1).unwrap();
    let mut chats = JoinSet::from_iter([chat_on_a_new_connection(&world)]);
    world.emulator.journal().wait_for(|entry| entry.target == CHAT, LIMIT).await.unwrap();
    (0..6).for_each(|_| drop(chats.spawn(chat_on_a_new_connection(&world))));
    for answer in chats.join_all().await {
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with('}'), "{answer}");
    }
    assert_eq!(world.arrived().len(), 7);
}

/// Whatever ends a connection gives its place to the next: one that Azure resets is closed on our side, too, though TLS
/// has a last word that nobody takes any more.
#[tokio::test]
async fn a_connection_that_is_reset_leaves_its_place() {
    let world = with("connections = 1", "wait = \"10s\"").start().await;
    for fault in ["reset", "cut", "reset", "cut"] {
        world.emulator.next(Plane::OpenAi, Fault::named(fault), 1).unwrap();
        let broken = chat_on_a_new_connection(&world).await;
        assert!(!broken.ends_with('}') || broken.contains("x-keyswap-reason: upstream-lost\r\n"), "{broken}");
        let answer = chat_on_a_new_connection(&world).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "after {fault}: {answer}");
    }
}

/// A connection that one worker keeps is closed for a request on another: it would wait for nothing.
#[tokio::test]
async fn a_kept_connection_gives_way_to_another_worker() {
    let world = with("connections = 1", "wait = \"60s\"").start().await;
    for _ in 0..4 {
        let answer = chat_on_a_new_connection(&world).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    }
    let connections = connections(&world);
    assert!(connections.windows(2).all(|pair| pair[0] != pair[1]), "{connections:?}");
}

/// An idle connection is closed in its time, by us and not by Azure.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let upstream = Upstream::answering(&answer("{}")).await;
    let world = upstream.plan_with("127.0.0.1", "[timeouts]\nidle = \"200ms\"\n").start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.post(CHAT).key(&key).json(&saying("hello")).await.status, 200);
    upstream.connections_ended(1).await;
}

/// A client whose requests all come on one connection, and so to one worker.
struct Faithful {
    send: SendRequest<Full<Bytes>>,
    key: String,
}

impl Faithful {
    async fn of(world: &World) -> Self {
        let stream = TcpStream::connect(world.gateway.http).await.unwrap();
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { send, key: world.emulator.keys().openai }
    }

    /// The answer to a chat.
    async fn chat(&mut self) -> String {
        let request = Request::post(CHAT).header("host", "gateway").header("api-key", &self.key);
        let request = request.body(Full::from(saying("hello").to_string())).unwrap();
        self.send.ready().await.unwrap();
        let answer = self.send.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

/// A connection takes requests up to its age, however busy it is, and all of them until then.
#[tokio::test]
async fn an_old_connection_takes_no_more_requests() {
    let world = with("", "age = \"300ms\"").start().await;
    let mut client = Faithful::of(&world).await;
    let begun = Instant::now();
    loop {
        client.chat().await;
        let connections = connections(&world);
        if connections.first() != connections.last() {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "still the first connection: {connections:?}");
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

/// The name of a resource is looked up anew for every connection, and no connection lives for long: so an address that
/// moves is followed, and not before.
#[tokio::test]
async fn an_address_that_moves_is_followed() {
    const TEST: &str = "pool::an_address_that_moves_is_followed";
    if was_run_inside(TEST, "127.0.0.1 localhost\n", "") {
        return;
    }
    let before = Upstream::answering(&answer("before")).await;
    let port = before.address().port();
    let after = Upstream::answering_at(("127.0.0.2", port), &answer("after")).await;
    let world = before.plan_with("localhost", "[timeouts]\nage = \"300ms\"\n").start().await;
    let mut client = Faithful::of(&world).await;
    let begun = Instant::now();
    assert_eq!(client.chat().await, "before");
    std::fs::write("/etc/hosts", "127.0.0.2 localhost\n").unwrap();
    while client.chat().await == "before" {
        assert!(begun.elapsed() < LIMIT, "it was not followed");
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert!(after.count() > 0);
}

/// What was said once is not asked for again: a kept connection that ends within a head is no connection that was
/// closed before the request was seen.
#[tokio::test]
async fn an_answer_that_broke_off_in_its_head_is_not_asked_for_again() {
    let (first, begun, again) = (answer("{}"), b"HTTP/1.1 200 OK\r\ncontent-le", answer("again"));
    let upstream =
        Upstream::answering_in_turn(&[(&first, Then::Stay), (begun, Then::Close), (&again, Then::Stay)]).await;
    let world = upstream.plan().start().await;
    let key = world.emulator.keys().openai;
    let call = || world.post(CHAT).key(&key).json(&saying("hello"));
    assert_eq!(call().await.text(), "{}");
    let lost = call().await;
    assert_eq!((lost.status, lost.reason()), (StatusCode::BAD_GATEWAY, "upstream-lost"));
    assert_eq!(call().await.text(), "again");
    assert_eq!(upstream.count(), 3);

    let told = world.gateway.told(|line| line["status"] == 502).await;
    assert_eq!(told["replays"], json!(0));
}

/// The same, but nothing was said: most likely it was not seen, and a chat can be asked for twice.
#[tokio::test]
async fn a_request_on_a_connection_that_had_just_closed_is_sent_again() {
    let (first, again) = (answer("{}"), answer("again"));
    let upstream = Upstream::answering_in_turn(&[(&first, Then::Stay), (b"", Then::Close), (&again, Then::Stay)]).await;
    let world = upstream.plan().start().await;
    let key = world.emulator.keys().openai;
    let call = || world.post(CHAT).key(&key).json(&saying("hello"));
    assert_eq!(call().await.text(), "{}");
    assert_eq!(call().await.text(), "again");
    assert_eq!(upstream.count(), 3);
    let told = world.gateway.told(|line| line["replays"] == 1).await;
    assert_eq!((&told["status"], &told["outcome"]), (&json!(200), &json!("complete")));
}
