//! `keyswap keys narrow`: the least grants for what was seen, as a diff, and what they let through.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use http::Method;
use keyswap::keys::Digest;
use serde_json::{Value, json};

use super::{AT_ONCE, until};
use crate::gateway::run;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// What a client of everything may do, and one that nobody has.
fn keys_toml(key: &str) -> String {
    let digest = Digest::of(key.as_bytes());
    format!(
        "# Who may do what.
[clients.shop] # since 2019
keys = [{{ id = \"shop-1\", sha256 = \"{digest}\" }}]
grants = [
  # The models.
  {{ resource = \"ai\", allow = [\"openai\"] }}, # all of it
  {{ resource = \"search\", allow = [\"search-admin\"] }}, # to fill it
]

[clients.idle]
keys = [{{ id = \"idle-1\", sha256 = \"{}\" }}]
grants = [{{ resource = \"ai\", allow = [\"inference\", \"batches\"] }}]
",
        Digest::of(b"nobody has it")
    )
}

const EMBEDDINGS: &str = "/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21";
const FILES: &str = "/openai/files?api-version=2024-10-21";
const BATCHES: &str = "/openai/batches?api-version=2024-10-21";
const UPLOAD: &str = "/indexes('hotels')/docs/search.index?api-version=2024-07-01";
const INDEXES: &str = "/indexes?api-version=2024-07-01";

async fn world() -> World {
    let keys = |_, emulator: &azure_emulator::Emulator| keys_toml(&emulator.keys().openai);
    Plan { keys: Box::new(keys), settings: Box::new(|text, _| text + AT_ONCE), ..Plan::default() }.start().await
}

impl World {
    /// The reason for which it is refused, if it is.
    async fn tried(&self, method: Method, target: &str, body: &Value) -> String {
        let call = self.call(method, target).key(&self.emulator.keys().openai);
        call.json(body).await.header("x-keyswap-reason").unwrap_or("none").to_owned()
    }

    /// What the client does every day; the reasons for which it is refused.
    async fn every_day(&self) -> [String; 5] {
        [
            self.tried(Method::POST, CHAT, &saying("hello")).await,
            self.tried(Method::POST, EMBEDDINGS, &json!({ "input": "hello" })).await,
            self.tried(Method::GET, FILES, &Value::Null).await,
            self.tried(Method::POST, SEARCH, &json!({ "search": "x" })).await,
            self.tried(Method::POST, UPLOAD, &json!({ "value": [] })).await,
        ]
    }

    /// `keyswap keys narrow` with these arguments: exit code, standard output, standard error.
    fn narrow(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(self.gateway.directory.path(), &[&["keys", "narrow"], arguments].concat(), &[])
    }
}

const NONE: [&str; 5] = ["none"; 5];

#[tokio::test]
async fn a_grant_becomes_what_was_seen_and_lets_through_that_alone() {
    let world = world().await;
    let here = world.gateway.admin.to_string();
    assert_eq!(world.every_day().await, NONE);
    let path = world.gateway.directory.path().join("keys.toml");
    let before = fs::read_to_string(&path).unwrap();
    let (code, diff, told) = world.narrow(&["shop", "--from", &here]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(
        diff,
        "--- keys.toml
+++ keys.toml
@@ -3,8 +3,8 @@
 keys = [{ id = \"shop-1\", sha256 = \"DIGEST\" }]
 grants = [
   # The models.
-  { resource = \"ai\", allow = [\"openai\"] }, # all of it
-  { resource = \"search\", allow = [\"search-admin\"] }, # to fill it
+  { resource = \"ai\", allow = [\"inference\", \"files\"], access = [\"read\"], deployments = [\"gpt-4o\", \"text-embedding-3-small\"] }, # all of it
+  { resource = \"search\", allow = [\"documents-read\", \"documents-write\"], indexes = [\"hotels\"] }, # to fill it
 ]
 
 [clients.idle]
"
        .replace("DIGEST", &Digest::of(world.emulator.keys().openai.as_bytes()).to_string())
    );
    let since = world.usage_page().await["since"].as_str().unwrap().to_owned();
    let told_of_it = format!(
        "heard: {here}, which knows since {since}
shop: narrowed to what was seen since {since}, for 0 h only: what is done once a month was not seen
  role: Cognitive Services OpenAI User, for identity app on ai; other clients need Cognitive Services OpenAI Contributor there, too
  role: Search Index Data Contributor, for identity app on search
"
    );
    assert_eq!(told, told_of_it);
    assert_eq!(fs::read_to_string(&path).unwrap(), before, "a proposal writes nothing");
    // It can be made of a file that cannot be edited.
    let read_only = world.gateway.directory.path().join("read-only.toml");
    fs::write(&read_only, &before).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o444)).unwrap();
    let other = ["shop", "--from", &here, "--keys", "read-only.toml"];
    assert_eq!(world.narrow(&other).1, diff.replace("keys.toml", "read-only.toml"));
    let (code, _, told) = world.narrow(&[&other[..], &["--write"]].concat());
    assert!(code == Some(2) && told.contains("read-only.toml: is read-only"), "{told}");

    let (code, written, told) = world.narrow(&["shop", "--from", &here, "--write"]);
    assert_eq!((code, &written), (Some(0), &diff));
    assert!(told.ends_with("written: a keyswap that runs follows it\n"), "{told}");
    world.gateway.logged(|line| line["generation"] == 2).await;
    assert_eq!(world.every_day().await, NONE);
    let none = json!({ "input": "x" });
    for (method, target, reason) in [
        (Method::POST, FILES, "access-not-granted"),
        (Method::GET, BATCHES, "family-not-granted"),
        (Method::POST, "/openai/deployments/tts/audio/speech?api-version=2024-10-21", "target-not-granted"),
        (Method::GET, INDEXES, "family-not-granted"),
        (Method::GET, "/indexes('other')/docs?api-version=2024-07-01", "target-not-granted"),
    ] {
        assert_eq!(world.tried(method, target, &none).await, reason, "{target}");
    }
    // What was refused is no part of it.
    let (code, diff, told) = world.narrow(&["shop", "--from", &here]);
    assert_eq!((code, diff.as_str()), (Some(0), ""));
    assert!(told.contains("\nshop: as narrow as can be, for what was seen since "), "{told}");
}

#[tokio::test]
async fn what_was_never_used_is_to_be_revoked() {
    let world = world().await;
    let here = world.gateway.admin.to_string();
    let since = world.usage_page().await["since"].as_str().unwrap().to_owned();
    let (code, diff, told) = world.narrow(&["idle", "--from", &here]);
    assert_eq!((code, diff.as_str()), (Some(1), ""));
    let unused = format!(
        "idle: nothing to narrow: never used since {since}, for 0 h only: what is done once a month was not seen. \
         If that is long enough, take its keys back: keyswap keys revoke idle-1\n"
    );
    assert!(told.ends_with(&unused), "{told}");
    // What was asked for and refused is no use.
    assert_eq!(world.tried(Method::POST, "/openai/deployments", &Value::Null).await, "no-family");
    let (code, diff, told) = world.narrow(&["--json", "shop", "--from", &here]);
    let told: Value = serde_json::from_str(&diff).unwrap_or_else(|_| panic!("{told}"));
    assert_eq!(
        (code, &told["clients"][0]["outcome"], &told["diff"]),
        (Some(1), &json!("nothing-permitted"), &json!(""))
    );
    // Nor is what today's grants do not let through: nobody loses all of them for it.
    assert_eq!(world.every_day().await, NONE);
    let path = world.gateway.directory.path().join("keys.toml");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("\"openai\"", "\"batches\"")
        .replace("\"search-admin\"", "\"manage\"");
    fs::write(&path, text).unwrap();
    let (code, diff, told) = world.narrow(&["shop", "--from", &here]);
    assert_eq!((code, diff.as_str()), (Some(1), ""));
    assert!(told.contains(", and did nothing that its grants let through\n"), "{told}");
    assert!(
        told.contains("\n  documents-read (read) on search for hotels was seen, but is not granted any more\n"),
        "{told}"
    );
    let (code, _, told) = world.narrow(&["nobody", "--from", &here]);
    assert!(code == Some(2) && told.starts_with("command line: CLIENT: is no client: "), "{told}");
}

#[tokio::test]
async fn what_is_not_known_is_not_narrowed() {
    let world = world().await;
    let here = world.gateway.admin.to_string();
    let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(world.tried(Method::POST, "/openai/v1/chat/completions", &body).await, "none");
    assert_eq!(world.tried(Method::GET, BATCHES, &Value::Null).await, "none");
    for n in 0..70 {
        let index = format!("/indexes('i{n}')/docs?api-version=2024-07-01");
        assert_eq!(world.tried(Method::GET, &index, &Value::Null).await, "none");
    }
    let (code, diff, told) = world.narrow(&["shop", "--from", &here]);
    assert_eq!(code, Some(0));
    let changed: Vec<_> = diff.lines().filter(|line| line.starts_with("+ ")).collect();
    assert_eq!(
        changed,
        [
            "+  { resource = \"ai\", allow = [\"inference\", \"batches\"], access = [\"read\"] }, # all of it",
            "+  { resource = \"search\", allow = [\"documents-read\"] }, # to fill it",
        ]
    );
    for note in [
        "  inference (read) on ai keeps its deployments: its body names them, which is not read for a key that may use all\n",
        "  batches (read) on ai keeps its deployments: it does not say which it works on, so that a key which is limited to some may not\n",
        "  documents-read (read) on search keeps its indexes: it was done to more of them than are remembered\n",
    ] {
        assert!(told.contains(note), "{told}");
    }
    // Nor where somebody is not heard.
    let (code, diff, told) = world.narrow(&["--from", &here, "--from", "127.0.0.1:1"]);
    assert_eq!((code, diff.as_str()), (Some(1), ""));
    assert!(told.ends_with("so nothing is proposed: what was seen there would be refused\n"), "{told}");
}

#[tokio::test]
async fn the_file_that_the_settings_name_is_asked_if_nobody_else_is() {
    let world = world().await;
    assert_eq!(world.every_day().await, NONE);
    let told = until(async || {
        let (code, diff, told) = world.narrow(&["--json"]);
        assert!(code.is_some(), "{told}");
        serde_json::from_str::<Value>(&diff)
            .ok()
            .filter(|told| told["diff"].as_str().unwrap().contains("documents-write"))
    })
    .await;
    assert_eq!(told["heard"][0]["from"], "usage.json");
    let outcomes: Vec<_> = told["clients"].as_array().unwrap().iter().map(|client| client["outcome"].clone()).collect();
    assert_eq!(outcomes, ["unused", "narrower"]);
    assert_eq!(
        told["clients"][1]["roles"][1],
        json!({
            "role": "Search Index Data Contributor", "identity": "app", "resource": "search", "for_others": [],
        })
    );
}
