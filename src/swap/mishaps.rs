//! What no request came of: told and counted like what did.
//!
//! A head that was answered has a line of its own among the requests, since whoever looks for an answer looks there. What
//! ended without an answer is no request: it is counted, and told in the log as far as that stays readable.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::display;
use tracing::info;

use super::SwapLayer;
use crate::listen::{Mishap, Tell, What};
use crate::refusal::Verdict;
use crate::request_line::{Lines, Outcome, Record};

/// How many lines of the log a worker may have in a second for connections without a request: strangers could write
/// it full.
const LINES_A_SECOND: u32 = 5;

impl SwapLayer {
    /// Tells of what this layer's service cannot see.
    pub(crate) fn mishaps(&self) -> Tell {
        let (gateway, pen) = (self.gateway.clone(), self.lines.as_ref().map(Lines::pen));
        let sieve = Sieve::default();
        Arc::new(move |mishap| {
            let Mishap { from, entrance, what } = mishap;
            match what {
                What::Answered { id, refusal, answer } => {
                    let mut record = Record::unread(from, Some(entrance), id);
                    record.status = Some(answer.status());
                    record.answered = answer.body().len() as u64;
                    record.outcome = Outcome::Complete;
                    gateway.metrics.begin();
                    gateway.metrics.count(None, refusal.reason(), answer.status());
                    record.verdict = Some(Verdict::Refused(refusal));
                    gateway.metrics.end(&record);
                    gateway.recorder.keep(&record);
                    if let Some(pen) = &pen {
                        pen.tell(&record);
                    }
                }
                What::Ended(cause, why) => {
                    gateway.metrics.lost(cause);
                    if let Some(untold) = sieve.pass() {
                        let (cause, listener) = (cause.name(), entrance.listener);
                        let (from, untold) = (from.map(display), (untold > 0).then_some(untold));
                        info!(cause, why, from, listener, untold, "a connection ended before there was a request");
                    }
                }
            }
        })
    }
}

/// Lets pass so many in a second, and no more.
#[derive(Debug, Default)]
struct Sieve(Mutex<Second>);

#[derive(Debug, Default)]
struct Second {
    /// None before the first.
    began: Option<Instant>,
    passed: u32,
    /// How many did not pass since the last one that did.
    kept: u64,
}

impl Sieve {
    /// Whether one more may pass, and then how many before it might not.
    fn pass(&self) -> Option<u64> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.began.is_none_or(|began| began.elapsed() >= Duration::from_secs(1)) {
            second.began = Some(Instant::now());
            second.passed = 0;
        }
        if second.passed == LINES_A_SECOND {
            second.kept += 1;
            return None;
        }
        second.passed += 1;
        Some(std::mem::take(&mut second.kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_is_told_in_part_and_then_how_much_was_not() {
        let sieve = Sieve::default();
        let passed = (0..1000).filter(|_| sieve.pass().is_some()).count();
        // The rush may have taken more than a second.
        assert!((5..1000).contains(&passed), "{passed}");
        sieve.0.lock().unwrap().began = Instant::now().checked_sub(Duration::from_secs(2));
        sieve.0.lock().unwrap().kept = 7;
        assert_eq!((sieve.pass(), sieve.pass()), (Some(7), Some(0)));
    }
}
