//! A client in the middle of its upload: it leaves, it says nothing more, it sends what is no HTTP, or it is only slow. None
//! of that is told as Azure's doing.

use std::time::Duration;

use azure_emulator::Entry;
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::client::{request_text, secure};
use crate::gateway::LIMIT;
use crate::mishaps::words;
use crate::upstream::Upstream;
use crate::wire::{read_all, with_timeouts};
use crate::world::{CHAT, Plan, World, saying};

/// The head of an upload, and as many bytes of it as arrive before anything happens.
fn half(world: &World, framing: (&str, &str)) -> Vec<u8> {
    let key = world.emulator.keys().openai;
    let head = request_text("POST", CHAT, &[("api-key", &key), framing]);
    let begun =
        if framing.0 == "content-length" { BEGUN.to_owned() } else { format!("{:x}\r\n{BEGUN}\r\n", BEGUN.len()) };
    [head, begun.into_bytes()].concat()
}

const BEGUN: &str = r#"{"messages": [{"role": "user", "content": "and then"#;
const LENGTH: (&str, &str) = ("content-length", "1000");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

/// Waits until the beginning of the upload has arrived that is this one of all.
async fn arrives(world: &World, count: usize) {
    let has_arrived = || world.arrived().get(count - 1).is_some_and(|entry| entry.body_length == BEGUN.len() as u64);
    let waiting = async {
        while !has_arrived() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("half of it");
}

/// Waits until each upload so far has been broken off.
async fn all_broken_off(world: &World) {
    let journal = world.emulator.journal();
    let left = |entry: &Entry| entry.target == CHAT && !entry.cancelled;
    let waiting = async {
        while journal.entries().iter().any(left) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("the upstream request goes on without its client");
    assert!(world.arrived().iter().all(|entry| !entry.body_whole && !entry.completed));
}

/// What the log said of what broke.
fn warnings(world: &World) -> Vec<Value> {
    let failed = |line: &Value| line["level"] == "WARN" || line["level"] == "ERROR";
    world.gateway.log().into_iter().filter(failed).collect()
}

/// Sends the beginning of an upload, and waits until it has arrived.
async fn begin(world: &World, stream: &mut (impl AsyncWrite + Unpin), framing: (&str, &str), count: usize) {
    stream.write_all(&half(world, framing)).await.unwrap();
    stream.flush().await.unwrap();
    arrives(world, count).await;
}

/// Over HTTP/1, with and without TLS, with a length and in chunks, with a FIN and with a reset; over HTTP/2 with its stream
/// alone and with its connection.
#[tokio::test]
async fn a_client_that_leaves_within_its_upload_is_gone_and_azure_has_not_failed() {
    let world = World::start().await;
    let (https, ca) = (world.gateway.https.unwrap(), world.emulator.ca_pem());
    let mut count = 0;
    for framing in [LENGTH, CHUNKED] {
        for with_a_reset in [false, true] {
            let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
            count += 1;
            begin(&world, &mut stream, framing, count).await;
            if with_a_reset {
                stream.set_zero_linger().unwrap();
            }
            drop(stream);
            all_broken_off(&world).await;
        }
        let mut stream = secure(https, ca, b"http/1.1").await;
        count += 1;
        begin(&world, &mut stream, framing, count).await;
        drop(stream);
        all_broken_off(&world).await;
    }
    // A stream may be reset for no fault of ours, and is no less incomplete for it.
    for reset in [Some(h2::Reason::CANCEL), Some(h2::Reason::NO_ERROR), None] {
        let (mut send, connection) = h2::client::handshake(secure(https, ca, b"h2").await).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::post(format!("https://localhost{CHAT}"));
        let request = request.header("api-key", world.emulator.keys().openai).body(()).unwrap();
        let (_answer, mut upload) = send.send_request(request, false).unwrap();
        upload.send_data(BEGUN.into(), false).unwrap();
        count += 1;
        arrives(&world, count).await;
        match reset {
            Some(reason) => upload.send_reset(reason),
            None => connection.abort(),
        }
        all_broken_off(&world).await;
    }
    let told = world.gateway.all_told(count).await;
    let seen: Vec<_> = told.iter().map(|line| json!([line["outcome"], line["status"], line["reason"]])).collect();
    assert_eq!(seen, vec![json!(["client-gone", null, null]); count]);
    assert_eq!(warnings(&world), Vec::<Value>::new());
    let (_, page) = world.admin("/metrics").await;
    assert!(page.contains("keyswap_requests_in_flight 0\n"), "{page}");
}

/// A client that is still there is told what is wrong, in the plane's words, and its connection ends.
#[tokio::test]
async fn a_chunk_that_is_none_is_no_http() {
    let world = World::start().await;
    let mut count = 0;
    for nonsense in ["xyz\r\n", "5\r\nhellooo\r\n", "fffffffffffffffff\r\n", "0\r\nno trailer\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        count += 1;
        begin(&world, &mut stream, CHUNKED, count).await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let (answer, _) = read_all(stream).await;
        let answer = String::from_utf8(answer).unwrap();
        let body = r#"{"error":{"code":"BadRequest","message":"The request is not valid HTTP.","type":"invalid_request_error","param":null}}"#;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.ends_with(body), "{nonsense:?}: {answer}");
        assert!(answer.contains("x-keyswap-reason: not-http\r\n"), "{nonsense:?}: {answer}");
        all_broken_off(&world).await;
    }
    let told = world.gateway.all_told(count).await;
    let seen: Vec<_> = told.iter().map(|line| json!([line["outcome"], line["status"], line["reason"]])).collect();
    assert_eq!(seen, vec![json!(["complete", 400, "not-http"]); count]);
    assert_eq!(warnings(&world), Vec::<Value>::new());
}

/// Azure has its time from the last piece of the request on: while that still comes, it is not Azure that is slow.
#[tokio::test]
async fn a_slow_upload_is_not_azures_silence() {
    let world = with_timeouts("answer = \"2s\"").start().await;
    let body = saying(&"slowly ".repeat(20)).to_string();
    let key = world.emulator.keys().openai;
    let length = body.len().to_string();
    let head = request_text("POST", CHAT, &[("api-key", &key), ("content-length", &length)]);
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&head).await.unwrap();
    for piece in body.as_bytes().chunks(body.len().div_ceil(10)) {
        sleep(Duration::from_millis(400)).await;
        stream.write_all(piece).await.unwrap();
    }
    let (answer, _) = read_all(stream).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// A client that stops in the middle is told so: neither is Azure late, nor is it waited for as long as for Azure.
#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_upload_is_told_so() {
    let told = r#"{"error":{"code":"RequestTimeout","message":"The client sent nothing more of the request's body for too long.","type":"invalid_request_error","param":null}}"#;
    for timeouts in ["answer = \"200ms\"\nstream = \"600ms\"", "stream = \"200ms\""] {
        let world = with_timeouts(timeouts).start().await;
        for (count, framing) in [(1, LENGTH), (2, CHUNKED)] {
            let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
            begin(&world, &mut stream, framing, count).await;
            let (answer, _) = read_all(&mut stream).await;
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
            assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
            assert_eq!(body, told);
            all_broken_off(&world).await;
        }
        let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
        let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("https://localhost{CHAT}"));
        let request = request.header("api-key", world.emulator.keys().openai).body(()).unwrap();
        let (answer, mut upload) = send.send_request(request, false).unwrap();
        upload.send_data(BEGUN.into(), false).unwrap();
        let answer = tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap();
        assert_eq!(answer.status(), 408);
        assert_eq!(words(answer.into_body()).await, told);
        all_broken_off(&world).await;
        let lines = world.gateway.all_told(3).await;
        let seen: Vec<_> = lines.iter().map(|line| json!([line["outcome"], line["status"], line["reason"]])).collect();
        assert_eq!(seen, vec![json!(["complete", 408, "slow-body"]); 3]);
        assert_eq!(warnings(&world), Vec::<Value>::new());
    }
}

/// An upstream that answers before it has read anything of a request, whose client then leaves.
async fn leaves_after_its_answer_began(keys: impl FnOnce(String) -> String + Send + 'static, target: &str) {
    let upstream = Upstream::answering_early(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nso far").await;
    let world = Plan { keys: Box::new(|text, _| keys(text)), ..upstream.plan() }.start().await;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let request = String::from_utf8(half(&world, LENGTH)).unwrap();
    let request = request.replace(CHAT, target).replace("\r\n\r\n", "\r\ncontent-type: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    if target == CHAT {
        let mut answer = Vec::new();
        while !answer.ends_with(b"so far") {
            answer.push(stream.read_u8().await.unwrap());
        }
    } else {
        while upstream.count() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        // The answer has some time to come. Without it the client is gone no less.
        sleep(Duration::from_millis(100)).await;
    }
    drop(stream);
    let told = world.gateway.all_told(1).await;
    assert_eq!((&told[0]["outcome"], &told[0]["reason"]), (&json!("client-gone"), &json!(null)));
    assert_eq!(warnings(&world), Vec::<Value>::new());
}

/// That breaks off with its request, and not by the upstream.
#[tokio::test]
async fn a_client_that_leaves_within_its_upload_and_its_answer_is_gone() {
    leaves_after_its_answer_began(|keys| keys, CHAT).await;
}

/// The same, where the answer still waits for the end of the body, which decides whether it may begin.
#[tokio::test]
async fn a_client_that_leaves_while_its_answer_waits_for_its_body_is_gone() {
    let limited = |keys: String| keys.replace("resource = \"ai\"", "resource = \"ai\", deployments = [\"gpt-4o\"]");
    leaves_after_its_answer_began(limited, "/openai/v1/chat/completions").await;
}
