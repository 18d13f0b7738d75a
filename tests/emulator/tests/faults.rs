//! Answers on demand that are no answers, and clients that go away.

use std::time::Duration;

use azure_emulator::{Entry, Fault, Plane};

use crate::bench::{Bench, CHAT, HALLO};

const STREAM: &str = r#"{"messages":[{"role":"user","content":"Hallo"}],"stream":true}"#;

fn openai(entry: &Entry) -> bool {
    entry.plane == Plane::OpenAi
}

#[tokio::test]
async fn a_cut_comes_at_its_byte() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    for name in ["cut", "truncate"] {
        for (body, bytes) in [(HALLO, 0), (HALLO, 100), (STREAM, 333), (STREAM, 100_000)] {
            let fault = Fault::named(name).at_byte(bytes);
            bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
            let ask = bench.openai("POST", CHAT).bearer(&token).body(body);
            let Some(reply) = ask.try_send().await else {
                // The head may be lost with the connection when nothing follows it.
                assert_eq!(bytes, 0);
                continue;
            };
            assert!(!reply.whole, "{name} {bytes}");
            if bytes < 1000 {
                assert_eq!(reply.body.len(), bytes, "{name}");
            } else {
                // Everything came but the last chunk.
                assert!(reply.text().ends_with("data: [DONE]\n\n"), "{name}");
            }
        }
    }
    let entry = bench.entry(|entry| openai(entry) && entry.ended).await;
    assert!(!entry.cancelled && entry.completed);
}

#[tokio::test]
async fn http2_streams_are_cut_too() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let fault = Fault::named("truncate").at_byte(100);
    bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
    let ask = bench.openai("POST", CHAT).bearer(&token).body(STREAM).http2();
    let reply = ask.try_send().await.expect("a head");
    assert!(!reply.whole && reply.body.len() == 100);
}

#[tokio::test]
async fn a_connection_ends_before_the_answer() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    for name in ["close", "reset"] {
        bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
        let ask = bench.openai("POST", CHAT).bearer(&token).body(HALLO);
        assert!(ask.try_send().await.is_none(), "{name}");
    }
    let entry = bench.entry(openai).await;
    assert!(entry.ended && entry.body_whole && !entry.cancelled && entry.status.is_none());
}

#[tokio::test]
async fn a_door_hangs_up_without_a_word() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    for (body, http2) in [(HALLO, false), (STREAM, false), (STREAM, true)] {
        bench.emulator.next(Plane::OpenAi, Fault::named("hang-up"), 1).expect("known");
        let ask = bench.openai("POST", CHAT).bearer(&token).body(body);
        let ask = if http2 { ask.http2() } else { ask };
        let (reply, connection) = ask.send_and_keep().await;
        assert!(reply.whole && reply.status == 200);
        assert_eq!(reply.header("connection"), None);
        assert!(connection.ended().await);
    }
    let entry = bench.entry(|entry| openai(entry) && entry.ended).await;
    assert!(entry.completed && !entry.cancelled);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let mut last = 0;
    for name in ["stall", "stall-mid-body"] {
        for http2 in [false, true] {
            bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
            let ask = bench.openai("POST", CHAT).bearer(&token).body(STREAM);
            let ask = if http2 { ask.http2() } else { ask };
            let arrived = bench.entry(|entry| openai(entry) && entry.sequence > last && entry.body_whole);
            let arrived = tokio::select! {
                _ = ask.try_send() => panic!("{name} is no answer"),
                entry = arrived => entry,
            };
            // Now the client is dropped.
            last = arrived.sequence;
            let entry = bench.entry(|entry| entry.sequence == last && entry.ended).await;
            assert!(entry.cancelled, "{name}");
        }
    }
}

#[tokio::test]
async fn faults_wait_for_their_path_and_their_turn() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let next = |fault, times| bench.emulator.next(Plane::OpenAi, fault, times).expect("known");
    next(Fault::named("503").on("embeddings"), 1);
    next(Fault::named("500"), 2);
    next(Fault::named("A1.7"), 1);
    let models = "/openai/v1/models";
    let mut seen = Vec::new();
    for _ in 0..4 {
        let reply = bench.openai("GET", models).bearer(&token).send().await;
        seen.push(reply.status.as_u16());
    }
    assert_eq!(seen, [500, 500, 404, 200]);
    bench.emulator.clear_faults();
    let reply = bench.openai("POST", "/openai/v1/embeddings").bearer(&token).send().await;
    assert_ne!(reply.status, 503);

    let unknown = bench.emulator.next(Plane::Entra, Fault::named("A1.1"), 1);
    let text = unknown.expect_err("a plane knows its own names").to_string();
    assert!(text.starts_with("entra cannot answer `A1.1`; it can answer wrong-secret"), "{text}");
}

#[tokio::test]
async fn an_early_answer_does_not_read_the_body() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let fault = Fault::named("413").early();
    bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
    let ask = bench.openai("POST", CHAT).bearer(&token).body(vec![b' '; 50_000_000]);
    // The answer may be lost when the connection closes under a client that still writes.
    if let Some(reply) = ask.try_send().await {
        assert_eq!(reply.status, 413);
    }
    let entry = bench.entry(|entry| openai(entry) && entry.ended).await;
    assert!(!entry.body_whole);
}

#[tokio::test]
async fn a_slow_answer_is_the_real_one() {
    let bench = Bench::start().await;
    bench.emulator.next(Plane::Entra, Fault::slow(50), 1).expect("known");
    let start = std::time::Instant::now();
    bench.openai_token().await;
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn an_answer_says_when_to_come_back() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let mut fault = Fault::named("A1.12").retry_after(30);
    fault.retry_after_ms = Some(1500);
    bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 429);
    assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (Some("30"), Some("1500")));
}
