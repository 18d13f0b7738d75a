//! The file that the use of keys is kept in: over restarts, crashes, and whatever else is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{AT_ONCE, tally, until};
use crate::gateway::Gateway;
use crate::world::{Plan, World, files, keys, settings};

/// A world whose gateway keeps such a file, from the beginning on with this in it.
async fn keeping(usage: &'static str, before: Option<&'static str>) -> World {
    let world = Plan { settings: Box::new(move |text, _| text + usage), ..Plan::default() };
    match before {
        None => world.start().await,
        Some(text) => {
            // The directory is made with the world: the file is there at its second start.
            let mut world = world.start().await;
            world.gateway.signal("TERM");
            world.gateway.ended().await;
            fs::write(world.file("usage.json"), text).unwrap();
            world.start_again().await;
            world
        }
    }
}

impl World {
    fn file(&self, name: &str) -> PathBuf {
        self.gateway.directory.path().join(name)
    }

    /// What the file says of how often the key was used, if it is there and whole.
    fn written(&self) -> Option<u64> {
        let text = fs::read_to_string(self.file("usage.json")).ok()?;
        let page: Value = serde_json::from_str(&text).expect("a reader sees no half of it");
        let key = page["keys"].as_array().unwrap().iter().find(|key| key["id"] == "chat").unwrap().clone();
        key["used"]["times"].as_u64()
    }

    async fn until_written(&self, times: u64) {
        until(async || self.written().filter(|written| *written == times)).await;
    }

    /// The files beside the one, by their names.
    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(self.gateway.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("usage.json"));
        names.sort();
        names
    }

    async fn unwritten(&self) -> bool {
        let (_, page) = self.admin("/metrics").await;
        page.contains("\nkeyswap_usage_unwritten 1\n")
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    // Long enough that only the stop writes.
    let mut world = keeping("[usage]\nfile = \"usage.json\"\nevery = \"1h\"\n", None).await;
    let key = world.emulator.keys().openai;
    let since = world.usage_page().await["since"].clone();
    assert_eq!(world.models(&key).await, 200);
    let before = world.use_of("chat").await;
    world.gateway.signal("TERM");
    world.start_again().await;
    assert_eq!(world.use_of("chat").await, before);
    assert_eq!((world.models(&key).await, world.models(&key).await), (200, 200));
    world.gateway.signal("TERM");
    world.start_again().await;
    let page = world.usage_page().await;
    assert_eq!((&page["since"], &page["cut_short"]), (&since, &Value::Null));
    assert_eq!(world.use_of("chat").await["used"], tally(3));
    assert_eq!(world.beside(), ["usage.json", "usage.json.lock"]);
}

#[tokio::test]
async fn a_crash_costs_what_was_not_yet_written_and_is_told() {
    let mut world = keeping(AT_ONCE, None).await;
    let key = world.emulator.keys().openai;
    assert_eq!((world.models(&key).await, world.models(&key).await), (200, 200));
    world.until_written(2).await;
    world.gateway.signal("KILL");
    world.start_again().await;
    assert_eq!(world.use_of("chat").await["used"], tally(2));
    assert!(world.usage_page().await["cut_short"].is_string());
    // What is told once stays known, also after a stop in good order.
    world.gateway.signal("TERM");
    world.start_again().await;
    assert!(world.usage_page().await["cut_short"].is_string());
}

#[tokio::test]
async fn what_is_no_record_is_set_aside_and_told() {
    for (broken, why) in [
        ("{\n\"version\": 1,\n\"secret-stuff\"", "is no record of the use of keys, from line 3 on"),
        ("{\"version\": 2}", "was written by another keyswap, in version 2 of its shape"),
        ("\u{0}\u{0}", "is no record of the use of keys, from line 1 on"),
    ] {
        let world = keeping(AT_ONCE, Some(broken)).await;
        let line = world.gateway.logged(|line| line["renamed"].is_string()).await;
        let told = format!("what is known of the use of keys begins anew: the file {why}; it was renamed");
        assert_eq!((&line["level"], &line["message"]), (&json!("ERROR"), &json!(told)));
        let aside = line["renamed"].as_str().unwrap();
        assert!(aside.contains("usage.json.broken-20"), "{aside}");
        assert_eq!(fs::read_to_string(aside).unwrap(), broken);
        assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
        world.until_written(1).await;
        assert!(!world.unwritten().await);
    }
}

/// Whatever else is there is somebody's, and stays where it is.
#[tokio::test]
async fn what_was_never_a_record_is_left_alone() {
    for other in ["[clients.a]\nkeys = []\n", "{\"keys\": []}", "-----BEGIN PRIVATE KEY-----\n", " "] {
        let world = keeping(AT_ONCE, Some(other)).await;
        let told = "the use of keys is not written down, a restart would forget it: the file is something else, and stays: name another one";
        world.gateway.logged(|line| line["level"] == "WARN" && line["message"] == told).await;
        assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
        assert!(world.unwritten().await);
        assert_eq!(fs::read_to_string(world.file("usage.json")).unwrap(), other);
        assert_eq!(world.beside(), ["usage.json", "usage.json.lock"]);
    }
}

/// It tells who does what, and lets keys that are easily guessed be tried.
#[tokio::test]
async fn nobody_else_may_read_it() {
    let world = keeping(AT_ONCE, None).await;
    assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
    world.until_written(1).await;
    assert_eq!(fs::metadata(world.file("usage.json")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_empty_file_is_none_yet() {
    let world = keeping(AT_ONCE, Some("")).await;
    assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
    world.until_written(1).await;
    assert_eq!(world.beside(), ["usage.json", "usage.json.lock"]);
}

/// Nobody is refused for it, and it begins by itself when it can.
#[tokio::test]
async fn a_file_that_cannot_be_written_is_a_warning_until_it_can() {
    let world = keeping("[usage]\nfile = \"later/usage.json\"\nevery = \"20ms\"\n", None).await;
    let warned = |line: &Value| {
        let told = "the use of keys is not written down, a restart would forget it: the file cannot be written: ";
        line["level"] == "WARN" && line["message"].as_str().is_some_and(|message| message.starts_with(told))
    };
    let line = world.gateway.logged(warned).await;
    assert!(line["message"].as_str().unwrap().ends_with(": its directory must be there"), "{line}");
    assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
    assert!(world.unwritten().await);
    fs::create_dir(world.file("later")).unwrap();
    world.gateway.logged(|line| line["message"] == "the use of keys is written down again").await;
    until(async || (!world.unwritten().await).then_some(())).await;
    let page: Value = serde_json::from_str(&fs::read_to_string(world.file("later/usage.json")).unwrap()).unwrap();
    assert!(page["keys"].as_array().unwrap().iter().any(|key| key["used"]["times"] == 1));
    assert_eq!(world.gateway.log().iter().filter(|line| warned(line)).count(), 1, "once");
}

/// Each needs a file of its own; the second has it when the first has gone, with what that knew.
#[tokio::test]
async fn a_file_has_one_keeper() {
    let mut world = keeping(AT_ONCE, None).await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.models(&key).await, 200);
    world.until_written(1).await;
    let usage = AT_ONCE.replace("usage.json", world.file("usage.json").to_str().unwrap());
    let door = azure_emulator::Door::Behind;
    let directory = files(&world.emulator, &(settings(&world.emulator, door) + &usage), &keys(&world.emulator));
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let second = Gateway::start(directory, &arguments, &[]).await;
    let told = "the use of keys is not written down, a restart would forget it: the file is another keyswap's: each needs one of its own";
    second.logged(|line| line["message"] == told).await;
    let mut first = std::mem::replace(&mut world.gateway, second);
    assert_eq!(world.models(&key).await, 200);
    assert!(world.unwritten().await);

    first.signal("TERM");
    first.ended().await;
    world.gateway.logged(|line| line["message"] == "the use of keys is written down again").await;
    assert_eq!(world.use_of("chat").await["used"], tally(2));
    let text = fs::read_to_string(first.directory.path().join("usage.json")).unwrap();
    assert!(text.contains("\"times\": 2"), "{text}");
    assert_eq!(world.usage_page().await["cut_short"], Value::Null);
}

const IN_PLACE_OF_KEYS: &str =
    "keys.toml: lies where keys.toml is read from: name another file for usage.file, which can be written to\n";

const IN_PLACE_OF_SETTINGS: &str =
    "keyswap.toml:8:8: usage.file: is the file of these settings: name one of its own, which keyswap makes\n";

/// By whatever name.
#[test]
fn a_file_that_is_something_else_is_refused() {
    let world = |usage: &str| {
        let settings = "keys = \"keys.toml\"\n[identities.m]\nkind = \"managed-identity\"\n[resources.r]\n\
                        endpoint = \"https://contoso.openai.azure.com\"\nidentity = \"m\"\n[usage]\n";
        crate::gateway::directory(&[("keyswap.toml", &format!("{settings}{usage}\n")), ("keys.toml", "")])
    };
    for (usage, told) in [
        ("file = \"keys.toml\"", IN_PLACE_OF_KEYS),
        ("file = \"./keys.toml\"", &format!("./{IN_PLACE_OF_KEYS}")),
        ("file = \"link\"", &IN_PLACE_OF_KEYS.replacen("keys.toml", "link", 1)),
        ("file = \"keyswap.toml\"", IN_PLACE_OF_SETTINGS),
        ("file = \"./keyswap.toml\"", IN_PLACE_OF_SETTINGS),
        ("file = \"../DIRECTORY/keyswap.toml\"", IN_PLACE_OF_SETTINGS),
        (
            "file = \"tls/usage.json\"\n[listen]\nhttps = \"127.0.0.1:0\"\n[tls]\ndirectory = \"./tls\"",
            "tls/usage.json: lies where ./tls is read from: name another file for usage.file, which can be written to\n",
        ),
        ("every = \"0s\"", "keyswap.toml:8:9: usage.every: must be longer than nothing: it cannot be switched off\n"),
        ("files = 1", "keyswap.toml:8:1: usage.files: unknown key; known here: every, file\n"),
    ] {
        let directory = world("");
        let name = directory.path().file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(directory.path().join("keyswap.toml")).unwrap();
        let text = format!("{}{}\n", text.trim_end_matches('\n'), format!("\n{usage}").replace("DIRECTORY", name));
        fs::write(directory.path().join("keyswap.toml"), text).unwrap();
        fs::create_dir(directory.path().join("tls")).unwrap();
        std::os::unix::fs::symlink("keys.toml", directory.path().join("link")).unwrap();
        let (code, _, error) = crate::gateway::run(directory.path(), &["check"], &[]);
        assert_eq!((code, error.as_str()), (Some(2), told));
    }
}
