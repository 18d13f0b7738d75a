//! What is known of a request.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{HeaderMap, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Version};

use super::format::Value;
use crate::authorize::{Passage, Permit};
use crate::family::Family;
use crate::forward::Held;
use crate::keys::Key;
use crate::listen::ClientAddress;
use crate::plane::Plane;
use crate::refusal::Verdict;
use crate::route::{Route, Target};
use crate::settings::{CLIENTS_OWN, Resource};

/// What is known of a request; the walk adds to it. What came from the client is kept by reference, not copied.
#[derive(Debug)]
pub(crate) struct Record {
    id: HeaderValue,
    came: SystemTime,
    begun: Instant,
    pub(crate) from: Option<ClientAddress>,
    version: Version,
    method: Method,
    target: Option<PathAndQuery>,
    user_agent: Option<HeaderValue>,
    pub(crate) route: Option<Route>,
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) way: Option<Way>,
    /// The request's body, which knows how much of it was read.
    pub(crate) body: Option<Held>,
    /// The upstream's last answer.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) replays: u32,
    pub(crate) verdict: Option<Verdict>,
    /// The status of the answer that the client got.
    pub(crate) status: Option<StatusCode>,
    pub(crate) bytes_out: u64,
    pub(crate) outcome: Outcome,
}

/// Where a request was let, and whose token it rides.
#[derive(Debug)]
pub(crate) struct Way {
    resource: Arc<Resource>,
    identity: Arc<str>,
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
    /// The client went away before that, or our own stop cut it off.
    ClientGone,
    /// The upstream broke its answer off.
    UpstreamBroke,
}

/// How the services name a request of theirs; the first of them that stands in an answer.
const REQUEST_IDS: [&str; 3] = ["apim-request-id", "request-id", "x-ms-request-id"];

impl Record {
    /// A request that has just come.
    pub(crate) fn of<B>(request: &Request<B>, id: HeaderValue) -> Self {
        Self {
            id,
            came: SystemTime::now(),
            begun: Instant::now(),
            from: request.extensions().get().copied(),
            version: request.version(),
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            route: None,
            key: None,
            way: None,
            body: None,
            upstream: None,
            replays: 0,
            verdict: None,
            status: None,
            bytes_out: 0,
            // Whoever is dropped before its end has lost its client.
            outcome: Outcome::ClientGone,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Once it is known.
    pub(crate) fn plane(&self) -> Option<Plane> {
        self.route.as_ref().map(Route::plane)
    }

    /// The resource that it was let to.
    pub(crate) fn resource(&self) -> Option<&str> {
        self.way.as_ref().map(|way| &*way.resource.name)
    }

    /// Since the request came.
    pub(crate) fn duration(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.body.as_ref().map_or(0, Held::read)
    }

    /// Every field, its name and its value, in the order of a line. This is the only place that knows the names.
    pub(super) fn each<'r>(&'r self, mut tell: impl FnMut(&'static str, Value<'r>)) {
        let text = Value::Text;
        let header = |value: &'r HeaderValue| Value::Bytes(value.as_bytes());
        let route = self.route.as_ref();
        let key = self.key.as_ref();
        let upstream = self.upstream.as_ref();
        let named = |route: &'r Route| match route.target() {
            Target::Named(name) => Some(name.as_str()),
            Target::Unnamed | Target::Untouched => None,
        };

        tell("time", Value::Time(self.came));
        tell("request", text(self.id()));
        tell("from", self.from.into());
        tell("http", text(version(self.version)));
        tell("method", text(self.method.as_str()));
        tell("path", text(self.target.as_ref().map_or("", PathAndQuery::path)));
        tell("user_agent", self.user_agent.as_ref().map(header).into());
        tell("plane", self.plane().map(Plane::name).into());
        tell("family", route.and_then(Route::family).map(Family::name).into());
        tell("target", route.and_then(named).into());
        tell("client", key.map(|key| &*key.client.name).into());
        tell("key", key.map(|key| &*key.id).into());
        tell("resource", self.resource().into());
        tell("identity", self.way.as_ref().map(|way| &*way.identity).into());
        tell("status", self.status.into());
        tell("reason", self.verdict.as_ref().map(Verdict::reason).into());
        tell("why", self.verdict.as_ref().into());
        tell("outcome", text(self.outcome.name()));
        tell("upstream_status", upstream.map(|upstream| upstream.status).into());
        tell("upstream_request", upstream.and_then(|upstream| upstream.request.as_ref()).map(header).into());
        tell("upstream_ms", upstream.map(|upstream| upstream.came.saturating_duration_since(self.begun)).into());
        tell("duration_ms", Value::Milliseconds(self.duration()));
        tell("bytes_in", Value::Number(self.bytes_in()));
        tell("bytes_out", Value::Number(self.bytes_out));
        tell("replays", Value::Number(self.replays.into()));
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

// === impl Way ===

impl Way {
    /// With a token of ours.
    pub(crate) fn permitted(permit: &Permit) -> Self {
        Self { resource: permit.resource().clone(), identity: permit.identity().clone() }
    }

    /// With the client's own.
    pub(crate) fn passed(passage: &Passage) -> Self {
        Self { resource: passage.resource().clone(), identity: CLIENTS_OWN.into() }
    }
}

// === impl Upstream ===

impl Upstream {
    /// An answer whose head has just come.
    pub(crate) fn of<U>(response: &Response<U>) -> Self {
        let named = |headers: &HeaderMap| REQUEST_IDS.iter().find_map(|name| headers.get(*name).cloned());
        Self { status: response.status(), request: named(response.headers()), came: Instant::now() }
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client-gone",
            Self::UpstreamBroke => "upstream-broke",
        }
    }
}
