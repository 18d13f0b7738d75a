//! To the upstream and back, over kept connections.
//!
//! HTTP/1.1: one HTTP/2 connection would queue long streams behind its stream limit. Redirects are never followed: the
//! token must not go where a `Location` says.

mod answer;
mod kept;
mod replay;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::Service;
use tracing::{debug, warn};

pub use answer::UpstreamBody;
pub use replay::{Held, Replay};

use crate::admit::Admitted;
use crate::egress::{Connector, Egress};
use crate::guard::Guarded;
use crate::refusal::Failure;
use crate::settings::{Settings, UpstreamTimeouts};
use kept::Kept;

/// Forwards admitted requests. Each worker has its own, with its own connections.
#[derive(Debug)]
pub struct Forward<B> {
    egress: Egress,
    bounds: Bounds,
    client: Arc<Mutex<Aging<B>>>,
    kept: Kept,
}

/// What all workers keep to together.
#[derive(Clone, Debug)]
pub struct Bounds {
    timeouts: UpstreamTimeouts,
    /// For each resource, how many connections it may still have.
    connections: Arc<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// A client and its age.
#[derive(Debug)]
struct Aging<B> {
    client: Client<Connector, Guarded<B>>,
    born: Instant,
}

/// How long an idle connection is kept. Azure closes idle ones after minutes; we want to be first.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How long connections are taken from one client. Then a new one begins, which looks names up anew: addresses move.
const AGE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long a request waits for a connection when its resource has all that it may have.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// Azure's answers have some forty fields, and grow by the year.
const MAX_FIELDS: usize = 200;

impl Bounds {
    /// The bounds of the settings.
    pub fn new(settings: &Settings) -> Self {
        let resources = settings.resources.iter();
        let connections = resources.map(|resource| {
            let connections = Arc::new(Semaphore::new(resource.connections));
            (resource.name.clone(), connections)
        });
        Self { timeouts: settings.timeouts.upstream, connections: Arc::new(connections.collect()) }
    }
}

impl<B> Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A forwarder with no connection yet.
    pub fn new(egress: &Egress, bounds: Bounds) -> Self {
        let client = Arc::new(Mutex::new(Aging::new(egress)));
        Self { egress: egress.clone(), bounds, client, kept: Kept::default() }
    }

    /// The client of now. An old one goes on with what it has begun, and keeps no connection after that.
    fn client(&self) -> Client<Connector, Guarded<B>> {
        let mut aging = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if aging.born.elapsed() > AGE_LIMIT {
            *aging = Aging::new(&self.egress);
        }
        aging.client.clone()
    }
}

impl<B> Aging<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn new(egress: &Egress) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .http1_max_headers(MAX_FIELDS)
            .build(egress.connector());
        Self { client, born: Instant::now() }
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self {
            egress: self.egress.clone(),
            bounds: self.bounds.clone(),
            client: self.client.clone(),
            kept: self.kept.clone(),
        }
    }
}

impl<B> Service<Admitted<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<UpstreamBody>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        let forward = self.clone();
        Box::pin(forward.send(admitted))
    }
}

impl<B> Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn send(self, admitted: Admitted<B>) -> Result<Response<UpstreamBody>, Failure> {
        let resource = admitted.permit().resource().name.clone();
        let connections = self.bounds.connections.get(&resource).ok_or(Failure::Overloaded)?.clone();
        let connection = timeout(CONNECTION_WAIT, connections.acquire_owned()).await;
        let Ok(Ok(connection)) = connection else {
            warn!(%resource, "every connection that the resource may have is in use");
            return Err(Failure::Overloaded);
        };
        let mut request = admitted.into_request();
        let captured = capture_connection(&mut request);
        let UpstreamTimeouts { answer: limit, stream } = self.bounds.timeouts;
        let answer = timeout(limit, self.client().request(request)).await;
        match answer {
            Ok(Ok(answer)) => {
                self.kept.note(&answer);
                Ok(answer.map(|body| UpstreamBody::new(body, connection, stream)))
            }
            Ok(Err(error)) => {
                let kept =
                    captured.connection_metadata().as_ref().is_some_and(|connection| self.kept.knows(connection));
                Err(failure(&resource, &error, kept))
            }
            Err(_) => {
                warn!(%resource, limit_s = limit.as_secs(), "the upstream did not answer in time");
                Err(Failure::TimedOut)
            }
        }
    }
}

/// What a failed request comes to. On a connection that had been used before, the upstream may just have closed it.
fn failure(resource: &str, error: &Error, kept: bool) -> Failure {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let cause = causes.last().map(ToString::to_string).unwrap_or_default();
    if error.is_connect() {
        warn!(resource, cause, "cannot connect upstream");
        Failure::Unreachable
    } else {
        debug!(resource, cause, kept, "upstream connection lost");
        if kept { Failure::LostKept } else { Failure::Lost }
    }
}
