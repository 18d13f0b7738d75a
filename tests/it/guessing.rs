//! Somebody tries keys: counted, told of, and slowed, while nobody else is.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::client::{exchange, request_text};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::gateway::LIMIT;
use crate::world::{Plan, World, client};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

const GUESSER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A world of one worker with this in `[guessing]`.
async fn world(guessing: &'static str) -> World {
    let settings = move |text: String, _: &_| {
        let text = text.replace("workers = 2", "workers = 1").replace("[guessing]\nfree = 1000000\n", guessing);
        text.replace("[listen]\n", "[listen]\ntrusted_proxies = [\"127.0.0.9\"]\n")
    };
    Plan { settings: Box::new(settings), ..Plan::default() }.start().await
}

/// A request with this key, in a task of its own.
fn asking(world: &World, source: Ipv4Addr, headers: &[(&str, &str)]) -> JoinHandle<String> {
    let request = request_text("GET", MODELS, headers);
    let to = world.gateway.http;
    tokio::spawn(async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        let stream: TcpStream = socket.connect(to).await.unwrap();
        exchange(stream, &request).await
    })
}

async fn guess(world: &World, source: Ipv4Addr) {
    let answer = asking(world, source, &[("api-key", "wrong")]).await.unwrap();
    assert!(answer.ends_with(OPENAI_WRONG_KEY), "{answer}");
}

/// The warnings of guesses so far.
fn warnings(world: &World) -> Vec<Value> {
    world.gateway.log().into_iter().filter(is_warning).collect()
}

fn is_warning(line: &Value) -> bool {
    line["message"] == "unknown keys: somebody may be guessing"
}

async fn metric(world: &World, name: &str) -> String {
    let (_, page) = world.admin("/metrics").await;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("keyswap_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
}

/// Waits until so many refusals are held.
async fn held(world: &World, number: &str) {
    let so_many = async { while metric(world, "refusals_held").await != number {} };
    tokio::time::timeout(LIMIT, so_many).await.unwrap_or_else(|_| panic!("never were {number} refusals held"));
}

/// The refusal of one guess too many waits. What comes later does not: a good key of the same source, on the same and only
/// worker, and a wrong one of another source.
#[tokio::test]
async fn a_guesser_waits_and_nobody_else_does() {
    let world = world("[guessing]\nfree = 2\ndelay = \"60s\"\n").await;
    let key = world.emulator.keys().openai;
    for _ in 0..2 {
        guess(&world, GUESSER).await;
    }
    let late = asking(&world, GUESSER, &[("api-key", "wrong")]);
    let warning = world.gateway.logged(is_warning).await;
    assert_eq!(warning["level"], "WARN");
    assert_eq!((&warning["from"], &warning["in_last_minute"]), (&"127.0.0.2".into(), &3.into()));
    for _ in 0..3 {
        let answer = asking(&world, GUESSER, &[("api-key", &key)]).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        // No guess: no key at all, and two in one place.
        let answer = asking(&world, GUESSER, &[]).await.unwrap();
        assert!(answer.ends_with(OPENAI_WRONG_KEY), "{answer}");
        let answer = asking(&world, GUESSER, &[("api-key", "one, other")]).await.unwrap();
        assert!(answer.ends_with(OPENAI_WRONG_KEY), "{answer}");
    }
    for _ in 0..2 {
        guess(&world, NEIGHBOUR).await;
    }
    assert!(!late.is_finished(), "it did not wait");
    held(&world, "1").await;
    assert_eq!(metric(&world, "refusals_delayed_total").await, "1");
    assert_eq!(metric(&world, "unknown_keys_total").await, "5");
    // Whoever goes is held no longer.
    late.abort();
    world.gateway.told(|line| line["outcome"] == "client-gone" && line["from"].is_string()).await;
    held(&world, "0").await;
}

/// How long a refusal takes tells nobody whether a key was ever listed: one that is not good now counts and waits as one
/// that nobody knows.
#[tokio::test]
async fn a_key_that_was_good_once_waits_as_any_other() {
    let marks = ["revoked = true", "expires = 2020-01-01T00:00:00Z", "not_before = 2100-01-01T00:00:00Z"];
    let plan = Plan {
        settings: Box::new(|text, _| {
            text.replace("[guessing]\nfree = 1000000\n", "[guessing]\nfree = 3\ndelay = \"60s\"\n")
        }),
        keys: Box::new(move |text, _| {
            let client = |n: usize| {
                let listed = client(&format!("c{n}"), &format!("once-good-{n}"), "{ resource = \"ai\" }");
                listed.replace(" }]\ngrants", &format!(", {} }}]\ngrants", marks[n]))
            };
            (0..marks.len()).fold(text, |text, n| text + &client(n))
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    for n in 0..marks.len() {
        let answer = asking(&world, GUESSER, &[("api-key", &format!("once-good-{n}"))]).await.unwrap();
        assert!(answer.ends_with(OPENAI_WRONG_KEY), "{answer}");
    }
    let told = world.gateway.all_told(marks.len()).await;
    let why: Vec<_> = told.iter().map(|line| line["why"].as_str().unwrap().to_owned()).collect();
    assert!(why.iter().all(|why| why.starts_with("the key c")), "{why:?}");
    let keys = ["unknown", "once-good-0", "once-good-1", "once-good-2"];
    let late = keys.map(|key| asking(&world, GUESSER, &[("api-key", key)]));
    held(&world, "4").await;
    assert!(late.iter().all(|late| !late.is_finished()), "one did not wait");
    late.iter().for_each(JoinHandle::abort);
}

/// It does come, in Azure's own bytes.
#[tokio::test]
async fn a_refusal_that_waited_is_as_any_other() {
    let world = world("[guessing]\nfree = 0\ndelay = \"500ms\"\n").await;
    let answer = asking(&world, GUESSER, &[("api-key", "wrong")]).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
    assert!(answer.ends_with(OPENAI_WRONG_KEY), "{answer}");
    assert_eq!(metric(&world, "refusals_delayed_total").await, "1");
    assert_eq!(metric(&world, "refusals_held").await, "0");
    let line = world.gateway.told(|line| line["reason"] == "unknown-key").await;
    assert!(line["duration_ms"].as_f64().unwrap() >= 500.0, "{line}");
}

#[tokio::test]
async fn no_more_refusals_wait_than_there_is_room_for() {
    let world = world("[guessing]\nfree = 0\ndelay = \"60s\"\nheld = 1\n").await;
    let late = asking(&world, GUESSER, &[("api-key", "wrong")]);
    world.gateway.logged(is_warning).await;
    held(&world, "1").await;
    for source in [GUESSER, NEIGHBOUR] {
        guess(&world, source).await;
    }
    assert!(!late.is_finished(), "it did not wait");
    assert_eq!(metric(&world, "refusals_delayed_total").await, "1");
}

/// However many keys somebody tries, there are few lines, and they say how many.
#[tokio::test]
async fn guesses_are_told_at_a_bounded_rate_by_their_source() {
    let world = world("[guessing]\nfree = 3\nheld = 0\n").await;
    for _ in 0..3 {
        guess(&world, NEIGHBOUR).await;
    }
    for _ in 0..40 {
        guess(&world, GUESSER).await;
    }
    let proxied = "2001:db8:0:1::1";
    for n in 0..5 {
        // From all over one network.
        let from = if n % 2 == 0 { proxied } else { "2001:db8:0:1:ffff::2" };
        let headers = [("api-key", "wrong"), ("x-forwarded-for", from)];
        asking(&world, Ipv4Addr::new(127, 0, 0, 9), &headers).await.unwrap();
    }
    world
        .gateway
        .logged(|line| is_warning(line) && line["from"] == "2001:db8:0:1::/64" && line["in_last_minute"] == 5)
        .await;
    let of = |from: &str| -> Vec<_> {
        warnings(&world).iter().filter(|line| line["from"] == from).map(|line| line["in_last_minute"].clone()).collect()
    };
    assert_eq!(of("127.0.0.3"), Vec::<Value>::new());
    assert_eq!(of("127.0.0.2"), [4, 5, 7, 11, 19, 35]);
    assert_eq!(of("2001:db8:0:1::/64"), [4, 5]);
    assert_eq!(metric(&world, "unknown_keys_total").await, "48");
    assert_eq!(metric(&world, "refusals_delayed_total").await, "0");
}
