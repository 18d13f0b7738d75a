//! Keys that end: what their operator is told of it, and what their client may be.

use std::time::{Duration, SystemTime};

use keyswap::keyring::written;
use keyswap::keys::Digest;
use serde_json::Value;

use crate::client::Answer;
use crate::gateway::run;
use crate::upstream::Upstream;
use crate::websocket::{REALTIME, Talk};
use crate::world::{Plan, World};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys of our own, by their ids.
fn key(id: &str) -> String {
    Digest::of(id.as_bytes()).to_string()
}

/// A key, and what else is written of it.
fn entry(id: &str, more: &str) -> String {
    format!("{{ id = \"{id}\", sha256 = \"{}\"{more} }}", Digest::of(key(id).as_bytes()))
}

/// The same with its end.
fn ending(id: &str, at: SystemTime) -> String {
    entry(id, &format!(", expires = {}", written(at)))
}

/// A client with these keys, and what else is written of it.
fn client(name: &str, keys: &[String], more: &str) -> String {
    let grants = "grants = [{ resource = \"ai\", allow = [\"openai\"] }]";
    format!("[clients.{name}]\n{more}keys = [{}]\n{grants}\n", keys.join(", "))
}

fn keyed(keys: String) -> Plan {
    Plan { keys: Box::new(move |_, _| keys), ..Plan::default() }
}

fn from_now(time: Duration) -> SystemTime {
    SystemTime::now() + time
}

fn ago(time: Duration) -> SystemTime {
    SystemTime::now() - time
}

async fn asked(world: &World, id: &str) -> Answer {
    world.get(MODELS).key(&key(id)).send().await
}

/// What was told of a key's end: how many days were left, if it had not ended.
fn told_of(world: &World, id: &str) -> Vec<Option<u64>> {
    let log = world.gateway.log();
    let lines = log.iter().filter(|line| line["key"] == id && line["level"] == "WARN");
    lines.map(|line| line["days_left"].as_u64()).collect()
}

/// The metrics that are named for keys, without their comments.
async fn of_keys(world: &World) -> Vec<String> {
    let (_, page) = world.admin("/metrics").await;
    let samples = page.lines().filter(|line| line.starts_with("keyswap_key_"));
    samples.map(|line| line.strip_prefix("keyswap_key_").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_end_is_told_before_it_comes_with_what_helps_and_an_end_that_has_come_too() {
    let (soon, late) = (from_now(DAY * 3), from_now(DAY * 40));
    let keys = [
        client("alone", &[ending("alone-1", soon)], ""),
        client("changing", &[ending("changing-1", soon), entry("changing-2", "")], ""),
        client("both", &[ending("both-1", soon), ending("both-2", soon)], ""),
        client("ended", &[ending("ended-1", ago(DAY / 2)), ending("ended-0", ago(DAY * 2))], ""),
        client("later", &[ending("later-1", late)], ""),
        client("revoked", &[entry("revoked-1", &format!(", expires = {}, revoked = true", written(soon)))], ""),
    ];
    let world = keyed(keys.concat()).start().await;
    for (id, message, days_left, cure) in [
        ("alone-1", "a key ends soon", Some(2), "keyswap keys rotate alone"),
        ("changing-1", "a key ends soon", Some(2), "changing must change over to its key changing-2"),
        ("both-1", "a key ends soon", Some(2), "keyswap keys revoke both-2, then keyswap keys rotate both"),
        ("both-2", "a key ends soon", Some(2), "keyswap keys revoke both-1, then keyswap keys rotate both"),
        ("ended-1", "a key has ended: requests with it are refused", None, "keyswap keys new --client ended"),
    ] {
        let line = world.gateway.logged(|line| line["key"] == id).await;
        assert_eq!((&line["message"], &line["level"]), (&message.into(), &"WARN".into()));
        assert_eq!((line["days_left"].as_u64(), &line["cure"]), (days_left, &cure.into()), "{line}");
        assert_eq!(line["client"], id.split_once('-').unwrap().0);
    }
    for silent in ["ended-0", "changing-2", "later-1", "revoked-1"] {
        assert_eq!(told_of(&world, silent), [], "{silent}");
    }

    // All that, and what has ended long ago, is what a check says.
    let (code, told, _) = run(world.gateway.directory.path(), &["check"], &[]);
    assert_eq!(code, Some(0));
    let notes: Vec<_> = told.lines().filter(|line| line.starts_with("  note: its key ")).collect();
    let at = written(soon);
    assert_eq!(notes.len(), 6, "{told}");
    assert_eq!(notes[0], format!("  note: its key alone-1 ends in 2 days, at {at}: keyswap keys rotate alone"));
    let ended = format!("  note: its key ended-0 has ended, at {}: ", written(ago(DAY * 2)));
    assert!(notes.iter().any(|note| note.starts_with(&ended[..ended.len() - 6])), "{told}");

    // A change of settings repeats none of it, and tells of what is new.
    world.write("keys.toml", &keys.concat().replace(&written(late), &written(from_now(DAY * 9))));
    world.generation(2).await;
    let line = world.gateway.logged(|line| line["key"] == "later-1").await;
    assert_eq!(line["days_left"], 8);
    world.write("keys.toml", &keys.concat().replace("later-1", "later-2"));
    world.change("keyswap.toml", |text| format!("key_notice_days = 60\n{text}"));
    let line = world.gateway.logged(|line| line["key"] == "later-2").await;
    assert_eq!(line["days_left"], 39);
    assert_eq!(told_of(&world, "alone-1"), [Some(2)]);
    assert_eq!(told_of(&world, "ended-1"), [None]);
}

#[tokio::test]
async fn an_end_that_comes_while_it_runs_is_told_when_it_comes() {
    // An end is written in whole seconds, and may come before a busy machine has begun: then once more, later.
    for seconds in [4, 8, 16, 32] {
        let ends = from_now(Duration::from_secs(seconds)) - Duration::from_secs(1);
        let world = keyed(client("a", &[ending("a-1", ends)], "")).start().await;
        let first = asked(&world, "a-1").await;
        let line = world.gateway.logged(|line| line["key"] == "a-1").await;
        if SystemTime::now() >= ends - Duration::from_secs(1) {
            continue;
        }
        assert_eq!((first.status.as_u16(), line["days_left"].as_u64()), (200, Some(0)));
        let ended = world.gateway.logged(|line| line["key"] == "a-1" && line["days_left"].is_null()).await;
        assert_eq!(ended["message"], "a key has ended: requests with it are refused");
        assert!(SystemTime::now() >= ends - Duration::from_secs(1));
        assert_eq!(asked(&world, "a-1").await.reason(), "unknown-key");
        assert_eq!(told_of(&world, "a-1"), [Some(0), None]);
        return;
    }
    panic!("each end came before there was anything to end");
}

#[tokio::test]
async fn metrics_have_the_ends_of_keys_and_who_still_brings_one_that_is_not_good() {
    let (late, past) = (from_now(DAY * 400), ago(DAY * 2));
    let keys = [
        client("a", &[ending("a-1", late), entry("a-2", "")], ""),
        client("b", &[ending("b-1", past)], ""),
        client("c", &[entry("c-1", &format!(", expires = {}, revoked = true", written(late)))], ""),
    ];
    let world = keyed(keys.concat()).start().await;
    let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let expected = |b: u64, c: u64| {
        vec![
            format!("expires_timestamp_seconds{{client=\"a\",key=\"a-1\"}} {}.0", since(late)),
            format!("expires_timestamp_seconds{{client=\"b\",key=\"b-1\"}} {}.0", since(past)),
            "refusals_total{client=\"a\",key=\"a-1\"} 0".to_owned(),
            format!("refusals_total{{client=\"b\",key=\"b-1\"}} {b}"),
            format!("refusals_total{{client=\"c\",key=\"c-1\"}} {c}"),
        ]
    };
    assert_eq!(of_keys(&world).await, expected(0, 0));
    for (id, status) in [("a-1", 200), ("a-2", 200), ("b-1", 401), ("b-1", 401), ("c-1", 401), ("nobody's", 401)] {
        assert_eq!(asked(&world, id).await.status, status, "{id}");
    }
    assert_eq!(of_keys(&world).await, expected(2, 1));
    // Another generation goes on counting; a key that is gone is gone.
    world.write("keys.toml", &keys[..2].concat());
    world.generation(2).await;
    assert_eq!(asked(&world, "b-1").await.status, 401);
    assert_eq!(of_keys(&world).await, expected(3, 0)[..4]);
}

/// Only answers of Azure's to this client say it; refusals are what they always were.
#[tokio::test]
async fn a_client_is_told_of_the_end_of_its_key_if_it_wants_to_be() {
    // 2100-01-31, a Sunday; two weeks before is the 17th.
    let end = ", expires = 2100-01-31T12:00:00Z";
    let wants = "announce_expiry = true\n";
    let keys = [
        client("told", &[entry("told-1", end), entry("endless", "")], wants),
        client("untold", &[entry("untold-1", end)], ""),
        client("ended", &[ending("ended-1", ago(DAY))], wants),
    ];
    let world = keyed(keys.concat()).start().await;
    let announced =
        |answer: &Answer| [answer.header("deprecation").map(str::to_owned), answer.header("sunset").map(str::to_owned)];
    let (deprecation, sunset) = ("@4103870400", "Sun, 31 Jan 2100 12:00:00 GMT");
    let both = [Some(deprecation.to_owned()), Some(sunset.to_owned())];
    let answer = asked(&world, "told-1").await;
    assert_eq!((answer.status.as_u16(), announced(&answer)), (200, both.clone()));
    let talk = Talk::open(&world, REALTIME, &[("api-key", &key("told-1"))]).await.unwrap();
    let said = |name: &str| talk.answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!([said("deprecation"), said("sunset")], both);
    for (id, status) in [("endless", 200), ("untold-1", 200), ("ended-1", 401), ("nobody's", 401)] {
        let answer = asked(&world, id).await;
        assert_eq!((answer.status.as_u16(), announced(&answer)), (status, [None, None]), "{id}");
    }
    let answer = world.get("/openai/nothing").key(&key("told-1")).send().await;
    assert_eq!((answer.reason(), announced(&answer)), ("no-family", [None, None]));
    // An older notice is a later deprecation.
    world.change("keyswap.toml", |text| format!("key_notice_days = 0\n{text}"));
    world.generation(2).await;
    let at_the_end = [Some("@4105080000".to_owned()), Some(sunset.to_owned())];
    assert_eq!(announced(&asked(&world, "told-1").await), at_the_end);
}

/// What Azure itself says of an end is about something else, and stays as it is.
#[tokio::test]
async fn an_end_that_azure_tells_of_is_the_only_one_that_is_told() {
    for own in ["sunset: Sat, 01 Jan 2028 00:00:00 GMT", "deprecation: @1798761600"] {
        let said = format!("HTTP/1.1 200 OK\r\n{own}\r\ncontent-length: 2\r\n\r\n{{}}");
        let upstream = Upstream::answering(said.as_bytes()).await;
        let keys = client("told", &[entry("told-1", ", expires = 2100-01-31T12:00:00Z")], "announce_expiry = true\n");
        let world = Plan { keys: Box::new(move |_, _| keys), ..upstream.plan() }.start().await;
        let answer = asked(&world, "told-1").await;
        let heard = ["deprecation", "sunset"].map(|name| Some((name, answer.header(name)?)));
        let heard: Vec<_> = heard.into_iter().flatten().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(heard, [own]);
    }
}

#[tokio::test]
async fn two_keys_of_one_id_are_a_mistake() {
    let world = keyed(client("a", &[entry("a-1", "")], "")).start().await;
    let other = client("b", &[entry("b-1", "").replace("\"b-1\"", "\"a-1\"")], "");
    world.change("keys.toml", |text| text + &other);
    let refused = |line: &Value| line["message"] == "new settings are refused, those before stay in effect";
    let told =
        "keys.toml:5:16: clients.b.keys[0].id: is the id of a key of client a already: give each key one of its own";
    assert_eq!(world.gateway.logged(refused).await["mistake"], told);
    assert_eq!(asked(&world, "a-1").await.status, 200);
}
