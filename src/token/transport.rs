//! `azure_core`'s HTTP client over our own way out: one TLS stack, no proxies of the environment, bounded answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::aadsts::{self, Ailment};
use crate::egress::{Connector, Egress, Unreachable, innermost};

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
pub(super) struct Exchange(Arc<Mutex<Seen>>);

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) enum Seen {
    /// Nobody was asked.
    #[default]
    Nothing,
    /// No answer came, for this reason.
    NoAnswer(String),
    /// An answer of this status, with Entra's code if it had one.
    Answer {
        /// The status.
        status: u16,
        /// Like `AADSTS7000215`.
        code: Option<String>,
        /// What time it was for whoever answered.
        dated: Option<Dated>,
    },
    /// A program was asked instead, and this became of it. It refuses us if somebody has to mend something first.
    Program {
        /// What became of it.
        told: String,
        /// What to do about it.
        cure: &'static str,
        /// Whether somebody has to.
        refused: bool,
    },
}

/// The `Date` of an answer, and when it was made, by our own clock.
#[derive(Clone, Debug)]
pub(crate) struct Dated {
    /// As it was written.
    pub(crate) date: String,
    /// When the request was sent.
    pub(crate) sent: SystemTime,
    /// When the head of the answer had come.
    pub(crate) heard: SystemTime,
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
        let answer = self.client.request(sent).await.map_err(|error| told(&error))?;
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

/// Why there is no answer, since hyper's own text is only the outermost.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    match innermost(error) {
        // It says itself what was tried.
        cause if cause.is::<Unreachable>() => cause.to_string(),
        cause => format!("the connection broke: {cause}"),
    }
}

// === impl Recording ===

#[async_trait]
impl HttpClient for Recording {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        // All that there is to see, if it hangs.
        self.exchange.note(Seen::NoAnswer("no answer".to_owned()));
        let sent = SystemTime::now();
        match self.transport.send(request).await {
            Ok((head, body)) => {
                let date = head.headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
                let dated = date.map(|date| Dated { date: date.to_owned(), sent, heard: SystemTime::now() });
                self.exchange.note(Seen::Answer { status: head.status.as_u16(), code: aadsts::find(&body), dated });
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
                Ok(AsyncRawResponse::from_bytes(StatusCode::from(head.status.as_u16()), headers, body))
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

    /// What was seen last.
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Seen ===

impl Seen {
    /// What Entra finds wrong, where what was seen tells it.
    pub(crate) fn ailment(&self) -> Option<Ailment> {
        self.code().and_then(Ailment::of)
    }

    /// What the operator should do, where what was seen tells it.
    pub(super) fn cure(&self) -> Option<&'static str> {
        match self {
            Self::Program { cure, .. } => Some(cure),
            _ => self.ailment().map(Ailment::cure),
        }
    }

    /// The status of the answer, if one came.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Entra's code for what is wrong, like `AADSTS7000215`.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Whether the answer says that asking again will not help. 404, 408, 410 and 429 pass (azure-wire, C2).
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Answer { status, .. } => (400..500).contains(status) && ![404, 408, 410, 429].contains(status),
            Self::Program { refused, .. } => *refused,
            Self::Nothing | Self::NoAnswer(_) => false,
        }
    }
}

impl fmt::Display for Seen {
    /// In a line for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no answer"),
            Self::NoAnswer(told) | Self::Program { told, .. } => f.write_str(told),
            Self::Answer { status, code: Some(code), .. } => write!(f, "HTTP {status}, {code}"),
            Self::Answer { status, code: None, .. } => write!(f, "HTTP {status}"),
        }
    }
}
