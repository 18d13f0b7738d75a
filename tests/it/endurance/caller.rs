//! A legacy client's way to the gateway: over each protocol, on a connection that it keeps or on a new one each time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::handshake;
use crate::gateway::LIMIT;

/// Where the gateway is, or what stands before it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// The authorities that its certificates may be from.
    pub(crate) ca_pem: Arc<str>,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Front {
    Http1,
    Http1OverTls,
    Http2,
}

pub(crate) const FRONTS: [Front; 3] = [Front::Http1, Front::Http1OverTls, Front::Http2];

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunks,
}

/// A request's body, in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pieces: VecDeque<Bytes>,
    framing: Framing,
}

/// A client.
pub(crate) struct Caller {
    place: Place,
    front: Front,
    keeps: bool,
    kept: Option<Sender>,
}

enum Sender {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

/// How an answer ended, for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// The client had enough of it.
    Left,
    /// It broke off, and why.
    BrokenOff(String),
    /// There was none, and why.
    NoAnswer(String),
}

/// What a client has seen of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) status: Option<u16>,
    /// What the gateway calls the request.
    pub(crate) request: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

/// How large the pieces of a body are, in bytes.
const PIECE: usize = 10_007;

// === impl Upload ===

impl Upload {
    pub(crate) fn new(mut body: Bytes, framing: Framing) -> Self {
        let mut pieces = VecDeque::new();
        while !body.is_empty() {
            pieces.push_back(body.split_to(PIECE.min(body.len())));
        }
        Self { pieces, framing }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length => SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum()),
            // Who has nothing to send has no body.
            Framing::Chunks if self.pieces.is_empty() => SizeHint::with_exact(0),
            Framing::Chunks => SizeHint::default(),
        }
    }
}

// === impl Place ===

impl Place {
    /// A connection over TLS that speaks this protocol.
    ///
    /// # Errors
    /// What was wrong with it.
    pub(crate) async fn secure(&self, alpn: &[u8]) -> Result<TlsStream<TcpStream>, String> {
        let stream = TcpStream::connect(self.https).await.map_err(|error| format!("connect: {error}"))?;
        handshake(stream, &self.ca_pem, alpn).await.map_err(|error| format!("TLS: {error}"))
    }
}

// === impl Caller ===

impl Caller {
    pub(crate) fn new(place: &Place, front: Front, keeps: bool) -> Self {
        Self { place: place.clone(), front, keeps, kept: None }
    }

    pub(crate) fn front(&self) -> Front {
        self.front
    }

    /// Sends a request and reads its answer: to its end, or until it has had so many bytes of it.
    pub(crate) async fn ask(&mut self, request: Request<Upload>, enough: Option<usize>) -> Seen {
        let none =
            |why: String| Seen { status: None, request: None, reason: None, body: Vec::new(), end: End::NoAnswer(why) };
        let answered = tokio::time::timeout(LIMIT, async {
            let (answer, sender) = match self.send(request).await {
                Ok(answered) => answered,
                Err(why) => return none(why),
            };
            let seen = read(answer, enough).await;
            // A client of HTTP/2 leaves a stream, others leave the connection.
            let is_usable = seen.end == End::Whole || matches!(sender, Sender::Http2(_));
            self.kept = Some(sender).filter(|_| self.keeps && is_usable);
            seen
        });
        answered.await.unwrap_or_else(|_| none("nothing in time".to_owned()))
    }

    /// Sends a request, on another connection if the kept one has closed before it took any of it, or has said meanwhile that
    /// it takes no more.
    async fn send(&mut self, mut request: Request<Upload>) -> Result<(Response<Incoming>, Sender), String> {
        loop {
            let again = request.clone();
            let (mut sender, is_new) = match self.kept.take() {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            let sent = sender.send(request).await;
            match sent {
                Ok(answer) => return Ok((answer, sender)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    None if !is_new && takes_no_more(error.error()) => request = again,
                    _ => return Err(format!("{:?}", error.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Sender, String> {
        let said = |error: hyper::Error| format!("{error:?}");
        Ok(match self.front {
            Front::Http1 => {
                let stream = TcpStream::connect(self.place.http).await.map_err(|error| format!("connect: {error}"))?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Front::Http1OverTls => {
                let stream = self.place.secure(b"http/1.1").await?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Front::Http2 => {
                let stream = self.place.secure(b"h2").await?;
                let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
                let (sender, connection) = handshake.await.map_err(said)?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        })
    }
}

// === impl Sender ===

impl Sender {
    async fn send(
        &mut self,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        // One that has closed gives the request back.
        match self {
            Self::Http1(sender) => {
                drop(sender.ready().await);
                sender.try_send_request(request).await
            }
            Self::Http2(sender) => {
                drop(sender.ready().await);
                request.headers_mut().remove("host");
                let target = request.uri().path_and_query().unwrap();
                *request.uri_mut() = format!("https://localhost{target}").parse::<Uri>().unwrap();
                sender.try_send_request(request).await
            }
        }
    }
}

/// Whether the other side of HTTP/2 had asked for no more requests before it got this one, which it has not seen then
/// (RFC 9113, 6.8).
fn takes_no_more(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR))
}

async fn read(answer: Response<Incoming>, enough: Option<usize>) -> Seen {
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (request, reason) = (header("x-keyswap-request-id"), header("x-keyswap-reason"));
    let status = Some(answer.status().as_u16());
    let (mut stream, mut body) = (answer.into_body(), Vec::new());
    let end = loop {
        if enough.is_some_and(|enough| body.len() >= enough) {
            break End::Left;
        }
        match stream.frame().await {
            Some(Ok(frame)) => body.extend(frame.into_data().unwrap_or_default()),
            Some(Err(error)) => break End::BrokenOff(format!("{error:?}")),
            None => break End::Whole,
        }
    };
    Seen { status, request, reason, body, end }
}
