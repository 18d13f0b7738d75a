//! Whether requests may come.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::refusal::Failure;
use crate::token::{Outcome, Standing};

/// Whether it was ready before: that stays so. Tokens that new settings need are waited for by those who need them, and
/// one broken identity must not take all replicas from all teams.
#[derive(Debug, Default)]
pub(super) struct Readiness(AtomicBool);

/// After how many failed fetches nobody waits for a first token any more though the next one may bring it: eight seconds
/// of an Entra that answers with errors, a minute of one that does not answer.
const GIVEN_UP: u64 = 5;

impl Readiness {
    /// Whether requests may come: every token was had once, or will not be had soon, and one of them was had. Where none is
    /// needed, as where clients bring tokens of their own, there is nothing to wait for.
    pub(super) fn of(&self, standings: &[Standing]) -> bool {
        let works = standings.is_empty() || standings.iter().any(was_had);
        let ready = self.0.load(Ordering::Relaxed) || (works && standings.iter().all(is_settled));
        self.0.store(ready, Ordering::Relaxed);
        ready
    }
}

fn was_had(standing: &Standing) -> bool {
    standing.fetched > 0
}

/// Whether a replica that begins knows of a token what it will know for a while.
fn is_settled(standing: &Standing) -> bool {
    let is_refused = matches!(standing.outcome, Outcome::Failed(Failure::TokenRefused { .. }));
    was_had(standing) || is_refused || standing.failed >= GIVEN_UP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Purpose;

    /// A token that was fetched so often, and failed so often.
    fn token(outcome: Outcome, fetched: u64, failed: u64) -> Standing {
        let purpose = Purpose { identity: "app".into(), scope: "scope".into() };
        Standing { purpose, outcome, left: None, fetched, failed }
    }

    fn unavailable(failed: u64) -> Standing {
        token(Outcome::Failed(Failure::TokenUnavailable { cure: None }), 0, failed)
    }

    fn is_ready(standings: &[Standing]) -> bool {
        Readiness::default().of(standings)
    }

    #[test]
    fn each_token_is_waited_for_as_long_as_it_may_come_soon() {
        let pending = || token(Outcome::Pending, 0, 0);
        let had = || token(Outcome::Fresh, 1, 0);
        let refused = || token(Outcome::Failed(Failure::TokenRefused { code: None, cure: None }), 0, 1);
        assert!(is_ready(&[]), "nothing to wait for");
        assert!(is_ready(&[had()]));
        assert!(!is_ready(&[had(), pending()]));
        assert!(is_ready(&[had(), refused()]), "that will not change soon");
        assert!(!is_ready(&[had(), unavailable(1)]), "it may come with the next fetch");
        assert!(is_ready(&[had(), unavailable(GIVEN_UP)]), "an outage is no reason never to begin");
        assert!(!is_ready(&[refused(), unavailable(GIVEN_UP)]), "none works");
        // One that was had, and whose refresh fails, serves.
        assert!(is_ready(&[token(Outcome::Failed(Failure::TokenUnavailable { cure: None }), 1, 1)]));
    }

    #[test]
    fn whoever_was_ready_stays_so_whatever_new_settings_need() {
        let readiness = Readiness::default();
        assert!(readiness.of(&[token(Outcome::Fresh, 1, 0)]));
        assert!(readiness.of(&[token(Outcome::Fresh, 1, 0), token(Outcome::Pending, 0, 0)]));
        assert!(readiness.of(&[unavailable(1)]));
    }
}
