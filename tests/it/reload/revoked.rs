//! A key that is taken back: gently, or at once.

use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{MODELS, key, keyed, keys_of};
use crate::client::request_text;
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::gateway::LIMIT;
use crate::websocket::{REALTIME, Talk};
use crate::world::{CHAT, Plan, World, client, saying};

fn marked(keys: &str, mark: &str) -> String {
    keys.replacen("\" }]", &format!("\", {mark} }}]"), 1)
}

/// A stream that has begun, as its client sees it to its end: what came, and whether it was cut.
async fn streaming(world: &World, key: &str) -> tokio::task::JoinHandle<(String, bool)> {
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let body = streamed.to_string();
    let length = body.len().to_string();
    let head = request_text("POST", CHAT, &[("api-key", key), ("content-length", &length)]);
    let mut stream = tokio::net::TcpStream::connect(world.gateway.http).await.unwrap();
    let request = [&head[..], body.as_bytes()].concat();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.unwrap();
    let mut seen = vec![0; 1];
    stream.read_exact(&mut seen).await.unwrap();
    tokio::spawn(async move {
        let cut = stream.read_to_end(&mut seen).await.is_err();
        (String::from_utf8(seen).unwrap(), cut)
    })
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_what_runs_ends_as_it_would() {
    let options = Options { stream_pause: Duration::from_millis(400), ..Options::default() };
    let world = Plan { options, ..keyed([1, 2]) }.start().await;
    let stream = streaming(&world, &key(1)).await;
    world.write("keys.toml", &marked(&keys_of([1, 2]), "revoked = true"));
    world.generation(2).await;
    let refused = world.get(MODELS).key(&key(1)).send().await;
    assert_eq!((refused.status.as_u16(), refused.text().as_str()), (401, OPENAI_WRONG_KEY));
    // The caller learns no more than that; the line names the key.
    let line = world.gateway.told(|line| line["status"] == 401).await;
    assert_eq!(line["why"], "the key c1 is revoked", "{line}");
    assert_eq!(world.status_with(&key(2)).await, 200);
    let (text, cut) = stream.await.unwrap();
    assert!(text.ends_with("\r\n0\r\n\r\n") && !cut, "{text}");
}

#[tokio::test]
async fn a_key_that_is_revoked_at_once_is_cut_wherever_it_is_in_use() {
    let options = Options { stream_pause: Duration::from_secs(3600), ..Options::default() };
    let keys = || client("c1", &key(1), "{ resource = \"ai\", allow = [\"openai\"] }") + &keys_of([2]);
    let world = Plan { options, keys: Box::new(move |_, _| keys()), ..Plan::default() }.start().await;
    let stream = streaming(&world, &key(1)).await;
    let others = streaming(&world, &key(2)).await;
    let mut talk = Talk::open(&world, REALTIME, &[("api-key", &key(1))]).await.unwrap();
    assert_eq!(talk.hear().await["type"], "session.created");
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let pending = tokio::spawn(world.get(MODELS).key(&key(1)).send());
    world.emulator.journal().wait_for(|entry| entry.target == MODELS, LIMIT).await.unwrap();

    world.write("keys.toml", &marked(&keys(), "revoked = true, cut = true"));
    let line = world.gateway.logged(|line| line["message"] == "what ran with these keys was cut").await;
    assert_eq!(line["keys"], "c1");

    let (text, cut) = stream.await.unwrap();
    assert!(cut, "a clean end would pass for a whole answer: {text}");
    let answer = pending.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (401, OPENAI_WRONG_KEY));
    assert!(!matches!(talk.next().await, Some(Ok(_))), "the talk is over");
    // Each is told so, and upstream each is over.
    for target in [CHAT, REALTIME] {
        let line = world.gateway.told(|line| told_of(line, target) && line["key"] == "c1").await;
        assert_eq!(line["outcome"], "revoked", "{line}");
    }
    let line = world.gateway.told(|line| told_of(line, CHAT) && line["key"] == "c1").await;
    world
        .says_why_of(
            line["request"].as_str().unwrap(),
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  200, revoked
step:      authenticate
why:       its key was revoked, with cut, before its answer had ended
cure:      Somebody has revoked that key with keyswap keys revoke --now. Have the client use another of its keys.
client:    c1, key c1
resource:  ai, identity app
",
        )
        .await;
    let journal = world.emulator.journal();
    journal.wait_for(|entry| entry.target == MODELS && entry.cancelled, LIMIT).await.unwrap();
    journal.wait_for(|entry| entry.target == CHAT && entry.cancelled, LIMIT).await.unwrap();
    assert_eq!(world.status_with(&key(1)).await, 401);
    // Nobody else feels it.
    assert!(!others.is_finished());
    assert_eq!(world.status_with(&key(2)).await, 200);

    // Good again, it is as good as any: what it begins now is not cut.
    world.write("keys.toml", &keys());
    world.generation(3).await;
    let stream = streaming(&world, &key(1)).await;
    assert_eq!(world.status_with(&key(1)).await, 200);
    assert!(!stream.is_finished());
}

fn told_of(line: &Value, target: &str) -> bool {
    line["path"].as_str().is_some_and(|path| target.starts_with(path))
}
