//! Every call for a token has its cause: the half of a life has passed, one has failed, or a change has asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use azure_emulator::Entry;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::outages::OUTAGE;

/// What the calls for one identity and scope came to.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) fetched: u64,
    pub(super) failed: u64,
    /// By their cause: the first, half of a life, after a failure, a change.
    pub(super) first: u64,
    pub(super) refreshed: u64,
    pub(super) tried_again: u64,
    pub(super) asked: u64,
    /// How many were to be expected, at least and at most.
    pub(super) expected: (u64, u64),
}

/// What the gateway has told of one of its calls, when it had ended.
struct Told {
    at: OffsetDateTime,
    /// In how many milliseconds the next is due: the earliest and the latest.
    next: (u64, u64),
    fetched: bool,
}

/// By how much shorter a life may be than Entra says, which it does in whole seconds.
const ROUNDING: Duration = Duration::from_millis(500);

/// How late the machine may be, in milliseconds, and how long an answer may take.
const LATE: u64 = 2_000;

/// How much earlier than said a timer may seem to ring, in milliseconds: log and timer have each their clock.
const EARLY: u64 = 60;

/// What causes calls.
pub(super) struct Causes {
    /// How long a token lives.
    pub(super) life: Duration,
    /// How long tokens were needed.
    pub(super) length: Duration,
    pub(super) outages: usize,
    /// The generations of settings that ask for tokens anew.
    pub(super) changes: BTreeSet<u64>,
}

/// Finds the cause of every call; says of which there is none.
pub(super) fn explain(log: &[Value], noted: &[Entry], causes: &Causes) -> (BTreeMap<String, Calls>, Vec<String>) {
    let mut last: BTreeMap<String, Told> = BTreeMap::new();
    let mut calls: BTreeMap<String, Calls> = BTreeMap::new();
    let mut wrong = Vec::new();
    let rounding = u64::try_from(ROUNDING.as_millis()).unwrap();
    let mut asked: Option<OffsetDateTime> = None;
    for line in log {
        let at = OffsetDateTime::parse(line["timestamp"].as_str().unwrap_or_default(), &Rfc3339).unwrap();
        let milliseconds = |field: &str| line[field].as_u64().unwrap_or_default();
        let (next, fetched) = match line["message"].as_str().unwrap_or_default() {
            "new settings are in effect" => {
                let generation = line["generation"].as_u64().unwrap();
                asked = if causes.changes.contains(&generation) { Some(at) } else { asked };
                continue;
            }
            "token fetched" => {
                let life = u64::try_from(causes.life.as_millis()).unwrap();
                ((life * 45 / 100 - rounding, life * 55 / 100), true)
            }
            "token not refreshed, the old one serves" => ((milliseconds("retry_ms"), milliseconds("retry_ms")), false),
            "no token: requests that need it fail" => {
                wrong.push(format!("requests were without a token: {line}"));
                ((milliseconds("retry_ms"), milliseconds("retry_ms")), false)
            }
            _ => continue,
        };
        let purpose = format!("{} {}", line["identity"].as_str().unwrap(), line["scope"].as_str().unwrap());
        let calls = calls.entry(purpose.clone()).or_default();
        if fetched {
            calls.fetched += 1;
        } else {
            calls.failed += 1;
        }
        let before = last.insert(purpose, Told { at, next, fetched });
        let Some(before) = before else {
            calls.first += 1;
            continue;
        };
        let passed = u64::try_from((at - before.at).whole_milliseconds()).unwrap_or(0);
        let (earliest, latest) = before.next;
        let outage = u64::try_from(OUTAGE.as_millis()).unwrap();
        // It explains the first call that ends after it, and no other.
        let is_asked = asked
            .is_some_and(|asked| asked >= before.at && (at - asked).whole_milliseconds() < i128::from(LATE + outage));
        if passed + EARLY >= earliest && passed <= latest + LATE + outage {
            if before.fetched { calls.refreshed += 1 } else { calls.tried_again += 1 }
        } else if is_asked {
            calls.asked += 1;
        } else {
            wrong.push(format!("nothing asked for this token, {passed} ms after the one before: {line}"));
        }
    }
    let all: u64 = calls.values().map(|calls| calls.fetched + calls.failed).sum();
    let noted = noted.len() as u64;
    // A change may end a call that is under way.
    let spare = (causes.changes.len() * calls.len()) as u64;
    if noted < all || noted > all + spare {
        wrong.push(format!("Entra has noted {noted} calls, the log {all}"));
    }
    for calls in calls.values_mut() {
        calls.expected = causes.expected();
        let (least, most) = calls.expected;
        let made = calls.fetched + calls.failed;
        if made < least || made > most {
            wrong.push(format!("{made} calls, expected {least} to {most}"));
        }
    }
    (calls, wrong)
}

impl Causes {
    /// How many calls for one identity and scope they may come to: tokens are refreshed at half of their life, give or take
    /// a twentieth; within an outage a tenth of what is left is waited; each change may ask once, and begin anew.
    fn expected(&self) -> (u64, u64) {
        let Self { life, length, outages, changes } = self;
        let times = |length: Duration, apart: Duration| length.as_millis().div_ceil(apart.as_millis().max(1));
        // Each outage may keep one refresh waiting for all of its time.
        let healthy = length.saturating_sub(OUTAGE * u32::try_from(*outages).unwrap());
        let least = times(healthy, life.mul_f64(0.55) + Duration::from_millis(LATE));
        let most = times(*length, life.mul_f64(0.45) - ROUNDING) + 1;
        let mut failures = 0;
        let (mut left, mut passed) = (life.mul_f64(0.55), Duration::ZERO);
        while passed < OUTAGE {
            let wait = (left / 10).max(Duration::from_millis(100));
            failures += 1;
            passed += wait;
            left = left.saturating_sub(wait);
        }
        let whole = |number: u128| u64::try_from(number).unwrap();
        (whole(least) - 1, whole(most) + (outages * failures + changes.len() * 2) as u64)
    }
}
