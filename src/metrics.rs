//! What is counted. Labels are bounded: planes, stable reasons, status classes, the settings' own names.

mod keys;

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::authenticate::GuessCounters;
use crate::keys::Key;
use crate::listen::Cause;
use crate::plane::Plane;
use crate::request_line::{Outcome, Record};
use crate::token::Standing;
use keys::KeyCollector;

/// The counters of the request path, shared by all workers.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    /// Almost all of them, looked up once: the upstream says 200.
    openai_fine: Counter,
    search_fine: Counter,
    in_flight: Gauge,
    websockets: Gauge,
    unfinished: Family<Unfinished, Counter>,
    durations: Family<OfPlane, Histogram, fn() -> Histogram>,
    received: Family<OfPlane, Counter>,
    sent: Family<OfPlane, Counter>,
    /// What is counted of every request, looked up once.
    openai: Traffic,
    search: Traffic,
    no_plane: Traffic,
    lost: Family<Lost, Counter>,
    links_hidden: Counter,
    lines_dropped: Counter,
    guesses: GuessCounters,
    generation: Gauge,
    settings_stale: Gauge,
    settings_refused: Counter,
    usage_unwritten: Gauge,
}

/// What is counted of every request of a plane.
#[derive(Clone, Debug)]
struct Traffic {
    durations: Histogram,
    received: Counter,
    sent: Counter,
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    plane: &'static str,
    /// [`UPSTREAM`] for an answer of Azure's, else the reason why it is ours.
    by: &'static str,
    status: u16,
}

/// How an answer ended that did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Unfinished {
    plane: &'static str,
    outcome: &'static str,
}

/// Why a connection ended before there was a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lost {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlane {
    plane: &'static str,
}

#[derive(Debug, EncodeLabelSet)]
struct PurposeLabels {
    identity: String,
    scope: String,
}

/// Reads how the tokens stand when somebody asks.
struct TokenCollector(Box<dyn Fn() -> Vec<Standing> + Send + Sync>);

/// Who has answered, if it was not us for a reason of ours.
pub(crate) const UPSTREAM: &str = "upstream";

/// In seconds: from a refusal to a reasoning model that thinks for half an hour.
const DURATIONS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 1800.0];

impl Metrics {
    /// Nothing is counted yet but, elsewhere, guesses.
    pub(crate) fn new(guesses: GuessCounters) -> Self {
        let durations = Family::<_, _, fn() -> _>::new_with_constructor(|| Histogram::new(DURATIONS));
        let (received, sent) = (Family::<_, Counter>::default(), Family::<_, Counter>::default());
        let requests = Family::<_, Counter>::default();
        let traffic = |plane| {
            let labels = OfPlane { plane: label(plane) };
            Traffic {
                durations: durations.get_or_create_owned(&labels),
                received: received.get_or_create_owned(&labels),
                sent: sent.get_or_create_owned(&labels),
            }
        };
        let fine =
            |plane| requests.get_or_create_owned(&Answered { plane: label(Some(plane)), by: UPSTREAM, status: 200 });
        Self {
            openai_fine: fine(Plane::OpenAi),
            search_fine: fine(Plane::Search),
            requests,
            in_flight: Gauge::default(),
            websockets: Gauge::default(),
            unfinished: Family::default(),
            openai: traffic(Some(Plane::OpenAi)),
            search: traffic(Some(Plane::Search)),
            no_plane: traffic(None),
            durations,
            received,
            sent,
            lost: Family::default(),
            links_hidden: Counter::default(),
            lines_dropped: Counter::default(),
            guesses,
            generation: Gauge::default(),
            settings_stale: Gauge::default(),
            settings_refused: Counter::default(),
            usage_unwritten: Gauge::default(),
        }
    }

    /// A request has come.
    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    /// A request has become a websocket.
    pub(crate) fn open_websocket(&self) {
        self.websockets.inc();
    }

    /// A request has ended, in whatever way.
    pub(crate) fn end(&self, record: &Record) {
        self.in_flight.dec();
        let traffic = match record.plane() {
            Some(Plane::OpenAi) => &self.openai,
            Some(Plane::Search) => &self.search,
            None => &self.no_plane,
        };
        if record.tunnel.is_some() {
            // How long somebody talked says nothing of how long anybody waited.
            self.websockets.dec();
        } else {
            traffic.durations.observe(record.duration().as_secs_f64());
        }
        traffic.received.inc_by(record.bytes_in());
        traffic.sent.inc_by(record.bytes_out());
        if record.outcome != Outcome::Complete {
            let plane = label(record.plane());
            self.unfinished.get_or_create(&Unfinished { plane, outcome: record.outcome.name() }).inc();
        }
    }

    /// A connection has ended before there was a request, the first or the next.
    pub(crate) fn lost(&self, cause: Cause) {
        self.lost.get_or_create(&Lost { cause: cause.name() }).inc();
    }

    /// An answer came encoded that may have links in it, which therefore stay as they are.
    pub(crate) fn links_hidden(&self) {
        self.links_hidden.inc();
    }

    /// Another generation of settings is in effect.
    pub(crate) fn settings_taken(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.settings_stale.set(0);
    }

    /// New settings were refused; those before stay in effect.
    pub(crate) fn settings_refused(&self) {
        self.settings_refused.inc();
        self.settings_stale.set(1);
    }

    /// Whether the use of keys is in its file, or needs none.
    pub(crate) fn usage_is_kept(&self, kept: bool) {
        self.usage_unwritten.set((!kept).into());
    }

    /// Where request lines are counted that nobody will see.
    pub(crate) fn lines_dropped(&self) -> &Counter {
        &self.lines_dropped
    }

    /// Counts a request that was answered with this status, by the upstream or for a reason of ours.
    pub fn count(&self, plane: Option<Plane>, by: &'static str, status: http::StatusCode) {
        match plane.filter(|_| by == UPSTREAM && status == http::StatusCode::OK) {
            Some(Plane::OpenAi) => self.openai_fine.inc(),
            Some(Plane::Search) => self.search_fine.inc(),
            None => self.requests.get_or_create(&Answered { plane: label(plane), by, status: status.as_u16() }).inc(),
        };
    }

    /// Everything that can be scraped.
    pub fn registry(
        &self,
        standings: impl Fn() -> Vec<Standing> + Send + Sync + 'static,
        keys: impl Fn() -> Vec<Arc<Key>> + Send + Sync + 'static,
        log_dropped: Counter,
    ) -> Registry {
        let mut registry = Registry::with_prefix("keyswap");
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register("requests_in_flight", "Requests whose answer has not ended", self.in_flight.clone());
        registry.register("websockets_open", "Realtime websockets that are open", self.websockets.clone());
        let unfinished = "Requests whose answer did not reach its end";
        registry.register("requests_unfinished", unfinished, self.unfinished.clone());
        let durations = "From a request's coming to its answer's end, websockets not among them";
        registry.register_with_unit("request_duration", durations, Unit::Seconds, self.durations.clone());
        registry.register("received_bytes", "Bytes of request bodies, and of websockets", self.received.clone());
        registry.register("sent_bytes", "Bytes of answer bodies, and of websockets", self.sent.clone());
        let lost = "Connections that ended before there was a request, the first or the next";
        registry.register("connections_lost", lost, self.lost.clone());
        let hidden = "Answers whose links could not be turned, since they came encoded";
        registry.register("links_hidden", hidden, self.links_hidden.clone());
        let dropped = "Request lines that nobody will see, since standard output took no more";
        registry.register("request_lines_dropped", dropped, self.lines_dropped.clone());
        let dropped = "Lines of the log that nobody will see, since standard error took no more";
        registry.register("log_lines_dropped", dropped, log_dropped);
        registry.register("unknown_keys", "Keys that are not listed", self.guesses.unknown.clone());
        let delayed = "Refusals of such keys that were delayed, since their source brought many";
        registry.register("refusals_delayed", delayed, self.guesses.delayed.clone());
        registry.register("refusals_held", "Refusals that are delayed now", self.guesses.held.clone());
        registry.register(
            "generation",
            "How many times settings and keys were taken, the start included",
            self.generation.clone(),
        );
        let stale = "1 while files of the settings are refused, so that those before them are in effect";
        registry.register("settings_stale", stale, self.settings_stale.clone());
        registry.register("settings_refused", "Changes of files that were refused", self.settings_refused.clone());
        let unwritten = "1 while the use of keys cannot be written to its file, so that a restart would forget it";
        registry.register("usage_unwritten", unwritten, self.usage_unwritten.clone());
        registry.register_collector(Box::new(TokenCollector(Box::new(standings))));
        registry.register_collector(Box::new(KeyCollector::of(keys)));
        registry
    }
}

fn label(plane: Option<Plane>) -> &'static str {
    plane.map_or("none", Plane::name)
}

/// A registry in the text format of OpenMetrics.
///
/// # Errors
/// Only what `fmt::Write` for a `String` could say: nothing.
pub fn render(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    text::encode(&mut page, registry)?;
    Ok(page)
}

impl std::fmt::Debug for TokenCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCollector")
    }
}

impl Collector for TokenCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let standings = (self.0)();
        let labels = |purpose: &crate::token::Purpose| PurposeLabels {
            identity: purpose.identity.to_string(),
            scope: purpose.scope.to_string(),
        };
        for (result, value) in [("fetched", true), ("failed", false)] {
            let help = if value { "Tokens fetched" } else { "Fetches of tokens that failed" };
            let name = format!("token_{result}");
            let counter = ConstCounter::new(0u64);
            let mut family = encoder.encode_descriptor(&name, help, None, counter.metric_type())?;
            for standing in &standings {
                let count = if value { standing.fetched } else { standing.failed };
                let labels = labels(&standing.purpose);
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let gauge = ConstGauge::new(0.0f64);
        let help = "How long the token in use is still valid; 0 without one";
        let mut family = encoder.encode_descriptor("token_left_seconds", help, None, gauge.metric_type())?;
        for standing in &standings {
            let left = standing.left.unwrap_or_default().as_secs_f64();
            let labels = labels(&standing.purpose);
            ConstGauge::new(left).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
