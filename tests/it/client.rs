//! A legacy client: hyper, and a socket for what hyper would not send.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyswap::egress::{Connector, Egress};
use keyswap::settings::{self, Timeouts};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that trusts the emulator's authority.
#[derive(Clone)]
pub(crate) struct Client {
    hyper: HyperClient<Connector, Full<Bytes>>,
}

/// A request to be.
pub(crate) struct Call {
    client: Client,
    request: http::request::Builder,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The reason phrase, where it is not the status's own.
    pub(crate) phrase: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn trusting(ca: &Path) -> Self {
        let settings = settings::Egress { ca: Some(ca.to_owned()), ..settings::Egress::default() };
        let egress = Egress::new(&settings, Timeouts::DEFAULT.egress).unwrap();
        Self { hyper: HyperClient::builder(TokioExecutor::new()).build(egress.connector()) }
    }

    pub(crate) fn call(&self, method: Method, url: &str) -> Call {
        Call { client: self.clone(), request: Request::builder().method(method).uri(url) }
    }
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("api-key", key)
    }

    pub(crate) async fn send(self) -> Answer {
        self.body(Bytes::new()).await
    }

    /// Borrows nothing, so that it can be spawned.
    pub(crate) fn json(self, body: &Value) -> impl Future<Output = Answer> + use<> {
        self.header("content-type", "application/json").body(body.to_string().into())
    }

    pub(crate) async fn body(self, body: Bytes) -> Answer {
        let request = self.request.body(Full::new(body)).unwrap();
        let answer = self.client.hyper.request(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let phrase = head.extensions.get::<ReasonPhrase>();
        let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, phrase, headers: head.headers, body }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The reason that keyswap gives for an answer of its own.
    pub(crate) fn reason(&self) -> &str {
        self.header("x-keyswap-reason").unwrap_or("none: the answer is the upstream's")
    }

    /// The names of all headers but the ones that every answer has, sorted.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let framing = ["connection", "content-length", "date"];
        let mut names: Vec<_> = self.headers.keys().map(|name| name.as_str()).collect();
        names.retain(|name| !framing.contains(name));
        names.sort_unstable();
        names
    }
}

/// Sends bytes as they are and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    exchange(TcpStream::connect(address).await.unwrap(), request).await
}

/// The same on any stream.
pub(crate) async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// A TLS connection to the gateway that speaks this protocol.
pub(crate) async fn secure(address: SocketAddr, ca_pem: &str, alpn: &[u8]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = handshake(stream, ca_pem, alpn).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
    stream
}

/// A TLS connection to the gateway by a name that its certificate must have.
///
/// # Errors
/// There is no handshake.
pub(crate) async fn secure_as(
    name: &str,
    address: SocketAddr,
    ca_pem: &str,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(tls(ca_pem, alpn)).connect(name, stream).await
}

/// TLS on a connection to the gateway; whoever has no authority to trust brings an empty `ca_pem`.
pub(crate) async fn handshake(stream: TcpStream, ca_pem: &str, alpn: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    TlsConnector::from(tls(ca_pem, alpn)).connect(gateway_name(), stream).await
}

/// The first message of a TLS handshake, as bytes.
pub(crate) fn client_hello(ca_pem: &str) -> Vec<u8> {
    let mut client = ClientConnection::new(tls(ca_pem, b"http/1.1"), gateway_name()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

fn tls(ca_pem: &str, alpn: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

fn gateway_name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A connection of HTTP/2 to the gateway.
pub(crate) async fn http2<B>(address: SocketAddr, ca_pem: &str) -> http2::SendRequest<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let stream = secure(address, ca_pem, b"h2").await;
    let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send
}

/// A request of HTTP/1.1 that asks for the connection to be closed.
pub(crate) fn request_text(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    text.into_bytes()
}
