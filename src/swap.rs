//! The whole life of a request, as a tower layer: key in, token out.
//!
//! [`SwapLayer`] wraps any service that takes [`Admitted`] requests; [`crate::forward::Forward`] is the one that talks
//! to Azure. Inside, each step decides with `?`; outside, one place renders and logs. `examples/mount.rs` mounts it in
//! an axum program.

mod ongoing;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tracing::warn;
use uuid::Uuid;

pub use ongoing::ToldBody;

use crate::admit::{Admitted, Leave};
use crate::authenticate::{Credential, Guesses, authenticate};
use crate::authorize::{Passages, authorize};
use crate::cors::{Cors, Page};
use crate::dialect::{Asked, REQUEST_ID, render};
use crate::family::Family;
use crate::forward::Replay;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::refusal::{Failure, Refusal, Verdict};
use crate::request_line::{Lines, Record, Upstream, Way};
use crate::rewrite::{AnswerBody, Judgement, judge, untouched};
use crate::route::{Hosts, Route};
use crate::settings::Settings;
use crate::token::Tokens;
use ongoing::Ongoing;

/// What every worker shares: the keys, who guesses some, the tokens, the counters.
#[derive(Debug)]
pub struct Gateway {
    /// The allowlist.
    pub keys: Keys,
    /// Who tries keys that are not on it.
    pub guesses: Guesses,
    /// The resources by the hosts that clients call.
    pub hosts: Hosts,
    /// The resources that take clients' own tokens.
    pub passages: Passages,
    /// The web pages whose scripts are answered.
    pub cors: Cors,
    /// Our own tokens.
    pub tokens: Arc<Tokens>,
    /// The counters.
    pub metrics: Metrics,
}

/// Puts the walk from key to token in front of a service.
#[derive(Clone, Debug)]
pub struct SwapLayer {
    gateway: Arc<Gateway>,
    lines: Option<Lines>,
}

/// A service that takes legacy requests and hands admitted ones to `S`.
#[derive(Clone, Debug)]
pub struct Swap<S> {
    gateway: Arc<Gateway>,
    lines: Option<Lines>,
    forward: S,
}

impl Gateway {
    /// A gateway that has no token yet: [`Tokens::keep`] gets them.
    pub fn new(settings: &Settings, keys: Keys) -> Self {
        let tokens = Arc::new(Tokens::new(settings, &keys));
        let guesses = Guesses::new(settings.guessing);
        let metrics = Metrics::new(guesses.counters().clone());
        Self {
            keys,
            guesses,
            hosts: Hosts::of(settings),
            passages: Passages::of(settings),
            cors: Cors::of(&settings.cors),
            tokens,
            metrics,
        }
    }
}

impl SwapLayer {
    /// The layer of this gateway. Its requests are counted, and told nowhere.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, lines: None }
    }

    /// Tells of every request in these lines, which [`crate::request_line::RequestLines`] takes to a file.
    #[must_use]
    pub fn telling(self, lines: Lines) -> Self {
        Self { lines: Some(lines), ..self }
    }
}

impl<S> Layer<S> for SwapLayer {
    type Service = Swap<S>;

    fn layer(&self, forward: S) -> Swap<S> {
        Swap { gateway: self.gateway.clone(), lines: self.lines.clone(), forward }
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
    type Response = Response<ToldBody<AnswerBody<U>>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut swap = self.clone();
        Box::pin(async move { Ok(swap.answer(request).await) })
    }
}

impl<S> Swap<S> {
    /// Answers a request. The only place that renders a verdict, and that logs one.
    async fn answer<B, U>(&mut self, request: Request<B>) -> Response<ToldBody<AnswerBody<U>>>
    where
        S: Service<Admitted<Replay<B>>, Response = Response<U>>,
        S::Error: Into<Failure>,
        B: Body<Data = Bytes> + Unpin,
        U: Body<Data = Bytes> + Unpin,
    {
        let id = request_id();
        let client_id = request.headers().get("x-ms-client-request-id").cloned();
        let page = self.gateway.cors.page(&request);
        let record = Record::of(&request, id.clone());
        let mut ongoing = Ongoing::begin(record, self.gateway.clone(), self.lines.clone());
        let record = &mut *ongoing.record;
        let mut response = match self.walk(request, &page, record).await {
            Ok(mut response) => {
                response.headers_mut().insert(REQUEST_ID, id);
                response
            }
            Err(verdict) => {
                if let Verdict::Failed(failure) = &verdict {
                    warn_of(failure, record);
                }
                let asked = Asked { plane: record.plane(), id: &id, client_id: client_id.as_ref() };
                let response = render(&verdict, asked).map(AnswerBody::ours);
                record.verdict = Some(verdict);
                response
            }
        };
        self.gateway.cors.tell(&page, response.headers_mut());
        ongoing.answered(response)
    }

    /// The walk: route, authenticate, authorize, token, forward, rewrite. What it learns on the way it writes down.
    async fn walk<B, U>(
        &mut self,
        request: Request<B>,
        page: &Page,
        record: &mut Record,
    ) -> Result<Response<AnswerBody<U>>, Verdict>
    where
        S: Service<Admitted<Replay<B>>, Response = Response<U>>,
        S::Error: Into<Failure>,
        B: Body<Data = Bytes> + Unpin,
        U: Body<Data = Bytes> + Unpin,
    {
        let Self { gateway, forward, .. } = self;
        let (mut head, body) = request.into_parts();
        if page.is_preflight() {
            record.route = Route::of(&head, &gateway.hosts).ok();
            return Err(if page.is_welcome() { Verdict::Preflight } else { Refusal::OriginNotListed.into() });
        }
        let route = &*record.route.insert(Route::of(&head, &gateway.hosts)?);
        // The log and the route have what they need of them, and nothing that is ours goes upstream.
        head.extensions.clear();
        let credential = match authenticate(&head, route, &gateway.keys, SystemTime::now()) {
            Ok(credential) => credential,
            Err(refusal) => {
                gateway.guesses.hold(&refusal, record.from).await;
                return Err(refusal.into());
            }
        };
        let mut leave = match credential {
            Credential::Key(caller) => {
                record.key = Some(caller.key().clone());
                let permit = authorize(route, caller)?;
                record.way = Some(Way::permitted(&permit));
                let bearer = gateway.tokens.bearer(&permit).await?;
                Leave::Ours(permit, bearer)
            }
            Credential::Token(token) if gateway.tokens.hold(&token) => return Err(Refusal::CameBack.into()),
            Credential::Token(token) => {
                let passage = gateway.passages.passage(route, token)?;
                record.way = Some(Way::passed(&passage));
                Leave::Clients(passage)
            }
        };

        let (mut body, held) = Replay::first(body);
        record.body = Some(held.clone());
        let mut spent = Spent::default();
        loop {
            let admitted = Admitted::new(Request::from_parts(head.clone(), body), leave.clone());
            let failure = match send(forward, admitted).await {
                Ok(response) => {
                    record.upstream = Some(Upstream::of(&response));
                    let Leave::Ours(_, bearer) = &mut leave else { return Ok(untouched(response)) };
                    match judge(route.plane(), response).await {
                        Judgement::Pass(response) => return Ok(response),
                        // Another token is asked for even if the body was not kept: those who come after need it, too.
                        Judgement::BadToken(failure) if !spent.token => {
                            spent.token = true;
                            let another = gateway.tokens.replace(bearer).await;
                            *bearer = another.ok_or_else(|| failure.clone())?;
                            failure
                        }
                        Judgement::Fail(failure) | Judgement::BadToken(failure) => return Err(failure.into()),
                    }
                }
                // Its upstream had closed the connection, most likely before it saw the request.
                Err(Failure::LostKept) if !spent.connection && is_repeatable(&head.method, route.family()) => {
                    spent.connection = true;
                    Failure::LostKept
                }
                Err(failure) => return Err(failure.into()),
            };
            body = Replay::again(&held).ok_or(failure)?;
            record.replays += 1;
        }
    }
}

/// Which reasons to send a request once more have been used up.
#[derive(Debug, Default)]
struct Spent {
    /// A kept connection was lost.
    connection: bool,
    /// A token was not taken.
    token: bool,
}

async fn send<S, B, U>(forward: &mut S, admitted: Admitted<Replay<B>>) -> Result<Response<U>, Failure>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>>,
    S::Error: Into<Failure>,
{
    std::future::poll_fn(|cx| forward.poll_ready(cx)).await.map_err(Into::into)?;
    forward.call(admitted).await.map_err(Into::into)
}

/// Whether an operation may be carried out twice without harm: it reads, or it asks a model.
fn is_repeatable(method: &Method, family: Option<Family>) -> bool {
    method == Method::GET || matches!(family, Some(Family::Inference | Family::DocumentsRead))
}

fn request_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    // Hexadecimal digits and hyphens make a header.
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
}

/// Tells the operator that something broke; the line of the same request has the rest.
fn warn_of(failure: &Failure, record: &Record) {
    let request = record.id();
    let reason = failure.reason();
    let client = record.key.as_ref().map(|key| &*key.client.name);
    let key = record.key.as_ref().map(|key| &*key.id);
    let resource = record.resource();
    warn!(request, reason, client, key, resource, "failed: {failure}");
}
