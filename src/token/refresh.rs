//! The control task of one purpose: fetch, keep, wait, forever.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::clock::{Clock, Moment};
use super::issuer::Issue;
use super::slot::Slot;
use super::{Bearer, Cache, Outcome, Purpose};
use crate::refusal::Failure;

/// The shortest and the longest wait after a failed fetch while there is a token to live on.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// The first wait after a failed fetch when there is none; it doubles each time.
const COLD_WAIT: Duration = Duration::from_millis(500);

/// How long it may become when asking again may help: the clients are told to come back soon.
const LONGEST_OUTAGE_WAIT: Duration = Duration::from_secs(5);

/// The same when we were refused, and somebody has to mend something first.
const LONGEST_REFUSED_WAIT: Duration = Duration::from_secs(30);

/// How often the clock is looked at. The timers stand still while the machine sleeps, so they alone would let a token
/// expire before its refresh.
const LOOK: Duration = Duration::from_secs(30);

/// Fetches tokens for a purpose and keeps the newest in the cache. Never ends.
pub(super) async fn keep(slot: Arc<Slot>, cache: Cache, issuer: impl Issue, clock: Clock) {
    let Purpose { identity, scope } = slot.purpose.clone();
    // Failed fetches in a row without a token.
    let mut cold = 0;
    loop {
        slot.begin();
        let fetched = issuer.fetch(&scope).await;
        let now = clock.now();
        let wait = match fetched {
            Ok(token) => {
                let life = token.expires.left(now);
                info!(%identity, %scope, life_s = life.as_secs(), "token fetched");
                cache.insert(slot.number, Bearer::new(slot.clone(), token));
                cold = 0;
                slot.settle(Outcome::Fresh);
                half(life)
            }
            Err(denial) => {
                let left = cache.get(&slot.number).map(|bearer| bearer.left(now)).unwrap_or_default();
                cold = if left.is_zero() { cold + 1 } else { 0 };
                let wait = if left.is_zero() { without_token(cold, denial.may_pass) } else { with_token(left) };
                // A number of 128 bits would be a text in the log.
                let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let left_s = left.as_secs();
                let cure = denial.cure;
                if left.is_zero() {
                    error!(%identity, %scope, why = %denial.why, cure, retry_ms, "no token: requests that need it fail");
                } else {
                    warn!(%identity, %scope, why = %denial.why, cure, retry_ms, left_s, "token not refreshed, the old one serves");
                }
                slot.settle(Outcome::Failed(Failure::from(denial)));
                wait
            }
        };
        until_due(now.after(wait), &slot, &clock).await;
    }
}

/// Waits until a moment has come by either clock, or a fetch is asked for before it.
async fn until_due(due: Moment, slot: &Slot, clock: &Clock) {
    loop {
        let left = due.left(clock.now());
        if left.is_zero() || slot.is_asked() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(LOOK)) => {}
            () = slot.nudged() => {}
        }
    }
}

/// Half of what is left, give or take a twentieth, so that replicas do not ask as one.
fn half(life: Duration) -> Duration {
    // A new RandomState is seeded anew; this needs no better randomness, and no crate for it.
    let percent = RandomState::new().build_hasher().finish() % 11;
    life * (45 + u32::try_from(percent).unwrap_or(5)) / 100
}

/// The wait after a failed fetch: a tenth of what is left of the token, within bounds.
fn with_token(left: Duration) -> Duration {
    (left / 10).clamp(*WAIT.start(), *WAIT.end())
}

/// The wait after so many failed fetches without a token: longer and longer.
fn without_token(failures: u32, may_pass: bool) -> Duration {
    let wait = COLD_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10));
    wait.min(if may_pass { LONGEST_OUTAGE_WAIT } else { LONGEST_REFUSED_WAIT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_asked_about_often_enough_and_no_oftener() {
        let s = Duration::from_secs;
        assert_eq!(with_token(s(3600)), s(30));
        assert_eq!(with_token(s(60)), s(6));
        assert_eq!(with_token(Duration::from_millis(3)), Duration::from_millis(100));
        assert_eq!(without_token(1, true), Duration::from_millis(500));
        assert_eq!(without_token(3, true), s(2));
        assert_eq!(without_token(u32::MAX, true), s(5));
        assert_eq!(without_token(u32::MAX, false), s(30));
    }

    #[test]
    fn a_token_is_refreshed_at_half_of_its_life_give_or_take_a_twentieth() {
        for _ in 0..1000 {
            let wait = half(Duration::from_secs(100));
            assert!((Duration::from_secs(45)..=Duration::from_secs(55)).contains(&wait), "{wait:?}");
        }
    }
}
