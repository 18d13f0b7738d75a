//! The control task of one purpose: fetch, keep, wait, forever.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use tracing::{error, info, warn};

use super::issuer::{Denial, Issuer};
use super::{Outcome, Purpose, Slot, Token};
use crate::refusal::Failure;

/// How long one fetch may take, with all that `azure_identity` does on its own: an IMDS that hangs keeps it for three
/// minutes otherwise.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// The shortest and the longest wait after a failed fetch.
const WAIT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// The first wait after a failed fetch when there is no token to live on; it doubles each time.
const COLD_WAIT: Duration = Duration::from_millis(500);

/// Fetches tokens for a purpose and keeps the newest in the cache. Never ends.
pub(super) async fn keep(slot: Arc<Slot>, cache: Cache<Purpose, Arc<Token>>, issuer: Issuer) {
    let Purpose { identity, scope } = slot.purpose.clone();
    let mut failures = 0;
    loop {
        let fetched = tokio::time::timeout(FETCH_LIMIT, issuer.fetch(&scope)).await;
        let fetched = fetched.unwrap_or_else(|_| Err(Denial::unavailable("no answer in time")));
        let wait = match fetched {
            Ok(token) => {
                let life = left(&token);
                info!(%identity, %scope, life_s = life.as_secs(), "token fetched");
                cache.insert(slot.purpose.clone(), Arc::new(token));
                failures = 0;
                slot.settle(Outcome::Fresh);
                half(life)
            }
            Err(denial) => {
                failures += 1;
                let left = cache.get(&slot.purpose).map(|token| left(&token)).unwrap_or_default();
                let wait = after_failure(left, failures);
                let retry_ms = wait.as_millis();
                if left.is_zero() {
                    error!(%identity, %scope, why = %denial.why, retry_ms, "no token: requests that need it fail");
                } else {
                    let left_s = left.as_secs();
                    warn!(%identity, %scope, why = %denial.why, retry_ms, left_s, "token not refreshed, the old one serves");
                }
                slot.settle(Outcome::Failed(Failure::from(denial)));
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = slot.wanted.notified() => {}
        }
    }
}

fn left(token: &Token) -> Duration {
    token.expires.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Half of what is left, give or take a twentieth, so that replicas do not ask as one.
fn half(life: Duration) -> Duration {
    // A new RandomState is seeded anew; this needs no better randomness, and no crate for it.
    let percent = RandomState::new().build_hasher().finish() % 11;
    life * (45 + u32::try_from(percent).unwrap_or(5)) / 100
}

/// A tenth of what is left, within bounds; without a token, longer and longer.
fn after_failure(left: Duration, failures: u32) -> Duration {
    let wait =
        if left.is_zero() { COLD_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10)) } else { left / 10 };
    wait.clamp(*WAIT.start(), *WAIT.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_asked_about_often_enough_and_no_oftener() {
        let s = Duration::from_secs;
        assert_eq!(after_failure(s(3600), 1), s(30));
        assert_eq!(after_failure(s(60), 9), s(6));
        assert_eq!(after_failure(Duration::from_millis(3), 1), Duration::from_millis(100));
        assert_eq!(after_failure(s(0), 1), Duration::from_millis(500));
        assert_eq!(after_failure(s(0), 3), s(2));
        assert_eq!(after_failure(s(0), 4_000_000), s(30));
    }

    #[test]
    fn a_token_is_refreshed_at_half_of_its_life_give_or_take_a_twentieth() {
        for _ in 0..1000 {
            let wait = half(Duration::from_secs(100));
            assert!((Duration::from_secs(45)..=Duration::from_secs(55)).contains(&wait), "{wait:?}");
        }
    }
}
