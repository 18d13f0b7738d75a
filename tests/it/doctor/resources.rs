//! Resources: the way there, whether they take keys, what each granted access comes to.

mod faults;
mod requests;
mod roles;
mod way;
mod whole;

use azure_emulator::{Door, Emulator, Options};
use serde_json::Value;

use super::Practice;
use crate::world::{Plan, client, settings};

/// Resources to be looked at, by the doors of an emulator for whoever goes straight there, since a random key may come there.
struct Patient {
    practice: Practice,
    settings: String,
    keys: String,
}

impl Patient {
    /// With one client that may chat, and query the hotels.
    async fn new() -> Self {
        Self::with(Options::default(), Door::Direct).await
    }

    async fn with(options: Options, door: Door) -> Self {
        let practice = Practice::open(Plan { options, ..Plan::default() }).await;
        let settings = settings(&practice.emulator, door);
        let grants =
            "{ resource = \"ai\" }, { resource = \"search\", allow = [\"search-query\"], indexes = [\"hotels\"] }";
        let keys = client("team", &practice.emulator.keys().openai, grants);
        Self { practice, settings, keys }
    }

    fn emulator(&self) -> &Emulator {
        &self.practice.emulator
    }

    /// The command's exit status and what it says on standard output; nothing comes to the other.
    async fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.practice.write("keyswap.toml", &self.settings);
        self.practice.write("keys.toml", &self.keys);
        let word = self.practice.doctor(arguments).await;
        assert_eq!(word.err, "");
        (word.status, self.with_names(&word.out))
    }

    /// A text with names in place of ports and ids, which differ from one time to the next.
    fn with_names(&self, text: &str) -> String {
        let bare = |url: String| url.rsplit('/').next().unwrap().to_owned();
        let mut text = text.replace(&self.emulator().app().object_id, "OID");
        for door in [Door::Direct, Door::KeysEnabled] {
            text = text.replace(&bare(self.emulator().openai(door)), "127.0.0.1:AI");
            text = text.replace(&bare(self.emulator().search(door)), "127.0.0.1:SEARCH");
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
