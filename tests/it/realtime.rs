//! Realtime websockets as its clients use them: opened from every place of a key, refused in Azure's words and in ours,
//! and a talk over them.

use std::time::Duration;

use azure_emulator::{Fault, Plane};
use http::StatusCode;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::client::{Call, raw, request_text};
use crate::gateway::LIMIT;
use crate::websocket::{KEY, REALTIME, Talk, opening, plan};
use crate::world::{Plan, World, client};

/// The surface of the preview.
const LEGACY: &str = "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview";

/// A talk as every client has it; its last word is a close with a code of the client's own.
async fn talk(world: &World, target: &str, headers: &[(&str, &str)]) -> Talk {
    let mut talk = Talk::open(world, target, headers).await.unwrap_or_else(|error| panic!("{target}: {error}"));
    let v1 = target.contains("/v1/");
    assert_eq!(talk.hear().await["type"], "session.created");
    talk.say(&json!({"type": "session.update", "session": {"instructions": "be brief"}})).await;
    let updated = talk.hear().await;
    assert_eq!(
        (&updated["type"], &updated["session"]["instructions"]),
        (&json!("session.updated"), &json!("be brief"))
    );
    let content = json!([{"type": "input_text", "text": "Grüße"}]);
    talk.say(
        &json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}),
    )
    .await;
    talk.say(&json!({"type": "response.create"})).await;
    let mut said = String::new();
    loop {
        let event = talk.hear().await;
        match event["type"].as_str().unwrap() {
            "response.output_text.delta" if v1 => said.push_str(event["delta"].as_str().unwrap()),
            "response.text.delta" if !v1 => said.push_str(event["delta"].as_str().unwrap()),
            "response.done" => break,
            _ => {}
        }
    }
    assert_eq!(said, "You said “Grüße” to gpt-4o-realtime-preview. ✓ Zürich");
    talk.say(&json!({"type": "nonsense", "event_id": "e1"})).await;
    let error = talk.hear().await;
    assert_eq!((&error["type"], &error["error"]["event_id"]), (&json!("error"), &json!("e1")));
    talk
}

/// A client that can ask for a websocket and would not know what to do with one: it sees a refusal whole.
fn asking(world: &World, key: &str) -> Call {
    let asked = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
        ("api-key", key),
    ];
    asked.iter().fold(world.get(REALTIME), |call, (name, value)| call.header(name, value))
}

/// The places of `sdk-behaviour`, on both surfaces; upstream there is our token alone, and the subprotocols without a key.
#[tokio::test]
async fn every_place_of_a_key_opens_a_talk() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    let protocol = format!("openai-insecure-api-key.{key}");
    let (in_query, bearer) = (format!("{LEGACY}&api-key={key}"), format!("Bearer {key}"));
    let browser = format!("realtime, {protocol}, openai-beta.realtime-v1");
    for (target, headers, offered) in [
        (LEGACY, vec![("api-key", key.as_str())], None),
        (LEGACY, vec![("api-key", &key), ("authorization", &bearer)], None),
        (REALTIME, vec![("api-key", &key)], None),
        (REALTIME, vec![("authorization", &bearer)], None),
        (&in_query, vec![("sec-websocket-protocol", "realtime")], Some("realtime")),
        (REALTIME, vec![("sec-websocket-protocol", &browser)], Some("realtime, openai-beta.realtime-v1")),
        (
            REALTIME,
            vec![("sec-websocket-protocol", "realtime"), ("sec-websocket-protocol", &protocol)],
            Some("realtime"),
        ),
    ] {
        world.emulator.journal().clear();
        let mut talk = talk(&world, target, &headers).await;
        assert_eq!(talk.answer.status(), 101);
        assert!(talk.answer.headers().contains_key("x-keyswap-request-id"));
        assert!(talk.answer.headers().contains_key("apim-request-id"));
        let chosen = talk.answer.headers().get("sec-websocket-protocol").map(|chosen| chosen.to_str().unwrap());
        assert_eq!(chosen, offered.map(|_| "realtime"));

        let close = CloseFrame { code: 4000.into(), reason: "enough".into() };
        talk.socket.close(Some(close.clone())).await.unwrap();
        let Some(Ok(Message::Close(Some(answer)))) = talk.next().await else { panic!("no close") };
        assert_eq!(answer.code, close.code);
        assert!(talk.next().await.is_none());

        let entry =
            world.emulator.journal().wait_for(|entry| entry.door.is_some() && entry.ended, LIMIT).await.unwrap();
        assert_eq!(entry.target, target.replace(&format!("&api-key={key}"), ""));
        assert_eq!(entry.header("sec-websocket-protocol"), offered);
        assert!(entry.completed && !entry.cancelled, "{entry:?}");
        let websocket = entry.websocket.unwrap();
        assert_eq!((websocket.open, websocket.closed), (false, Some(4000)));
    }
}

/// The service's pings are answered by the client and not by us, and a client's by the service.
#[tokio::test]
async fn pings_and_pongs_pass() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    let mut talk = Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
    let Some(Ok(Message::Ping(ping))) = talk.next().await else { panic!("no ping") };
    assert_eq!(ping, "azure");
    assert_eq!(talk.hear().await["type"], "session.created");
    use futures_util::SinkExt;
    talk.socket.send(Message::Ping(Bytes::from_static(b"client"))).await.unwrap();
    let Some(Ok(Message::Pong(pong))) = talk.next().await else { panic!("no pong") };
    assert_eq!(pong, "client");
}

/// What Azure refuses is told as it is for any request: in Azure's own bytes, or as section F has it.
#[tokio::test]
async fn a_refusal_upstream_is_an_ordinary_answer() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    for (fault, status, reason, text) in [
        ("A1.12", 429, None, "have exceeded token rate limit"),
        ("A1.6", 404, None, "DeploymentNotFound"),
        ("A1.11", 403, None, "Virtual Network/Firewall"),
        ("A1.5b", 403, Some("upstream-permission"), "lacks a role on the resource 'ai'"),
        ("A1.1", 502, Some("upstream-authentication"), "Azure answered as to a wrong key"),
        ("A1.4", 502, Some("upstream-saw-key"), "Azure refused a key"),
        ("close", 502, Some("upstream-lost"), "was lost after the request had been sent"),
    ] {
        // A kept connection that ends without a word may be tried once more.
        let times = if fault == "close" { 2 } else { 1 };
        world.emulator.next(Plane::OpenAi, Fault::named(fault).on("realtime"), times).unwrap();
        let answer = asking(&world, &key).send().await;
        assert_eq!(answer.status, status, "{fault}: {answer:?}");
        assert_eq!(answer.header("x-keyswap-reason"), reason, "{fault}");
        assert!(answer.text().contains(text), "{fault}: {answer:?}");
        assert_eq!((answer.header("upgrade"), answer.header("connection")), (None, None), "{answer:?}");
        assert_eq!(answer.header("retry-after").is_some(), fault == "A1.12", "{answer:?}");
    }
    // The client's connection is as good as before: there was one for all of these.
    let request = String::from_utf8(opening(&world, &[])).unwrap();
    let two = format!("{request}{}", request.replace("connection: Upgrade", "connection: Upgrade, close"));
    world.emulator.next(Plane::OpenAi, Fault::named("A1.12"), 2).unwrap();
    let answers = raw(world.gateway.http, two.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 429 Too Many Requests\r\n").count(), 2, "{answers}");
    // Real ones: a deployment that does not exist, and one that does not speak.
    let unknown = REALTIME.replace("gpt-4o-realtime-preview", "nobody");
    assert_eq!(Talk::refused(&world, &unknown, &[("api-key", &key)]).await.status(), 404);
    let mute = REALTIME.replace("gpt-4o-realtime-preview", "gpt-4o");
    assert_eq!(Talk::refused(&world, &mute, &[("api-key", &key)]).await.status(), 400);
}

/// A token that Azure no longer takes is replaced, and the client's one opening succeeds.
#[tokio::test]
async fn a_bad_token_is_replaced_before_the_client_is_told() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
    world.emulator.revoke_tokens();
    let mut talk = Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
    assert_eq!(talk.hear().await["type"], "session.created");
    let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Some(101), Some(401), Some(101)]);
}

#[tokio::test]
async fn whoever_may_not_is_told_before_anything_is_asked_upstream() {
    let mut plan = plan();
    let usual = plan.keys;
    plan.keys = Box::new(|text, emulator| {
        usual(text, emulator)
            + &client("silent", "a-key-that-may-only-chat", "{ resource = \"ai\" }")
            + &client("queries", "a-key-for-search-alone", "{ resource = \"search\" }")
    });
    let world = plan.start().await;
    let wrong = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
    for (headers, status, reason) in [
        (vec![], 401, "no-credential"),
        (vec![("api-key", "wrong")], 401, "unknown-key"),
        (vec![("sec-websocket-protocol", "realtime, openai-insecure-api-key.wrong")], 401, "unknown-key"),
        (vec![("api-key", "a-key-for-search-alone")], 401, "no-resource"),
    ] {
        let answer = Talk::refused(&world, REALTIME, &headers).await;
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (status, wrong), "{headers:?}");
        assert_eq!(answer.headers()["x-keyswap-reason"], reason);
        assert!(!answer.headers().contains_key("sec-websocket-protocol"), "{answer:?}");
    }
    let answer = Talk::refused(&world, REALTIME, &[("api-key", "a-key-that-may-only-chat")]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()["x-keyswap-reason"], "family-not-granted");
    assert_eq!(world.arrived().len(), 0);
}

/// A grant on some deployments holds for the one that the query names, on both surfaces.
#[tokio::test]
async fn a_grant_on_some_deployments_holds_for_the_query() {
    let mut plan = plan();
    let limited = "{ resource = \"ai\", allow = [\"realtime\"], deployments = [\"gpt-4o-realtime-*\"] }";
    plan.keys = Box::new(move |text, _| text + &client("limited", "a-key-for-one-deployment", limited));
    let world = plan.start().await;
    let key = [("api-key", "a-key-for-one-deployment")];
    for target in [LEGACY, REALTIME] {
        talk(&world, target, &key).await;
    }
    let arrived = world.arrived().len();
    let named = "gpt-4o-realtime-preview";
    for (target, status, reason) in [
        (LEGACY.replace(named, "gpt-4o"), 403, "target-not-granted"),
        (REALTIME.replace(named, "gpt-4o"), 403, "target-not-granted"),
        ("/openai/v1/realtime?intent=transcription".to_owned(), 403, "target-not-granted"),
        (format!("{REALTIME}&model=gpt-4o"), 400, "ambiguous"),
        (format!("{REALTIME}&Deployment=gpt-4o"), 400, "ambiguous"),
    ] {
        let answer = Talk::refused(&world, &target, &key).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["x-keyswap-reason"].to_str().unwrap()),
            (status, reason)
        );
    }
    assert_eq!(world.arrived().len(), arrived);
}

/// A wish for another protocol is heard nowhere else, and none but for a websocket.
#[tokio::test]
async fn no_other_wish_is_heard() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    let models = "/openai/models?api-version=2024-10-21";
    for (target, upgrade) in [(models, "websocket"), (models, "h2c"), (REALTIME, "h2c"), (REALTIME, "websocket2")] {
        world.emulator.journal().clear();
        let headers = [("connection", "upgrade"), ("upgrade", upgrade), ("api-key", &key)];
        let answer = raw(world.gateway.http, &request_text("GET", target, &headers)).await;
        let status = if target == models { "200 OK" } else { "400 model_error" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        let entry = world.only_arrival();
        assert_eq!((entry.header("upgrade"), entry.header("connection")), (None, None), "{target} {upgrade}");
    }
    // It is named, and not asked for; and a client of HTTP/1.0 can ask for nothing.
    for (version, headers) in [("1.1", "upgrade: websocket"), ("1.0", "upgrade: websocket\r\nconnection: upgrade")] {
        world.emulator.journal().clear();
        let request = format!(
            "GET {REALTIME} HTTP/{version}\r\nhost: a\r\nconnection: close\r\napi-key: {key}\r\n{headers}\r\n\r\n"
        );
        let answer = raw(world.gateway.http, request.as_bytes()).await;
        assert!(answer.contains(" 400 model_error\r\n"), "{answer}");
        assert_eq!(world.only_arrival().header("upgrade"), None);
    }
}

/// However the service ends a talk, the client sees it just so, after everything that came before.
#[tokio::test]
async fn the_service_ends_a_talk_and_the_client_sees_how() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    for code in [1000, 1001, 1011, 4321] {
        world.emulator.next(Plane::OpenAi, Fault::close_frame(code), 1).unwrap();
        let mut talk = Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
        assert_eq!(talk.hear().await["type"], "session.created");
        let Some(Ok(Message::Close(Some(close)))) = talk.next().await else { panic!("no close") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (code, "as it was told to"));
        assert!(talk.next().await.is_none());
    }
    for fault in ["cut", "truncate"] {
        world.emulator.next(Plane::OpenAi, Fault::named(fault), 1).unwrap();
        let mut talk = Talk::open(&world, REALTIME, &[("api-key", &key)]).await.unwrap();
        assert_eq!(talk.hear().await["type"], "session.created");
        let end = talk.next().await;
        assert!(matches!(end, Some(Err(_))), "{fault}: {end:?}");
    }
}

/// A talk is one request: its line is written when it has ended, and says how long it was and how much was said.
#[tokio::test]
async fn a_talk_is_told_and_counted_when_it_has_ended() {
    let mut world = Plan { door: azure_emulator::Door::Behind, ..plan() }.start().await;
    let key = world.emulator.keys().openai;
    let mut talk = talk(&world, LEGACY, &[("api-key", &key)]).await;
    let (_, page) = world.admin("/metrics").await;
    assert!(page.contains("keyswap_websockets_open 1\n"), "{page}");
    assert!(page.contains("keyswap_requests_total{plane=\"openai\",by=\"upstream\",status=\"101\"} 1\n"), "{page}");
    assert_eq!(world.gateway.requests(), Vec::<serde_json::Value>::new());

    talk.socket.close(None).await.unwrap();
    while talk.next().await.is_some() {}
    drop(talk);
    let line = world.gateway.told(|line| line["family"] == "realtime").await;
    let entry = world.emulator.journal().wait_for(|entry| entry.door.is_some() && entry.ended, LIMIT).await.unwrap();
    let websocket = entry.websocket.unwrap();
    for (field, value) in [
        ("method", json!("GET")),
        ("path", json!("/openai/realtime")),
        ("status", json!(101)),
        ("upstream_status", json!(101)),
        ("upstream_request", line["upstream_request"].clone()),
        ("outcome", json!("complete")),
        ("bytes_in", json!(websocket.received)),
        ("bytes_out", json!(websocket.sent)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert!(line["duration_ms"].as_f64() >= line["upstream_ms"].as_f64(), "{line}");
    assert!(!line.to_string().contains(&key));
    let (_, page) = world.admin("/metrics").await;
    assert!(page.contains("keyswap_websockets_open 0\n"), "{page}");
    assert!(page.contains("keyswap_request_duration_seconds_count{plane=\"openai\"} 0\n"), "{page}");
    assert!(
        page.contains(&format!("keyswap_received_bytes_total{{plane=\"openai\"}} {}\n", websocket.received)),
        "{page}"
    );

    world.gateway.signal("TERM");
    assert!(tokio::time::timeout(Duration::from_secs(30), world.gateway.ended()).await.unwrap().success());
}
