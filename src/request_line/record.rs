//! What is known of a request.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Version};

use super::format::{Field, Value, field};
use crate::authorize::Way;
use crate::family::Family;
use crate::fault::Fault;
use crate::forward::Held;
use crate::keys::Key;
use crate::listen::{Arrival, ClientAddress, Entrance};
use crate::plane::Plane;
use crate::refusal::Verdict;
use crate::route::{Route, Target, readable};
use crate::tunnel::{End, Traffic};
use crate::usage::{Object, Sight};

/// What is known of a request; the walk adds to it. What came from the client is kept by reference, not copied.
#[derive(Debug)]
pub(crate) struct Record {
    id: HeaderValue,
    pub(crate) came: SystemTime,
    begun: Instant,
    /// Measured once, so that all who tell of it tell the same.
    lasted: OnceCell<Duration>,
    pub(crate) from: Option<ClientAddress>,
    entrance: Option<Entrance>,
    version: Option<Version>,
    method: Option<Method>,
    target: Option<PathAndQuery>,
    user_agent: Option<HeaderValue>,
    pub(crate) route: Option<Route>,
    pub(crate) key: Option<Arc<Key>>,
    /// Where it was let, and on what leave.
    pub(crate) way: Option<Way>,
    /// The model that the body names, where the permit depends on it and holds.
    pub(crate) model: Option<String>,
    /// The request's body, which knows how much of it was read.
    pub(crate) body: Option<Held>,
    /// What goes through the tunnel that the request has become, if it has.
    pub(crate) tunnel: Option<Arc<Traffic>>,
    /// The upstream's last answer.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) replays: u32,
    pub(crate) verdict: Option<Verdict>,
    /// What Azure's answer finds wrong with our credentials, though it was passed as it is.
    pub(crate) complaint: Option<Box<Fault>>,
    /// The status of the answer that the client got.
    pub(crate) status: Option<StatusCode>,
    /// Of the answer's body.
    pub(crate) answered: u64,
    pub(crate) outcome: Outcome,
}

/// The head of an upstream's answer.
#[derive(Debug)]
pub(crate) struct Upstream {
    status: StatusCode,
    request: Option<HeaderValue>,
    came: Instant,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole answer was handed to the client's connection.
    Complete,
    /// The client went away before that.
    ClientGone,
    /// Our own stop cut it off: its deadline had passed, or it was told to end at once.
    Stopped,
    /// Its key was revoked at once.
    Revoked,
    /// The upstream broke its answer off.
    UpstreamBroke,
    /// It had become a tunnel, and nobody said anything for too long.
    Idle,
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Complete => Self::Complete,
            End::ClientGone => Self::ClientGone,
            End::UpstreamBroke => Self::UpstreamBroke,
            End::Idle => Self::Idle,
        }
    }
}

/// How the services name a request of theirs; the first of them that stands in an answer.
const REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("apim-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-ms-request-id"),
];

impl Record {
    /// A request that has just come.
    pub(crate) fn of(request: &Parts, id: HeaderValue) -> Self {
        let arrival = request.extensions.get::<Arrival>();
        Self {
            version: Some(request.version),
            method: Some(request.method.clone()),
            target: request.uri.path_and_query().cloned(),
            user_agent: request.headers.get(USER_AGENT).cloned(),
            ..Self::unread(arrival.and_then(|arrival| arrival.from), arrival.map(|arrival| arrival.entrance), id)
        }
    }

    /// A request that has just come, and whose head cannot be read.
    pub(crate) fn unread(from: Option<ClientAddress>, entrance: Option<Entrance>, id: HeaderValue) -> Self {
        Self {
            id,
            came: SystemTime::now(),
            begun: Instant::now(),
            lasted: OnceCell::new(),
            from,
            entrance,
            version: None,
            method: None,
            target: None,
            user_agent: None,
            route: None,
            key: None,
            way: None,
            model: None,
            body: None,
            tunnel: None,
            upstream: None,
            replays: 0,
            verdict: None,
            complaint: None,
            status: None,
            answered: 0,
            // Whoever is dropped before its end has lost its client.
            outcome: Outcome::ClientGone,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// Unless its head could not be read.
    pub(crate) fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// As far as it could be read: behind that there may be a query, to whoever sent it, with a key in it. Unless its head
    /// could not be read at all.
    pub(crate) fn path(&self) -> Option<&str> {
        let path = self.target.as_ref()?.path();
        Some(if self.route.is_some() { path } else { readable(path) })
    }

    /// How the upstream calls it, if it has answered.
    pub(crate) fn upstream_request(&self) -> Option<&HeaderValue> {
        self.upstream.as_ref().and_then(|upstream| upstream.request.as_ref())
    }

    /// Once it is known.
    pub(crate) fn plane(&self) -> Option<Plane> {
        self.route.as_ref().map(Route::plane)
    }

    /// From its coming to its end, which is when this is asked first.
    pub(crate) fn duration(&self) -> Duration {
        *self.lasted.get_or_init(|| self.begun.elapsed())
    }

    /// From the client, in a body or a tunnel.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.body.as_ref().map_or(0, Held::read) + self.tunnel.as_ref().map_or(0, |tunnel| tunnel.received())
    }

    /// To the client, likewise.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.answered + self.tunnel.as_ref().map_or(0, |tunnel| tunnel.sent())
    }

    /// Tells its key what it was permitted to do, if it was. What it may do to a deployment that its body names is
    /// settled only when that was read.
    pub(crate) fn tell_key(&self) {
        if matches!(self.verdict, Some(Verdict::Refused(_) | Verdict::Preflight)) {
            return;
        }
        let (Some(key), Some(Way::Permit(permit)), Some(route)) = (&self.key, &self.way, &self.route) else { return };
        let object = match (route.target(), &self.model) {
            (Target::Named(name), _) | (Target::InBody, Some(name)) => Object::Named(name),
            (Target::InBody, None) if permit.condition().is_some() => return,
            (Target::InBody, None) => Object::InBody,
            (Target::Unnamed, _) => Object::Unnamed,
            (Target::Untouched, _) => Object::Untouched,
        };
        let Some(operation) = route.operation() else { return };
        key.uses.permitted(&Sight {
            at: self.came,
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes).unwrap_or_default(),
            path: self.path().unwrap_or_default(),
            query: self.target.as_ref().and_then(PathAndQuery::query).unwrap_or_default(),
            resource: &permit.resource().name,
            operation,
            object,
        });
    }

    /// Every field, its name and its value, in the order of a line. This is the only place that knows the names.
    pub(super) fn each<'r>(&'r self, mut tell: impl FnMut(Field, Value<'r>)) {
        let word = |word: &'r str| Value::Word(word);
        let header = |value: &'r HeaderValue| Value::Bytes(value.as_bytes());
        let route = self.route.as_ref();
        let key = self.key.as_ref();
        let way = self.way.as_ref();
        let upstream = self.upstream.as_ref();
        let named = |route: &'r Route| match route.target() {
            Target::Named(name) => Some(name.as_str()),
            Target::InBody | Target::Unnamed | Target::Untouched => None,
        };

        tell(field!("time"), Value::Time(self.came));
        tell(field!("request"), word(self.id()));
        tell(field!("from"), self.from.into());
        tell(field!("listener"), self.entrance.map(|entrance| word(entrance.listener)).into());
        tell(field!("tls"), self.entrance.and_then(|entrance| entrance.tls).map(word).into());
        tell(field!("http"), self.version.map(version).map(word).into());
        tell(field!("method"), self.method.as_ref().map(Method::as_str).into());
        tell(field!("path"), self.path().into());
        tell(field!("user_agent"), self.user_agent.as_ref().map(header).into());
        tell(field!("plane"), self.plane().map(Plane::name).map(word).into());
        tell(field!("family"), route.and_then(Route::family).map(Family::name).map(word).into());
        tell(field!("target"), route.and_then(named).or(self.model.as_deref()).into());
        tell(field!("client"), key.map(|key| &*key.client.name).into());
        tell(field!("key"), key.map(|key| &*key.id).into());
        tell(field!("resource"), way.map(|way| &*way.resource().name).into());
        tell(field!("identity"), way.map(Way::identity).into());
        tell(field!("status"), self.status.into());
        tell(field!("reason"), self.verdict.as_ref().map(Verdict::reason).map(word).into());
        tell(field!("why"), self.verdict.as_ref().into());
        tell(field!("outcome"), word(self.outcome.name()));
        tell(field!("upstream_status"), upstream.map(|upstream| upstream.status).into());
        tell(field!("upstream_request"), self.upstream_request().map(header).into());
        tell(
            field!("upstream_ms"),
            upstream.map(|upstream| upstream.came.saturating_duration_since(self.begun)).into(),
        );
        tell(field!("duration_ms"), Value::Milliseconds(self.duration()));
        tell(field!("bytes_in"), Value::Number(self.bytes_in()));
        tell(field!("bytes_out"), Value::Number(self.bytes_out()));
        tell(field!("replays"), Value::Number(self.replays.into()));
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        // Nothing else is served.
        _ => "1.1",
    }
}

// === impl Upstream ===

impl Upstream {
    /// An answer whose head has just come.
    pub(crate) fn of<U>(response: &Response<U>) -> Self {
        let named = |headers: &HeaderMap| REQUEST_IDS.iter().find_map(|name| headers.get(name).cloned());
        Self { status: response.status(), request: named(response.headers()), came: Instant::now() }
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client-gone",
            Self::Stopped => "stopped",
            Self::Revoked => "revoked",
            Self::UpstreamBroke => "upstream-broke",
            Self::Idle => "idle",
        }
    }
}
