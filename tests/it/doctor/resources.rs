//! Resources: the way there, whether they take keys, what each granted access comes to.

mod faults;
mod requests;
mod roles;
mod way;
mod whole;

use azure_emulator::{Door, Emulator, Options};
use serde_json::Value;

use super::{Practice, Told};
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
        let practice = Practice::open(Plan { options, door, ..Plan::default() }).await;
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
        let told = self.doctor(arguments).await;
        assert_eq!(told.err, "");
        (told.status, self.with_names(&told.out))
    }

    async fn doctor(&self, arguments: &[&str]) -> Told {
        self.practice.write("keyswap.toml", &self.settings);
        self.practice.write("keys.toml", &self.keys);
        self.practice.doctor(arguments).await
    }

    /// A text with names in place of ports and ids.
    fn with_names(&self, text: &str) -> String {
        let bare = |url: String| url.rsplit('/').next().unwrap().to_owned();
        [Door::Direct, Door::KeysEnabled].into_iter().fold(self.practice.with_names(text), |text, door| {
            text.replace(&bare(self.emulator().openai(door)), "127.0.0.1:AI")
                .replace(&bare(self.emulator().search(door)), "127.0.0.1:SEARCH")
        })
    }

    /// What was found of a resource, as programs read it.
    async fn findings(&self, resource: &str) -> Vec<Value> {
        let (_, told) = self.told(&["--only", &format!("resources.{resource}"), "--json"]).await;
        let report: Value = serde_json::from_str(&told).unwrap();
        report["sections"][0]["findings"].as_array().unwrap().clone()
    }
}
