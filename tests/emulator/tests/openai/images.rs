//! Images.

use azure_emulator::Door;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::world::{FORM, World, form};
use crate::bench::Bench;

#[tokio::test]
async fn images_come_at_once_or_by_an_operation() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let ask =
        |target: &'static str, body: Value| bench.openai("POST", target).bearer(&token).body(body.to_string()).send();
    let target = "/openai/deployments/dall-e-3/images/generations?api-version=2024-10-21";
    let coded = ask(target, json!({"prompt": "a cat", "response_format": "b64_json"})).await.json();
    let picture = coded["data"][0]["b64_json"].as_str().expect("a text");
    assert!(BASE64_STANDARD.decode(picture).expect("base64").starts_with(b"\x89PNG"));
    assert_eq!(coded["data"][0]["revised_prompt"], "a cat");
    assert_eq!(coded["data"][0]["prompt_filter_results"]["profanity"]["detected"], false);

    let target = "/openai/images/generations:submit?api-version=2023-06-01-preview";
    let accepted = ask(target, json!({"prompt": "a cat", "n": 2})).await;
    assert_eq!(accepted.status, 202);
    let location = accepted.header("operation-location").expect("a URL");
    let poll = location.strip_prefix(&bench.emulator.openai(Door::Behind)).expect("our own URL");
    let poll = || bench.openai("GET", poll).bearer(&token).send();
    assert_eq!(accepted.header("x-ms-request-id"), accepted.header("apim-request-id"));
    let running = poll().await;
    assert_eq!((&running.json()["status"], running.header("retry-after")), (&json!("running"), Some("5")));
    let done = poll().await;
    assert_eq!(done.header("retry-after"), None);
    let done = done.json();
    assert_eq!((&done["status"], &done["id"]), (&json!("succeeded"), &accepted.json()["id"]));
    assert_eq!(done["result"]["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_edit_tells_what_was_uploaded() {
    let world = World::start().await;
    let target = "/openai/deployments/dall-e-3/images/edits?api-version=2025-04-01-preview";
    let fields = [("prompt", None, b"a hat".as_slice()), ("n", None, b"2"), ("image[]", Some("cat.png"), b"\x89PNG")];
    let reply = world.ask("POST", target).header("content-type", FORM).body(form(&fields)).send().await;
    let data = &reply.json()["data"];
    assert_eq!(data.as_array().map(Vec::len), Some(2));
    let hash = "0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543";
    assert_eq!(data[0]["revised_prompt"], format!("a hat (cat.png: 4 bytes, sha256 {hash})"));
    for fields in [&fields[..2], &fields[1..]] {
        let reply = world.ask("POST", target).header("content-type", FORM).body(form(fields)).send().await;
        assert_eq!(reply.status, 400);
    }
}
