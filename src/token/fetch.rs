//! One fetch for whoever examines an identity: by the issuer that the control tasks ask, with all that was seen of it.

use std::time::Duration;

use http::HeaderValue;

use super::clock::Clock;
use super::issuer::{Denial, Issuer};
use super::transport::{Exchange, Seen};
use crate::egress::Egress;
use crate::settings::IdentityKind;

/// What came of a fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The token, or why there is none.
    pub(crate) token: Result<Sample, Denial>,
    /// What was seen last of whoever was asked.
    pub(crate) seen: Seen,
}

/// A token that serves no request.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The value of `Authorization`, marked sensitive.
    pub(crate) header: HeaderValue,
    /// How long it is good.
    pub(crate) life: Duration,
}

/// Fetches a token once, within ten seconds.
pub(crate) async fn fetch(kind: &IdentityKind, egress: &Egress, scope: &str) -> Fetched {
    let clock = Clock::default();
    let issuer = Issuer::new(kind.clone(), egress, clock.clone());
    let exchange = Exchange::default();
    let token = issuer.fetch_seen(scope, &exchange).await;
    let token = token.map(|token| Sample { life: token.expires.left(clock.now()), header: token.header });
    Fetched { token, seen: exchange.seen() }
}
