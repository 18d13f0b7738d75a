//! Where the search service is asked.

use azure_emulator::Options;
use serde_json::Value;

use crate::bench::{Ask, Bench, Reply};

pub(crate) const VERSION: &str = "api-version=2025-09-01";

/// A bench with a token for the search service.
pub(crate) struct Desk {
    pub(crate) bench: Bench,
    pub(crate) token: String,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let bench = Bench::with(options).await;
        let token = bench.search_token().await;
        Self { bench, token }
    }

    /// With a token; the api-version is added.
    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask<'_> {
        let mark = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{mark}{VERSION}");
        self.bench.search(method, &target).bearer(&self.token)
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target).send().await
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Reply {
        self.ask("POST", target).body(body.to_string()).send().await
    }
}
