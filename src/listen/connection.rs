//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tower::Service;
use tracing::debug;

use super::bodies::{AnswerBody, Leftover, RequestBody, StreamBody};
use super::client_stream::ClientStream;
use super::origin::Origin;
use super::server_name::ServerName;
use super::socket::Socket;
use super::turn::{Stage, Turn};
use super::{Accepted, Front, Handed};
use crate::settings::ClientTimeouts;

/// How far the process is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not at all.
    Serving,
    /// New connections are still taken; every answer asks the client to come back on another one.
    Closing,
    /// No new connections; what runs may end.
    Stopping,
}

/// Serves connections with a service. Each worker has its own.
#[derive(Clone, Debug)]
pub(crate) struct Connections<S> {
    service: S,
    phase: watch::Receiver<Phase>,
    limits: ClientTimeouts,
    handshakes: Arc<Semaphore>,
}

/// How many handshakes a worker does at once: a rush of them must not keep it from its streams.
const HANDSHAKES: usize = 8;

/// How often a client of HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);

/// The largest head that is parsed, in bytes. What is refused as too large is less, and has a text.
const LARGEST_HEAD: u32 = 128 * 1024;

/// The most header fields that are parsed.
const MOST_FIELDS: usize = 256;

impl<S, A> Connections<S>
where
    S: Service<Request<RequestBody>, Response = Response<A>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    A: Body<Data = Bytes> + Send + Unpin + 'static,
    A::Error: Into<BoxError> + Send + Unpin,
{
    /// Serves with this service, stops with this phase, and gives clients this time.
    pub(crate) fn new(service: S, phase: watch::Receiver<Phase>, limits: ClientTimeouts) -> Self {
        Self { service, phase, limits, handshakes: Arc::new(Semaphore::new(HANDSHAKES)) }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self, accepted: Accepted) {
        let Accepted { socket, front, origin, place } = accepted;
        let from = origin.clone();
        // Into this worker's runtime; a socket that the system has taken back meanwhile is of no use.
        let done = match socket {
            Handed::Tcp(stream) => match tokio::net::TcpStream::from_std(stream) {
                Ok(stream) => self.speak(stream, front, origin).await,
                Err(error) => Err(error.into()),
            },
            Handed::Unix(stream) => match tokio::net::UnixStream::from_std(stream) {
                Ok(stream) => self.speak(stream, front, origin).await,
                Err(error) => Err(error.into()),
            },
        };
        if let Err(error) = done {
            debug!(%error, %from, "connection ended");
        }
        drop(place);
    }

    async fn speak<I>(self, mut io: I, front: Front, origin: Origin) -> Result<(), BoxError>
    where
        I: Socket,
    {
        let origin = origin.announced(&mut io, self.limits.first_byte).await?;
        match front {
            Front::Plain => self.http1(io, Door { origin, server_name: None }).await,
            Front::Tls(config) => {
                // A client that says nothing yet takes no turn from those who do.
                let hello = LazyConfigAcceptor::new(Acceptor::default(), io);
                let hello = timeout(self.limits.first_byte, hello).await??;
                let stream = {
                    let _turn = self.handshakes.acquire().await?;
                    timeout(self.limits.head, hello.into_stream(config)).await??
                };
                let tls = stream.get_ref().1;
                let door = Door { origin, server_name: tls.server_name().map(ServerName::from) };
                if tls.alpn_protocol() == Some(b"h2") {
                    self.http2(stream, door).await
                } else {
                    self.http1(stream, door).await
                }
            }
        }
    }

    async fn http1<I>(self, io: I, door: Door) -> Result<(), BoxError>
    where
        I: Socket,
    {
        let Self { service, mut phase, limits, .. } = self;
        let closing = phase.clone();
        let turn = Turn::default();
        let io = ClientStream::new(io, turn.clone(), limits);
        let service = service_fn(move |request| {
            turn.enter(Stage::Answering);
            let (closing, turn) = (closing.clone(), turn.clone());
            let answer = service.clone().call(prepared(request, &door, Leftover::Connection(turn.clone())));
            async move {
                let mut response = answer.await?;
                if *closing.borrow() >= Phase::Closing || turn.is_unread() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, turn)))
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(LARGEST_HEAD as usize)
            .max_headers(MOST_FIELDS)
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        tokio::select! {
            done = connection.as_mut() => return Ok(done?),
            // An idle connection must not be cut while clients may still use it: that waits until nobody is sent here.
            _ = phase.wait_for(|phase| *phase == Phase::Stopping) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn http2<I>(self, io: I, door: Door) -> Result<(), BoxError>
    where
        I: Socket,
    {
        let Self { service, mut phase, limits, .. } = self;
        // Streams come and go as they like: the timers of a turn are not theirs.
        let turn = Turn::default();
        turn.enter(Stage::Answering);
        let io = ClientStream::new(io, turn.clone(), limits);
        let service = service_fn(move |request| {
            let turn = turn.clone();
            let answer = service.clone().call(prepared(request, &door, Leftover::Stream));
            async move { Ok::<_, Infallible>(answer.await?.map(|body| StreamBody::new(body, turn))) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(LARGEST_HEAD)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        tokio::select! {
            done = connection.as_mut() => return Ok(done?),
            // GOAWAY loses nothing: streams that are open go on, and the client opens new ones elsewhere.
            _ = phase.wait_for(|phase| *phase >= Phase::Closing) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all requests of a connection have in common.
struct Door {
    origin: Origin,
    server_name: Option<ServerName>,
}

fn prepared(request: Request<Incoming>, door: &Door, leftover: Leftover) -> Request<RequestBody> {
    let mut request = request.map(|body| RequestBody::new(body, leftover));
    if let Some(client) = door.origin.client(request.headers()) {
        request.extensions_mut().insert(client);
    }
    if let Some(name) = &door.server_name {
        request.extensions_mut().insert(name.clone());
    }
    request
}
