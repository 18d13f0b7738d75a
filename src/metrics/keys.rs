//! What there is to know of keys that are not good at all times: when they end, and whether somebody still brings them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::keys::{Key, Revoked};

/// Reads the keys that are in effect when somebody asks.
pub(super) struct KeyCollector(Box<dyn Fn() -> Vec<Arc<Key>> + Send + Sync>);

impl KeyCollector {
    pub(super) fn of(keys: impl Fn() -> Vec<Arc<Key>> + Send + Sync + 'static) -> Self {
        Self(Box::new(keys))
    }
}

impl Collector for KeyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let keys = (self.0)();
        let help = "When a key ends or has ended, in Unix seconds; none that has no end or was taken back";
        let name = "key_expires_timestamp_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for key in keys.iter().filter(|key| key.revoked == Revoked::No) {
            let since = key.expires.and_then(|expires| expires.duration_since(SystemTime::UNIX_EPOCH).ok());
            if let Some(since) = since {
                ConstGauge::new(since.as_secs_f64()).encode(family.encode_family(&labels(key))?)?;
            }
        }
        // Those that may be refused stand there before they are: a count that begins with one has not risen.
        let help = "Requests that brought a key which has ended, has not begun or was taken back";
        let mut family = encoder.encode_descriptor("key_refusals", help, None, MetricType::Counter)?;
        for key in keys.iter().filter(|key| key.has_bounds()) {
            ConstCounter::new(key.uses.refusals()).encode(family.encode_family(&labels(key))?)?;
        }
        Ok(())
    }
}

fn labels(key: &Key) -> [(&str, &str); 2] {
    [("client", &key.client.name), ("key", &key.id)]
}

impl fmt::Debug for KeyCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCollector")
    }
}
