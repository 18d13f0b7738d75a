//! The use of one key, as it happens.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::page::{API_VERSIONS, History, OPERATIONS, TARGETS, USER_AGENTS};
use super::sight::{is_target, is_version, products};
use super::{Moment, Named, Object, Operation, Several, Sight, Tally};

/// The use of one key, told by all workers. They wait for each other only where one sees what no one has seen within the
/// hour.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Uses {
    /// First what every request needs, in one line of memory with the count of references, where the allocator begins it at
    /// one: with many keys in use, each comes from far away.
    used: Count,
    permitted: Count,
    /// The sum of the last sight: most keys are used for one thing again and again.
    last: AtomicU64,
    refused: Count,
    lately: Lately,
    before: Mutex<Before>,
}

/// What is not counted at every request.
#[derive(Debug)]
struct Before {
    since: Moment,
    /// Its tallies are those of earlier processes, and not ours.
    history: History,
}

/// How many, and when the first and the last were, in seconds since 1970.
#[derive(Debug, Default)]
struct Count {
    times: AtomicU64,
    first: AtomicU32,
    last: AtomicU32,
}

/// The sums of sights that were written down. Those that are forgotten are written down anew, which changes nothing.
#[derive(Debug)]
struct Lately([AtomicU64; SLOTS]);

const SLOTS: usize = 64;

/// In how many of these places a sum may be.
const PLACES: usize = 4;

impl Uses {
    /// None yet, known from this moment on at the earliest.
    pub(crate) fn new() -> Self {
        Self {
            used: Count::default(),
            permitted: Count::default(),
            last: AtomicU64::new(0),
            refused: Count::default(),
            lately: Lately([const { AtomicU64::new(0) }; SLOTS]),
            before: Mutex::new(Before { since: Moment::now(), history: History::default() }),
        }
    }

    /// A request with it was authenticated.
    pub(crate) fn used(&self, at: SystemTime) {
        self.used.add(at.into());
    }

    /// A request with it was refused, since it is not good at this moment.
    pub(crate) fn refused(&self, at: SystemTime) {
        self.refused.add(at.into());
    }

    /// How many were, since this process began.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.tally().times
    }

    /// A request with it was permitted.
    pub(crate) fn permitted(&self, sight: &Sight<'_>) {
        self.permitted.add(sight.at.into());
        let sum = sight.sum();
        if self.last.load(Ordering::Relaxed) == sum {
            return;
        }
        if !self.lately.has(sum) {
            self.before().history.note(sight);
            self.lately.add(sum);
        }
        self.last.store(sum, Ordering::Relaxed);
    }

    /// Only from this moment on could it be used: the key was read before that.
    pub(super) fn begin(&self, since: Moment) {
        self.before().since = since;
    }

    /// Since when it is known, and what.
    pub(super) fn known(&self) -> (Moment, History) {
        let before = self.before();
        let mut history = before.history.clone();
        let (used, permitted, refused) = (self.used.tally(), self.permitted.tally(), self.refused.tally());
        history.join(&History { used, permitted, refused, ..History::default() });
        (before.since, history)
    }

    /// Adds what was known before, since a moment.
    pub(super) fn recall(&self, since: Moment, history: &History) {
        let mut before = self.before();
        before.since = before.since.min(since);
        before.history.join(history);
        before.history.cut();
    }

    /// Replaces what moments cannot be: see [`Moment::believed`].
    pub(super) fn correct(&self, now: Moment) {
        [&self.used, &self.permitted, &self.refused].into_iter().for_each(|count| count.correct(now));
        let mut before = self.before();
        before.since = before.since.believed(now);
        before.history.correct(now);
    }

    fn before(&self) -> MutexGuard<'_, Before> {
        // Whoever panicked has left nothing half done that matters.
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn add(&self, at: Moment) {
        let now = short(at);
        let is_first = self.times.fetch_add(1, Ordering::Relaxed) == 0;
        // A line of memory that all workers read is written to once a second.
        if self.last.load(Ordering::Relaxed) < now {
            self.last.fetch_max(now, Ordering::Relaxed);
        }
        if is_first {
            self.first.store(now, Ordering::Relaxed);
        }
    }

    fn correct(&self, now: Moment) {
        for seconds in [&self.first, &self.last] {
            if let Some(moment) = moment(seconds) {
                seconds.store(short(moment.believed(now)), Ordering::Relaxed);
            }
        }
    }

    fn tally(&self) -> Tally {
        Tally { times: self.times.load(Ordering::Relaxed), first: moment(&self.first), last: moment(&self.last) }
    }
}

/// As a count has it, which ends in 2106. A later moment becomes that last one, and [`Moment::believed`] takes it for none.
fn short(moment: Moment) -> u32 {
    u32::try_from(moment.seconds()).unwrap_or(u32::MAX)
}

fn moment(seconds: &AtomicU32) -> Option<Moment> {
    Moment::of_seconds(seconds.load(Ordering::Relaxed).into())
}

impl Lately {
    fn has(&self, sum: u64) -> bool {
        self.places(sum).any(|place| place.load(Ordering::Relaxed) == sum)
    }

    fn add(&self, sum: u64) {
        let free = self.places(sum).find(|place| place.load(Ordering::Relaxed) == 0);
        // Of those that are taken, whichever: it comes back if it is needed.
        let oldest = || self.places(sum).nth(usize::from(sum.to_le_bytes()[1]) % PLACES);
        if let Some(place) = free.or_else(oldest) {
            place.store(sum, Ordering::Relaxed);
        }
    }

    fn places(&self, sum: u64) -> impl Iterator<Item = &AtomicU64> {
        // Its high bits are those that all of it has had a part in.
        let first = usize::from(sum.to_le_bytes()[7]) % SLOTS;
        (first..first + PLACES).filter_map(|place| self.0.get(place % SLOTS))
    }
}

impl History {
    /// Forgets what is more than one process remembers.
    fn cut(&mut self) {
        self.user_agents.cut(USER_AGENTS);
        self.api_versions.cut(API_VERSIONS);
        self.operations.cut(OPERATIONS);
        self.operations.seen.iter_mut().for_each(|operation| operation.targets.cut(TARGETS));
    }

    /// Writes down what was seen of a permitted request.
    fn note(&mut self, sight: &Sight<'_>) {
        let at = Moment::from(sight.at);
        self.user_agents.note(&products(sight.user_agent), at, USER_AGENTS);
        match sight.api_version() {
            Some(version) if is_version(version) => self.api_versions.note(version, at, API_VERSIONS),
            Some(_) => self.api_versions.more = true,
            None => {}
        }
        let (family, access) = (sight.operation.0.name(), sight.operation.1.name());
        let operations = &mut self.operations;
        let known = operations.seen.iter().position(|known| known.is_of(sight.resource, family, access));
        if known.is_none() && operations.seen.len() >= OPERATIONS {
            operations.more = true;
            return;
        }
        if known.is_none() {
            operations.seen.push(Operation::new(sight.resource, family, access, at));
        }
        let known = known.unwrap_or(operations.seen.len() - 1);
        if let Some(operation) = operations.seen.get_mut(known) {
            operation.note(sight.object, at);
        }
    }
}

impl<T> Several<T> {
    fn cut(&mut self, most: usize) {
        self.more |= self.seen.len() > most;
        self.seen.truncate(most);
    }
}

impl Several<Named> {
    fn note(&mut self, name: &str, at: Moment, most: usize) {
        let room = self.seen.len() < most;
        match self.seen.iter_mut().find(|known| known.name == name) {
            Some(known) => known.last = known.last.max(at),
            None if room => self.seen.push(Named { name: name.to_owned(), last: at }),
            None => self.more = true,
        }
    }
}

impl Operation {
    fn new(resource: &str, family: &str, access: &str, at: Moment) -> Self {
        let (resource, family, access) = (resource.to_owned(), family.to_owned(), access.to_owned());
        let (in_body, unnamed, untouched) = (false, false, false);
        Self { resource, family, access, last: at, targets: Several::default(), in_body, unnamed, untouched }
    }

    fn note(&mut self, object: Object<'_>, at: Moment) {
        self.last = self.last.max(at);
        match object {
            Object::Named(name) => {
                let is_known = self.targets.seen.iter().any(|known| known.eq_ignore_ascii_case(name));
                if !is_known && is_target(name) && self.targets.seen.len() < TARGETS {
                    self.targets.seen.push(name.to_owned());
                } else if !is_known {
                    self.targets.more = true;
                }
            }
            Object::InBody => self.in_body = true,
            Object::Unnamed => self.unnamed = true,
            Object::Untouched => self.untouched = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::family::Family;
    use crate::plane::Access;

    const NOON: SystemTime = SystemTime::UNIX_EPOCH;

    fn chat<'s>(agent: &'s str, target: &'s str) -> Sight<'s> {
        Sight {
            at: NOON + Duration::from_secs(1_795_341_600),
            user_agent: agent.as_bytes(),
            path: "/openai/deployments/x/chat/completions",
            query: "x=1&API-version=2024-10-21",
            resource: "ai",
            operation: (Family::Inference, Access::Read),
            object: Object::Named(target),
        }
    }

    #[test]
    fn what_is_alike_is_written_down_once_an_hour() {
        let uses = Uses::new();
        let sight = chat("OpenAI/Python 1.51.0 (Linux; key 0123)", "gpt-4o");
        uses.permitted(&sight);
        assert!(uses.lately.has(sight.sum()));
        let others = [
            Sight { user_agent: b"curl/8", ..sight },
            Sight { query: "", ..sight },
            Sight { resource: "ai2", ..sight },
            Sight { operation: (Family::Inference, Access::Write), ..sight },
            Sight { operation: (Family::Files, Access::Read), ..sight },
            Sight { object: Object::Named("gpt-4"), ..sight },
            Sight { object: Object::Untouched, ..sight },
            Sight { at: sight.at + Duration::from_secs(3600), ..sight },
        ];
        for other in others {
            assert!(!uses.lately.has(other.sum()), "{other:?}");
        }
        let later = Sight { at: sight.at + Duration::from_secs(7), query: "API-version=2024-10-21&y=2", ..sight };
        assert!(uses.lately.has(later.sum()));
        uses.permitted(&later);
        let (_, history) = uses.known();
        assert_eq!((history.permitted.times, history.permitted.first), (2, Some(sight.at.into())));
        assert_eq!(history.permitted.last, Some(later.at.into()));
        let named = |name: &str| Named { name: name.to_owned(), last: sight.at.into() };
        assert_eq!(history.user_agents.seen, [named("OpenAI/Python 1.51.0")]);
        assert_eq!(history.api_versions.seen, [named("2024-10-21")]);
        uses.permitted(&Sight { at: sight.at + Duration::from_secs(3600), ..sight });
        assert_eq!(uses.known().1.user_agents.seen[0].last, (sight.at + Duration::from_secs(3600)).into());
    }

    #[test]
    fn nothing_grows_without_end() {
        let uses = Uses::new();
        for n in 0..1000 {
            let (agent, target, resource) = (format!("app/{n}"), format!("d{n}"), format!("r{n}"));
            let query = format!("api-version={n}");
            let sight = chat(&agent, &target);
            uses.permitted(&Sight { query: &query, ..sight });
            uses.permitted(&Sight { resource: &resource, ..sight });
        }
        let (_, history) = uses.known();
        assert_eq!(history.permitted.times, 2000);
        assert_eq!((history.user_agents.seen.len(), history.user_agents.more), (USER_AGENTS, true));
        assert_eq!((history.api_versions.seen.len(), history.api_versions.more), (API_VERSIONS, true));
        assert_eq!((history.operations.seen.len(), history.operations.more), (OPERATIONS, true));
        assert_eq!(
            (history.operations.seen[0].targets.seen.len(), history.operations.seen[0].targets.more),
            (TARGETS, true)
        );
    }

    #[test]
    fn what_no_name_can_be_is_not_written_down() {
        let uses = Uses::new();
        let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let query = format!("api-version={key}");
        uses.permitted(&Sight { query: &query, ..chat(key, "gpt-*") });
        let (_, history) = uses.known();
        assert_eq!((history.user_agents.seen[0].name.as_str(), history.user_agents.more), ("", false));
        assert_eq!((history.api_versions.seen.len(), history.api_versions.more), (0, true));
        let targets = &history.operations.seen[0].targets;
        assert_eq!((targets.seen.len(), targets.more), (0, true));
        // A surface without a version in its query has one in its path.
        uses.permitted(&Sight { query: "", path: "/openai/v1/responses", ..chat("curl/8", "x") });
        assert_eq!(uses.known().1.api_versions.seen[0].name, "v1");
    }

    #[test]
    fn all_that_are_used_within_the_hour_are_remembered() {
        let uses = Uses::new();
        let names: Vec<_> = (0..20).map(|n| format!("d{n}")).collect();
        names.iter().for_each(|name| uses.permitted(&chat("curl/8", name)));
        let remembered = names.iter().filter(|name| uses.lately.has(chat("curl/8", name).sum())).count();
        assert!(remembered >= 18, "only {remembered}");
    }
}
