//! When each key was used, and for what: told at the admin address, kept in a file, and what several know together.

mod file;
mod merged;
mod narrowed;

use std::time::Duration;

use http::Method;
use keyswap::keys::Digest;
use serde_json::{Value, json};

use crate::gateway::{Gateway, LIMIT};
use crate::websocket::{REALTIME, Talk};
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

const MODELS: &str = "/openai/models?api-version=2024-10-21";
const CHAT_V1: &str = "/openai/v1/chat/completions";

/// A setting that has the use of keys written down at once.
const AT_ONCE: &str = "[usage]\nfile = \"usage.json\"\nevery = \"20ms\"\n";

impl World {
    /// The page of the admin address.
    async fn usage_page(&self) -> Value {
        let (status, page) = self.admin("/keys/use").await;
        assert_eq!(status, 200, "{page}");
        serde_json::from_str(&page).unwrap()
    }

    /// What it says of the key with this id, moments aside.
    async fn use_of(&self, id: &str) -> Value {
        let page = self.usage_page().await;
        let key = page["keys"].as_array().unwrap().iter().find(|key| key["id"] == id);
        steady(key.unwrap_or_else(|| panic!("{id} in {page}")))
    }

    /// Asks for the list of models; the answer's status.
    async fn models(&self, key: &str) -> u16 {
        self.get(MODELS).key(key).send().await.status.as_u16()
    }

    /// Starts another process on the same files, when the one before has ended.
    async fn start_again(&mut self) {
        self.gateway.ended().await;
        let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
        self.gateway = Gateway::start(self.gateway.directory.clone(), &arguments, &[]).await;
    }
}

/// The same with `NOW` for every moment, which is of today, and without what is random.
fn steady(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() == 20 && text.starts_with("20") && text.ends_with('Z') => json!("NOW"),
        Value::Array(items) => items.iter().map(steady).collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "process");
            Value::Object(members.map(|(name, value)| (name.clone(), steady(value))).collect())
        }
        other => other.clone(),
    }
}

fn tally(times: u64) -> Value {
    let moment = if times > 0 { json!("NOW") } else { Value::Null };
    json!({ "times": times, "first": moment, "last": moment })
}

fn named(names: &[&str]) -> Value {
    let seen: Vec<_> = names.iter().map(|name| json!({ "name": name, "last": "NOW" })).collect();
    json!({ "seen": seen, "more": false })
}

/// This moment, as pages write it.
fn now() -> String {
    keyswap::usage::Moment::now().to_string()
}

fn beginning(key: &str) -> String {
    Digest::of(key.as_bytes()).to_string()[..16].to_owned()
}

#[tokio::test]
async fn the_admin_address_says_when_each_key_was_used_and_for_what() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    let chat = |target| world.post(target).key(&key).header("user-agent", "OpenAI/Python 1.51.0 (Linux; 0123)");
    for _ in 0..3 {
        assert_eq!(chat(CHAT).json(&saying("hello")).await.status, 200);
    }
    // Permitted, and the same name; whether Azure has it is another matter.
    let capitals = "/openai/deployments/GPT-4O/chat/completions?api-version=2024-10-21";
    assert_eq!(chat(capitals).json(&saying("hello")).await.status, 404);
    let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(chat(CHAT_V1).json(&body).await.status, 200);
    assert_eq!(world.models(&key).await, 200);
    // Authenticated, and no more; and what is nobody's.
    assert_eq!(world.get("/openai/files?api-version=2024-10-21").key(&key).send().await.reason(), "family-not-granted");
    assert_eq!(world.models("0123456789abcdef0123456789abcdee").await, 401);

    assert_eq!(
        world.use_of("chat").await,
        json!({
            "client": "chat",
            "id": "chat",
            "sha256": beginning(&key),
            "since": "NOW",
            "gone": null,
            "used": tally(7),
            "permitted": tally(6),
            "refused": tally(0),
            "user_agents": named(&["OpenAI/Python 1.51.0", ""]),
            "api_versions": named(&["2024-10-21", "v1"]),
            "operations": { "more": false, "seen": [{
                "resource": "ai",
                "family": "inference",
                "access": "read",
                "last": "NOW",
                "targets": { "seen": ["gpt-4o"], "more": false },
                "in_body": true,
                "unnamed": false,
                "untouched": true,
            }] },
        })
    );
    let query = world.use_of("query").await;
    assert_eq!((&query["used"], &query["operations"]["seen"]), (&tally(0), &json!([])));
    assert_eq!(
        world.post(SEARCH).key(&world.emulator.keys().search_query).json(&json!({"search": "x"})).await.status,
        200
    );
    let query = world.use_of("query").await;
    assert_eq!(query["operations"]["seen"][0]["targets"]["seen"], json!(["hotels"]));
    let page = world.usage_page().await;
    assert_eq!((&page["version"], &page["cut_short"], &page["ended"]), (&json!(1), &Value::Null, &Value::Null));
    assert_eq!(page["keys"].as_array().unwrap().len(), 3);
    assert!(!page.to_string().contains(&key) && !page.to_string().contains("Linux"), "{page}");
}

/// Whoever talks for hours uses the key from the beginning on.
#[tokio::test]
async fn a_websocket_is_a_use_when_it_opens() {
    let world = crate::websocket::plan().start().await;
    let key = world.emulator.keys().openai;
    let talk = Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
    let used = world.use_of("chat").await;
    assert_eq!((&used["permitted"], &used["operations"]["seen"][0]["family"]), (&tally(1), &json!("realtime")));
    assert_eq!(used["operations"]["seen"][0]["targets"]["seen"], json!(["gpt-4o-realtime-preview"]));
    drop(talk);
}

/// What a body names is known where it was read, which is where it decides.
#[tokio::test]
async fn a_deployment_in_a_body_is_known_where_the_key_is_limited() {
    let keys =
        |text: String, _: &_| text.replace("{ resource = \"ai\" }", "{ resource = \"ai\", deployments = [\"gpt-*\"] }");
    let world = Plan { keys: Box::new(keys), ..Plan::default() }.start().await;
    let key = world.emulator.keys().openai;
    for (model, status) in [("gpt-4o", 200), ("tts", 403), ("gpt-*", 404)] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
        assert_eq!(world.post(CHAT_V1).key(&key).json(&body).await.status.as_u16(), status, "{model}");
    }
    let used = world.use_of("chat").await;
    assert_eq!((&used["used"]["times"], &used["permitted"]["times"]), (&json!(3), &json!(2)));
    // No deployment has such a name: it is known that there was another one.
    assert_eq!(used["operations"]["seen"][0]["targets"], json!({ "seen": ["gpt-4o"], "more": true }));
    assert_eq!(used["operations"]["seen"][0]["in_body"], false);
}

#[tokio::test]
async fn a_key_keeps_its_history_when_the_settings_change() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    assert_eq!(world.models(&keys.openai).await, 200);
    let path = world.gateway.directory.path().join("keys.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let generation = async |number: u64| {
        let taken = |line: &Value| line["message"] == "new settings are in effect" && line["generation"] == number;
        world.gateway.logged(taken).await;
    };

    // Renamed, revoked, and asked for again; the other one has its id and is another.
    let other = "abcdefghijklmnopqrstuvwxyz0123456789";
    let renamed = client("renamed", &keys.openai, "{ resource = \"ai\" }")
        .replace("\" }]\ngrants", "\", revoked = true }]\ngrants");
    write(&(renamed + &client("chat", other, "{ resource = \"ai\" }")));
    generation(2).await;
    assert_eq!((world.models(&keys.openai).await, world.models(&keys.openai).await), (401, 401));
    let (old, new) = (world.use_of("renamed").await, world.use_of("chat").await);
    assert_eq!((&old["used"], &old["refused"]), (&tally(1), &tally(2)));
    assert_eq!((&new["used"], &new["sha256"]), (&tally(0), &json!(beginning(other))));

    // Taken away by mistake, and back again.
    write(&client("chat", other, "{ resource = \"ai\" }"));
    generation(3).await;
    assert_eq!(world.use_of("renamed").await["gone"], "NOW");
    write(&client("renamed", &keys.openai, "{ resource = \"ai\" }"));
    generation(4).await;
    assert_eq!(world.models(&keys.openai).await, 200);
    let back = world.use_of("renamed").await;
    assert_eq!((&back["used"], &back["refused"], &back["gone"]), (&tally(2), &tally(2), &Value::Null));
}

#[tokio::test]
async fn only_some_of_what_a_client_says_is_remembered() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    for n in 0..10 {
        let call = world.get(MODELS).key(&key).header("user-agent", &format!("app/{n}"));
        assert_eq!(call.send().await.status, 200);
    }
    let agents = &world.use_of("chat").await["user_agents"];
    assert_eq!((agents["seen"].as_array().unwrap().len(), &agents["more"]), (8, &json!(true)));
}

/// It is no page for everybody: the admin address has a secret for it elsewhere than on loopback.
#[tokio::test]
async fn the_page_is_for_visitors() {
    let world = World::start().await;
    let url = format!("http://{}/keys/use", world.gateway.admin);
    let answer = world.client.call(Method::GET, &url).header("origin", "http://a.example").send().await;
    assert_eq!(answer.status, 403);
}

/// Waits for what comes by itself: asks again and again until it is there.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            // Whoever brings it about needs the processor, too.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.expect("it to come")
}
