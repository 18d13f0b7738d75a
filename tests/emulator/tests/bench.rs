//! An emulator and a client that trusts it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use azure_emulator::{App, Door, Emulator, Entry, Options, Plane};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::ext::ReasonPhrase;
use hyper::{HeaderMap, Request, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Longer than anything here takes; only a broken test waits for so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) const CHAT: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
pub(crate) const HALLO: &str = r#"{"messages":[{"role":"user","content":"Hallo"}]}"#;
pub(crate) const OPENAI_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
pub(crate) const SEARCH_SCOPE: &str = "https://search.azure.com/.default";

pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    tls: Arc<ClientConfig>,
}

/// A request, built by chaining.
pub(crate) struct Ask<'a> {
    bench: &'a Bench,
    request: hyper::http::request::Builder,
    base: String,
    target: String,
    body: Bytes,
    http2: bool,
    host: Option<String>,
    name: Option<String>,
}

/// A connection that is kept open.
pub(crate) struct Held {
    _sender: Box<dyn Any + Send>,
    task: JoinHandle<bool>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// As far as it came.
    pub(crate) body: Bytes,
    /// The body's end came.
    pub(crate) whole: bool,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let emulator = Emulator::start(options).await.expect("an emulator");
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).expect("PEM");
        roots.add(ca).expect("a certificate authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { emulator, tls: Arc::new(tls) }
    }

    pub(crate) fn ask(&self, method: &str, base: &str, target: &str) -> Ask<'_> {
        Ask {
            bench: self,
            request: Request::builder().method(method),
            base: base.to_owned(),
            target: target.to_owned(),
            body: Bytes::new(),
            http2: false,
            host: None,
            name: None,
        }
    }

    /// To Azure OpenAI behind a gateway.
    pub(crate) fn openai(&self, method: &str, target: &str) -> Ask<'_> {
        self.ask(method, &self.emulator.openai(Door::Behind), target)
    }

    /// To Azure AI Search behind a gateway.
    pub(crate) fn search(&self, method: &str, target: &str) -> Ask<'_> {
        self.ask(method, &self.emulator.search(Door::Behind), target)
    }

    /// A token for `scope`, from Entra.
    pub(crate) async fn token(&self, app: &App, scope: &str) -> String {
        let reply = self.ask_token(app, &app.secret, scope).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) fn ask_token(&self, app: &App, secret: &str, scope: &str) -> Ask<'_> {
        let form =
            format!("grant_type=client_credentials&client_id={}&client_secret={secret}&scope={scope}", app.client_id);
        let target = format!("/{}/oauth2/v2.0/token", app.tenant);
        self.ask("POST", &self.emulator.entra(), &target).body(form)
    }

    /// A good request to one of the identity endpoints, for a token for the search service.
    pub(crate) fn ask_identity(&self, plane: Plane) -> Ask<'_> {
        const RESOURCE: &str = "resource=https://search.azure.com";
        if plane == Plane::Imds {
            let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{RESOURCE}");
            return self.ask("GET", &self.emulator.imds(), &target).header("metadata", "true");
        }
        let endpoint = self.emulator.identity_endpoint();
        let base = endpoint.url.strip_suffix("/msi/token").expect("its path");
        let target = format!("/msi/token?api-version=2019-08-01&{RESOURCE}");
        self.ask("GET", base, &target).header("x-identity-header", &endpoint.header)
    }

    pub(crate) async fn openai_token(&self) -> String {
        self.token(&self.emulator.app(), OPENAI_SCOPE).await
    }

    pub(crate) async fn search_token(&self) -> String {
        self.token(&self.emulator.app(), SEARCH_SCOPE).await
    }

    pub(crate) async fn entry(&self, wanted: impl Fn(&Entry) -> bool) -> Entry {
        let found = self.emulator.journal().wait_for(wanted, LIMIT).await;
        found.expect("an entry in the journal")
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Calls the emulator by another name than its own (HTTP/1.1).
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Wants a certificate for this name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sends, and keeps the connection open.
    pub(crate) async fn send_and_keep(self) -> (Reply, Held) {
        self.exchange().await.expect("an answer")
    }

    pub(crate) async fn send(self) -> Reply {
        self.try_send().await.expect("an answer")
    }

    /// `None` if the connection ended before an answer.
    pub(crate) async fn try_send(self) -> Option<Reply> {
        let answer = tokio::time::timeout(LIMIT, self.exchange()).await.expect("an answer or an end in time");
        answer.map(|(reply, _)| reply)
    }

    async fn exchange(self) -> Option<(Reply, Held)> {
        let base: Uri = self.base.parse().expect("a base URL");
        let authority = base.authority().expect("an authority").clone();
        let tcp = TcpStream::connect(authority.as_str()).await.expect("a connection");
        if base.scheme_str() == Some("http") {
            return self.over_http1(TokioIo::new(tcp), authority.as_str()).await;
        }
        let mut tls = ClientConfig::clone(&self.bench.tls);
        tls.alpn_protocols = vec![if self.http2 { "h2" } else { "http/1.1" }.into()];
        let name = self.name.as_deref().or(base.host()).expect("a host");
        let name = ServerName::try_from(name.to_owned());
        let stream = TlsConnector::from(Arc::new(tls))
            .connect(name.expect("a server name"), tcp)
            .await
            .expect("a TLS handshake");
        if self.http2 {
            return self.over_http2(TokioIo::new(stream)).await;
        }
        self.over_http1(TokioIo::new(stream), authority.as_str()).await
    }

    async fn over_http1<I>(self, stream: I, authority: &str) -> Option<(Reply, Held)>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
        let task = tokio::spawn(async move { connection.await.is_ok() });
        let host = self.host.as_deref().unwrap_or(authority);
        let request = self.request.uri(self.target).header("host", host).body(Full::new(self.body)).expect("a request");
        let reply = read(sender.send_request(request).await.ok()?).await;
        Some((reply, Held { _sender: Box::new(sender), task }))
    }

    async fn over_http2<I>(self, stream: I) -> Option<(Reply, Held)>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        let task = tokio::spawn(async move { connection.await.is_ok() });
        let request =
            self.request.uri(format!("{}{}", self.base, self.target)).body(Full::new(self.body)).expect("a request");
        let reply = read(sender.send_request(request).await.ok()?).await;
        Some((reply, Held { _sender: Box::new(sender), task }))
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Reply {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let whole = loop {
        match incoming.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => body.extend(frame.into_data().ok()),
        }
    };
    let reason = head.extensions.get::<ReasonPhrase>();
    Reply {
        status: head.status,
        reason: reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned()),
        version: head.version,
        headers: head.headers,
        body: body.freeze(),
        whole,
    }
}

impl Held {
    /// Waits until the other side has ended the connection; whether it did so in order.
    pub(crate) async fn ended(self) -> bool {
        tokio::time::timeout(LIMIT, self.task).await.expect("an end in time").expect("no panic")
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The names of the headers, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The frames of an event stream, without `data: `.
    pub(crate) fn events(&self) -> Vec<&str> {
        let text = self.text().strip_suffix("\n\n").expect("a whole last frame");
        text.split("\n\n").map(|frame| frame.strip_prefix("data: ").expect("a frame")).collect()
    }
}
