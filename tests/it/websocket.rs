//! Both ends of a websocket: a client that speaks it, one that only opens it and sends bytes, and an upstream that does
//! with it whatever a test makes it do.

use std::net::SocketAddr;

use azure_emulator::{Door, Emulator};
use futures_util::{SinkExt, StreamExt};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::secure;
use crate::gateway::LIMIT;
use crate::world::{Plan, World};

/// What is asked for where it does not matter.
pub(crate) const REALTIME: &str = "/openai/v1/realtime?model=gpt-4o-realtime-preview";

/// The key of the example in RFC 6455, 1.3, and what answers it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A plan whose keys may open websockets.
pub(crate) fn plan() -> Plan {
    Plan {
        keys: Box::new(|text, _| text.replace("{ resource = \"ai\" }", "{ resource = \"ai\", allow = [\"openai\"] }")),
        ..Plan::default()
    }
}

/// A websocket's client, over TLS.
pub(crate) struct Talk {
    pub(crate) socket: WebSocketStream<TlsStream<TcpStream>>,
    /// What opened it.
    pub(crate) answer: Response,
}

/// A connection on which a websocket was opened, and nothing is spoken.
#[derive(Debug)]
pub(crate) struct Near {
    pub(crate) stream: TcpStream,
    /// The head of the answer that opened it.
    pub(crate) head: String,
}

/// An upstream that waits to be asked.
pub(crate) struct Far {
    listener: TcpListener,
}

/// A request that came to it.
pub(crate) struct Asked {
    pub(crate) stream: TcpStream,
    /// Its head, as it came.
    pub(crate) head: String,
}

// === impl Talk ===

impl Talk {
    /// Asks for a websocket in this way.
    pub(crate) async fn open(world: &World, target: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let address = world.gateway.https.unwrap();
        let mut request = format!("wss://localhost:{}{target}", address.port()).into_client_request()?;
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let stream = secure(address, world.emulator.ca_pem(), b"http/1.1").await;
        let (socket, answer) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { socket, answer })
    }

    /// The status and the text of an answer that opened nothing.
    pub(crate) async fn refused(world: &World, target: &str, headers: &[(&str, &str)]) -> http::Response<String> {
        match Self::open(world, target, headers).await {
            Err(Error::Http(answer)) => answer.map(|body| String::from_utf8(body.expect("a body")).expect("a text")),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{target} was opened"),
        }
    }

    pub(crate) async fn say(&mut self, event: &Value) {
        self.socket.send(Message::text(event.to_string())).await.unwrap();
    }

    /// The next event, whatever else comes before it.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.next().await.expect("not the end").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(LIMIT, self.socket.next()).await.expect("something in time")
    }
}

// === impl Near ===

impl Near {
    /// Opens a websocket over plain HTTP.
    pub(crate) async fn open(world: &World) -> Self {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(&opening(world, &[])).await.unwrap();
        Self::opened(stream).await
    }

    /// Waits until it is open.
    pub(crate) async fn opened(mut stream: TcpStream) -> Self {
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        Self { stream, head }
    }
}

/// A request for a websocket, with these headers besides.
pub(crate) fn opening(world: &World, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!(
        "GET {REALTIME} HTTP/1.1\r\nhost: gateway\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\napi-key: {}\r\n",
        world.emulator.keys().openai
    );
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

// === impl Far ===

impl Far {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// A world whose gateway forwards here what is for Azure OpenAI, with these settings besides.
    pub(crate) fn plan(&self, resource: &str, more: &str) -> Plan {
        let endpoint = format!("http://{}", self.address());
        let resource = format!("[resources.ai]\n{resource}\n");
        let more = more.to_owned();
        let here = move |text: String, emulator: &Emulator| {
            text.replace(&emulator.openai(Door::Behind), &endpoint).replace("[resources.ai]\n", &resource) + &more
        };
        Plan { settings: Box::new(here), ..plan() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next request.
    pub(crate) async fn asked(&self) -> Asked {
        let mut stream = self.called().await;
        let head = read_head(&mut stream).await;
        Asked { stream, head }
    }

    /// The next connection.
    pub(crate) async fn called(&self) -> TcpStream {
        tokio::time::timeout(LIMIT, self.listener.accept()).await.expect("a connection in time").unwrap().0
    }

    /// A websocket, open at both ends.
    pub(crate) async fn open(&self, world: &World) -> (Near, TcpStream) {
        let (near, far) = tokio::join!(Near::open(world), async { self.asked().await.open("").await });
        (near, far)
    }
}

// === impl Asked ===

impl Asked {
    /// Says that the websocket is open, with these lines and bytes besides.
    pub(crate) async fn open(self, lines: &str) -> TcpStream {
        self.open_with(ACCEPT, lines).await
    }

    /// The same, in answer to another key.
    pub(crate) async fn open_with(mut self, accept: &str, lines: &str) -> TcpStream {
        self.stream.write_all(accepting(accept, lines).as_bytes()).await.unwrap();
        self.stream
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The answer that opens a websocket, with these lines and bytes besides.
pub(crate) fn accepting(accept: &str, lines: &str) -> String {
    // Bytes that follow the head come with it.
    let end = if lines.contains("\r\n\r\n") { "" } else { "\r\n" };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n{lines}{end}"
    )
}

/// Reads a head and not one byte more.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(LIMIT, stream.read_u8()).await.expect("a head in time");
        head.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head))));
    }
    String::from_utf8(head).unwrap()
}

/// Bytes that mean nothing.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    TestRng::deterministic_rng(RngAlgorithm::ChaCha).fill_bytes(&mut bytes);
    bytes
}

/// Reads so many bytes.
pub(crate) async fn exactly(stream: &mut (impl AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(LIMIT, stream.read_exact(&mut bytes)).await.expect("all in time").unwrap();
    bytes
}

/// Reads to the end, which is a clean one.
pub(crate) async fn to_the_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("an end in time").unwrap();
    bytes
}

/// Writes in pieces of odd sizes.
pub(crate) async fn write_oddly(stream: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) {
    for size in [1, 7, 61, 1021, 4093, 16_381, 40_009].into_iter().cycle() {
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        bytes = rest;
        if bytes.is_empty() {
            return;
        }
    }
}
