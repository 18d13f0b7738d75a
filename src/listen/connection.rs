//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tower::Service;
use tracing::debug;

use super::arrival::{Arrival, Entrance};
use super::bodies::{AnswerBody, Leftover, RequestBody, StreamBody};
use super::client_stream::ClientStream;
use super::handshakes::Handshakes;
use super::mishap::{Cause, Tell, Witness};
use super::origin::Origin;
use super::progress::Revocable;
use super::server_name::ServerName;
use super::socket::{self, Socket};
use super::streams::Streams;
use super::turn::{Stage, Turn};
use super::upgrade::{Declined, Taken};
use super::wordless::Worded;
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
#[derive(Clone)]
pub(crate) struct Connections<S> {
    service: S,
    phase: watch::Receiver<Phase>,
    limits: ClientTimeouts,
    handshakes: Handshakes,
    tell: Tell,
}

/// How often a client of HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);

/// The largest head of HTTP/1.1 that is parsed, in bytes. What is refused as too large is less; a head that is larger
/// still is refused in the same words.
const LARGEST_HEAD: usize = 128 * 1024;

/// The largest head of HTTP/2 that is parsed, in bytes as its header list is counted: each field has 32 more than its
/// name and value. Up to here a head is refused in words, and beyond its connection ends.
const LARGEST_LIST: u32 = 512 * 1024;

/// How much of a body of HTTP/2 a client may send before the upstream has taken it, in bytes: what an upload holds here at
/// most. hyper's own megabyte is what a connection has for all its streams, so that one that waits does not stop the rest.
const STREAM_WINDOW: u32 = 256 * 1024;

/// How much of an answer waits for a client of HTTP/2 to make room for it, in bytes.
const SEND_BUFFER: usize = 128 * 1024;

/// The most header fields of HTTP/1.1 that are parsed.
const MOST_FIELDS: usize = 256;

impl<S, A> Connections<S>
where
    S: Service<Request<RequestBody>, Response = Response<A>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    A: Body<Data = Bytes> + Revocable + Send + Unpin + 'static,
    A::Error: Into<BoxError> + Send + Unpin,
{
    /// Serves with this service, stops with this phase, gives clients this time, and tells of what the service cannot
    /// see.
    pub(crate) fn new(service: S, phase: watch::Receiver<Phase>, limits: ClientTimeouts, tell: Tell) -> Self {
        Self { service, phase, limits, handshakes: Handshakes::new(), tell }
    }

    /// The same, but for the time that clients have.
    pub(crate) fn within(&self, limits: ClientTimeouts) -> Self {
        Self { limits, ..self.clone() }
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(self, accepted: Accepted) {
        let Accepted { socket, front, origin, place } = accepted;
        let from = origin.clone();
        // Into this worker's runtime; a socket that the system has taken back meanwhile is of no use.
        let done = match socket {
            Handed::Tcp(stream) => match socket::adopt(stream, self.limits.write) {
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
        let entrance = match front {
            Front::Plain => io.entrance(),
            Front::Tls(_) => Entrance { listener: "https", tls: None },
        };
        let proxy = Witness::new(origin.peer(), entrance, self.tell.clone());
        let origin =
            origin.announced(&mut io, self.limits.first_byte).await.inspect_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => proxy.ended(Cause::Silent),
                io::ErrorKind::InvalidData => proxy.ended_with(Cause::NoProxyHeader, error),
                _ => {}
            })?;
        let config = match front {
            Front::Plain => return self.http1(io, origin).await,
            Front::Tls(config) => config,
        };
        let witness = Witness::new(origin.peer(), entrance, self.tell.clone());
        let late = |cause| {
            witness.ended(cause);
            io::Error::from(io::ErrorKind::TimedOut)
        };
        let failed = |error: io::Error| {
            witness.ended_with(Cause::of_tls(&error), &error);
            error
        };
        // A client that says nothing yet takes no turn from those who do.
        let hello = timeout(self.limits.first_byte, LazyConfigAcceptor::new(Acceptor::default(), io)).await;
        let hello = match hello.map_err(|_| late(Cause::Silent))? {
            // It closed before it had said what it wants: whoever looks whether a port is open does.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(error.into()),
            hello => hello.map_err(failed)?,
        };
        let handshake = self.handshakes.take_turn(|| hello.into_stream(config)).await;
        let stream = timeout(self.limits.head, handshake).await;
        let stream = stream.map_err(|_| late(Cause::SlowTls))?.map_err(failed)?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, origin).await
        } else {
            self.http1(stream, origin).await
        }
    }

    async fn http1<I>(self, io: I, origin: Origin) -> Result<(), BoxError>
    where
        I: Socket,
    {
        let Self { service, mut phase, limits, tell, .. } = self;
        let closing = phase.clone();
        let turn = Turn::default();
        let door = Door { entrance: io.entrance(), server_name: io.server_name(), origin };
        let witness = Witness::new(door.origin.peer(), door.entrance, tell);
        let (open, closed) = oneshot::channel();
        let io = ClientStream::new(io, turn.clone(), limits, witness.clone(), open);
        let declined = Arc::<Declined>::default();
        let service = {
            let declined = declined.clone();
            service_fn(move |mut request| {
                turn.enter(Stage::Answering);
                let (closing, turn, declined) = (closing.clone(), turn.clone(), declined.clone());
                let asked = request.extensions().get::<OnUpgrade>().cloned();
                if asked.is_some() {
                    request.extensions_mut().insert(Taken::Connection(turn.clone()));
                }
                let leftover = Leftover::Connection(turn.clone());
                let answer = service.clone().call(prepared(request, &door, leftover));
                async move {
                    let mut response = answer.await?;
                    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                        declined.note(asked);
                        if *closing.borrow() >= Phase::Closing || turn.is_unread() {
                            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                        }
                    }
                    Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, turn)))
                }
            })
        };
        let done = {
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .max_buf_size(LARGEST_HEAD)
                .max_headers(MOST_FIELDS)
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades();
            let mut connection = pin!(connection);
            // An idle connection must not be cut while clients may still use it: that waits until nobody is sent here.
            let stopping = async { drop(phase.wait_for(|phase| *phase == Phase::Stopping).await) };
            tokio::select! {
                done = connection.as_mut() => done,
                () = stopping => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        declined.close().await;
        // Where it was taken over, it lives on, and has its place among all connections until its end.
        drop(closed.await);
        done.map_err(|error| {
            // What hyper answers is told already; to HTTP/2 it has no answer.
            if error.is_parse() {
                witness.ended_with(Cause::NotHttp, &error);
            }
            error.into()
        })
    }

    async fn http2<I>(self, io: I, origin: Origin) -> Result<(), BoxError>
    where
        I: Socket,
    {
        let Self { service, mut phase, limits, tell, .. } = self;
        // The timers are for the first request alone: afterwards streams come and go as they like.
        let turn = Turn::default();
        let door = Door { entrance: io.entrance(), server_name: io.server_name(), origin };
        let witness = Witness::new(door.origin.peer(), door.entrance, tell);
        // Its connection ends after its last stream, taken over or not: nobody has to be told.
        let (open, _) = oneshot::channel();
        let io = Worded::new(ClientStream::new(io, turn.clone(), limits, witness.clone(), open), witness);
        let came = Arc::new(Notify::new());
        let first = came.clone();
        let streams = Streams::new(limits.write);
        let opened = streams.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            first.notify_one();
            turn.enter(Stage::Open);
            let stream = opened.open();
            let taken_over = request.extensions().get::<OnUpgrade>().is_some().then(|| opened.clone());
            if taken_over.is_some() {
                request.extensions_mut().insert(Taken::Stream(stream.clone()));
            }
            let answer = service.clone().call(prepared(request, &door, Leftover::Stream));
            async move {
                let answer = answer.await?;
                if let Some(streams) = taken_over.filter(|_| answer.status().is_success()) {
                    streams.take_over(&stream);
                }
                Ok::<_, Infallible>(answer.map(|body| StreamBody::new(body, stream)))
            }
        });
        let connection = http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            .max_header_list_size(LARGEST_LIST)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        let leaving = async {
            drop(phase.wait_for(|phase| *phase >= Phase::Closing).await);
            // Whoever comes only now has something to ask, and would not be let before he has to go.
            tokio::select! {
                () = came.notified() => {}
                _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
            }
        };
        tokio::select! {
            biased;
            done = connection.as_mut() => return Ok(done?),
            () = leaving => {}
            // Before its first request, others' timers run.
            () = streams.idle(limits.keep_alive) => {}
        }
        // GOAWAY loses nothing: streams that are open go on, and the client opens new ones elsewhere.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            done = connection => Ok(done?),
            // It has no open stream, and does not go.
            () = streams.idle(limits.head) => Ok(()),
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all requests of a connection have in common.
struct Door {
    origin: Origin,
    entrance: Entrance,
    server_name: Option<ServerName>,
}

fn prepared(request: Request<Incoming>, door: &Door, leftover: Leftover) -> Request<RequestBody> {
    let mut request = request.map(|body| RequestBody::new(body, leftover));
    let arrival = Arrival {
        from: door.origin.client(request.headers()),
        entrance: door.entrance,
        server_name: door.server_name.clone(),
        public_url: door.origin.public_url(request.headers()),
    };
    request.extensions_mut().insert(arrival);
    request
}
