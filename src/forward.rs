//! To the upstream and back, over kept connections.
//!
//! HTTP/1.1: one HTTP/2 connection would queue long streams behind its stream limit. Redirects are never followed: the
//! token must not go where a `Location` says.

mod replay;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;
use tracing::{debug, warn};

pub use replay::{Held, Replay};

use crate::admit::Admitted;
use crate::egress::{Connector, Egress};
use crate::refusal::Failure;

/// Forwards admitted requests. Each worker has its own, with its own connections.
#[derive(Debug)]
pub struct Forward<B> {
    client: Client<Connector, B>,
}

/// How long an idle connection is kept. Azure closes idle ones after minutes; we want to be first.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Azure's answers have some forty fields, and grow by the year.
const MAX_FIELDS: usize = 200;

impl<B> Forward<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A forwarder with no connection yet.
    pub fn new(egress: &Egress) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .http1_max_headers(MAX_FIELDS)
            .build(egress.connector());
        Self { client }
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone() }
    }
}

impl<B> Service<Admitted<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        let resource = admitted.permit().resource().name.clone();
        let answer = self.client.request(admitted.into_request());
        Box::pin(async move { answer.await.map_err(|error| failure(&resource, &error)) })
    }
}

fn failure(resource: &str, error: &Error) -> Failure {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let cause = causes.last().map(ToString::to_string).unwrap_or_default();
    if error.is_connect() {
        warn!(resource, cause, "cannot connect upstream");
        Failure::Unreachable
    } else {
        debug!(resource, cause, "upstream connection lost");
        Failure::Lost
    }
}
