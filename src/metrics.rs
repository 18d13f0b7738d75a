//! What is counted. Labels are bounded: planes, stable reasons, status classes, the settings' own names.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::plane::Plane;
use crate::token::Tokens;

/// The counters of the request path, shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    plane: &'static str,
    /// `upstream` for an answer of Azure's, else the reason why it is ours.
    by: &'static str,
    status: u16,
}

#[derive(Debug, EncodeLabelSet)]
struct PurposeLabels {
    identity: String,
    scope: String,
}

/// Reads the tokens when somebody asks.
#[derive(Debug)]
struct TokenCollector(Arc<Tokens>);

impl Metrics {
    /// Counts a request that was answered with this status, by the upstream or for a reason of ours.
    pub fn count(&self, plane: Option<Plane>, by: &'static str, status: http::StatusCode) {
        let plane = match plane {
            Some(Plane::OpenAi) => "openai",
            Some(Plane::Search) => "search",
            None => "none",
        };
        self.requests.get_or_create(&Answered { plane, by, status: status.as_u16() }).inc();
    }

    /// Everything that can be scraped.
    pub fn registry(&self, tokens: Arc<Tokens>) -> Registry {
        let mut registry = Registry::with_prefix("keyswap");
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_collector(Box::new(TokenCollector(tokens)));
        registry
    }
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

impl Collector for TokenCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let standings = self.0.standings();
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
