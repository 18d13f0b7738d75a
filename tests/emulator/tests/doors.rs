//! The doors: what the journal says, HTTP/2, and the lenient reading.

use azure_emulator::{Door, Plane};
use hyper::Version;

use crate::bench::{Bench, CHAT, HALLO, LIMIT};

#[tokio::test]
async fn the_journal_has_targets_and_bodies_as_they_came() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let target = "//openai/deployments/gpt%2D4o/chat/completions?api-version=2024-10-21&x=%27";
    let reply = bench.openai("POST", target).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    let entry = bench.entry(|entry| entry.target == target && entry.ended).await;
    assert_eq!(entry.door, Some(Door::Behind));
    assert_eq!((entry.method.as_str(), entry.version), ("POST", "1.1"));
    assert_eq!(entry.body_length, HALLO.len() as u64);
    assert_eq!(entry.body_sha256.as_deref(), Some("681e36205a82942338c633ad841db522c0133a668af44125947ab75fb4751756"));
    assert_eq!(entry.header("authorization"), Some(&*format!("Bearer {token}")));
    assert_eq!(entry.subject.as_deref(), Some("gpt-4o"));
}

#[tokio::test]
async fn every_client_credential_is_a_violation() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let by_key = format!("{CHAT}&api%2Dkey=k");
    let by_token = format!("{CHAT}&Authorization=Bearer+{token}");
    let asks = [
        bench.openai("POST", CHAT).bearer(&token).header("Api-Key", "k"),
        bench.openai("POST", CHAT).bearer(&token).header("Ocp-Apim-Subscription-Key", "k"),
        bench.openai("POST", CHAT).bearer(&token).header("x-api-key", "k"),
        bench.openai("POST", &by_key).bearer(&token),
        bench.openai("POST", &by_token).bearer(&token),
        bench
            .openai("POST", CHAT)
            .bearer(&token)
            .header("sec-websocket-protocol", "realtime, openai-insecure-api-key.k"),
        bench.openai("POST", CHAT).bearer("k"),
        bench.openai("POST", CHAT).bearer(&token).bearer(&token),
        bench.openai("POST", CHAT).header("authorization", "Basic a2V5Cg=="),
    ];
    let count = asks.len();
    for ask in asks {
        ask.body(HALLO).send().await;
    }
    assert_eq!(bench.emulator.journal().violations().len(), count);

    // A request without any credential is none, and `Direct` is there for keys.
    bench.openai("POST", CHAT).body(HALLO).send().await;
    let direct = bench.emulator.openai(Door::Direct);
    let reply = bench.ask("POST", &direct, CHAT).header("api-key", "k").send().await;
    assert_eq!(reply.status, 403);
    assert_eq!(bench.emulator.journal().violations().len(), count);
}

#[tokio::test]
async fn http2_by_alpn() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).http2().send().await;
    assert_eq!((reply.status.as_u16(), reply.version), (200, Version::HTTP_2));
    let entry = bench.entry(|entry| entry.version == "2").await;
    assert_eq!(entry.target, CHAT);
}

#[tokio::test]
async fn the_lenient_door_completes_what_the_strict_one_does_not_know() {
    let bench = Bench::start().await;
    let token = bench.search_token().await;
    let body = r#"{"value":[{"@search.action":"mergeOrUpload","HotelId":"1"}]}"#;
    let writes = [
        ("POST", "/indexes/hotels/docs/Index", None),
        ("POST", "/INDEXES/Hotels/docs/index", None),
        ("POST", "/indexes/hotels/docs//index", None),
        ("POST", "/indexes/hotels/docs/./index", None),
        ("POST", "/indexes/hotels/docs/suggest/../index", None),
        ("POST", "/indexes/hotels/docs/suggest/%2e%2e/index", None),
        ("POST", "/indexes/hotels/docs/suggest%2f..%2findex", None),
        ("POST", "/indexes/hotels/docs/%2569ndex", None),
        ("POST", "/indexes/hotels/docs%5cindex", None),
        ("POST", "/indexes/hotels/docs/index;x=y", None),
        ("POST", "/indexes/hotels/docs/index.", None),
        ("POST", "/indexes/hotels/docs/index%20", None),
        ("POST", "/indexes/hotels/docs/index/", None),
        ("POST", "/indexes('hotels')/docs/search%252Eindex", None),
        ("GET", "/indexes/hotels/docs/index", Some("x-http-method-override")),
        ("GET", "/indexes/hotels/docs/index", Some("x-http-method")),
        ("GET", "/indexes/hotels/docs/index", Some("x-method-override")),
        ("GET", "/indexes/hotels/docs/index?_method=POST", None),
    ];
    let lenient = bench.emulator.search(Door::Lenient);
    let strict = bench.emulator.search(Door::Direct);
    for (method, target, header) in writes {
        let mark = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{mark}api-version=2025-09-01");
        let ask = |base: &str| {
            let ask = bench.ask(method, base, &target).bearer(&token).body(body);
            match header {
                Some(name) => ask.header(name, "POST"),
                None => ask,
            }
        };
        assert_eq!(ask(&lenient).send().await.status, 200, "{target}");
        let written = |entry: &azure_emulator::Entry| {
            entry.target == target
                && entry.door == Some(Door::Lenient)
                && entry.completed
                && entry.operation == Some("docs-index")
                && entry.subject.as_deref() == Some("hotels")
        };
        bench.entry(written).await;
        assert_eq!(ask(&strict).send().await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn the_lenient_door_reads_deployments_leniently_too() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let lenient = bench.emulator.openai(Door::Lenient);
    let target = "/OpenAI/deployments/whisper/..%2fgpt-4o/chat/completions?api-version=2024-10-21";
    let reply = bench.ask("POST", &lenient, target).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    bench.entry(|entry| entry.completed && entry.subject.as_deref() == Some("gpt-4o")).await;
}

#[tokio::test]
async fn the_journal_is_bounded_and_can_be_forgotten() {
    let bench = Bench::with(azure_emulator::Options { journal_limit: 2, ..azure_emulator::Options::default() }).await;
    let journal = bench.emulator.journal();
    for _ in 0..3 {
        bench.openai("GET", "/").header("api-key", "k").send().await;
    }
    let numbers: Vec<u64> = journal.entries().iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(journal.violations().len(), 3);
    journal.clear();
    assert!(journal.entries().is_empty() && journal.violations().is_empty());
    bench.openai("GET", "/").send().await;
    let entry = journal.wait_for(|entry| entry.plane == Plane::OpenAi, LIMIT).await;
    assert_eq!(entry.map(|entry| entry.sequence), Some(4));
}
