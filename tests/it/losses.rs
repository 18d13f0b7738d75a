//! One side is lost while the other still speaks to it, or ends. That is told of the loss first, and may neither drop what
//! the lost side had said before, nor keep the loss to itself.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::LIMIT;
use crate::upstream::acceptor;
use crate::websocket::{ACCEPT, Far, Near, accepting, read_head};
use crate::wire::{End, read_all};
use crate::world::{CHAT, World, without_tls};

/// What TLS may hold of what it has taken, in bytes: its buffer, and a record whose rest has not arrived.
const HELD: usize = (64 + 16) * 1024;

/// How much has to have arrived, in bytes, so that the gateway holds some of it.
const ENOUGH: usize = 1 << 20;

/// What a side had said before it was lost.
struct Said {
    bytes: Vec<u8>,
    /// How many of them had arrived, at least.
    arrived: usize,
}

/// What one end of a connection holds, in bytes.
struct Queues {
    /// Written, and not acknowledged by the other end.
    unsent: usize,
    /// Received, and not read.
    unread: usize,
}

#[tokio::test]
async fn what_a_websockets_upstream_had_said_arrives_and_its_loss_is_told() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (mut near, upstream) = far.open(&world).await;
    let said = lose(upstream, |tcp| tcp).await;
    speak(&mut near.stream).await;
    said.comes(near.stream, End::Clean).await;

    let (mut near, upstream) = far.open(&world).await;
    let said = lose(upstream, |tcp| tcp).await;
    near.stream.shutdown().await.unwrap();
    said.comes(near.stream, End::Clean).await;
    assert_eq!(outcomes(&world, 2).await, ["upstream-broke"; 2]);
}

#[tokio::test]
async fn what_a_websockets_client_had_said_arrives_and_its_loss_is_told() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (near, mut upstream) = far.open(&world).await;
    let said = lose(near.stream, |tcp| tcp).await;
    speak(&mut upstream).await;
    said.comes(upstream, End::Clean).await;

    let (near, mut upstream) = far.open(&world).await;
    let said = lose(near.stream, |tcp| tcp).await;
    upstream.shutdown().await.unwrap();
    said.comes(upstream, End::Clean).await;
    assert_eq!(outcomes(&world, 2).await, ["client-gone"; 2]);
}

/// TLS has a last word to write when the client has ended, which fails where a plain connection notices nothing.
#[tokio::test]
async fn what_an_upstream_of_tls_had_said_arrives_when_its_client_has_ended() {
    let far = Far::start().await;
    let mut plan = far.plan("", "");
    let (usual, here) = (plan.settings, far.address());
    plan.settings = Box::new(move |text, emulator| {
        usual(without_tls(&text), emulator)
            .replace(&format!("http://{here}"), &format!("https://localhost:{}", here.port()))
    });
    let world = plan.start().await;
    let acceptor = acceptor(world.emulator.gateway_certificate());
    let (mut near, upstream) = tokio::join!(Near::open(&world), async {
        let mut upstream = acceptor.accept(far.called().await).await.unwrap();
        read_head(&mut upstream).await;
        upstream.write_all(accepting(ACCEPT, "").as_bytes()).await.unwrap();
        upstream
    });
    let said = lose(upstream, |upstream| upstream.get_ref().0).await;
    near.stream.shutdown().await.unwrap();
    said.comes(near.stream, End::Clean).await;
    assert_eq!(outcomes(&world, 1).await, ["upstream-broke"]);
}

/// The end of such an answer is the end of its connection: a loss that is not told passes it for a whole one.
#[tokio::test]
async fn an_answer_without_a_length_that_is_lost_within_its_upload_is_not_whole() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let key = world.emulator.keys().openai;
    let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.0\r\nhost: x\r\napi-key: {key}\r\ncontent-length: 1000\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut upstream = far.asked().await.stream;
    upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    let said = lose(upstream, |tcp| tcp).await;
    speak(&mut client).await;
    said.comes(client, End::Broken).await;
    assert_eq!(outcomes(&world, 1).await, ["upstream-broke"]);
}

/// One side says as much as is taken while nobody reads it, and is lost.
async fn lose<S: AsyncWrite + Unpin>(mut side: S, tcp: impl Fn(&S) -> &TcpStream) -> Said {
    let (ours, theirs) = (tcp(&side).local_addr().unwrap(), tcp(&side).peer_addr().unwrap());
    let bytes: Vec<u8> = (0..8_u32 << 20).flat_map(u32::to_be_bytes).collect();
    let (mut taken, begun) = (0, Instant::now());
    while begun.elapsed() < LIMIT {
        match tokio::time::timeout(Duration::from_secs(1), side.write(&bytes[taken..])).await {
            Ok(written) => taken += written.unwrap(),
            Err(_) => {
                let arrived = taken.saturating_sub(queues(ours, theirs).unsent + HELD);
                // Else the gateway is slow to take it, and not full.
                if arrived > ENOUGH {
                    tcp(&side).set_zero_linger().unwrap();
                    return Said { bytes, arrived };
                }
            }
        }
        assert!(taken < bytes.len(), "the gateway takes it all");
    }
    panic!("the gateway does not take {ENOUGH} of {taken} bytes");
}

/// Says something that the gateway takes.
async fn speak(side: &mut TcpStream) {
    side.write_all(b"pong").await.unwrap();
    let (ours, theirs) = (side.local_addr().unwrap(), side.peer_addr().unwrap());
    let heard = async {
        while queues(theirs, ours).unread > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, heard).await.expect("the gateway reads");
}

/// How so many requests have ended.
async fn outcomes(world: &World, count: usize) -> Vec<String> {
    let told = world.gateway.all_told(count).await;
    told.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect()
}

/// What one end of a connection on this machine holds.
fn queues(end: SocketAddr, other: SocketAddr) -> Queues {
    let place = |address: SocketAddr| format!(":{:04X}", address.port());
    let begun = Instant::now();
    // While others come and go, a row can be missed.
    while begun.elapsed() < LIMIT {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut ours = rows.filter(|row| row[1].ends_with(&place(end)) && row[2].ends_with(&place(other)));
        if let Some(row) = ours.next() {
            let (unsent, unread) = row[4].split_once(':').unwrap();
            let bytes = |hex| usize::from_str_radix(hex, 16).unwrap();
            return Queues { unsent: bytes(unsent), unread: bytes(unread) };
        }
    }
    panic!("there is no connection from {end} to {other}");
}

impl Said {
    async fn comes(self, to: TcpStream, wanted: End) {
        let (came, end) = read_all(to).await;
        assert!(came.len() >= self.arrived, "{} bytes of {}", came.len(), self.arrived);
        assert!(self.bytes.starts_with(&came));
        assert_eq!(end, wanted);
    }
}
