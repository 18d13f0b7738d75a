//! Resources: the way there, whether they take keys, what each granted access comes to.

mod faults;
mod requests;
mod roles;
mod way;
mod whole;

use std::sync::Arc;

use azure_emulator::{Door, Emulator, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::run;
use crate::world::{client, files, settings};

/// What `keyswap doctor` looks at: an emulator's doors for whoever goes straight to a resource, since a random key may come
/// there.
struct Practice {
    emulator: Emulator,
    settings: String,
    keys: String,
}

impl Practice {
    /// With one client that may chat, and query the hotels.
    async fn open() -> Self {
        Self::with(Options::default(), Door::Direct).await
    }

    async fn with(options: Options, door: Door) -> Self {
        let emulator = Emulator::start(options).await.unwrap();
        let settings = settings(&emulator, door);
        let grants =
            "{ resource = \"ai\" }, { resource = \"search\", allow = [\"search-query\"], indexes = [\"hotels\"] }";
        let keys = client("team", &emulator.keys().openai, grants);
        Self { emulator, settings, keys }
    }

    /// Its files, as they are now.
    fn files(&self) -> Arc<TempDir> {
        files(&self.emulator, &self.settings, &self.keys)
    }

    /// The command's exit status and what it says, to people or to programs, on standard output; nothing comes to the other.
    async fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let files = self.files();
        let arguments: Vec<_> = [&["doctor"], arguments].concat().into_iter().map(str::to_owned).collect();
        let ran = tokio::task::spawn_blocking(move || {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            run(files.path(), &arguments, &[])
        });
        let (exit, told, complaints) = ran.await.unwrap();
        assert_eq!(complaints, "");
        (exit, self.with_names(&told))
    }

    /// A text with names in place of ports and ids, which differ from one time to the next.
    fn with_names(&self, text: &str) -> String {
        let bare = |url: String| url.rsplit('/').next().unwrap().to_owned();
        let mut text = text.replace(&self.emulator.app().object_id, "OID");
        for door in [Door::Direct, Door::KeysEnabled] {
            text = text.replace(&bare(self.emulator.openai(door)), "127.0.0.1:AI");
            text = text.replace(&bare(self.emulator.search(door)), "127.0.0.1:SEARCH");
        }
        text
    }

    /// What was found of a resource, as programs read it.
    async fn findings(&self, resource: &str) -> Vec<Value> {
        let (_, told) = self.told(&["--only", &format!("resources.{resource}"), "--json"]).await;
        let report: Value = serde_json::from_str(&told).unwrap();
        report["sections"][0]["findings"].as_array().unwrap().clone()
    }
}
