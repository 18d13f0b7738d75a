//! A websocket over HTTP/2 (RFC 8441), as a proxy in front of us may ask for one.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::client::secure;
use crate::gateway::LIMIT;
use crate::websocket::{Far, KEY, REALTIME, exactly, noise, to_the_end, write_oddly};
use crate::world::World;

/// A client of HTTP/2 that asks by an extended CONNECT.
async fn http2(world: &World) -> SendRequest<Bytes> {
    let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // The server's settings are there when it has answered anything at all.
    let models = Request::get("https://localhost/openai").body(()).unwrap();
    send.send_request(models, true).unwrap().0.await.unwrap();
    assert!(send.is_extended_connect_protocol_enabled());
    send
}

fn extended_connect(world: &World, target: &str, protocol: &'static str) -> Request<()> {
    Request::connect(format!("https://localhost{target}"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("api-key", world.emulator.keys().openai)
        .extension(h2::ext::Protocol::from_static(protocol))
        .body(())
        .unwrap()
}

/// A stream of this connection that is a websocket, open at both ends.
async fn open(client: &mut SendRequest<Bytes>, far: &Far, world: &World) -> (SendStream<Bytes>, RecvStream, TcpStream) {
    let (answer, send) = client.send_request(extended_connect(world, REALTIME, "websocket"), false).unwrap();
    let asked = far.asked().await;
    let accept = derive_accept_key(asked.header("sec-websocket-key").unwrap().as_bytes());
    let upstream = asked.open_with(&accept, "").await;
    let answer = tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap();
    assert_eq!(answer.status(), 200);
    (send, answer.into_body(), upstream)
}

/// RFC 8441: a stream of HTTP/2 becomes a websocket of HTTP/1.1 upstream, whose key is ours.
#[tokio::test]
async fn a_stream_of_http2_is_a_websocket_too() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let mut client = http2(&world).await;
    let (answer, mut send) = client.send_request(extended_connect(&world, REALTIME, "websocket"), false).unwrap();
    let asked = far.asked().await;
    assert!(asked.head.starts_with(&format!("GET {REALTIME} HTTP/1.1\r\n")), "{}", asked.head);
    assert_eq!(asked.header("upgrade"), Some("websocket"));
    let key = asked.header("sec-websocket-key").unwrap().to_owned();
    assert_ne!(key, KEY);
    let accept = derive_accept_key(key.as_bytes());
    let mut upstream = asked.open_with(&accept, "sec-websocket-extensions: permessage-deflate\r\n").await;
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-extensions"], "permessage-deflate");
    assert!(!answer.headers().contains_key("sec-websocket-accept"));

    send.send_data(Bytes::from_static(b"hello"), false).unwrap();
    assert_eq!(exactly(&mut upstream, 5).await, b"hello");
    let long = noise(200_000);
    let (mut body, mut came) = (answer.into_body(), Vec::new());
    let (mut read, mut write) = split(upstream);
    let reading = async {
        while came.len() < long.len() {
            let data = body.data().await.expect("more").unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            came.extend_from_slice(&data);
        }
    };
    tokio::join!(write_oddly(&mut write, &long), reading);
    assert!(came == long);
    write.shutdown().await.unwrap();
    while let Some(data) = body.data().await {
        assert_eq!(data.unwrap(), "", "an end has nothing in it");
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert_eq!(to_the_end(&mut read).await, b"");
    let line = world.gateway.told(|line| line["family"] == "realtime").await;
    for (field, value) in [
        ("http", json!("2")),
        ("method", json!("CONNECT")),
        ("status", json!(200)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(200_000)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
}

/// A connection whose stream has become a websocket has one for as long as that lives, though nothing is said over it.
#[tokio::test]
async fn a_websocket_over_http2_keeps_its_connection() {
    let far = Far::start().await;
    let world = far.plan("", "[timeouts]\nkeep_alive = \"200ms\"\nhead = \"1s\"\n").start().await;
    let mut client = http2(&world).await;
    let (mut send, _body, mut upstream) = open(&mut client, &far, &world).await;
    // As long as others are idle, one after the other.
    for _ in 0..3 {
        let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
        let (mut idle, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let models = Request::get("https://localhost/openai").body(()).unwrap();
        drop(idle.send_request(models, true).unwrap().0.await.unwrap());
        drop(tokio::time::timeout(LIMIT, connection).await.expect("it stays open"));
    }
    // It was not asked to leave, either.
    let client = client.ready().await.unwrap();
    send.send_data(Bytes::from_static(b"hello"), false).unwrap();
    assert_eq!(exactly(&mut upstream, 5).await, b"hello");
    drop(client);
}

/// Over HTTP/2 a loss is the end of the stream, after everything that came before.
#[tokio::test]
async fn an_upstream_that_is_lost_ends_its_stream() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let mut client = http2(&world).await;
    let (_send, mut body, mut upstream) = open(&mut client, &far, &world).await;
    upstream.write_all(b"last").await.unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "last");
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    while let Some(data) = tokio::time::timeout(LIMIT, body.data()).await.expect("an end") {
        assert_eq!(data.unwrap(), "", "an end has nothing in it");
    }
    world.gateway.told(|line| line["outcome"] == "upstream-broke" && line["bytes_out"] == 4).await;
}

/// What ends a stream whose client takes what is there, and never makes room for more.
async fn broken(mut body: RecvStream) -> h2::Error {
    loop {
        let data = tokio::time::timeout(LIMIT, body.data()).await.expect("the stream's end");
        if let Err(error) = data.expect("no end that looks like any other") {
            return error;
        }
    }
}

/// Says something again and again, until nobody hears it.
async fn speak(mut send: SendStream<Bytes>) {
    while send.send_data(Bytes::from_static(b"."), false).is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A client that opens no window has its time, as one of HTTP/1.1 that reads nothing: also where it speaks all the while,
/// and where the upstream has long ended.
#[tokio::test]
async fn a_client_that_makes_no_room_loses_its_stream() {
    // A window is 65,535 bytes, and hyper has two of our pieces besides.
    for (length, ended) in [(200_000, false), (70_000, true)] {
        let far = Far::start().await;
        let world = far.plan("", "[timeouts]\nwrite = \"1s\"\nwebsocket = \"3s\"\n").start().await;
        let mut client = http2(&world).await;
        let (send, body, upstream) = open(&mut client, &far, &world).await;
        let speaking = tokio::spawn(speak(send));
        let (mut read, mut write) = split(upstream);
        write.write_all(&noise(length)).await.unwrap();
        if ended {
            write.shutdown().await.unwrap();
        }
        assert!(broken(body).await.is_reset(), "{length} bytes");
        world.gateway.told(|line| line["family"] == "realtime" && line["outcome"] == "client-gone").await;
        speaking.await.unwrap();
        // However that ends: what the client had said may have been on its way when the connection went.
        let upstream = tokio::time::timeout(LIMIT, read.read_to_end(&mut Vec::new())).await;
        drop(upstream.expect("the upstream is let go"));
    }
}

/// Nor does it keep its stream where both were silent for too long, and what was said before waits for it.
#[tokio::test]
async fn what_waits_for_a_client_ends_with_its_time() {
    let far = Far::start().await;
    let world = far.plan("", "[timeouts]\nwrite = \"3s\"\nwebsocket = \"500ms\"\n").start().await;
    let mut client = http2(&world).await;
    let (_send, body, mut upstream) = open(&mut client, &far, &world).await;
    // As much as a window and what hyper keeps besides: we have nothing left that waits.
    upstream.write_all(&noise(90_000)).await.unwrap();
    world.gateway.told(|line| line["family"] == "realtime" && line["outcome"] == "idle").await;
    assert!(broken(body).await.is_reset());
}

/// An upstream that saw another key than ours opens nothing; nor does what is asked elsewhere, or for something else.
#[tokio::test]
async fn a_stream_of_http2_opens_nothing_else() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let mut client = http2(&world).await;
    let (answer, _send) = client.send_request(extended_connect(&world, REALTIME, "websocket"), false).unwrap();
    let _upstream = far.asked().await.open("").await;
    let answer = answer.await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-keyswap-reason"]),
        (502, &"upstream-lost".parse().unwrap())
    );

    let (answer, _send) = client.send_request(extended_connect(&world, REALTIME, "connect-udp"), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-keyswap-reason"]), (400, &"ambiguous".parse().unwrap()));
}
