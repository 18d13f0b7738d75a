//! What a client brings, and what it is told: Azure's own bytes, where Azure has some.

use azure_emulator::{Emulator, Plane};
use http::Method;
use serde_json::{Value, json};

use super::answer::{Expected, Ours};
use super::row::{Ask, Row, Wire, hold};
use crate::world::{Plan, SEARCH, World, client};

/// A key that was good once.
const REVOKED: &str = "a-key-that-was-good-once";

/// A token of somebody's own.
const TOKEN: &str = "Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln";

const V1: &str = "/openai/v1/chat/completions";
const QUERY: &str = "/indexes/hotels/docs?api-version=2024-07-01&search=*";

/// The usual world, and a client whose keys have expired.
fn plan() -> Plan {
    let keys = |text: String, _: &Emulator| {
        let grants = "{ resource = \"ai\" }, { resource = \"search\" }";
        let revoked = client("revoked", REVOKED, grants);
        text + &revoked.replace(" }]\ngrants", ", expires = 2020-01-01T00:00:00Z }]\ngrants")
    };
    Plan { keys: Box::new(keys), ..Plan::default() }
}

#[tokio::test]
async fn a_key_that_is_not_good_gets_azures_bytes() {
    let world = plan().start().await;
    let keys = world.emulator.keys();
    let (chat, search) = (Ask::chat, Ask::search);
    let bearer = format!("Bearer {}", keys.openai);
    let upload =
        || Ask::new(Plane::Search, Method::POST, "/indexes/hotels/docs/index?api-version=2024-07-01", json!({}));
    let indexes = || Ask::new(Plane::Search, Method::GET, "/indexes?api-version=2024-07-01", Value::Null);
    let rows = [
        ("AOAI unknown key", chat().key("wrong"), "unknown-key"),
        ("AOAI revoked key", chat().key(REVOKED), "unknown-key"),
        ("AOAI no credential", chat(), "no-credential"),
        ("AOAI no credential: an empty key", chat().key(""), "no-credential"),
        (
            "AOAI both, and they differ: api-key decides",
            chat().key("wrong").header("authorization", &bearer),
            "unknown-key",
        ),
        ("AOAI a key of the other plane", chat().key(&keys.search_admin), "no-resource"),
        ("AIS unknown key", search().key("wrong"), "unknown-key"),
        ("AIS revoked key", search().key(REVOKED), "unknown-key"),
        ("AIS query key on an admin operation: documents", upload().key(&keys.search_query), "family-not-granted"),
        ("AIS query key on an admin operation: indexes", indexes().key(&keys.search_query), "family-not-granted"),
        ("AIS no credential", search(), "no-credential"),
        ("AIS a key of the other plane", search().key(&keys.openai), "no-resource"),
    ];
    let row = |(condition, ask, reason)| Row { condition, ask, azure: None, answer: Expected::WrongKey(reason) };
    hold(&world, rows.map(row)).await;
    assert_eq!(world.arrived().len(), 0);
}

/// The emulator's other door still takes keys: what it says to a wrong one is what we say.
#[tokio::test]
async fn the_bytes_are_those_that_azure_has() {
    let world = World::start().await;
    for (ask, door) in [
        (Ask::chat(), world.emulator.openai(azure_emulator::Door::KeysEnabled)),
        (Ask::search(), world.emulator.search(azure_emulator::Door::KeysEnabled)),
    ] {
        let ask = ask.key("wrong");
        let (ours, azures) = (ask.send(&world, Wire::Http1).await, ask.to(&world, &door).await);
        assert_eq!((ours.status, &ours.phrase, &ours.body), (azures.status, &azures.phrase, &azures.body));
        assert_eq!(ours.header("content-type"), azures.header("content-type"));
    }
    let answer = Ask::search().key("wrong").header("x-ms-client-request-id", "my-id").send(&world, Wire::Http1).await;
    assert_eq!(answer.header("request-id"), Some("my-id"), "Search gives the client's id back");
}

#[tokio::test]
async fn what_azure_has_no_bytes_for_is_refused_in_words() {
    let world = plan().start().await;
    let keys = world.emulator.keys();
    let in_url = "/indexes/hotels/docs?api-version=2024-07-01&search=*&api-key=ADMIN-KEY";
    let own = "This gateway takes api-keys, and the request brought a Microsoft Entra token. Configure the client with a \
               key, or let it call Azure directly.";
    let odd = "keyswap does not forward this request: its path is percent-encoded more than once.";
    let odd_path = |plane, target| Ask::new(plane, Method::POST, target, json!({}));
    let bad_request = |text| Ours::never("400 Bad Request", "ambiguous", "BadRequest", text);
    let rows = [
        (
            "AOAI client sends its own Entra JWT as Bearer",
            Ask::chat().header("authorization", TOKEN),
            Ours::never("401 Unauthorized", "client-token", "401", own),
        ),
        (
            "the same on AIS",
            Ask::search().header("authorization", TOKEN),
            Ours::never("403 Forbidden", "client-token", "", own),
        ),
        (
            "AIS admin key in the URL",
            Ask::new(Plane::Search, Method::GET, in_url, Value::Null).holding("ADMIN-KEY", &keys.search_admin),
            Ours::never(
                "403 Forbidden",
                "admin-key-in-url",
                "",
                "The given API key is not permitted in the URI query string.",
            ),
        ),
        ("below a root of AOAI", odd_path(Plane::OpenAi, "/openai/%2569").key(&keys.openai), bad_request(odd)),
        ("below a root of AIS", odd_path(Plane::Search, "/indexes/%2569").key(&keys.search_admin), bad_request(odd)),
        ("the same behind a name", odd_path(Plane::Search, "/x/%49ndexes('h')/%2569"), bad_request(odd)),
    ];
    let row = |(condition, ask, ours)| Row { condition, ask, azure: None, answer: Expected::Ours(ours) };
    hold(&world, rows.map(row)).await;
    assert_eq!(world.arrived().len(), 0);
}

/// What is good is served, on either port, and one credential goes on: ours.
#[tokio::test]
async fn a_good_key_is_swapped_wherever_it_stands() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let bearer = format!("Bearer {}", keys.openai);
    let v1 = Ask::new(Plane::OpenAi, Method::POST, V1, json!({"model": "gpt-4o", "messages": []}));
    let in_url = "/indexes/hotels/docs?api-version=2024-07-01&api-key=QUERY-KEY&search=*";
    let in_url = Ask::new(Plane::Search, Method::GET, in_url, Value::Null).holding("QUERY-KEY", &keys.search_query);
    for (condition, ask, target) in [
        ("AOAI known key", Ask::chat().key(&keys.openai), None),
        ("AOAI Bearer, legacy path", Ask::chat().header("authorization", &bearer), None),
        ("AOAI Bearer, v1", v1.header("authorization", &bearer), None),
        ("AOAI both, the same", Ask::chat().key(&keys.openai).header("authorization", &bearer), None),
        ("AOAI both, one known", Ask::chat().key(&keys.openai).header("authorization", "Bearer wrong"), None),
        ("AIS known key", Ask::search().key(&keys.search_query), Some(SEARCH)),
        ("AIS query key in the URL", in_url, Some(QUERY)),
    ] {
        for wire in [Wire::Http1, Wire::Http2] {
            let answer = ask.send(&world, wire).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-keyswap-reason")), (200, None), "{condition}");
            let arrived = world.arrived().pop().unwrap();
            let credentials =
                arrived.headers.iter().filter(|(name, _)| name.contains("key") || name == "authorization");
            let [(name, token)] = &*credentials.collect::<Vec<_>>() else { panic!("{condition}: {arrived:#?}") };
            assert!(name == "authorization" && token.starts_with("Bearer eyJ") && *token != bearer, "{condition}");
            assert!(arrived.principal.is_some(), "{condition}: {arrived:#?}");
            assert!(target.is_none_or(|target| arrived.target == target), "{condition}: {arrived:#?}");
        }
    }
}
