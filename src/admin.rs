//! What the operator's tools ask: is it alive, is it ready, what has it counted.
//!
//! Ready means: every token was tried for, and at least one was had. Afterwards only draining clears it, since one
//! broken identity must not take all replicas from all teams; the body and the metrics say which one it is.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::listen::Phase;
use crate::metrics;
use crate::swap::Gateway;
use crate::token::{Outcome, Standing};

/// What the admin address serves from.
#[derive(Clone)]
struct Admin {
    gateway: Arc<Gateway>,
    registry: Arc<Registry>,
    phase: watch::Receiver<Phase>,
}

/// The paths of the admin address.
pub(crate) fn router(gateway: Arc<Gateway>, phase: watch::Receiver<Phase>) -> Router {
    let registry = Arc::new(gateway.metrics.registry(gateway.tokens.clone()));
    Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Admin { gateway, registry, phase })
}

async fn ready(State(admin): State<Admin>) -> Response {
    let standings = admin.gateway.tokens.standings();
    let draining = *admin.phase.borrow() != Phase::Serving;
    let tried = standings.iter().all(|standing| standing.outcome != Outcome::Pending);
    let works = standings.iter().any(|standing| standing.fetched > 0);
    let (status, word) = match (draining, tried && works) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        (false, true) => (StatusCode::OK, "ready"),
    };
    (status, page(word, &standings)).into_response()
}

/// The word, and a line for every token.
fn page(word: &str, standings: &[Standing]) -> String {
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
    page
}

async fn scrape(State(admin): State<Admin>) -> Response {
    match metrics::render(&admin.registry) {
        Ok(page) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
