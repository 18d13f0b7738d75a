//! The whole life of keys under load, as a script with the real binary: they are imported, served, rotated, revoked, made to
//! expire; their file is broken and mended; the replicas that serve them are restarted; their grants are narrowed. Meanwhile
//! clients use them without a pause worth the name. No request fails that should have passed, and none passes that should have
//! failed: [`rights`] has the rule by which that is judged.

mod crowd;
mod replica;
mod rights;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use azure_emulator::{Emulator, Options};
use keyswap::keyring::parse_moment;
use keyswap::keys::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::gateway::{command, given};
use crate::world;
use crowd::{Crowd, Errand};
use replica::{Door, NAMES, Replica};
use rights::{Book, Change, Due};

/// How many requests must have shown, after each step, what holds for each right. Those that a change overlaps show nothing.
const ENOUGH: usize = 20;

/// Files, replicas, clients.
struct Life {
    emulator: Emulator,
    directory: Arc<TempDir>,
    replicas: [Replica; 2],
    doors: [Door; 2],
    book: Arc<Book>,
    crowd: Crowd,
    /// Every key there is or was.
    keys: Vec<String>,
    _watchmen: JoinSet<()>,
}

/// A key that nobody has, as random as Azure's.
fn random(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string()
}

/// `keyswap keys` as somebody types it, with this on standard input: what it prints.
fn keys(directory: &TempDir, line: &str, input: &str) -> Value {
    let mut command = command(directory.path(), &[]);
    command.args(["keys", "--config", "a.toml", "--json"]).args(line.split(' '));
    let (code, answer, told) = given(&mut command, input);
    assert_eq!(code, Some(0), "keyswap keys {line}: {told}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("keyswap keys {line}: {error}: {answer}"))
}

/// The moment that a command has printed.
fn moment(told: &Value) -> SystemTime {
    parse_moment(told.as_str().unwrap()).unwrap().into()
}

impl Life {
    /// Imports what clients have, has two replicas serve it, and lets the clients come.
    async fn begin() -> Self {
        let options = Options { journal_limit: 1_000_000, ..Options::default() };
        let emulator = Emulator::start(options).await.unwrap();
        let directory = world::files(&emulator, "", "");
        replica::write_settings(directory.path(), &emulator);
        let begun = SystemTime::now();
        // As az cognitiveservices account keys list and az search query-key list print them; and one a line.
        let legacy = emulator.keys();
        let [second, guest, app] = ["second", "guest", "app"].map(random);
        let (chat, query) = (&legacy.openai, &legacy.search_query);
        keys(&directory, "import --client shop", &json!({"key1": chat, "key2": second}).to_string());
        keys(&directory, "import --client site", &json!([{"key": query, "name": null}]).to_string());
        keys(&directory, "import --client guest --resource ai", &guest);
        keys(&directory, "import --client app --resource ai --allow openai", &app);

        let [a, b] = NAMES.map(|(name, _)| Replica::start(name, &directory));
        let replicas = [a.await, b.await];
        let mut watchmen = JoinSet::new();
        let doors = replicas.each_ref().map(|replica| replica.door(emulator.ca_pem(), &mut watchmen));
        for door in &doors {
            door.opens().await;
        }
        let shown = SystemTime::now();
        let book = Arc::<Book>::default();
        let crowd = Crowd::new(&book, doors.clone());
        let keys = Vec::new();
        let mut life = Self { emulator, directory, replicas, doors, book, crowd, keys, _watchmen: watchmen };
        for (name, key, errand) in [
            ("shop-key1", chat, Errand::Chat),
            ("shop-key2", &second, Errand::Chat),
            ("guest-imported", &guest, Errand::Chat),
            ("app-imported", &app, Errand::Chat),
            ("site-query", query, Errand::Search),
        ] {
            life.comes(name, key, errand);
            life.book.grant(name, Change { begun, shown });
        }
        // A query key never writes, and what is not listed is nobody's.
        life.comes("site-query, writing", query, Errand::Index);
        life.comes("stranger", &random("stranger"), Errand::Chat);
        life.comes("stranger, searching", &random("stranger")[..52], Errand::Search);
        life
    }

    /// Clients come with this key, whether or not it is good.
    fn comes(&mut self, name: &str, key: &str, errand: Errand) {
        self.book.add(name, key, errand);
        self.crowd.come(name);
        self.keys.push(key.to_owned());
    }

    /// A change by command, until every replica that runs shows it; gives what was printed besides.
    async fn change(&self, line: &str) -> (Value, Change) {
        let before = self.generations().await;
        let begun = SystemTime::now();
        let told = keys(&self.directory, line, "");
        self.taken_after(before).await;
        (told, Change { begun, shown: SystemTime::now() })
    }

    /// An end that was written, but is still to come.
    fn ends(&self, name: &str, at: SystemTime, written: Change) {
        self.book.end(name, Change { begun: written.begun.max(at), shown: written.shown.max(at) });
    }

    async fn generations(&self) -> [Option<u64>; 2] {
        [self.replicas[0].generation().await, self.replicas[1].generation().await]
    }

    async fn taken_after(&self, before: [Option<u64>; 2]) {
        for (replica, before) in self.replicas.iter().zip(before) {
            replica.taken_after(before).await;
        }
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("keys.toml")
    }

    /// A file of keys that is no such file any more, with a key gone besides, until somebody puts back what was there.
    async fn break_and_mend(&self) {
        let good = fs::read_to_string(self.key_file()).unwrap();
        let broken = good.replacen("[clients.site]", "[clients.site", 1);
        assert_ne!(good, broken);
        // Some editors write in place, and some another file that takes the place of the first.
        fs::write(self.key_file(), &broken).unwrap();
        for replica in &self.replicas {
            replica.refused("keys.toml:").await;
        }
        self.book.seen_by_all(ENOUGH).await;
        let before = self.generations().await;
        let beside = self.key_file().with_extension("toml~");
        fs::write(&beside, &good).unwrap();
        fs::rename(&beside, self.key_file()).unwrap();
        self.taken_after(before).await;
        self.book.seen_by_all(ENOUGH).await;
    }

    /// Starts a replica that was stopped, and waits until it has its part of the requests.
    async fn start_again(&mut self, which: usize) {
        self.replicas[which].start_again().await;
        self.doors[which].opens().await;
        self.replicas[which].serves().await;
    }

    /// Lets everybody go, and judges.
    async fn end(mut self) {
        self.crowd.leave().await;
        let [a, b] = &mut self.replicas;
        tokio::join!(a.stop(), b.stop());
        let wrong = self.book.wrong();
        let shown = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} requests are wrong:\n{shown}\n{}", wrong.len(), self.book.summary());

        // No key has arrived at Azure, in whatever place, and none is in a line of a log or of a request, or in a file.
        let journal = self.emulator.journal();
        assert!(journal.violations().is_empty(), "{:#?}", journal.violations());
        let arrived = journal.entries().into_iter().map(|entry| format!("{entry:?}"));
        let said = self.replicas.iter().flat_map(Replica::said).map(ToString::to_string);
        let files = [fs::read_to_string(self.key_file()).unwrap()];
        let everything: Vec<String> = arrived.chain(said).chain(files).collect();
        assert!(everything.len() > 1000, "{}", everything.len());
        for text in everything {
            assert!(!self.keys.iter().any(|key| text.contains(key)), "a key is in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_life_of_keys_costs_no_good_request_and_lets_no_bad_one_pass() {
    let mut life = Life::begin().await;
    life.book.seen_by_all(ENOUGH).await;

    // One of two imported keys goes, so that there is room for another.
    let (_, revoked) = life.change("revoke shop-key2").await;
    life.book.end("shop-key2", revoked);
    life.book.seen_by_all(ENOUGH).await;

    let (told, added) = life.change("new --client late --resource ai --id late-1").await;
    life.comes("late-1", told["key"].as_str().unwrap(), Errand::Chat);
    life.book.grant("late-1", added);
    life.book.seen_by_all(ENOUGH).await;

    // The one that is left is rotated out: both are good for a while.
    let (told, rotated) = life.change("rotate shop --id shop-new --keep 4s").await;
    life.comes("shop-new", told["key"].as_str().unwrap(), Errand::Chat);
    life.book.grant("shop-new", rotated);
    life.ends("shop-key1", moment(&told["former"]["expires"]), rotated);
    life.book.seen("shop-new", ENOUGH, Due::Pass).await;
    life.book.seen("shop-key1", ENOUGH, Due::Refusal).await;

    let (told, written) = life.change("expire guest-imported --in 4s").await;
    life.ends("guest-imported", moment(&told["expires"]), written);
    life.book.seen("guest-imported", ENOUGH, Due::Refusal).await;

    life.break_and_mend().await;

    // Each replica serves alone while the other restarts; what happens meanwhile that one begins with.
    life.replicas[0].stop().await;
    life.book.seen_by_all(ENOUGH).await;
    let (_, revoked) = life.change("revoke late-1").await;
    life.book.end("late-1", revoked);
    life.start_again(0).await;
    life.replicas[1].stop().await;
    life.book.seen_by_all(ENOUGH).await;
    life.start_again(1).await;
    life.book.seen_by_all(ENOUGH).await;

    // What they do not need is taken from all of them: of what both replicas saw, in all their lives, nothing is refused.
    let [a, b] = life.replicas.each_ref().map(Replica::admin);
    let (told, narrowed) = life.change(&format!("narrow --from {a} --from {b} --write")).await;
    assert_eq!(told["written"], true, "{told}");
    life.comes("app-imported, listing files", &random("app"), Errand::Files);
    life.book.grant("app-imported, listing files", added);
    life.book.end("app-imported, listing files", narrowed);
    life.book.seen_by_all(ENOUGH).await;

    // In an emergency the last one goes at once, with what runs.
    let (_, revoked) = life.change("revoke shop-new --now").await;
    life.book.cut("shop-new", revoked);
    life.book.seen_by_all(ENOUGH).await;

    for (name, dues) in [
        ("shop-key1", &[Due::Pass, Due::Refusal][..]),
        ("shop-key2", &[Due::Pass, Due::Refusal]),
        ("shop-new", &[Due::Pass, Due::Refusal]),
        ("guest-imported", &[Due::Pass, Due::Refusal]),
        ("late-1", &[Due::Pass, Due::Refusal]),
        ("app-imported", &[Due::Pass]),
        ("app-imported, listing files", &[Due::Refusal]),
        ("site-query", &[Due::Pass]),
        ("site-query, writing", &[Due::Refusal]),
        ("stranger", &[Due::Refusal]),
        ("stranger, searching", &[Due::Refusal]),
    ] {
        for due in dues {
            let count = life.book.count(name, *due);
            assert!(count >= ENOUGH, "{name}: {count} requests of which {due:?} was due\n{}", life.book.summary());
        }
    }
    life.end().await;
}
