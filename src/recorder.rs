//! What went wrong of late, kept so that somebody can ask why: every request that ended with a verdict of ours, and every
//! answer that passed though Azure finds fault in it with our credentials, or that broke off. Requests that go well leave
//! nothing here.
//!
//! It is bounded, and no flood pushes out all else: whoever is refused again and again for one reason is one *voice*, and
//! where there is no more room, the voice that has the most of it forgets its oldest request. All strangers together are
//! one voice for each reason, so whoever tries keys pushes out nothing but what others have tried.

mod trouble;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use crate::authorize::{Way, settled};
use crate::refusal::Circumstances;
use crate::request_line::{self, Record};
use trouble::Trouble;

/// The requests that went wrong of late.
#[derive(Debug)]
pub(crate) struct Recorder {
    since: SystemTime,
    memory: Mutex<Memory>,
}

/// How much there is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// When it began, with nothing.
    pub(crate) since: SystemTime,
    /// How many requests are kept.
    pub(crate) kept: usize,
}

#[derive(Debug, Default)]
struct Memory {
    voices: HashMap<Voice, Kept>,
    requests: usize,
    bytes: usize,
    /// How many there ever were.
    told: u64,
}

/// Whose trouble it is, and which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Voice {
    reason: &'static str,
    client: Option<Arc<str>>,
    resource: Option<Arc<str>>,
}

/// The newest requests of a voice, the oldest of them first.
#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Told>,
    bytes: usize,
}

/// What is told of a request.
#[derive(Debug)]
struct Told {
    /// Counted from the beginning.
    number: u64,
    id: Box<str>,
    /// A JSON object.
    account: Arc<[u8]>,
}

/// The account of a request; its request line stands behind it, as `line`.
#[derive(Serialize)]
struct Account<'r> {
    request: &'r str,
    step: &'static str,
    reason: &'static str,
    why: String,
    cure: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'r str>,
}

/// How many requests are kept.
pub(crate) const MOST: usize = 1000;

/// How many bytes they may have together: some 2 KiB a request, which is twice what is usual.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The longest reason, in characters: it may hold what a client or an upstream has chosen.
const LONGEST_WHY: usize = 1000;

impl Recorder {
    /// With nothing in it.
    pub(crate) fn new() -> Self {
        Self { since: SystemTime::now(), memory: Mutex::default() }
    }

    /// Keeps a request that has ended, if there is something to ask about it.
    pub(crate) fn keep(&self, record: &Record) {
        if let Some(trouble) = Trouble::of(record) {
            self.tell(record, &trouble);
        }
    }

    fn tell(&self, record: &Record, trouble: &Trouble<'_>) {
        let caller = record.key.as_ref().map(|key| (&key.client.name, &key.id)).or(trouble.untimely());
        let (client, key) = caller.unzip();
        let settled = record.key.as_ref().zip(record.route.as_ref()).and_then(|(key, route)| settled(route, key));
        let resource = record.way.as_ref().map(Way::resource).or(settled).map(|resource| &resource.name);
        let circumstances = Circumstances {
            plane: record.plane(),
            client: client.map(|client| &**client),
            resource: resource.map(|resource| &**resource),
        };
        let account = Account {
            request: record.id(),
            step: trouble.step(record),
            reason: trouble.reason(),
            why: trouble.why().chars().take(LONGEST_WHY).collect(),
            cure: trouble.cure(&circumstances),
            client: circumstances.client,
            key: key.map(|key| &**key),
            resource: circumstances.resource,
        };
        let voice = Voice { reason: trouble.reason(), client: client.cloned(), resource: resource.cloned() };
        let account = account.with_line(record);
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).keep(voice, record.id(), account);
    }

    /// The account of a request, a JSON object, if it is kept.
    pub(crate) fn account(&self, id: &str) -> Option<Arc<[u8]>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut requests = memory.voices.values().flat_map(|kept| &kept.requests);
        requests.find(|told| &*told.id == id).map(|told| told.account.clone())
    }

    /// The accounts of the newest requests, the newest first: so many of all, and of each voice no more than so many.
    pub(crate) fn newest(&self, count: usize, of_a_voice: usize) -> Vec<Arc<[u8]>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = memory.voices.values().flat_map(|kept| kept.requests.iter().rev().take(of_a_voice));
        let mut accounts: Vec<_> = requests.map(|told| (told.number, told.account.clone())).collect();
        drop(memory);
        accounts.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        accounts.into_iter().take(count).map(|(_, account)| account).collect()
    }

    /// How much there is.
    pub(crate) fn extent(&self) -> Extent {
        let kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner).requests;
        Extent { since: self.since, kept }
    }
}

impl Account<'_> {
    fn with_line(&self, record: &Record) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.pop();
        bytes.extend_from_slice(b",\"line\":");
        request_line::write_json(record, &mut bytes);
        bytes.push(b'}');
        bytes
    }
}

impl Memory {
    fn keep(&mut self, voice: Voice, id: &str, account: Vec<u8>) {
        self.told += 1;
        let told = Told { number: self.told, id: id.into(), account: account.into() };
        self.requests += 1;
        self.bytes += told.account.len();
        let kept = self.voices.entry(voice).or_default();
        kept.bytes += told.account.len();
        kept.requests.push_back(told);
        while self.requests > MOST || self.bytes > MOST_BYTES {
            let loudest = self.voices.iter().max_by_key(|(_, kept)| kept.bytes).map(|(voice, _)| voice.clone());
            let Some(loudest) = loudest else { return };
            self.forget_oldest_of(&loudest);
        }
    }

    fn forget_oldest_of(&mut self, voice: &Voice) {
        let Some(kept) = self.voices.get_mut(voice) else { return };
        if let Some(told) = kept.requests.pop_front() {
            self.requests -= 1;
            self.bytes -= told.account.len();
            kept.bytes -= told.account.len();
        }
        if kept.requests.is_empty() {
            self.voices.remove(voice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(reason: &'static str, client: usize) -> Voice {
        Voice { reason, client: Some(client.to_string().into()), resource: None }
    }

    fn is_sound(memory: &Memory) {
        let kept = || memory.voices.values();
        assert_eq!(memory.requests, kept().map(|kept| kept.requests.len()).sum::<usize>());
        assert_eq!(memory.bytes, kept().map(|kept| kept.bytes).sum::<usize>());
        assert!(kept().all(|kept| kept.bytes == kept.requests.iter().map(|told| told.account.len()).sum::<usize>()));
        assert!(kept().all(|kept| !kept.requests.is_empty()));
        assert!(memory.requests <= MOST && memory.bytes <= MOST_BYTES);
    }

    #[test]
    fn one_voice_pushes_out_none_but_itself() {
        let mut memory = Memory::default();
        memory.keep(voice("once", 0), "the only one", vec![0; 700]);
        for n in 0..10 * MOST {
            memory.keep(voice("again", 0), &n.to_string(), vec![0; 700]);
        }
        is_sound(&memory);
        assert_eq!(memory.requests, MOST);
        assert_eq!(&*memory.voices[&voice("once", 0)].requests[0].id, "the only one");
        let again = &memory.voices[&voice("again", 0)].requests;
        assert_eq!((&*again[0].id, &*again[MOST - 2].id), ("9001", "9999"));
    }

    #[test]
    fn where_there_is_no_room_the_loudest_gives_way() {
        for size in [700, 20_000] {
            let mut memory = Memory::default();
            memory.keep(voice("once", 0), "the only one", vec![0; 700]);
            for n in 0..200 {
                for client in 0..50 {
                    memory.keep(voice("again", client), &n.to_string(), vec![0; size]);
                }
            }
            is_sound(&memory);
            assert!(memory.voices.contains_key(&voice("once", 0)), "{size}");
            let counts: Vec<_> = memory.voices.values().map(|kept| kept.requests.len()).collect();
            assert_eq!(counts.len(), 51, "{size}");
            let most = if size == 700 { MOST / 50 } else { MOST_BYTES / size / 50 };
            assert!(counts.iter().all(|count| *count <= most + 1), "{counts:?}");
        }
    }
}
