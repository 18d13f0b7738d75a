//! Realtime: who may open a websocket, and by what. What is said over it the SDKs test.

use azure_emulator::Door;

use crate::bench::{Ask, Bench};

const V1: &str = "/openai/v1/realtime?model=gpt-4o-realtime-preview";
const LEGACY: &str = "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview";

/// The key and the answer of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn opening<'a>(bench: &'a Bench, door: Door, target: &str) -> Ask<'a> {
    let ask = bench.ask("GET", &bench.emulator.openai(door), target);
    ask.header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
}

#[tokio::test]
async fn a_token_opens_a_websocket_on_both_paths() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    for target in [V1, LEGACY] {
        let offered = "openai-beta.realtime-v1, realtime";
        let ask = opening(&bench, Door::Behind, target).bearer(&token).header("sec-websocket-protocol", offered);
        let (reply, held) = ask.send_and_keep().await;
        assert_eq!(reply.status, 101, "{reply:?}");
        assert_eq!(reply.header("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(reply.header("sec-websocket-protocol"), Some("realtime"));
        held.ended().await;
        let entry = bench.entry(|entry| entry.target == target && entry.ended).await;
        assert_eq!((entry.operation, entry.subject.as_deref()), (Some("realtime"), Some("gpt-4o-realtime-preview")));
        assert!(!entry.websocket.expect("a websocket").open);
        assert_eq!(entry.violation, None);
    }
}

#[tokio::test]
async fn keys_open_one_where_they_are_enabled_and_nowhere_else() {
    let bench = Bench::start().await;
    let key = bench.emulator.keys().openai;
    let protocols = format!("realtime, openai-insecure-api-key.{key}");
    let (in_query, bearer) = (format!("{LEGACY}&api-key={key}"), format!("Bearer {key}"));
    for (target, name, value) in [
        (LEGACY, "api-key", key.as_str()),
        (V1, "authorization", &bearer),
        (&in_query, "sec-websocket-protocol", "realtime"),
        (V1, "sec-websocket-protocol", &protocols),
    ] {
        for (door, status) in
            [(Door::KeysEnabled, 101), (Door::Behind, if name == "authorization" { 401 } else { 403 })]
        {
            let reply = opening(&bench, door, target).header(name, value).send().await;
            assert_eq!(reply.status, status, "{door:?}: {target} {name}: {reply:?}");
            assert_ne!(reply.header("sec-websocket-protocol"), Some(protocols.as_str()));
        }
    }
    assert_eq!(bench.emulator.journal().violations().len(), 4);
}

#[tokio::test]
async fn what_opens_nothing_is_refused() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let refused = |target: &str| opening(&bench, Door::Behind, target).bearer(&token).send();
    assert_eq!(refused(&V1.replace("gpt-4o-realtime-preview", "nobody")).await.status, 404);
    assert_eq!(refused(&V1.replace("gpt-4o-realtime-preview", "gpt-4o")).await.status, 400);
    assert_eq!(refused("/openai/realtime?deployment=gpt-4o-realtime-preview").await.status, 404);
    let plain = bench.openai("GET", V1).bearer(&token).send().await;
    assert_eq!((plain.status.as_u16(), plain.header("upgrade")), (400, None));
}
