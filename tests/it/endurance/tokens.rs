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
    /// When the next is due after it: the earliest and the latest.
    next: (Duration, Duration),
    fetched: bool,
}

/// By how much shorter a life may be than Entra says, which it does in whole seconds.
const ROUNDING: Duration = Duration::from_millis(500);

/// How late the machine may be, and how long an answer may take.
const LATE: Duration = Duration::from_secs(2);

/// How much earlier than said a timer may seem to ring: log and timer have each their clock.
const EARLY: Duration = Duration::from_millis(60);

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

/// All calls, by whose token for which scope they asked.
#[derive(Default)]
pub(super) struct Book {
    pub(super) calls: BTreeMap<String, Calls>,
    last: BTreeMap<String, Told>,
    /// When a change has last asked for a token, where that is not answered yet.
    asked: BTreeMap<String, OffsetDateTime>,
    /// What has no cause, and what does not agree.
    pub(super) wrong: Vec<String>,
}

impl Book {
    /// Finds the cause of every call in a log.
    pub(super) fn read(log: &[Value], causes: &Causes) -> Self {
        let mut book = Self::default();
        for line in log {
            book.note(line, causes);
        }
        for (purpose, calls) in &mut book.calls {
            calls.expected = causes.expected();
            let (least, most) = calls.expected;
            let made = calls.fetched + calls.failed;
            if made < least || made > most {
                book.wrong.push(format!("{made} calls for {purpose}, expected {least} to {most}"));
            }
        }
        book
    }

    fn note(&mut self, line: &Value, causes: &Causes) {
        let at = OffsetDateTime::parse(line["timestamp"].as_str().unwrap_or_default(), &Rfc3339).unwrap();
        let retry = line["retry_ms"].as_u64().map(Duration::from_millis);
        let (next, fetched) = match (line["message"].as_str().unwrap_or_default(), retry) {
            ("new settings are in effect", _) => {
                if causes.changes.contains(&line["generation"].as_u64().unwrap()) {
                    self.asked.extend(self.calls.keys().map(|purpose| (purpose.clone(), at)));
                }
                return;
            }
            ("token fetched", _) => ((causes.life.mul_f64(0.45) - ROUNDING, causes.life.mul_f64(0.55)), true),
            ("token not refreshed, the old one serves", Some(retry)) => ((retry, retry), false),
            ("no token: requests that need it fail", Some(retry)) => {
                self.wrong.push(format!("requests were without a token: {line}"));
                ((retry, retry), false)
            }
            _ => return,
        };
        let purpose = format!("{} {}", line["identity"].as_str().unwrap(), line["scope"].as_str().unwrap());
        let calls = self.calls.entry(purpose.clone()).or_default();
        *if fetched { &mut calls.fetched } else { &mut calls.failed } += 1;
        let Some(before) = self.last.insert(purpose.clone(), Told { at, next, fetched }) else {
            calls.first += 1;
            return;
        };
        let since = |earlier: OffsetDateTime| Duration::try_from(at - earlier).unwrap_or_default();
        let (passed, (earliest, latest)) = (since(before.at), before.next);
        if passed + EARLY >= earliest && passed <= latest + LATE + OUTAGE {
            *if before.fetched { &mut calls.refreshed } else { &mut calls.tried_again } += 1;
        } else if self.asked.remove(&purpose).is_some_and(|asked| since(asked) < LATE + OUTAGE * 2) {
            // A call that was under way had to end before.
            calls.asked += 1;
        } else {
            self.wrong.push(format!("nothing asked for this token, {passed:?} after the one before: {line}"));
        }
    }

    /// Holds it against what Entra has noted meanwhile, and what the metrics said just before.
    pub(super) fn compare(&mut self, noted: &[Entry], metrics: &str, causes: &Causes) {
        let all: u64 = self.calls.values().map(|calls| calls.fetched + calls.failed).sum();
        let noted = noted.len() as u64;
        // A change may end a call that is under way, and one may be just now.
        let spare = ((causes.changes.len() + 1) * self.calls.len()) as u64;
        if noted < all || noted > all + spare {
            self.wrong.push(format!("Entra has noted {noted} calls, the log {all}"));
        }
        for (purpose, calls) in &self.calls {
            let (identity, scope) = purpose.split_once(' ').unwrap();
            for (name, told) in [("fetched", calls.fetched), ("failed", calls.failed)] {
                let sample = format!("keyswap_token_{name}_total{{identity=\"{identity}\",scope=\"{scope}\"}} ");
                let counted = metrics.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<u64>().ok());
                // One may have ended in between.
                if counted.is_none_or(|counted| counted.abs_diff(told) > 1) {
                    self.wrong.push(format!("{sample}is {counted:?} in the metrics, {told} in the log"));
                }
            }
        }
    }
}

impl Causes {
    /// How many calls for one identity and scope they may come to: tokens are refreshed at half of their life, give or take
    /// a twentieth; within an outage a tenth of what is left is waited; each change may ask once, and begin anew.
    fn expected(&self) -> (u64, u64) {
        let Self { life, length, outages, changes } = self;
        let times = |length: Duration, apart: Duration| length.as_millis().div_ceil(apart.as_millis().max(1));
        // Each outage may keep one refresh waiting for all of its time.
        let healthy = length.saturating_sub(OUTAGE * u32::try_from(*outages).unwrap());
        let least = times(healthy, life.mul_f64(0.55) + LATE);
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
