//! What is known of the use of keys, as it is written and shown, and how two that know of it know more together.

use serde::{Deserialize, Serialize};

use super::Moment;

/// The use of all keys, as one process knows it. In JSON its shape has a version, [`Page::VERSION`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The shape's.
    pub version: u32,
    /// Which process it is: whoever hears of one twice knows it by this.
    pub process: String,
    /// When this was so.
    pub at: Moment,
    /// Since when it is known.
    pub since: Moment,
    /// When a process last began whose predecessor had come to no orderly end: what that had seen in its last moments
    /// before, since it last wrote its file, is not known.
    pub cut_short: Option<Moment>,
    /// When the process that wrote this came to its orderly end; none while it runs.
    pub ended: Option<Moment>,
    /// The keys that are listed, and for a week those that no longer are.
    pub keys: Vec<KeyUse>,
}

/// The use of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyUse {
    /// Whose it is.
    pub client: String,
    /// Its name in the log.
    pub id: String,
    /// The beginning of its digest: another key of the same id has a history of its own.
    pub sha256: String,
    /// Since when its use is known.
    pub since: Moment,
    /// Since when it is not listed any more, if it is not.
    pub gone: Option<Moment>,
    /// What it was used for.
    #[serde(flatten)]
    pub history: History,
}

/// What a key was used for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Requests with it that were authenticated.
    pub used: Tally,
    /// Those of them that were also permitted.
    pub permitted: Tally,
    /// Requests with it that were refused since it was not good: revoked, expired, or not yet valid.
    pub refused: Tally,
    /// The programs that sent permitted requests, by what they say of themselves.
    pub user_agents: Several<Named>,
    /// The versions of Azure's interface that permitted requests were written for.
    pub api_versions: Several<Named>,
    /// What permitted requests did.
    pub operations: Several<Operation>,
}

/// How many there were, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub times: u64,
    /// The first of them.
    pub first: Option<Moment>,
    /// The last of them, to the second.
    pub last: Option<Moment>,
}

/// Some of a kind, and whether there were more than are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Several<T> {
    /// In the order in which they came.
    pub seen: Vec<T>,
    /// Whether there were others.
    pub more: bool,
}

/// Something that has a name and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// When it was last seen, to the hour: it was seen then, and perhaps within the hour after.
    pub last: Moment,
}

/// What was done: as much of it as a grant can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The resource, by its name in the settings.
    pub resource: String,
    /// The family.
    pub family: String,
    /// How deep it reached: `read`, `write` or `manage`.
    pub access: String,
    /// When it was last done, to the hour, as above.
    pub last: Moment,
    /// The deployments or indexes that it was done to. Their case does not count.
    pub targets: Several<String>,
    /// Whether it was done to what the body names, unread, since the key may use them all.
    pub in_body: bool,
    /// Whether it was done to all of them, or nobody can tell to which: a key that is limited to some may not.
    pub unnamed: bool,
    /// Whether it was done to none, such as the list of models.
    pub untouched: bool,
}

/// How many of each are listed.
pub(super) const USER_AGENTS: usize = 8;
pub(super) const API_VERSIONS: usize = 16;
pub(super) const OPERATIONS: usize = 64;
pub(super) const TARGETS: usize = 64;

impl Page {
    /// The version of the shape.
    pub const VERSION: u32 = 1;

    /// Reads one.
    ///
    /// # Errors
    /// Why it is none, without a word of what it says.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Shape {
            version: u32,
        }
        let broken =
            |error: serde_json::Error| format!("is no record of the use of keys, from line {} on", error.line());
        let Shape { version } = serde_json::from_str(text).map_err(broken)?;
        if version != Self::VERSION {
            return Err(format!("was written by another keyswap, in version {version} of its shape"));
        }
        serde_json::from_str(text).map_err(broken)
    }

    /// Replaces what moments cannot be: see [`Moment::believed`].
    pub(super) fn correct(&mut self, now: Moment) {
        self.since = self.since.believed(now);
        self.cut_short = self.cut_short.map(|moment| moment.believed(now));
        for key in &mut self.keys {
            key.since = key.since.believed(now);
            key.gone = key.gone.map(|moment| moment.believed(now));
            key.history.correct(now);
        }
    }

    /// The use of the key whose digest begins so.
    pub fn of(&self, sha256: &str) -> Option<&KeyUse> {
        self.keys.iter().find(|key| key.sha256 == sha256)
    }
}

impl History {
    /// What both know. Who lists something twice knows it as one; nothing is left out.
    pub fn join(&mut self, other: &Self) {
        self.used.join(other.used);
        self.permitted.join(other.permitted);
        self.refused.join(other.refused);
        self.user_agents.join(&other.user_agents);
        self.api_versions.join(&other.api_versions);
        self.operations.more |= other.operations.more;
        for theirs in &other.operations.seen {
            match self
                .operations
                .seen
                .iter_mut()
                .find(|ours| ours.is_of(&theirs.resource, &theirs.family, &theirs.access))
            {
                Some(ours) => ours.join(theirs),
                None => self.operations.seen.push(theirs.clone()),
            }
        }
    }
}

impl History {
    pub(super) fn correct(&mut self, now: Moment) {
        [&mut self.used, &mut self.permitted, &mut self.refused].into_iter().for_each(|tally| tally.correct(now));
        for several in [&mut self.user_agents, &mut self.api_versions] {
            several.seen.iter_mut().for_each(|named| named.last = named.last.believed(now));
        }
        self.operations.seen.iter_mut().for_each(|operation| operation.last = operation.last.believed(now));
    }
}

impl Tally {
    fn correct(&mut self, now: Moment) {
        for moment in [&mut self.first, &mut self.last] {
            *moment = moment.map(|moment| moment.believed(now));
        }
    }

    fn join(&mut self, other: Self) {
        self.times = self.times.saturating_add(other.times);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { seen: Vec::new(), more: false }
    }
}

impl Several<Named> {
    fn join(&mut self, other: &Self) {
        self.more |= other.more;
        for theirs in &other.seen {
            match self.seen.iter_mut().find(|ours| ours.name == theirs.name) {
                Some(ours) => ours.last = ours.last.max(theirs.last),
                None => self.seen.push(theirs.clone()),
            }
        }
    }
}

impl Operation {
    /// Whether it is this one.
    pub(super) fn is_of(&self, resource: &str, family: &str, access: &str) -> bool {
        self.resource == resource && self.family == family && self.access == access
    }

    fn join(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
        self.in_body |= other.in_body;
        self.unnamed |= other.unnamed;
        self.untouched |= other.untouched;
        self.targets.more |= other.targets.more;
        for target in &other.targets.seen {
            if !self.targets.seen.iter().any(|ours| ours.eq_ignore_ascii_case(target)) {
                self.targets.seen.push(target.clone());
            }
        }
    }
}
