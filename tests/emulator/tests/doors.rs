//! The doors: what the journal says, HTTP/2, and the lenient reading.

use azure_emulator::{Door, Emulator, Options, Plane};
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

/// As in a container: on another address, in a row, and by another name.
#[tokio::test]
async fn listeners_can_stand_elsewhere_and_in_a_row() {
    // A range that is free now; another process may take one of it, and then another range is tried.
    for _ in 0..20 {
        let probe = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
        let first = probe.local_addr().expect("its address").port();
        drop(probe);
        let options = Options {
            listen: "127.0.0.2".parse().expect("an address"),
            host: Some("azure.test".to_owned()),
            first_port: Some(first),
            ..Options::default()
        };
        let Ok(emulator) = Emulator::start(options).await else { continue };
        let scene = emulator.scene();
        let urls = [
            &scene.openai.behind,
            &scene.openai.direct,
            &scene.openai.keys_enabled,
            &scene.openai.lenient,
            &scene.search.behind,
            &scene.search.direct,
            &scene.search.keys_enabled,
            &scene.search.lenient,
            &scene.entra,
        ];
        for (url, port) in urls.into_iter().zip(first..) {
            assert_eq!(*url, format!("https://azure.test:{port}"));
        }
        assert_eq!(scene.identity.url, format!("http://azure.test:{}/msi/token", first + 9));
        assert_eq!(scene.imds, format!("http://azure.test:{}", first + 10));
        assert_eq!(scene.control, format!("http://azure.test:{}", first + 11));
        return;
    }
    panic!("no twelve free ports in a row");
}

#[tokio::test]
async fn its_certificate_is_good_for_the_name_it_is_given() {
    let bench = Bench::with(Options { host: Some("localhost.test".to_owned()), ..Options::default() }).await;
    let port = bench.emulator.search(Door::Direct).rsplit(':').next().expect("a port").to_owned();
    let base = format!("https://127.0.0.1:{port}");
    let ask = bench.ask("GET", &base, "/servicestats").named("localhost.test");
    assert_eq!(ask.send().await.status, 403);
}
