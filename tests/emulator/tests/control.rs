//! The control port.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, CHAT, HALLO, OPENAI_SCOPE};

#[tokio::test]
async fn the_control_port_does_what_the_library_does() {
    let bench = Bench::start().await;
    let control = bench.emulator.control();
    let get = |path: &'static str| bench.ask("GET", &control, path).send();
    let post = |path: &'static str, body: Value| bench.ask("POST", &control, path).body(body.to_string()).send();
    let doors = get("/doors").await.json();
    assert_eq!(doors, serde_json::to_value(bench.emulator.scene()).expect("JSON"));

    let reply = post("/next", json!({"at": "openai", "answer": "A1.7", "times": 2, "path": "chat"}));
    assert_eq!(reply.await.status, 200);
    let token = bench.openai_token().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
        seen.push(reply.status.as_u16());
    }
    assert_eq!(seen, [404, 404, 200]);

    assert_eq!(post("/token-life", json!({"seconds": 6})).await.status, 200);
    let app = bench.emulator.app();
    let body = bench.ask_token(&app, &app.secret, OPENAI_SCOPE).send().await.json();
    assert_eq!(body["expires_in"], 6);

    let role = json!({
        "object_id": app.object_id,
        "role": "Cognitive Services OpenAI User",
        "assigned": false,
    });
    assert_eq!(post("/role", role).await.status, 200);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.json()["error"]["code"], "PermissionDenied");
    assert_eq!(post("/revoke", json!({})).await.status, 200);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.json()["statusCode"], 401);

    bench.openai("GET", "/").header("api-key", "k").send().await;
    let violations = get("/violations").await.json();
    assert_eq!(violations[0]["violation"], "header api-key");
    let journal = get("/journal").await.json();
    let last = journal.as_array().and_then(|entries| entries.last()).expect("entries");
    assert_eq!(last["door"], "behind");
    let after = format!("/journal?after={}", last["sequence"]);
    assert_eq!(bench.ask("GET", &control, &after).send().await.json(), json!([]));
    assert_eq!(bench.ask("DELETE", &control, "/journal").send().await.status, 200);
    assert_eq!(get("/journal").await.json(), json!([]));
    let names = get("/faults?at=imds").await.json();
    assert_eq!(names[0], "400");
}

#[tokio::test]
async fn the_control_port_says_what_is_wrong() {
    let bench = Bench::start().await;
    let control = bench.emulator.control();
    for (method, path, body, status, part) in [
        ("GET", "/nothing", "", 404, "there is no GET /nothing here"),
        ("POST", "/next", "{", 400, "EOF"),
        ("POST", "/next", r#"{"at":"openai","answer":"A9"}"#, 400, "openai cannot answer `A9`"),
        ("POST", "/next", r#"{"at":"mars","answer":"A1.1"}"#, 400, "unknown variant `mars`"),
        ("POST", "/next", r#"{"at":"openai","answer":"A1.1","tims":1}"#, 400, "tims"),
        ("POST", "/role", r#"{"object_id":"x","role":"King","assigned":true}"#, 400, "King"),
        ("GET", "/journal?after=x", "", 400, "invalid digit"),
    ] {
        let reply = bench.ask(method, &control, path).body(body).send().await;
        let text = reply.json()["error"].as_str().expect("a text").to_owned();
        assert_eq!(reply.status, status, "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn shutdown_ends_everything() {
    let bench = Bench::start().await;
    let address = bench.emulator.control().replace("http://", "");
    bench.emulator.shutdown().await;
    let connection = tokio::time::timeout(Duration::from_secs(10), tokio::net::TcpStream::connect(address));
    assert!(connection.await.expect("an answer in time").is_err());
}
