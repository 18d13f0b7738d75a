//! The books: what the clients remember, what the gateway told, what Azure noted, what the metrics counted. All of them
//! must agree on every request, and no request may have failed that could have been served.

use std::collections::{BTreeMap, HashMap};

use azure_emulator::Entry;
use serde_json::Value;

use super::caller::End;
use super::errand::{Errand, Trouble};
use super::load::Memory;

/// What became of a request, where all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Served,
    /// Served, though its connection had ended or its token was not taken: it was sent once more.
    ServedAgain,
    /// Refused, as it should be.
    Refused,
    /// Its client went.
    Left,
    /// Azure broke its answer off, and its client was told so.
    BrokenOff,
    /// Its connection ended before an answer, and it could not be sent once more.
    Lost,
    /// A websocket that lived until the gateway's deadline.
    Stopped,
}

/// The books of a run.
pub(super) struct Ledger {
    pub(super) memories: Vec<Memory>,
    /// The gateways' request lines.
    pub(super) lines: Vec<Value>,
    /// What arrived at Azure.
    pub(super) arrived: Vec<Entry>,
}

/// What the books come to.
#[derive(Default)]
pub(super) struct Balance {
    pub(super) fates: BTreeMap<(Errand, Fate), usize>,
    /// What does not agree, and what should not have failed.
    pub(super) wrong: Vec<String>,
}

impl Ledger {
    pub(super) fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        let mut lines: HashMap<&str, Vec<&Value>> = HashMap::new();
        for line in &self.lines {
            lines.entry(line["user_agent"].as_str().unwrap_or_default()).or_default().push(line);
        }
        let mut arrived: HashMap<&str, Vec<&Entry>> = HashMap::new();
        for entry in &self.arrived {
            arrived.entry(entry.header("user-agent").unwrap_or_default()).or_default().push(entry);
        }
        for memory in &self.memories {
            let arrivals = arrived.remove(&*memory.name).unwrap_or_default();
            let line = match lines.remove(&*memory.name).as_deref() {
                Some([line]) => *line,
                told => {
                    balance.wrong.push(format!("{memory:?} has these lines: {told:?}"));
                    continue;
                }
            };
            match self.fate(memory, line, &arrivals) {
                Ok(fate) => *balance.fates.entry((memory.errand, fate)).or_default() += 1,
                Err(why) => balance.wrong.push(format!("{why}: {memory:?}\n  {line}\n  arrived: {arrivals:?}")),
            }
        }
        balance.wrong.extend(lines.keys().map(|name| format!("{name} is told of and no client knows it")));
        balance.wrong.extend(arrived.keys().map(|name| format!("{name} has arrived and no client knows it")));
        balance
    }

    fn fate(&self, memory: &Memory, line: &Value, arrivals: &[&Entry]) -> Result<Fate, String> {
        let replays = line["replays"].as_u64().unwrap_or_default();
        let (outcome, status) = (line["outcome"].as_str().unwrap_or_default(), line["status"].as_u64());
        let whole = memory.end == End::Whole;
        expect("the line's status", status, memory.status.map(u64::from).or(status))?;
        expect("the line's id", line["request"].as_str(), memory.request.as_deref().or(line["request"].as_str()))?;
        expect("the line's reason", line["reason"].as_str(), memory.reason.as_deref())?;
        let most = usize::try_from(replays).unwrap_or(usize::MAX).saturating_add(1);
        if arrivals.len() > most {
            return Err(format!("{} arrivals for {replays} replays", arrivals.len()));
        }
        for entry in arrivals.iter().filter(|entry| entry.body_whole) {
            expect("what arrived", entry.body_sha256.as_deref(), Some(&*memory.digest))?;
        }
        if whole && memory.errand != Errand::Talk {
            expect("bytes_out", line["bytes_out"].as_u64(), Some(memory.received as u64))?;
        }
        if arrivals.iter().any(|entry| entry.status == Some(200)) && memory.errand != Errand::Talk {
            expect("bytes_in", line["bytes_in"].as_u64(), Some(memory.sent as u64))?;
        }

        match (memory.errand, memory.trouble) {
            (Errand::WrongKey, _) => {
                expect("arrivals", arrivals.len(), 0)?;
                expect("a refusal", (status, outcome, whole, memory.fits), (Some(401), "complete", true, true))?;
                Ok(Fate::Refused)
            }
            (Errand::LeftStream, _) if memory.end == End::Left => {
                expect("a client that goes", matches!(outcome, "client-gone" | "complete"), true)?;
                Ok(Fate::Left)
            }
            (Errand::Talk, _) if outcome == "stopped" => Ok(Fate::Stopped),
            (_, Some(Trouble::Cuts(byte))) if !whole => {
                let is_told = matches!(memory.end, End::BrokenOff(_)) && outcome == "upstream-broke";
                expect("an answer that broke off", is_told, true)?;
                expect("its bytes", memory.received <= byte.max(1), true)?;
                Ok(Fate::BrokenOff)
            }
            (errand, trouble) if memory.reason.as_deref() == Some("upstream-lost") => {
                let is_repeatable = errand.is_repeatable(memory.sent);
                // Azure resets a connection that is new as well as one that is kept; a kept one may have ended before.
                let is_fair = match (trouble, arrivals) {
                    (Some(Trouble::Resets), [.., last]) => !is_repeatable || self.is_first_on_its_connection(last),
                    (_, arrivals) => !is_repeatable && arrivals.is_empty(),
                };
                expect("it could not be served", is_fair, true)?;
                expect("an answer of ours", (status, outcome, whole), (Some(502), "complete", true))?;
                Ok(Fate::Lost)
            }
            (errand, _) => {
                expect("it was served", (outcome, whole, memory.fits), ("complete", true, true))?;
                let is_good = match errand {
                    Errand::Talk => status == Some(101),
                    _ => matches!(status, Some(200 | 201)),
                };
                expect("its status is good", is_good, true)?;
                expect("it is done", arrivals.iter().filter(|entry| entry.completed).count(), 1)?;
                Ok(if replays == 0 { Fate::Served } else { Fate::ServedAgain })
            }
        }
    }

    fn is_first_on_its_connection(&self, entry: &Entry) -> bool {
        !self.arrived.iter().any(|other| other.connection == entry.connection && other.sequence < entry.sequence)
    }

    /// What the metrics say otherwise than the lines.
    pub(super) fn disagreements(&self, metrics: &str) -> Vec<String> {
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for line in &self.lines {
            let text = |field: &str| line[field].as_str();
            let plane = text("plane").unwrap_or("none");
            let mut count = |name: &str, labels: &str, by: u64| {
                *counted.entry(format!("keyswap_{name}{{plane=\"{plane}\"{labels}}}")).or_default() += by;
            };
            if let Some(status) = line["status"].as_u64() {
                let by = text("reason").unwrap_or("upstream");
                count("requests_total", &format!(",by=\"{by}\",status=\"{status}\""), 1);
            }
            if text("outcome") != Some("complete") {
                count("requests_unfinished_total", &format!(",outcome=\"{}\"", text("outcome").unwrap_or("?")), 1);
            }
            count("received_bytes_total", "", line["bytes_in"].as_u64().unwrap_or_default());
            count("sent_bytes_total", "", line["bytes_out"].as_u64().unwrap_or_default());
            count("request_duration_seconds_count", "", u64::from(line["status"] != 101));
        }
        for name in ["requests_in_flight", "websockets_open", "request_lines_dropped_total"] {
            counted.insert(format!("keyswap_{name}"), 0);
        }
        let names: Vec<&str> = counted.keys().map(|sample| sample.split('{').next().unwrap_or(sample)).collect();
        let samples = metrics.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let is_named = names.contains(&sample.split('{').next()?);
            let value: u64 = value.parse().ok()?;
            // What was never counted stands there as nothing.
            (is_named && (value > 0 || counted.contains_key(sample))).then(|| (sample.to_owned(), value))
        });
        let shown: BTreeMap<String, u64> = samples.collect();
        let samples = counted.keys().chain(shown.keys().filter(|sample| !counted.contains_key(*sample)));
        let differing = samples.filter(|sample| counted.get(*sample) != shown.get(*sample));
        let told = |sample: &String| {
            format!("{sample}: the lines say {:?}, the metrics {:?}", counted.get(sample), shown.get(sample))
        };
        differing.map(told).collect()
    }
}

fn expect<T: Copy + PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what}: {seen:?}, expected {expected:?}")) }
}
