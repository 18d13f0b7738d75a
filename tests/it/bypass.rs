//! A key cannot do what it was not granted, however the request is dressed up: a table of tricks, run against the
//! lenient emulator, which makes every mistake that a server has ever been known for.
//!
//! The table can fail. Sent straight to the lenient door, each attempt is carried out; sent with a key that may, so is
//! each that can be read at all.

mod want;
mod attempts;
mod refused;
mod judge;
mod dressing;
mod properties;

use azure_emulator::{Door, Emulator, Entry, FixedTokens, Options};
use http::Method;
use serde_json::json;

use crate::client::{exchange, raw, request_text, secure};
use crate::world::{Plan, World, client};
use attempts::FAMILIES;
use want::{Attempt, KEYS, Want};

/// The token that Entra gives out for either plane, so that an attempt can be sent without keyswap, too.
const TOKEN: &str = "a-token-that-is-always-good";

/// The table, one after the other.
fn attempts() -> impl Iterator<Item = (String, &'static Attempt)> {
    FAMILIES.iter().flat_map(|(family, attempts)| {
        attempts.iter().map(move |attempt| (format!("{family}: {}", attempt.0), attempt))
    })
}

async fn world() -> World {
    let tokens = FixedTokens { openai: TOKEN.to_owned(), search: TOKEN.to_owned() };
    let plan = Plan {
        options: Options { fixed_tokens: Some(tokens), ..Options::default() },
        door: Door::Lenient,
        keys: Box::new(|_, _| KEYS.iter().map(|(name, grants)| client(name, &key(name), grants)).collect()),
        ..Plan::default()
    };
    plan.start().await
}

fn key(client: &str) -> String {
    format!("the-key-of-{client}")
}

/// The bytes of an attempt, with this header for its credential.
fn request((_, want, line, headers, _): &Attempt, credential: (&str, &str)) -> Vec<u8> {
    let (method, target) = line.split_once(' ').unwrap();
    let v1 = ["/openai/v1/", "/anthropic/v1/"].iter().any(|start| target.to_ascii_lowercase().starts_with(start));
    let mark = if target.contains('?') { '&' } else { '?' };
    let target = if v1 { target.to_owned() } else { format!("{target}{mark}api-version=2024-10-21") };
    let length = want.body.len().to_string();
    let mut all = vec![("content-type", "application/json"), ("content-length", length.as_str()), credential];
    all.extend(*headers);
    [request_text(method, &target, &all), want.body.as_bytes().to_vec()].concat()
}

/// What is wanted was done.
fn was_done(entry: &Entry, want: &Want) -> bool {
    let subject = entry.subject.as_deref().map(str::to_ascii_lowercase);
    entry.completed
        && entry.operation == Some(want.operation)
        && want.subject.is_none_or(|wanted| subject.as_deref() == Some(wanted))
}

/// The index that one key may not touch is there, whatever the attempt before did to it.
async fn define_secret(world: &World) {
    let target = "/indexes/secret?api-version=2024-07-01";
    let url = format!("{}{target}", world.emulator.search(Door::Direct));
    let fields = json!({"name": "secret", "fields": [{"name": "HotelId", "type": "Edm.String", "key": true}]});
    let call = world.client.call(Method::PUT, &url).header("authorization", &format!("Bearer {TOKEN}"));
    let answer = call.json(&fields).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

#[test]
fn the_table_is_long_enough_and_names_each_attempt_once() {
    let mut names: Vec<_> = attempts().map(|(name, _)| name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(all >= 80 && FAMILIES.len() >= 12, "{all} attempts in {} families", FAMILIES.len());
}

#[tokio::test]
async fn no_key_does_what_it_was_not_granted() {
    let world = world().await;
    for (name, attempt) in attempts() {
        let (_, want, target, _, refused) = attempt;
        let answer = raw(world.gateway.http, &request(attempt, ("api-key", &key(want.who)))).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!((status, body), (refused.answer(target).0, refused.answer(target).1.as_str()), "{name}");
    }
    // Not one of them was forwarded, let alone carried out; but where the body decides, and then it was never whole.
    let arrived =
        world.arrived().into_iter().filter(|entry| entry.body_whole || entry.target != "/openai/v1/completions");
    let arrived: Vec<_> = arrived.map(|entry| entry.target).collect();
    assert_eq!(arrived, Vec::<String>::new());
}

#[tokio::test]
async fn a_careless_server_would_carry_out_every_attempt() {
    let world = world().await;
    let address = |url: String| url.strip_prefix("https://").unwrap().parse().unwrap();
    let emulator: &Emulator = &world.emulator;
    let (openai, search) = (address(emulator.openai(Door::Lenient)), address(emulator.search(Door::Lenient)));
    for (name, attempt) in attempts() {
        define_secret(&world).await;
        let (_, want, ..) = attempt;
        let door = if ["query", "writer", "hotels"].contains(&want.who) { search } else { openai };
        let stream = secure(door, emulator.ca_pem(), b"http/1.1").await;
        let answer = exchange(stream, &request(attempt, ("authorization", &format!("Bearer {TOKEN}")))).await;
        let entry = world.arrived().pop().unwrap();
        assert!(was_done(&entry, want), "{name}: {answer}\n{entry:#?}");
    }
}

#[tokio::test]
async fn a_key_that_may_gets_through_with_all_that_can_be_read() {
    let world = world().await;
    let mut done = 0;
    for (name, attempt) in attempts() {
        let (_, want, _, _, refused) = attempt;
        if refused.is_readable() {
            define_secret(&world).await;
            let answer = raw(world.gateway.http, &request(attempt, ("api-key", &key("master")))).await;
            let entry = world.arrived().pop().unwrap();
            assert!(entry.door == Some(Door::Lenient) && was_done(&entry, want), "{name}: {answer}\n{entry:#?}");
            done += 1;
        }
    }
    assert!(done > 30, "{done}");
}
