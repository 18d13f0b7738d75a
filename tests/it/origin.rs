//! Where a request comes from, also behind proxies: what a line tells as `from`, and who is believed about it.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::client::{exchange, handshake, request_text};
use crate::world::{CHAT, Plan, World, saying};

/// The address of a proxy that is trusted, and of one that is not; all of 127.0.0.0/8 is this machine.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A world with this in `[listen]`.
async fn listening(more: &'static str) -> World {
    let settings = move |text: String, _: &_| text.replace("[listen]\n", &format!("[listen]\n{more}\n"));
    Plan { settings: Box::new(settings), ..Plan::default() }.start().await
}

/// A connection from one of our addresses to another.
async fn connected(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The `from` of the line of the request with this path.
async fn told(world: &World, path: &str) -> Value {
    world.gateway.told(|line| line["path"] == path).await["from"].clone()
}

/// Whether `from` is this address, or, of a peer, begins with it: its port is the system's.
fn is(from: &Value, expected: &str) -> bool {
    from.as_str().is_some_and(|from| from == expected || from.starts_with(&format!("{expected}:")))
}

/// What somebody writes, from where, and whose address its line has then.
type Case<'c> = (Ipv4Addr, Vec<(&'c str, &'c str)>, &'c str);

/// Sends each on a connection of its own, and looks at its line.
async fn each_is_told(world: &World, cases: &[Case<'_>]) {
    for (n, (source, headers, from)) in cases.iter().enumerate() {
        let path = format!("/nowhere/{n}");
        let stream = connected(*source, world.gateway.http).await;
        exchange(stream, &request_text("GET", &path, headers)).await;
        let told = told(world, &path).await;
        assert!(is(&told, from), "{source} {headers:?}: {told}, not {from}");
    }
}

#[tokio::test]
async fn x_forwarded_for_is_believed_of_trusted_proxies_hop_by_hop() {
    let world = listening("trusted_proxies = [\"127.0.0.2\", \"10.0.0.0/8\", \"fd00::/8\"]").await;
    let name = "X-Forwarded-For";
    let cases = [
        (PROXY, vec![], "127.0.0.2"),
        (PROXY, vec![(name, "192.0.2.1")], "192.0.2.1"),
        (PROXY, vec![(name, "192.0.2.1:4711")], "192.0.2.1:4711"),
        (PROXY, vec![(name, "[2001:db8::1]:4711")], "[2001:db8::1]:4711"),
        (PROXY, vec![(name, "2001:db8::1")], "2001:db8::1"),
        (PROXY, vec![(name, "192.0.2.1, 10.0.0.7, fd00::7")], "192.0.2.1"),
        (PROXY, vec![(name, "192.0.2.1"), (name, "10.0.0.7")], "192.0.2.1"),
        // What the client itself wrote stands behind it.
        (PROXY, vec![(name, "10.0.0.9, 203.0.113.9, 192.0.2.1, 10.0.0.7")], "192.0.2.1"),
        (PROXY, vec![(name, "203.0.113.9"), (name, "192.0.2.1")], "192.0.2.1"),
        // Nothing but proxies: the farthest of them.
        (PROXY, vec![(name, "10.0.0.8, 10.0.0.7")], "10.0.0.8"),
        // What cannot be read ends the way.
        (PROXY, vec![(name, "203.0.113.9, unknown")], "127.0.0.2"),
        (PROXY, vec![(name, "203.0.113.9, <script>, 10.0.0.7")], "10.0.0.7"),
        (PROXY, vec![(name, "203.0.113.9,")], "127.0.0.2"),
        // The other header is the client's own, whatever it says.
        (PROXY, vec![("Forwarded", "for=203.0.113.9")], "127.0.0.2"),
        (PROXY, vec![("Forwarded", "for=203.0.113.9"), (name, "192.0.2.1")], "192.0.2.1"),
        (PROXY, vec![("X-Real-IP", "203.0.113.9")], "127.0.0.2"),
        // Who is no proxy of ours may write what it likes.
        (STRANGER, vec![(name, "203.0.113.9")], "127.0.0.3"),
        (STRANGER, vec![(name, "127.0.0.2"), ("Forwarded", "for=203.0.113.9")], "127.0.0.3"),
    ];
    each_is_told(&world, &cases).await;
}

#[tokio::test]
async fn forwarded_is_believed_where_the_proxies_write_it() {
    let world = listening("trusted_proxies = [\"127.0.0.2\", \"10.0.0.7\"]\nforwarded_header = \"forwarded\"").await;
    let name = "Forwarded";
    let cases = [
        (PROXY, vec![(name, "for=192.0.2.1;proto=https;by=127.0.0.2")], "192.0.2.1"),
        (PROXY, vec![(name, "for=\"[2001:db8::1]:4711\", for=10.0.0.7")], "[2001:db8::1]:4711"),
        (PROXY, vec![(name, "for=203.0.113.9, for=192.0.2.1"), (name, "for=10.0.0.7")], "192.0.2.1"),
        (PROXY, vec![(name, "for=203.0.113.9, for=unknown")], "127.0.0.2"),
        (PROXY, vec![(name, "for=192.0.2.1;host=\"a, for=203.0.113.9;x=\\\"\"")], "192.0.2.1"),
        (PROXY, vec![("X-Forwarded-For", "203.0.113.9"), (name, "for=192.0.2.1")], "192.0.2.1"),
        (PROXY, vec![("X-Forwarded-For", "203.0.113.9")], "127.0.0.2"),
        (STRANGER, vec![(name, "for=203.0.113.9")], "127.0.0.3"),
    ];
    each_is_told(&world, &cases).await;
}

#[tokio::test]
async fn whoever_comes_by_the_unix_socket_is_believed_if_the_settings_say_so() {
    for (settings, from) in
        [("trusted_proxies = [\"127.0.0.2\"]", Value::Null), ("trusted_proxies = [\"unix\"]", Value::from("192.0.2.1"))]
    {
        let world = listening(settings).await;
        let socket = UnixStream::connect(world.gateway.directory.path().join("keyswap.sock")).await.unwrap();
        exchange(socket, &request_text("GET", "/nowhere", &[("X-Forwarded-For", "203.0.113.9, 192.0.2.1")])).await;
        assert_eq!(told(&world, "/nowhere").await, from, "{settings}");
    }
}

/// They tell of the client's network, and Azure has no use for them.
#[tokio::test]
async fn what_tells_of_the_way_is_not_forwarded() {
    let world = World::start().await;
    let mut call = world.post(CHAT).key(&world.emulator.keys().openai);
    for name in
        ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Azure-ClientIP"]
    {
        call = call.header(name, "192.0.2.1").header(name, "for=192.0.2.1");
    }
    assert_eq!(call.header("x-stays", "192.0.2.1").json(&saying("hello")).await.status, 200);
    let arrived = world.only_arrival();
    let told: Vec<_> = arrived.headers.iter().filter(|(_, value)| value.contains("192.0.2.1")).collect();
    assert_eq!(told, [&("x-stays".to_owned(), "192.0.2.1".to_owned())]);
}

// === The PROXY protocol ===

const PROXY_PROTOCOL: &str = "trusted_proxies = [\"127.0.0.2\", \"10.0.0.7\", \"unix\"]\nproxy_protocol = true";

/// A header of version 2 that speaks for this client, over TCP and IPv4.
fn header(client: [u8; 4], port: u16) -> Vec<u8> {
    let to = [127, 0, 0, 2, 0, 80];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &client[..], &to[..4], &port.to_be_bytes(), &to[4..]].concat()
}

#[tokio::test]
async fn a_proxy_says_in_front_of_everything_whom_it_speaks_for() {
    let world = listening(PROXY_PROTOCOL).await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    for (n, (announced, headers, from)) in [
        (header([192, 0, 2, 1], 4711), vec![], "192.0.2.1:4711"),
        (header([192, 0, 2, 1], 4711), vec![("X-Forwarded-For", "203.0.113.9")], "192.0.2.1:4711"),
        // A proxy behind a proxy: the one that was announced is believed in its turn.
        (header([10, 0, 0, 7], 4711), vec![("X-Forwarded-For", "203.0.113.9, 192.0.2.1")], "192.0.2.1"),
        (local, vec![], "127.0.0.2"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/nowhere/{n}");
        let mut stream = connected(PROXY, world.gateway.http).await;
        // However the bytes come.
        for byte in &announced {
            stream.write_all(&[*byte]).await.unwrap();
        }
        let answer = exchange(stream, &request_text("GET", &path, &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let told = told(&world, &path).await;
        assert!(is(&told, from), "{headers:?}: {told}, not {from}");
    }
    let mut socket = UnixStream::connect(world.gateway.directory.path().join("keyswap.sock")).await.unwrap();
    socket.write_all(&header([192, 0, 2, 1], 4711)).await.unwrap();
    exchange(socket, &request_text("GET", "/nowhere/unix", &[])).await;
    assert_eq!(told(&world, "/nowhere/unix").await, "192.0.2.1:4711");
}

#[tokio::test]
async fn it_stands_in_front_of_tls_as_well() {
    let world = listening(PROXY_PROTOCOL).await;
    let mut stream = connected(PROXY, world.gateway.https.unwrap()).await;
    stream.write_all(&header([192, 0, 2, 1], 4711)).await.unwrap();
    let mut stream = handshake(stream, world.emulator.ca_pem(), b"http/1.1").await.unwrap();
    stream.write_all(&request_text("GET", "/nowhere", &[])).await.unwrap();
    assert_eq!(told(&world, "/nowhere").await, "192.0.2.1:4711");
}

#[tokio::test]
async fn a_trusted_proxy_must_speak_it_and_nobody_else_can() {
    let world = listening(PROXY_PROTOCOL).await;
    let request = request_text("GET", "/nowhere", &[]);
    // A proxy that was not told to: nothing is read of its request, and nothing is answered.
    for begin in [&b""[..], b"PROXY TCP4 192.0.2.1 127.0.0.2 4711 80\r\n"] {
        let mut stream = connected(PROXY, world.gateway.http).await;
        stream.write_all(&[begin, &request].concat()).await.unwrap();
        let mut answer = Vec::new();
        // A close with bytes unread is a reset.
        drop(stream.read_to_end(&mut answer).await);
        assert_eq!(String::from_utf8_lossy(&answer), "");
    }
    let what = "a trusted proxy does not speak the PROXY protocol (told once)";
    let warning = world.gateway.logged(|line| line["message"] == what).await;
    assert_eq!((&warning["level"], &warning["error"]), (&"WARN".into(), &"the connection begins otherwise".into()));
    assert!(is(&warning["from"], "127.0.0.2"), "{warning}");
    let each = world.gateway.logged(|line| line["cause"] == "no-proxy-header").await;
    assert!(is(&each["from"], "127.0.0.2") && each["why"] == "the connection begins otherwise", "{each}");

    // A stranger comes as before; a header of its own is no HTTP.
    let answer = exchange(connected(STRANGER, world.gateway.http).await, &request).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let mut stream = connected(STRANGER, world.gateway.http).await;
    stream.write_all(&[header([192, 0, 2, 1], 4711), request].concat()).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!String::from_utf8_lossy(&answer).contains(" 404 "), "{answer:?}");
    let lines = world.gateway.requests();
    assert!(lines.iter().all(|line| is(&line["from"], "127.0.0.3")), "{lines:?}");
}

/// A proxy that says nothing has the time of a first byte, and no more.
#[tokio::test]
async fn a_proxy_that_announces_nobody_is_let_go() {
    let settings = |text: String, _: &_| {
        text.replace("[listen]\n", &format!("[timeouts]\nfirst_byte = \"200ms\"\n[listen]\n{PROXY_PROTOCOL}\n"))
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    for begin in [&b""[..], b"\r\n\r\n\0\r\nQUIT", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0"] {
        let mut stream = connected(PROXY, world.gateway.http).await;
        stream.write_all(begin).await.unwrap();
        let mut answer = Vec::new();
        drop(tokio::time::timeout(crate::gateway::LIMIT, stream.read_to_end(&mut answer)).await.expect("an end"));
        assert_eq!(answer, b"");
    }
}
