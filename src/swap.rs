//! The whole life of a request, as a tower layer: key in, token out.
//!
//! [`SwapLayer`] wraps any service that takes [`Admitted`] requests; [`crate::forward::Forward`] is the one that talks
//! to Azure. Inside, each step decides with `?`; outside, one place renders and logs. `examples/mount.rs` mounts it in
//! an axum program.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tracing::field::display;
use tracing::{info, warn};
use uuid::Uuid;

use crate::admit::Admitted;
use crate::authenticate::authenticate;
use crate::authorize::authorize;
use crate::dialect::{Asked, REQUEST_ID, render};
use crate::forward::Replay;
use crate::keys::{Key, Keys};
use crate::listen::ClientAddress;
use crate::metrics::Metrics;
use crate::plane::Plane;
use crate::refusal::{Failure, Verdict};
use crate::rewrite::{AnswerBody, Judgement, judge};
use crate::route::Route;
use crate::token::Tokens;

/// What every worker shares: the keys, the tokens, the counters.
#[derive(Debug)]
pub struct Gateway {
    /// The allowlist.
    pub keys: Keys,
    /// Our own tokens.
    pub tokens: Arc<Tokens>,
    /// The counters.
    pub metrics: Metrics,
}

/// Puts the walk from key to token in front of a service.
#[derive(Clone, Debug)]
pub struct SwapLayer {
    gateway: Arc<Gateway>,
}

/// A service that takes legacy requests and hands admitted ones to `S`.
#[derive(Clone, Debug)]
pub struct Swap<S> {
    gateway: Arc<Gateway>,
    forward: S,
}

/// What became known of a request on its way, for whoever has to tell of its end.
#[derive(Debug, Default)]
struct Record {
    plane: Option<Plane>,
    key: Option<Arc<Key>>,
}

impl SwapLayer {
    /// The layer of this gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl<S> Layer<S> for SwapLayer {
    type Service = Swap<S>;

    fn layer(&self, forward: S) -> Swap<S> {
        Swap { gateway: self.gateway.clone(), forward }
    }
}

impl<S, B, U> Service<Request<B>> for Swap<S>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Failure>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    U: Body<Data = Bytes> + Send + Unpin + 'static,
    U::Error: Send,
{
    type Response = Response<AnswerBody<U>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let swap = self.clone();
        Box::pin(async move { Ok(swap.answer(request).await) })
    }
}

impl<S> Swap<S> {
    /// Answers a request. The only place that renders a verdict, and that logs one.
    async fn answer<B, U>(self, request: Request<B>) -> Response<AnswerBody<U>>
    where
        S: Service<Admitted<Replay<B>>, Response = Response<U>>,
        S::Error: Into<Failure>,
        B: Body<Data = Bytes> + Unpin,
        U: Body<Data = Bytes> + Unpin,
    {
        let id = request_id();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let client_id = request.headers().get("x-ms-client-request-id").cloned();
        let address = request.extensions().get::<ClientAddress>().map(|ClientAddress(address)| *address);
        let gateway = self.gateway.clone();
        let mut record = Record::default();
        match self.walk(request, &mut record).await {
            Ok(mut response) => {
                gateway.metrics.count(record.plane, "upstream", response.status());
                response.headers_mut().insert(REQUEST_ID, id);
                response
            }
            Err(verdict) => {
                let asked = Asked { plane: record.plane, id: &id, client_id: client_id.as_ref() };
                let response = render(&verdict, asked).map(AnswerBody::ours);
                gateway.metrics.count(record.plane, verdict.reason(), response.status());
                log(&verdict, &record, &id, (&method, &path, address));
                response
            }
        }
    }

    /// The walk: route, authenticate, authorize, token, forward, rewrite.
    async fn walk<B, U>(self, request: Request<B>, record: &mut Record) -> Result<Response<AnswerBody<U>>, Verdict>
    where
        S: Service<Admitted<Replay<B>>, Response = Response<U>>,
        S::Error: Into<Failure>,
        B: Body<Data = Bytes> + Unpin,
        U: Body<Data = Bytes> + Unpin,
    {
        let Self { gateway, mut forward } = self;
        let (head, body) = request.into_parts();
        let route = Route::of(&head).inspect(|route| record.plane = Some(route.plane()))?;
        let caller = authenticate(&head, &route, &gateway.keys, SystemTime::now())?;
        record.key = Some(caller.key().clone());
        let permit = authorize(&route, caller)?;
        let bearer = gateway.tokens.bearer(&permit).await?;

        let (body, held) = Replay::first(body);
        let again = Request::from_parts(head.clone(), ());
        let admitted = Admitted::new(Request::from_parts(head, body), permit.clone(), bearer.clone());
        let response = send(&mut forward, admitted).await?;
        let failure = match judge(route.plane(), response).await {
            Judgement::Pass(response) => return Ok(response),
            Judgement::Fail(failure) => return Err(failure.into()),
            Judgement::BadToken(failure) => failure,
        };

        // Once more, with another token, if there is one and the body was kept.
        let body = Replay::again(&held).ok_or(failure.clone())?;
        let bearer = gateway.tokens.replace(&bearer).await.ok_or(failure)?;
        let admitted = Admitted::new(again.map(|()| body), permit, bearer);
        let response = send(&mut forward, admitted).await?;
        match judge(route.plane(), response).await {
            Judgement::Pass(response) => Ok(response),
            Judgement::Fail(failure) | Judgement::BadToken(failure) => Err(failure.into()),
        }
    }
}

async fn send<S, B, U>(forward: &mut S, admitted: Admitted<Replay<B>>) -> Result<Response<U>, Failure>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>>,
    S::Error: Into<Failure>,
{
    std::future::poll_fn(|cx| forward.poll_ready(cx)).await.map_err(Into::into)?;
    forward.call(admitted).await.map_err(Into::into)
}

fn request_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    // Hexadecimal digits and hyphens make a header.
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
}

/// Tells the operator of a request that we answered ourselves.
fn log(verdict: &Verdict, record: &Record, id: &HeaderValue, asked: (&Method, &str, Option<SocketAddr>)) {
    let (method, path, address) = asked;
    let request = id.to_str().unwrap_or_default();
    let reason = verdict.reason();
    let client = record.key.as_ref().map(|key| &*key.client.name);
    let key = record.key.as_ref().map(|key| &*key.id);
    let from = address.map(display);
    // A path is the client's to choose.
    let path: String = path.chars().take(200).collect();
    match verdict {
        Verdict::Refused(what) => info!(request, reason, client, key, from, %method, path, "refused: {what}"),
        Verdict::Failed(what) => warn!(request, reason, client, key, from, %method, path, "failed: {what}"),
    }
}
