//! What operators and their tools ask: is it alive, is it ready, what has it counted. All else is for [`Visitors`] alone.
//!
//! Once it was ready ([`readiness`]), only draining clears that; the body and the metrics say how each token stands.

mod readiness;
mod visitors;
mod why;

use std::fmt::Write;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use readiness::Readiness;
pub(crate) use visitors::Visitors;

use crate::listen::Phase;
use crate::metrics;
use crate::swap::Gateway;
use crate::token::{Outcome, Standing};

/// What the admin address serves from.
#[derive(Clone)]
struct Admin {
    gateway: Arc<ArcSwap<Gateway>>,
    registry: Arc<Registry>,
    phase: watch::Receiver<Phase>,
    generation: watch::Receiver<Generation>,
    readiness: Arc<Readiness>,
}

/// Which settings are in effect.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    /// How many times settings and keys were taken, the start included.
    pub(crate) number: u64,
    /// Whether newer ones are refused, and these stay for that.
    pub(crate) stale: bool,
    /// The settings that have changed, but will do so in effect at the next start only.
    pub(crate) at_next_start: Vec<&'static str>,
}

/// The paths of the admin address.
pub(crate) fn router(
    gateway: Arc<ArcSwap<Gateway>>,
    phase: watch::Receiver<Phase>,
    generation: watch::Receiver<Generation>,
    visitors: Arc<Visitors>,
    log_dropped: Counter,
) -> Router {
    let current = gateway.clone();
    let standings = move || current.load().tokens.standings();
    let current = gateway.clone();
    let keys = move || current.load().keys.each().into_iter().cloned().collect();
    let registry = Arc::new(gateway.load().metrics.registry(standings, keys, log_dropped));
    // Whatever does not stand in this list is for visitors.
    let for_everybody = Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape));
    let for_visitors = Router::new()
        .route("/keys/use", get(key_use))
        .route("/why", get(why::newest))
        .route("/why/{id}", get(why::one))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(visitors, visitors::admit));
    for_everybody.merge(for_visitors).with_state(Admin {
        gateway,
        registry,
        phase,
        generation,
        readiness: Arc::default(),
    })
}

async fn ready(State(admin): State<Admin>) -> Response {
    let standings = admin.gateway.load().tokens.standings();
    let draining = *admin.phase.borrow() != Phase::Serving;
    let ready = admin.readiness.of(&standings);
    let (status, word) = match (draining, ready) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        (false, true) => (StatusCode::OK, "ready"),
    };
    (status, page(word, &standings, &admin.generation.borrow())).into_response()
}

/// The word, a line for every token, and which settings are in effect.
fn page(word: &str, standings: &[Standing], generation: &Generation) -> String {
    let mut page = format!("{word}\n");
    for Standing { purpose, outcome, left, .. } in standings {
        let stands = match (outcome, left) {
            (Outcome::Failed(_), Some(left)) => format!("token valid for {} s, its refresh fails", left.as_secs()),
            (_, Some(left)) => format!("token valid for {} s", left.as_secs()),
            (Outcome::Failed(failure), None) => failure.to_string(),
            (Outcome::Pending, None) => "no token yet".to_owned(),
            (Outcome::Fresh, None) => "token expired".to_owned(),
        };
        // Writing to a String cannot fail.
        writeln!(page, "{} {}: {stands}", purpose.identity, purpose.scope).unwrap_or_default();
    }
    let Generation { number, stale, at_next_start } = generation;
    writeln!(page, "settings: generation {number}").unwrap_or_default();
    if *stale {
        writeln!(page, "settings: newer ones are refused, the log says why").unwrap_or_default();
    }
    if !at_next_start.is_empty() {
        writeln!(page, "settings: at the next start only: {}", at_next_start.join(", ")).unwrap_or_default();
    }
    page
}

/// What each key was used for, as [`crate::usage::Page`] has it.
async fn key_use(State(admin): State<Admin>) -> Response {
    match serde_json::to_string(&admin.gateway.load().usage.page()) {
        Ok(page) => ([(CONTENT_TYPE, "application/json")], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn scrape(State(admin): State<Admin>) -> Response {
    match metrics::render(&admin.registry) {
        Ok(page) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
