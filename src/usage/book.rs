//! The uses of all keys together, from one generation of settings to the next, and from one process to the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};
use uuid::Uuid;

use super::file::{Found, UseFile};
use super::{KeyUse, Moment, Page, Uses};
use crate::settings::Usage;

/// The uses of all keys. It knows them from the moment on at which it was made, and those of earlier processes if it has a
/// file.
#[derive(Debug)]
pub struct Book {
    settings: Usage,
    process: Uuid,
    state: Mutex<State>,
    /// Apart from the pages, since a disk may take its time; whoever has both has this first.
    shelf: Mutex<Shelf>,
}

/// A key that is listed.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Whose it is.
    pub(crate) client: Arc<str>,
    /// Its name in the log.
    pub(crate) id: Arc<str>,
    /// The beginning of its digest.
    pub(crate) sha256: String,
    /// What it was used for.
    pub(crate) uses: Arc<Uses>,
}

#[derive(Debug)]
struct State {
    since: Moment,
    cut_short: Option<Moment>,
    /// By the beginnings of their digests.
    entries: BTreeMap<String, Entry>,
}

/// A key, and since when it is not listed any more.
#[derive(Debug)]
struct Entry {
    key: Listed,
    gone: Option<Moment>,
}

/// How it stands with the file.
#[derive(Debug, Default)]
struct Shelf {
    file: Option<UseFile>,
    /// What is in it.
    written: Option<Page>,
    /// Why it is not written, as it was last told.
    trouble: Option<String>,
    /// Whether the last page was written. Who was still about to write another one comes too late.
    closed: bool,
}

/// How long a key that is not listed any more is remembered: whoever took it away by mistake has noticed by then.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Book {
    /// One that knows of no use yet.
    pub(crate) fn new(settings: Usage) -> Self {
        let state = State { since: Moment::now(), cut_short: None, entries: BTreeMap::new() };
        Self { settings, process: Uuid::new_v4(), state: Mutex::new(state), shelf: Mutex::default() }
    }

    /// These are the keys now. One that was here before goes on where it was.
    pub(crate) fn follow(&self, listed: Vec<Listed>) {
        let mut state = self.state();
        // The first of them are known since the book is.
        let now = if state.entries.is_empty() { state.since } else { Moment::now() };
        // Requests that have begun may still tell those that are gone.
        state.entries.values_mut().for_each(|entry| entry.gone = entry.gone.or(Some(now)));
        for key in listed {
            match state.entries.get(&key.sha256) {
                Some(known) if Arc::ptr_eq(&known.key.uses, &key.uses) => {}
                Some(known) => {
                    let (since, history) = known.key.uses.known();
                    key.uses.begin(now);
                    key.uses.recall(since, &history);
                }
                None => key.uses.begin(now),
            }
            state.entries.insert(key.sha256.clone(), Entry { key, gone: None });
        }
        state.forget(now);
    }

    /// What is known at this moment.
    pub fn page(&self) -> Page {
        let mut state = self.state();
        let at = Moment::now();
        state.correct(at);
        state.forget(at);
        let mut keys: Vec<_> = state.entries.values().map(Entry::page).collect();
        keys.sort_by(|a, b| (&a.client, &a.id).cmp(&(&b.client, &b.id)));
        let State { since, cut_short, .. } = *state;
        Page { version: Page::VERSION, process: self.process.to_string(), at, since, cut_short, ended: None, keys }
    }

    /// Takes the file, if one is named and it is not here yet, and writes to it what it does not say yet. Whether all is as
    /// it should be; if not, the log says why, once.
    #[must_use]
    pub(crate) fn keep(&self) -> bool {
        let Some(named) = &self.settings.file else { return true };
        let mut shelf = self.shelf();
        if shelf.closed {
            return true;
        }
        let kept = self.open(&mut shelf).and_then(|()| shelf.write(self.page()));
        match (&kept, &shelf.trouble) {
            (Ok(()), Some(_)) => info!(file = %named.display(), "the use of keys is written down again"),
            (Err(why), told) if told.as_ref() != Some(why) => {
                warn!(file = %named.display(), "the use of keys is not written down, a restart would forget it: the file {why}");
            }
            _ => {}
        }
        shelf.trouble = kept.err();
        shelf.trouble.is_none()
    }

    /// Writes the last page of this process: whatever is told afterwards is not known.
    pub(crate) fn close(&self) {
        let mut shelf = self.shelf();
        shelf.closed = true;
        if shelf.file.is_none() {
            return;
        }
        let page = self.page();
        let page = Page { ended: Some(page.at), ..page };
        if let Err(why) = shelf.write(page) {
            error!("the last use of keys was not written down: the file {why}");
        }
    }

    /// How often the file is written, if there is one.
    pub(crate) fn pace(&self) -> Option<Duration> {
        self.settings.file.as_ref().map(|_| self.settings.every)
    }

    fn open(&self, shelf: &mut Shelf) -> Result<(), String> {
        let Some(named) = self.settings.file.as_ref().filter(|_| shelf.file.is_none()) else { return Ok(()) };
        let (file, found) = UseFile::open(named)?;
        shelf.file = Some(file);
        match found {
            Found::Nothing => {}
            Found::Page(page) => self.state().recall(*page),
            Found::Broken(why, aside) => error!(
                file = %named.display(), renamed = %aside.display(),
                "what is known of the use of keys begins anew: the file {why}; it was renamed"
            ),
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn write(&mut self, page: Page) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let is_new = |written: &Page| Page { at: page.at, ..written.clone() } != page;
        if self.written.as_ref().is_none_or(is_new) {
            file.write(&page)?;
            self.written = Some(page);
        }
        Ok(())
    }
}

impl State {
    /// Adds what a process before this one knew.
    fn recall(&mut self, mut page: Page) {
        page.correct(Moment::now());
        self.since = self.since.min(page.since);
        self.cut_short = if page.ended.is_some() { page.cut_short } else { Some(Moment::now()) };
        for known in page.keys {
            match self.entries.get(&known.sha256) {
                Some(entry) => entry.key.uses.recall(known.since, &known.history),
                None => drop(self.entries.insert(known.sha256.clone(), Entry::of(known))),
            }
        }
    }

    /// What this process knows may be from before its clock was set.
    fn correct(&mut self, now: Moment) {
        self.since = self.since.believed(now);
        self.cut_short = self.cut_short.map(|moment| moment.believed(now));
        for entry in self.entries.values_mut() {
            entry.gone = entry.gone.map(|moment| moment.believed(now));
            entry.key.uses.correct(now);
        }
    }

    fn forget(&mut self, now: Moment) {
        self.entries.retain(|_, entry| entry.gone.is_none_or(|gone| gone.age(now) < MEMORY));
    }
}

impl Entry {
    /// A key of an earlier process. Whether it is listed still will be seen.
    fn of(known: KeyUse) -> Self {
        let KeyUse { client, id, sha256, since, gone, history } = known;
        let uses = Arc::new(Uses::new());
        uses.recall(since, &history);
        let key = Listed { client: client.into(), id: id.into(), sha256, uses };
        Self { key, gone: gone.or(Some(Moment::now())) }
    }

    fn page(&self) -> KeyUse {
        let Listed { client, id, sha256, uses } = &self.key;
        let (since, history) = uses.known();
        let (client, id, sha256) = (client.to_string(), id.to_string(), sha256.clone());
        KeyUse { client, id, sha256, since, gone: self.gone, history }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::usage::{History, Tally};

    fn listed(id: &str, sha256: &str) -> Listed {
        Listed { client: "shop".into(), id: id.into(), sha256: sha256.to_owned(), uses: Arc::new(Uses::new()) }
    }

    fn used(book: &Book, sha256: &str) -> u64 {
        book.page().of(sha256).map_or(0, |key| key.history.used.times)
    }

    #[test]
    fn a_key_is_its_digest_whatever_it_is_called() {
        let book = Book::new(Usage::DEFAULT);
        let (one, two) = (listed("a", "11"), listed("a", "22"));
        book.follow(vec![one.clone(), two.clone()]);
        one.uses.used(SystemTime::now());
        assert_eq!((used(&book, "11"), used(&book, "22")), (1, 0));
        // Renamed, and replaced by another of the same id.
        book.follow(vec![Listed { id: "b".into(), ..one }, listed("a", "33")]);
        assert_eq!((used(&book, "11"), used(&book, "33")), (1, 0));
        assert_eq!(book.page().of("11").map(|key| key.id.as_str()), Some("b"));
        assert!(book.page().of("22").is_some_and(|key| key.gone.is_some()), "remembered for a while");
        // It comes back, perhaps from another reading of the file.
        book.follow(vec![listed("b", "11"), two]);
        assert_eq!(used(&book, "11"), 1);
        assert!(book.page().keys.iter().all(|key| key.gone.is_some() == (key.sha256 == "33")));
    }

    #[test]
    fn nothing_is_written_after_the_last_page() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("usage.json");
        let book = Book::new(Usage { file: Some(file.clone()), ..Usage::DEFAULT });
        assert!(book.keep());
        book.close();
        let last = std::fs::read_to_string(&file).unwrap();
        assert!(Page::parse(&last).unwrap().ended.is_some());
        book.follow(vec![listed("a", "11")]);
        assert!(book.keep());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), last);
    }

    #[test]
    fn a_key_that_is_gone_is_forgotten_after_a_week() {
        let book = Book::new(Usage::DEFAULT);
        book.follow(vec![listed("a", "11")]);
        book.follow(Vec::new());
        assert_eq!(book.page().keys.len(), 1);
        book.state().entries.get_mut("11").unwrap().gone = Some(Moment::from(SystemTime::now() - MEMORY));
        assert_eq!(book.page().keys.len(), 0);
    }

    /// Of an earlier process, or of this one before its clock was set; either would be remembered for good.
    #[test]
    fn a_clock_that_was_wrong_is_forgotten() {
        let wrong = [SystemTime::UNIX_EPOCH + MEMORY, SystemTime::now() + MEMORY];
        let before = Book::new(Usage::DEFAULT);
        before.follow(vec![listed("a", "11"), listed("b", "22")]);
        let mut page = before.page();
        page.since = wrong[0].into();
        for (key, wrong) in page.keys.iter_mut().zip(wrong) {
            let wrong = Some(wrong.into());
            let used = Tally { times: 1, first: wrong, last: wrong };
            *key = KeyUse {
                since: page.since,
                gone: wrong,
                history: History { used, ..History::default() },
                ..key.clone()
            };
        }
        let book = Book::new(Usage::DEFAULT);
        let key = listed("a", "11");
        wrong.into_iter().for_each(|wrong| key.uses.used(wrong));
        book.follow(vec![key]);
        book.state().recall(page);

        let page = book.page();
        assert_eq!((used(&book, "11"), used(&book, "22")), (3, 1));
        let mut moments = vec![page.since];
        for key in &page.keys {
            moments.extend(
                [Some(key.since), key.gone, key.history.used.first, key.history.used.last].into_iter().flatten(),
            );
        }
        let minute = Duration::from_secs(60);
        assert!(moments.iter().all(|moment| *moment <= page.at && moment.age(page.at) < minute), "{page:?}");
    }
}
