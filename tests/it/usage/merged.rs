//! `keyswap keys list --from`: what several replicas know together, and what is not proven where one is not heard.

use std::fs;

use serde_json::{Value, json};

use super::{AT_ONCE, tally, until};
use crate::gateway::{Gateway, run};
use crate::namespace::was_run_inside;
use crate::world::{Plan, World, files, keys, settings};

/// A second replica of a world's gateway: the same files but for these settings.
async fn replica(world: &World, edit: impl FnOnce(String) -> String) -> Gateway {
    let text = edit(settings(&world.emulator, azure_emulator::Door::Behind));
    let directory = files(&world.emulator, &text, &keys(&world.emulator));
    Gateway::start(directory, &["--config".to_owned(), "keyswap.toml".to_owned()], &[]).await
}

/// `keyswap keys list` with these arguments: exit code, standard output, standard error.
fn list(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(world.gateway.directory.path(), &[&["keys", "list"], arguments].concat(), &[])
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The use of the key with this id.
fn use_of(list: &Value, id: &str) -> Value {
    list["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap()["use"].clone()
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn what_two_replicas_know_is_known_together() {
    let mut world = World::start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.models(&key).await, 200);
    let first = world.usage_page().await["since"].clone();
    // A later second, so that the one who knows less far back can be told.
    until(async || (super::now().as_str() > first.as_str().unwrap()).then_some(())).await;
    let second = replica(&world, |text| text).await;
    let (one, two) = (world.gateway.admin.to_string(), format!("http://{}/", second.admin));
    let first_gateway = std::mem::replace(&mut world.gateway, second);
    assert_eq!((world.models(&key).await, world.models(&key).await), (200, 200));
    let since = world.usage_page().await["since"].clone();
    assert_ne!(since, first);

    // One of them twice is still one.
    let (code, answer, told) = list(&world, &["--json", "--from", &one, "--from", &two, "--from", &one]);
    let merged = json_of(&answer);
    assert_eq!((code, &merged["complete"], &merged["unheard"]), (Some(0), &json!(true), &json!([])), "{told}");
    assert_eq!(merged["heard"].as_array().unwrap().len(), 2);
    let chat = use_of(&merged, "chat");
    assert_eq!((super::steady(&chat["used"]), &chat["never"]), (tally(3), &json!(false)));
    assert_eq!(chat["operations"]["seen"].as_array().unwrap().len(), 1);
    let query = use_of(&merged, "query");
    assert_eq!((&query["since"], &query["never"]), (&since, &json!(true)), "the latest beginning counts");

    let (code, table, told) = list(&world, &["--from", &one, "--from", &two]);
    assert_eq!(code, Some(0), "{told}");
    let since = since.as_str().unwrap();
    let row =
        |id: &str| table.lines().find(|line| line.starts_with(id)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row("query"), ["query", "query", "good", "never", "0", since, "-", "-", "-"]);
    let chat = row("chat");
    assert_eq!((chat[4], chat[5], chat[7..].join(" ").as_str()), ("3", since, "unnamed inference (read) on ai"));
    let heard = format!(
        "heard: {one}, which knows since {}\nheard: {}, which knows since {since}\n",
        first.as_str().unwrap(),
        world.gateway.admin
    );
    assert_eq!(told, heard);
    drop(first_gateway);
}

#[tokio::test]
async fn a_replica_that_is_not_heard_leaves_nothing_proven() {
    let world = World::start().await;
    let (here, dead) = (world.gateway.admin.to_string(), nobody());
    assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
    let (code, table, told) = list(&world, &["--from", &here, "--from", &dead]);
    assert_eq!(code, Some(1));
    assert!(table.contains("query   query  good   not seen "), "{table}");
    assert!(
        told.contains(&format!("\nnot heard: {dead} does not answer: Connection refused (os error 111)\n")),
        "{told}"
    );
    assert!(told.ends_with("so it is not proven of every key since when it was not used\n"), "{told}");
    let (code, answer, _) = list(&world, &["--json", "--from", &here, "--from", &dead]);
    let merged = json_of(&answer);
    assert_eq!((code, &merged["complete"], &merged["unheard"][0]["from"]), (Some(1), &json!(false), &json!(dead)));
    let query = use_of(&merged, "query");
    assert_eq!((&query["since"], &query["never"]), (&Value::Null, &json!(false)));
    // What was seen was seen.
    assert_eq!(super::steady(&use_of(&merged, "chat")["used"]), tally(1));
    // Nor is it where somebody is no keyswap, or none that may be asked.
    let other = world.gateway.http.to_string();
    let (code, _, told) = list(&world, &["--from", &other]);
    assert!(code == Some(1) && told.contains(&format!("not heard: {other} answers 404")), "{told}");
}

#[tokio::test]
async fn a_key_that_a_replica_does_not_know_is_not_proven_dead() {
    let world = World::start().await;
    let path = world.gateway.directory.path().join("other.toml");
    let text = keys(&world.emulator) + &crate::world::client("new", "a-key-that-is-quite-new", "{ resource = \"ai\" }");
    fs::write(&path, text).unwrap();
    let here = world.gateway.admin.to_string();
    let (code, table, told) = list(&world, &["--keys", "other.toml", "--from", &here]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains(&format!("key new of new is not known to {here}: other settings are in effect there\n")),
        "{told}"
    );
    assert!(table.contains("\nnew     new    good   not seen   0      unproven "), "{table}");
    assert!(table.contains("\nquery   query  good   never      0 "), "{table}");
}

#[tokio::test]
async fn a_file_says_what_it_knows_too() {
    let world = Plan { settings: Box::new(|text, _| text + AT_ONCE), ..Plan::default() }.start().await;
    assert_eq!(world.models(&world.emulator.keys().openai).await, 200);
    let here = world.gateway.admin.to_string();
    let read = |from: &[&str]| {
        let arguments: Vec<_> = from.iter().flat_map(|from| ["--from", from]).chain(["--json"]).collect();
        let (code, answer, told) = list(&world, &arguments);
        assert_eq!(code, Some(0), "{told}");
        use_of(&json_of(&answer), "chat")["used"]["times"].clone()
    };
    until(async || (read(&["usage.json"]) == 1).then_some(())).await;
    assert_eq!(read(&["usage.json", &here]), 1, "both are the same process");
    let (code, _, told) = list(&world, &["--from", "nothing.json"]);
    assert!(code == Some(1) && told.starts_with("not heard: nothing.json cannot be read: No such file"), "{told}");
    let (code, _, told) = list(&world, &["--from", "keys.toml"]);
    assert!(
        code == Some(1) && told.starts_with("not heard: keys.toml is no record of the use of keys, from line 1 on\n"),
        "{told}"
    );
}

/// As the name of a headless service has in Kubernetes.
#[tokio::test]
async fn a_name_with_several_addresses_means_all_of_them() {
    let hosts = "127.0.0.1 localhost\n127.0.0.1 replicas\n127.0.0.2 replicas\n127.0.0.3 replicas\n";
    if was_run_inside("usage::merged::a_name_with_several_addresses_means_all_of_them", hosts, "") {
        return;
    }
    let at = |address: &'static str| {
        move |text: String| {
            let admin = format!("[admin]\naddress = \"{address}:9090\"\nsecret_file = \"admin.secret\"\n");
            text.replace("[admin]\naddress = \"127.0.0.1:0\"\n", &admin).replace("admin.secret", "app.secret")
        }
    };
    let world = Plan { settings: Box::new(move |text, _| at("127.0.0.1")(text)), ..Plan::default() }.start().await;
    let _second = replica(&world, at("127.0.0.2")).await;
    let asked = ["--json", "--from", "http://replicas:9090", "--admin-secret-file", "app.secret"];
    let (code, answer, _) = list(&world, &asked);
    let merged = json_of(&answer);
    let of = |who: &str| {
        let mut from: Vec<_> =
            merged[who].as_array().unwrap().iter().map(|one| one["from"].as_str().unwrap()).collect();
        from.sort_unstable();
        from.join(" ")
    };
    assert_eq!(
        (code, of("heard").as_str(), of("unheard").as_str()),
        (Some(1), "127.0.0.1:9090 127.0.0.2:9090", "127.0.0.3:9090")
    );
    let _third = replica(&world, at("127.0.0.3")).await;
    let (code, answer, told) = list(&world, &asked);
    assert_eq!((code, &json_of(&answer)["complete"]), (Some(0), &json!(true)), "{told}");
    // Whoever may not ask is told so.
    let (code, _, told) = list(&world, &["--from", "localhost:9090"]);
    assert!(code == Some(1) && told.contains(":9090 does not let us ask: This page needs the secret"), "{told}");
}
