//! What comes to nothing before there is a request: what can be answered is answered in our words, and all of it is told
//! and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use h2::RecvStream;
use http::Request;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{client_hello, handshake, raw, request_text, secure};
use crate::gateway::LIMIT;
use crate::wire::{End, read_all, with_timeouts};
use crate::world::World;

const TOO_LARGE: &str = "The head of the request is too large: 64 KiB and 200 fields are the limit.";

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{message}","type":"invalid_request_error","param":null}}}}"#)
}

/// What hyper would say without a word is said in ours, and has its line and its id like every answer.
#[tokio::test]
async fn a_head_that_is_no_http_or_too_much_of_it_is_answered_in_words_and_told() {
    let world = World::start().await;
    let no_http = [
        ("nonsense", "nonsense\r\n\r\n"),
        ("no version", "GET /openai/models\r\n\r\n"),
        ("another version", "GET /openai/models HTTP/2.0\r\nhost: x\r\n\r\n"),
        ("an unknown version", "GET /openai/models HTTP/1.7\r\nhost: x\r\n\r\n"),
        ("no method", "G@T /openai/models HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a space before a colon", "GET /openai/models HTTP/1.1\r\nhost : x\r\n\r\n"),
        ("a zero in a field", "GET /openai/models HTTP/1.1\r\nhost: x\0\r\n\r\n"),
        ("two lengths", "POST /openai/models HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
        ("a length below zero", "POST /openai/models HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"),
        ("another coding", "POST /openai/models HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n"),
        ("chunks over 1.0", "POST /openai/models HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"),
    ];
    let (long, longer) = ("x".repeat(70_000), "x".repeat(200_000));
    let many: Vec<_> = (0..300).map(|n| format!("x-{n}")).collect();
    let fields: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let too_large = [
        ("a long field", request_text("GET", "/openai/models", &[("x", &long)])),
        ("a longer field", request_text("GET", "/openai/models", &[("x", &longer)])),
        ("some fields too many", request_text("GET", "/openai/models", &fields[..230])),
        ("many fields", request_text("GET", "/openai/models", &fields)),
    ];
    let long_url = ("a long target", request_text("GET", &format!("/{long}"), &[]));

    let no_http = no_http.map(|(name, text)| (name, text.as_bytes().to_vec()));
    let no_http = no_http.into_iter().map(|case| (case, "400 Bad Request", "BadRequest", "not-http"));
    let too_large = too_large
        .into_iter()
        .map(|case| (case, "431 Request Header Fields Too Large", "RequestHeaderFieldsTooLarge", "head-too-large"));
    let long_url = (long_url, "414 URI Too Long", "UriTooLong", "head-too-large");
    let mut counts = BTreeMap::<_, usize>::new();
    for ((name, request), status, code, reason) in no_http.chain(too_large).chain([long_url]) {
        let message = match code {
            "BadRequest" => "The request is not valid HTTP.",
            "UriTooLong" => "The URL of the request is too long.",
            _ => TOO_LARGE,
        };
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        let from = stream.local_addr().unwrap().to_string();
        // It may be answered before it was read to its end.
        drop(stream.write_all(&request).await);
        let (answer, _) = read_all(stream).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{name}: {answer}"));
        assert_eq!(body, error(code, message), "{name}: {head}");
        let head: Vec<_> = head.lines().collect();
        assert_eq!(head[0], format!("HTTP/1.1 {status}"), "{name}");
        for line in ["content-type: application/json", "connection: close", &format!("x-keyswap-reason: {reason}")] {
            assert!(head.contains(&line), "{name}: {head:?}");
        }

        let id = head.iter().find_map(|line| line.strip_prefix("x-keyswap-request-id: ")).expect("an id");
        let line = world.gateway.told(|line| line["request"] == id).await;
        let told = json!([line["status"], line["reason"], line["outcome"], line["listener"], line["bytes_out"]]);
        let status = &status[..3];
        let expected = json!([status.parse::<u16>().unwrap(), reason, "complete", "http", body.len()]);
        assert_eq!(told, expected, "{name}");
        assert_eq!(line["from"], from, "{name}");
        *counts.entry((reason, status.to_owned())).or_default() += 1;
    }
    assert_eq!(world.gateway.requests().len(), 16, "each is told once");
    let (_, page) = world.admin("/metrics").await;
    for ((reason, status), count) in counts {
        let line = format!("keyswap_requests_total{{plane=\"none\",by=\"{reason}\",status=\"{status}\"}} {count}\n");
        assert!(page.contains(&line), "{line} in {page}");
    }
    assert!(page.contains("keyswap_requests_in_flight 0\n"), "{page}");
    assert_eq!(lost(&page), BTreeMap::new());

    // A refusal of ours is never taken for one of hyper's.
    let answer = raw(world.gateway.http, &request_text("GET", "/openai/models", &[])).await;
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
}

/// The bounds of a head are the same to the byte and the field as over HTTP/2 (http2.rs): hyper parses more, so that it is
/// not what refuses.
#[tokio::test]
async fn a_head_of_http_1_has_its_bounds_to_the_byte_and_the_field() {
    const MODELS: &str = "/openai/models?api-version=2024-10-21";
    const BYTES: usize = 64 * 1024;
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    // Target, and names and values of all fields, count. The first two fields are those that every request of ours has.
    let own = [("host", "gateway"), ("connection", "close"), ("api-key", key.as_str())];
    let used = MODELS.len() + own.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let too_large = error("RequestHeaderFieldsTooLarge", TOO_LARGE);
    for (bytes, count, served) in [
        (BYTES, 16, true),
        (BYTES + 1, 16, false),
        (BYTES, 200, true),
        (BYTES + 1, 200, false),
        (8 * 1024, 200, true),
        (8 * 1024, 201, false),
    ] {
        let (more, left) = (count - own.len(), bytes - used);
        let fields = (0..more).map(|n| {
            let name = format!("x-{n:04}");
            let value = "v".repeat(left / more - name.len() + if n == 0 { left % more } else { 0 });
            (name, value)
        });
        let fields: Vec<_> = fields.collect();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = own[2..].iter().copied().chain(fields).collect();
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(&request_text("GET", MODELS, &fields)).await.unwrap();
        let (answer, end) = read_all(stream).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{bytes}, {count}: {answer}"));
        assert_eq!(end, End::Clean);
        let status = if served { "200 OK" } else { "431 Request Header Fields Too Large" };
        assert_eq!(head.lines().next(), Some(format!("HTTP/1.1 {status}").as_str()), "{bytes} bytes, {count} fields");
        assert_eq!(body == too_large, !served, "{bytes} bytes, {count} fields: {body}");
        assert_eq!(head.contains("\r\nx-keyswap-reason: head-too-large\r\n"), !served, "{head}");
    }
    assert_eq!(world.arrived().len(), 3);
}

/// Whoever sends nonsense on the heels of a request gets both answers whole.
#[tokio::test]
async fn nonsense_after_a_request_is_answered_in_words_too() {
    let world = World::start().await;
    let two = [&b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"nonsense\r\n\r\n"].concat();
    let answers = raw(world.gateway.http, &two).await;
    assert!(answers.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400 Bad Request\r\n"), "{answers}");
    assert!(answers.ends_with(&error("BadRequest", "The request is not valid HTTP.")), "{answers}");
    assert_eq!(world.gateway.told(|line| line["reason"] == "not-http").await["status"], 400);
}

/// Over HTTP/2 a head is refused in words as far as it is read. A larger one ends its connection, and the client is told
/// why; it never gets h2's own answer, which has no word.
#[tokio::test]
async fn a_head_of_http_2_gets_words_or_no_answer_at_all() {
    let world = World::start().await;
    let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |size: usize| {
        // One field would not fit into what is packed at once.
        let fields = vec!["x".repeat(4000); size / 4000];
        let request = Request::get("https://localhost/openai/models");
        fields.iter().fold(request, |request, field| request.header("x", field)).body(()).unwrap()
    };
    // What is refused in words first is in the table of what was said, to which h2's own answer would then point.
    for size in [100_000, 300_000, 480_000, 100_000] {
        let (answer, _) = send.send_request(request(size), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-keyswap-reason"]),
            (431, &"head-too-large".parse().unwrap())
        );
        assert_eq!(words(answer.into_body()).await, error("RequestHeaderFieldsTooLarge", TOO_LARGE));
    }
    let (answer, _) = send.send_request(request(600_000), true).unwrap();
    answer.await.expect_err("no answer without words");
    let ended = connection.await.unwrap().unwrap_err();
    assert!(ended.is_go_away() && ended.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM), "{ended:?}");
    world.gateway.logged(|line| line["cause"] == "head-too-large").await;
    let (_, page) = world.admin("/metrics").await;
    assert_eq!(lost(&page), BTreeMap::from([("head-too-large".to_owned(), 1)]));
}

/// Each way in which a connection comes to nothing is told by name, with who it was, and counted; none of them has a
/// line among the requests.
#[tokio::test]
async fn a_connection_that_comes_to_nothing_is_told_and_counted() {
    // Long enough for a handshake on a busy machine.
    let world = with_timeouts("first_byte = \"2s\"\nhead = \"2s\"\nkeep_alive = \"300ms\"").start().await;
    let (http, https) = (world.gateway.http, world.gateway.https.unwrap());
    let ca = world.emulator.ca_pem();
    let to = |address| async move { TcpStream::connect(address).await.unwrap() };
    let mut expected = BTreeMap::<String, u64>::new();

    for (listener, cause, sent) in [
        ("http", "silent", Vec::new()),
        ("https", "silent", Vec::new()),
        ("http", "slow-head", b"GET /openai/models HTTP/1.1\r\n".to_vec()),
        ("http", "not-http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("https", "not-tls", request_text("GET", "/openai/models", &[])),
        ("https", "slow-tls", client_hello(ca)),
    ] {
        let mut stream = to(if listener == "http" { http } else { https }).await;
        let from = stream.local_addr().unwrap().to_string();
        stream.write_all(&sent).await.unwrap();
        let (answer, _) = read_all(stream).await;
        assert!(!answer.starts_with(b"HTTP"), "{cause}: {}", String::from_utf8_lossy(&answer));
        is_told(&world, &from, listener, cause).await;
        *expected.entry(cause.to_owned()).or_default() += 1;
    }

    // Whoever does not trust us says so.
    let stream = to(https).await;
    let from = stream.local_addr().unwrap().to_string();
    handshake(stream, "", b"http/1.1").await.unwrap_err();
    let line = is_told(&world, &from, "https", "certificate-refused").await;
    assert_eq!(line["why"], "received fatal alert: UnknownCA");

    let stream = to(https).await;
    let from = stream.local_addr().unwrap().to_string();
    handshake(stream, ca, b"spdy/3").await.unwrap_err();
    is_told(&world, &from, "https", "tls-incompatible").await;

    let mut stream = to(https).await;
    let from = stream.local_addr().unwrap().to_string();
    stream.write_all(&client_hello(ca)).await.unwrap();
    drop(stream);
    is_told(&world, &from, "https", "tls-broken").await;

    // A client that has chosen HTTP/2 has as much time as any.
    for (cause, sent) in [("silent", &b""[..]), ("slow-head", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")]
    {
        let stream = to(https).await;
        let from = stream.local_addr().unwrap().to_string();
        let mut stream = handshake(stream, ca, b"h2").await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.flush().await.unwrap();
        read_all(stream).await;
        is_told(&world, &from, "https", cause).await;
    }

    for (cause, more) in
        [("certificate-refused", 1), ("tls-incompatible", 1), ("tls-broken", 1), ("silent", 1), ("slow-head", 1)]
    {
        *expected.entry(cause.to_owned()).or_default() += more;
    }
    // Who closes without a word, or wants nothing more, has done nothing wrong.
    drop((to(http).await, to(https).await));
    let mut kept = to(http).await;
    kept.write_all(b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (answer, end) = read_all(kept).await;
    assert!(answer.starts_with(b"HTTP/1.1 401 ") && end == End::Clean);
    world.gateway.told(|line| line["status"] == 401).await;
    let (_, page) = world.admin("/metrics").await;
    assert_eq!(lost(&page), expected);
    assert_eq!(world.gateway.requests().len(), 1);
}

/// More than a log can bear is told in part; the numbers are whole.
#[tokio::test]
async fn a_rush_of_connections_that_come_to_nothing_does_not_fill_the_log() {
    let world = World::start().await;
    let https = world.gateway.https.unwrap();
    const RUSH: u64 = 300;
    for _ in 0..RUSH {
        let mut stream = TcpStream::connect(https).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        read_all(stream).await;
    }
    let counted = async {
        while lost(&world.admin("/metrics").await.1) != BTreeMap::from([("not-tls".to_owned(), RUSH)]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("all are counted");
    let told = world.gateway.log().iter().filter(|line| line["cause"] == "not-tls").count() as u64;
    assert!((1..RUSH).contains(&told), "{told}");
}

/// What an answer over HTTP/2 says, whole.
pub(crate) async fn words(mut body: RecvStream) -> String {
    let reading = async {
        let mut words = Vec::new();
        while let Some(piece) = body.data().await {
            words.extend(piece.unwrap());
        }
        String::from_utf8(words).unwrap()
    };
    tokio::time::timeout(LIMIT, reading).await.expect("an end")
}

/// The line of the log for this client.
async fn is_told(world: &World, from: &str, listener: &str, cause: &str) -> Value {
    let line = world
        .gateway
        .logged(|line| line["message"] == "a connection ended before there was a request" && line["from"] == from);
    let line = line.await;
    assert_eq!((&line["listener"], &line["cause"], &line["level"]), (&json!(listener), &json!(cause), &json!("INFO")));
    line
}

/// How many connections were lost, by cause.
fn lost(page: &str) -> BTreeMap<String, u64> {
    let counts = page.lines().filter_map(|line| line.strip_prefix("keyswap_connections_lost_total{cause=\""));
    counts
        .map(|line| line.split_once("\"} ").unwrap())
        .map(|(cause, n)| (cause.to_owned(), n.parse().unwrap()))
        .collect()
}
