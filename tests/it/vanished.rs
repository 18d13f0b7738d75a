//! Peers that vanish without a word, as behind a flow that something between has dropped: each leg finds out by itself.

use std::net::SocketAddr;
use std::time::Duration;

use azure_emulator::{Door, Emulator, Fault, Plane};
use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{request_text, secure};
use crate::gateway::LIMIT;
use crate::wire::with_timeouts;
use crate::world::{CHAT, Plan, World, saying};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// A minute without a sign of life, and some more. Without a time-out of ours the system would try for five minutes, and
/// for a quarter of an hour where bytes are on their way.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// What no tool shows: the gateway's own sockets are asked, on either leg, what they will do. A client has as much time as
/// `write` gives it, since to the system one that does not read is no other than one that is gone.
#[tokio::test]
async fn both_legs_give_up_who_is_silent_for_half_a_minute_or_as_long_as_a_client_may_take_nothing() {
    for (timeouts, client_has) in
        [("write = \"1s\"", HALF_A_MINUTE), ("", 2 * HALF_A_MINUTE), ("write = \"5m\"", 10 * HALF_A_MINUTE)]
    {
        let world = with_timeouts(timeouts).start().await;
        world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
        let client = asking(&world).await;
        world.emulator.journal().wait_for(|entry| entry.target == CHAT, LIMIT).await.unwrap();
        let tls = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"http/1.1").await;
        let upstream: SocketAddr = world.emulator.openai(Door::Behind).rsplit('/').next().unwrap().parse().unwrap();
        for (peer, has) in [
            (client.local_addr().unwrap(), client_has),
            (tls.get_ref().0.local_addr().unwrap(), client_has),
            (upstream, HALF_A_MINUTE),
        ] {
            let socket = world.gateway.socket_to(peer);
            let socket = SockRef::from(&socket);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(has), "{peer}, {timeouts}");
            assert_eq!(socket.tcp_keepalive_time().unwrap(), HALF_A_MINUTE, "{peer}");
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), HALF_A_MINUTE, "{peer}");
        }
    }
}

/// `make soak`: what the sockets were told is what happens.
#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn soak_a_peer_that_vanishes_is_given_up() {
    tokio::join!(a_client_that_waits(), a_client_that_is_sent_something(), an_upstream_that_does_not_answer());
}

/// Nothing is on its way to it, and it does not answer a sign of life.
async fn a_client_that_waits() {
    let (world, listener) = world().await;
    let client = asking(&world).await;
    let mut asked = accept(&listener).await;
    vanish(&client);
    let ended = tokio::time::timeout(GIVEN_UP, asked.read(&mut [0])).await.expect("the request is cancelled upstream");
    assert_eq!(ended.unwrap_or_default(), 0);
    world.gateway.told(|line| line["outcome"] == "client-gone").await;
}

/// It acknowledges nothing of a stream that goes on.
async fn a_client_that_is_sent_something() {
    let (world, listener) = world().await;
    let mut client = asking(&world).await;
    let mut asked = accept(&listener).await;
    asked.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await.unwrap();
    client.read_exact(&mut [0; 15]).await.unwrap();
    vanish(&client);
    let sent = async {
        // Far too little to fill what the system keeps for a client.
        while asked.write_all(b"5\r\nhello\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(GIVEN_UP, sent).await.expect("the stream is cancelled upstream");
    world.gateway.told(|line| line["outcome"] == "client-gone" && line["status"] == 200).await;
}

/// It has taken the request, and is not there any more.
async fn an_upstream_that_does_not_answer() {
    let (world, listener) = world().await;
    let mut client = asking(&world).await;
    let asked = accept(&listener).await;
    vanish(&asked);
    let mut answer = [0; 24];
    tokio::time::timeout(GIVEN_UP, client.read_exact(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 502 Bad Gateway");
    world.gateway.told(|line| line["reason"] == "upstream-lost").await;
}

/// From now on this end takes in nothing and acknowledges nothing, and the other end is told of nothing.
fn vanish(stream: &TcpStream) {
    // Of each packet that comes for the socket, no byte is to be taken.
    const RETURN: u16 = 0x06;
    SockRef::from(stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
}

/// A gateway, and the socket that it takes for Azure OpenAI.
async fn world() -> (World, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let here = move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &endpoint);
    (Plan { settings: Box::new(here), ..Plan::default() }.start().await, listener)
}

/// A client that has sent a chat.
async fn asking(world: &World) -> TcpStream {
    let body = saying("hello").to_string();
    let key = world.emulator.keys().openai;
    let mut request = request_text("POST", CHAT, &[("api-key", &key), ("content-length", &body.len().to_string())]);
    request.extend_from_slice(body.as_bytes());
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&request).await.unwrap();
    stream
}

/// An upstream's end of a connection on which a whole chat has come.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(saying("hello").to_string().as_bytes()) {
        request.push(stream.read_u8().await.unwrap());
    }
    stream
}
