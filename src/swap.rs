//! The whole life of a request, as a tower layer: key in, token out.
//!
//! [`SwapLayer`] wraps any service that takes [`Admitted`] requests; [`crate::forward::Forward`] is the one that talks
//! to Azure. Inside, each step decides with `?`; outside, one place renders and logs. `examples/mount.rs` mounts it in
//! an axum program.

mod alarms;
mod gateway;
mod mishaps;
mod ongoing;
mod passing;
mod reading;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{Extensions, Request, Response};
use http_body::Body;
use hyper::upgrade;
use tower::{Layer, Service};

pub use gateway::Gateway;
pub use ongoing::ToldBody;

use crate::admit::{Admitted, strip_hop_by_hop};
use crate::authenticate::{Credential, authenticate, offers};
use crate::authorize::{Way, authorize};
use crate::cors::Page;
use crate::dialect::{Asked, REQUEST_ID, new_id, render};
use crate::forward::Replay;
use crate::guard::Outcome;
use crate::links::{LinkedBody, Links, Reached};
use crate::plane::Plane;
use crate::refusal::{Failure, Refusal, Verdict};
use crate::request_line::{Lines, Pen, Record};
use crate::rewrite::AnswerBody;
use crate::route::Route;
use crate::websocket::{NotOpened, Opening};
use alarms::warn_of;
use ongoing::{Ongoing, Tunnel};
use passing::pass;
use reading::{Judged, Rare, Reader, Seen};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Puts the walk from key to token in front of a service.
#[derive(Clone, Debug)]
pub struct SwapLayer {
    gateway: Arc<Gateway>,
    lines: Option<Lines>,
}

/// A service that takes legacy requests and hands admitted ones to `S`.
#[derive(Clone, Debug)]
pub struct Swap<S> {
    desk: Arc<Desk>,
    forward: S,
}

/// What every request of one worker needs. Each layer makes its own: a count of references that workers shared would
/// cost each request more than what it counts.
#[derive(Debug)]
struct Desk {
    gateway: Arc<Gateway>,
    pen: Option<Pen>,
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
        let desk = Desk { gateway: self.gateway.clone(), pen: self.lines.as_ref().map(Lines::pen) };
        Swap { desk: Arc::new(desk), forward }
    }
}

impl<S, B, U> Service<Request<B>> for Swap<S>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Verdict>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    U: Body<Data = Bytes> + Send + Unpin + 'static,
    U::Error: Into<BoxError> + Send,
{
    type Response = Response<ToldBody<AnswerBody<LinkedBody<U>>>>;
    type Error = Infallible;
    type Future = Answering<U>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.answer(request)
    }
}

/// An answer on its way.
type Answering<U> =
    Pin<Box<dyn Future<Output = Result<Response<ToldBody<AnswerBody<LinkedBody<U>>>>, Infallible>> + Send>>;

impl<S> Swap<S> {
    /// Answers a request. The only place that renders a verdict, and that logs one.
    pub(crate) fn answer<B, U>(&self, request: Request<B>) -> Answering<U>
    where
        S: Service<Admitted<Replay<B>>, Response = Response<U>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Verdict>,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        U: Body<Data = Bytes> + Send + Unpin + 'static,
        U::Error: Into<BoxError> + Send,
    {
        let id = new_id();
        let (mut head, body) = request.into_parts();
        let mut ongoing = Ongoing::begin(Record::of(&head, id.clone()), self.desk.clone());
        let mut forward = self.forward.clone();
        // What an async block captures stands in it once. An argument of an async function stands there twice, and is
        // copied each time that the future is.
        Box::pin(async move {
            let Ongoing { record, desk, .. } = &mut ongoing;
            let gateway = &desk.gateway;
            let page = gateway.cors.page(&head);
            let mut response = match walk(gateway, &mut forward, (&mut head, body), &page, record).await {
                Ok((mut response, tunnel)) => {
                    response.headers_mut().insert(REQUEST_ID, id);
                    if let Some(key) = &record.key {
                        key.announce_expiry(response.headers_mut());
                    }
                    if let Some(tunnel) = tunnel {
                        return Ok(ongoing.opened(response, tunnel));
                    }
                    response
                }
                Err(verdict) => {
                    match &verdict {
                        Verdict::Failed(Failure::Fault(fault)) => gateway.alarms.tell(fault, record),
                        Verdict::Failed(failure) => warn_of(failure, record),
                        Verdict::Refused(_) | Verdict::Preflight | Verdict::ClientGone => {}
                    }
                    let asked = Asked {
                        plane: record.plane().or_else(|| Plane::of_path(head.uri.path())),
                        id: &id,
                        client_id: head.headers.get("x-ms-client-request-id"),
                        upstream_id: record.upstream_request(),
                    };
                    let response = render(&verdict, asked).map(AnswerBody::ours);
                    if verdict == Verdict::ClientGone {
                        return Ok(ongoing.unheard(response));
                    }
                    record.verdict = Some(verdict);
                    response
                }
            };
            gateway.cors.tell(&page, response.headers_mut());
            Ok(ongoing.answered(response))
        })
    }
}

/// The walk: route, authenticate, authorize, token, forward, links, rewrite. What it learns on the way it writes down.
/// If the answer opens a websocket, its tunnel begins when that answer has reached the client.
async fn walk<S, B, U>(
    gateway: &Gateway,
    forward: &mut S,
    (head, body): (&mut Parts, B),
    page: &Page,
    record: &mut Record,
) -> Result<(Response<AnswerBody<LinkedBody<U>>>, Option<Tunnel>), Verdict>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>>,
    S::Error: Into<Verdict>,
    B: Body<Data = Bytes> + Unpin,
    U: Body<Data = Bytes> + Unpin,
{
    let opening = Opening::of(head, &body);
    let route = Route::of(head, &gateway.hosts);
    if page.is_preflight() {
        record.route = route.ok();
        return Err(if page.is_welcome() { Verdict::Preflight } else { Refusal::OriginNotListed.into() });
    }
    let route = &*record.route.insert(route?);
    let reached = Reached::of(head);
    // Whoever needs something of them has it, and nothing that is ours goes upstream.
    head.extensions = Extensions::new();
    let caller = match authenticate(head, route, &gateway.keys, record.came) {
        Ok(Credential::Key(caller)) => caller,
        Ok(Credential::Token(token)) => {
            // In a box: few come, and every request would carry the room for it.
            return Box::pin(pass(gateway, forward, token, (head, body), opening, record)).await;
        }
        Err(refusal) => {
            gateway.guesses.hold(&refusal, record.from).await;
            return Err(refusal.into());
        }
    };
    record.key = Some(caller.key().clone());
    let permit = authorize(route, caller)?;
    record.way = Some(Way::Permit(permit.clone()));
    let mut bearer = gateway.tokens.bearer(&permit).await?;

    let (body, held) = Replay::first(body);
    record.body = Some(held.clone());
    // The copy stays here, and what came goes: hyper puts an answer's fields where its request's were, and a copy has no
    // room for more.
    let copy = head.clone();
    let mut request = Request::from_parts(std::mem::replace(head, copy), body);
    let mut spent = Spent::default();
    let links = Links::of(head, &reached, &permit);
    let reader = Reader { gateway, permit: &permit };
    loop {
        ready(forward).await?;
        let (admitted, mut outcome) = Admitted::new(links.asked_for(request), permit.clone(), bearer.clone())?;
        // In a block of its own: what lives where something else is waited for has room in every request.
        let rare = {
            let sent = forward.call(admitted);
            let sent = tokio::select! {
                biased;
                settled = settled(sent, &mut outcome, gateway.condition_wait) => settled,
                () = permit.caller().key().cut.cancelled() => return Err(permit.caller().cut().into()),
            };
            match sent {
                Ok((response, model)) => {
                    record.model = model;
                    match reader.see(response, &bearer, &links, record) {
                        // An error may come before the body's condition has been seen not to hold, which then counts more.
                        Seen::Clear(answer) => match outcome.refusal() {
                            Some(refusal) => return Err(refusal.into()),
                            None => return Ok((answer?, None)),
                        },
                        Seen::Rare(rare) => rare,
                    }
                }
                // Its upstream had closed the connection, most likely before it saw the request.
                Err(Verdict::Failed(Failure::LostKept)) if !spent.connection && permit.is_repeatable() => Rare::Lost,
                // The guard, which waited for the end of the body, cannot tell who broke it off.
                Err(Verdict::Failed(Failure::Lost)) if held.is_broken() => return Err(Verdict::ClientGone),
                Err(verdict) => return Err(verdict),
            }
        };
        let failure = match rare {
            Rare::Opens(response) => {
                let opening = opening.filter(|_| permit.opens_websocket()).ok_or(Failure::Lost)?;
                return Box::pin(open(opening, *response, &head.headers)).await.map_err(Verdict::from);
            }
            Rare::Doubtful(answer) => {
                let judged = reader.judge(*answer, &bearer, &mut spent.token, &mut outcome, record);
                match Box::pin(judged).await? {
                    Judged::Clear(response) => return Ok((response, None)),
                    Judged::Again(another, failure) => {
                        bearer = another;
                        failure
                    }
                }
            }
            Rare::Lost => {
                spent.connection = true;
                Failure::LostKept
            }
        };
        request = Request::from_parts(head.clone(), Replay::again(&held).ok_or(failure)?);
        record.replays += 1;
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

/// Waits until a service takes a request.
async fn ready<S: Service<R>, R>(forward: &mut S) -> Result<(), Verdict>
where
    S::Error: Into<Verdict>,
{
    std::future::poll_fn(|cx| forward.poll_ready(cx)).await.map_err(Into::into)
}

/// Waits for an answer, and lets none begin before the condition on its request's body has been seen to hold, if it
/// completes anything. What that says of the body's model comes with it.
async fn settled<U, E: Into<Verdict>>(
    sent: impl Future<Output = Result<Response<U>, E>>,
    outcome: &mut Outcome,
    limit: Duration,
) -> Result<(Response<U>, Option<String>), Verdict> {
    let sent = sent.await.map_err(Into::into);
    let model = outcome.settle(sent.as_ref().ok().map(Response::status), limit).await?;
    Ok((sent?, model))
}

/// Takes over the upstream's connection, which has become a websocket, and makes the answer that tells the client.
async fn open<U: Body>(
    opening: Opening,
    mut response: Response<U>,
    asked: &HeaderMap,
) -> Result<(Response<AnswerBody<LinkedBody<U>>>, Option<Tunnel>), Failure> {
    let upstream = upgrade::on(&mut response).await.map_err(|_| Failure::Lost)?;
    let (mut head, _) = response.into_parts();
    head.extensions.clear();
    strip_hop_by_hop(&mut head.headers);
    // One that was not offered is no choice, and a key is never offered (azure-wire, A2.8).
    if head.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(|chosen| !offers(asked, chosen)) {
        head.headers.remove(SEC_WEBSOCKET_PROTOCOL);
    }
    let client = opening.accept(&mut head).map_err(|NotOpened| Failure::Lost)?;
    Ok((Response::from_parts(head, AnswerBody::ours(Bytes::new())), Some(Tunnel { client, upstream })))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::keys::Keys;
    use crate::request_line::{Format, RequestLines};
    use crate::settings::Settings;

    /// However many lines one worker has that nobody reads: the next one's have room of their own.
    #[test]
    fn each_layer_has_room_for_lines_of_its_own() {
        let text = "keys = \"k\"\n[identities.app]\nkind = \"managed-identity\"\n[resources.ai]\n\
                    endpoint = \"https://a.openai.azure.com\"\nidentity = \"app\"\n";
        let settings = Settings::parse(Path::new("keyswap.toml"), text).unwrap();
        let gateway = Gateway::new(&settings, Keys::parse(Path::new("keys.toml"), "", &settings).unwrap());
        let (reader, writer) = UnixStream::pair().unwrap();
        let dropped = Counter::default();
        let lines = RequestLines::open(writer, Format::Json, dropped.clone()).unwrap();
        let layer = SwapLayer::new(Arc::new(gateway)).telling(lines.lines());
        let workers = [layer.layer(()), layer.layer(())];
        let (head, ()) = Request::new(()).into_parts();
        let tell = |worker: &Swap<()>| worker.desk.pen.as_ref().unwrap().tell(&Record::of(&head, new_id()));
        while dropped.get() == 0 {
            tell(&workers[0]);
        }
        let before = dropped.get();
        tell(&workers[1]);
        assert_eq!(dropped.get(), before);
        drop(reader);
        lines.close();
    }
}
