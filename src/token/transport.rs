//! `azure_core`'s HTTP client over our own way out: one TLS stack, no proxies of the environment, bounded answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::aadsts;
use crate::egress::{Connector, Egress};

/// The largest answer that an issuer of tokens may give.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Sends the requests of `azure_identity`.
#[derive(Clone)]
pub(super) struct HyperTransport {
    client: Client<Connector, Full<Bytes>>,
}

/// The same, noting what was seen.
#[derive(Debug)]
pub(super) struct Recording {
    transport: HyperTransport,
    exchange: Exchange,
}

/// What was seen of the exchange with an issuer. `azure_identity` loses the status where it cannot read the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    /// No answer came, for this reason.
    NoAnswer(String),
    /// An answer of this status, with Entra's code if it had one.
    Answer { status: u16, code: Option<String> },
    /// A program was asked instead, and this became of it. It refuses us if somebody has to mend something first.
    Program { told: String, cure: &'static str, refused: bool },
}

// === impl HyperTransport ===

impl HyperTransport {
    pub(super) fn new(egress: &Egress) -> Self {
        // Fetches are minutes apart: a kept connection would be closed by then.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(egress.connector());
        Self { client }
    }

    pub(super) fn recording(&self, exchange: &Exchange) -> Recording {
        Recording { transport: self.clone(), exchange: exchange.clone() }
    }

    async fn send(&self, request: &Request) -> Result<(http::response::Parts, Bytes), String> {
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.clone(),
            Body::SeekableStream(_) => return Err("a streamed request, which no credential sends".to_owned()),
        };
        let mut sent = http::Request::builder().method(request.method().as_str()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = self.client.request(sent).await.map_err(|error| chain(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok((head, body.to_bytes()))
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperTransport")
    }
}

/// An error and its causes, since hyper's own text is only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

// === impl Recording ===

#[async_trait]
impl HttpClient for Recording {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        match self.transport.send(request).await {
            Ok((head, body)) => {
                let status = head.status.as_u16();
                self.exchange.note(Seen::Answer { status, code: aadsts::find(&body) });
                if !head.status.is_success() {
                    // For a managed identity azure_identity would retry for minutes, whatever it is told.
                    return Err(Error::with_message(ErrorKind::Other, "no token"));
                }
                let mut headers = Headers::new();
                for (name, value) in &head.headers {
                    // azure_core would sleep as long as Retry-After says, without a bound; our task has its own times.
                    if name != http::header::RETRY_AFTER {
                        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                        headers.insert(name.as_str().to_owned(), value);
                    }
                }
                Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body))
            }
            Err(why) => {
                self.exchange.note(Seen::NoAnswer(why));
                // `Other` is not retried: the control task retries in its own time.
                Err(Error::with_message(ErrorKind::Other, "no answer"))
            }
        }
    }
}

// === impl Exchange ===

impl Exchange {
    fn note(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// Notes what became of a program that was asked, and what to do about it.
    pub(super) fn program(&self, told: &str, cure: &'static str) {
        self.note(Seen::Program { told: told.to_owned(), cure, refused: false });
    }

    /// Notes that a program refuses us, and what to do about it.
    pub(super) fn program_refused(&self, told: String, cure: &'static str) {
        self.note(Seen::Program { told, cure, refused: true });
    }

    /// What the operator should do, where what was seen tells it.
    pub(super) fn cure(&self) -> Option<&'static str> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Answer { code, .. } => code.as_deref().and_then(aadsts::cure),
            Seen::Program { cure, .. } => Some(cure),
            Seen::Nothing | Seen::NoAnswer(_) => None,
        }
    }

    /// The status of the answer, if one came.
    pub(super) fn status(&self) -> Option<u16> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The exchange in a line for the log.
    pub(super) fn summary(&self) -> String {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Nothing => "no answer".to_owned(),
            Seen::NoAnswer(told) | Seen::Program { told, .. } => told.clone(),
            Seen::Answer { status, code: Some(code) } => format!("HTTP {status}, {code}"),
            Seen::Answer { status, code: None } => format!("HTTP {status}"),
        }
    }

    /// Entra's code for what is wrong, like `AADSTS7000215`.
    pub(super) fn code(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Answer { code, .. } => code.clone(),
            _ => None,
        }
    }

    /// Whether the answer says that asking again will not help. 404, 408, 410 and 429 pass (azure-wire, C2).
    pub(super) fn is_final(&self) -> bool {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Answer { status, .. } => (400..500).contains(status) && ![404, 408, 410, 429].contains(status),
            Seen::Program { refused, .. } => *refused,
            Seen::Nothing | Seen::NoAnswer(_) => false,
        }
    }
}
