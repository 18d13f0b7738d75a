//! To the upstream and back, over kept connections.
//!
//! HTTP/1.1: one HTTP/2 connection would queue long streams behind its stream limit. Redirects are never followed: the
//! token must not go where a `Location` says.

mod answer;
mod connection;
mod pool;
mod replay;
mod shelf;
mod upload;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use foldhash::HashMap;
use http::Response;
use http_body::Body;
use tokio::task::yield_now;
use tower::Service;
use tracing::{debug, warn};

pub use answer::UpstreamBody;
pub use pool::Pools;
pub use replay::{Held, Replay};

use crate::admit::Admitted;
use crate::egress::{Connector, Egress, Unreachable, innermost};
use crate::refusal::{Failure, Refusal, Verdict};
use crate::settings::{Resource, UpstreamTimeouts};
use connection::{Connection, Sent};
use pool::Turn;
use replay::is_small;
use shelf::{Lease, Shelf};
use upload::Broke;

/// Forwards admitted requests. Each worker has its own, with its own connections. Cheap to clone: every request does.
#[derive(Debug)]
pub struct Forward<B>(Arc<Worker<B>>);

/// What the forwarding of one worker stands on.
#[derive(Debug)]
struct Worker<B> {
    egress: Egress,
    connector: Connector,
    limits: UpstreamTimeouts,
    /// Where it keeps its connections, by the resource's name.
    shelves: HashMap<Arc<str>, Arc<Shelf<B>>>,
}

impl<B> Forward<B> {
    /// A forwarder with no connection yet. Those with the same pools keep to one limit together.
    pub fn new(egress: &Egress, pools: &Pools<B>) -> Self {
        let (connector, limits) = (egress.connector(), pools.limits());
        Self(Arc::new(Worker { egress: egress.clone(), connector, limits, shelves: pools.shelves(|_| None) }))
    }

    /// The forwarder that follows on this one, in the same worker. It takes over the connections that are kept, where the
    /// way there is still the same.
    #[must_use]
    pub fn succeeding(&self, egress: &Egress, pools: &Pools<B>) -> Self {
        let worker = &self.0;
        let is_same_way = worker.egress.is_same(egress) && worker.limits == pools.limits();
        let kept = |name: &str| worker.shelves.get(name).filter(|_| is_same_way).cloned();
        let (connector, limits) = (egress.connector(), pools.limits());
        Self(Arc::new(Worker { egress: egress.clone(), connector, limits, shelves: pools.shelves(kept) }))
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> Service<Admitted<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<UpstreamBody<B>>;
    type Error = Verdict;
    type Future = Answering<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Verdict>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        self.0.clone().send(admitted)
    }
}

/// An upstream's answer on its way.
type Answering<B> = Pin<Box<dyn Future<Output = Result<Response<UpstreamBody<B>>, Verdict>> + Send>>;

impl<B> Worker<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn send(self: Arc<Self>, admitted: Admitted<B>) -> Answering<B> {
        let way = admitted.way();
        let mut request = admitted.into_request();
        // What an async block captures stands in it once; an argument of an async function would be copied.
        Box::pin(async move {
            let limits = self.limits;
            let resource = way.resource();
            let is_sent_again = way.is_repeatable() && is_small(request.body());
            loop {
                let mut lease = self.lease(resource).await?;
                // What cannot be sent again goes on no connection that has ended, if anybody can know. The system may,
                // and tells this worker when it next asks for news.
                if !is_sent_again && lease.connection().is_kept() {
                    yield_now().await;
                    if !lease.connection().is_ready() {
                        continue;
                    }
                }
                request = match lease.connection().send(request, limits).await {
                    Sent::Answered(answer) => {
                        return Ok(answer.map(|body| UpstreamBody::new(body, lease, limits.stream)));
                    }
                    // Kept connections can end all at once. One that has just been opened did not take it: no other
                    // will.
                    Sent::Unsent(request) if lease.connection().is_kept() => request,
                    Sent::Unsent(_) => return Err(closed_at_once(resource).into()),
                    Sent::TimedOut => {
                        warn!(
                            resource = &*resource.name,
                            limit_s = limits.answer.as_secs(),
                            "the upstream did not answer in time"
                        );
                        return Err(Failure::TimedOut.into());
                    }
                    // That is its client's doing.
                    Sent::Broken(Broke::Gone) => return Err(Verdict::ClientGone),
                    Sent::Broken(Broke::Malformed) => return Err(Refusal::NotHttp.into()),
                    Sent::Broken(Broke::Stalled) => return Err(Refusal::SlowBody.into()),
                    Sent::Lost { error, unseen } => {
                        let cause = innermost(&error);
                        debug!(resource = &*resource.name, %cause, unseen, "upstream connection lost");
                        return Err(if unseen { Failure::LostKept } else { Failure::Lost }.into());
                    }
                };
            }
        })
    }

    /// A connection to the resource: one that was kept, else a new one.
    async fn lease(&self, resource: &Resource) -> Result<Lease<B>, Failure> {
        let name = &*resource.name;
        // There is one for every resource of the settings, if the permit came of the same.
        let unknown = || Failure::Unreachable("the forwarder was made of settings without this resource".to_owned());
        let shelf = self.shelves.get(name).ok_or_else(unknown)?;
        let turn = shelf.turn().await.map_err(|_| {
            warn!(resource = name, "every connection that the resource may have is in use");
            Failure::Overloaded
        })?;
        let connection = match turn {
            Turn::Kept(connection) => connection,
            Turn::Open(place) => {
                // In a box: it happens rarely, and every request would carry the room for it.
                let opening = Connection::open(self.connector.clone(), resource, place);
                Box::pin(opening).await.map_err(|why| {
                    warn!(resource = name, cause = why.to_string(), "cannot connect upstream");
                    match why {
                        Unreachable::Broken(cause) | Unreachable::Refused(cause, _) => Failure::Unreachable(cause),
                        Unreachable::Loop(_) => Failure::Loop,
                    }
                })?
            }
        };
        Ok(shelf.lease(connection))
    }
}

/// Nothing was sent on a connection that has just been opened.
fn closed_at_once(resource: &Resource) -> Failure {
    let cause = "it closed the connection before it took the request";
    warn!(resource = &*resource.name, cause, "cannot connect upstream");
    Failure::Unreachable(cause.to_owned())
}
