//! What is forwarded, and what comes back: as it came.

use std::convert::Infallible;
use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Channel};
use hyper_util::rt::TokioIo;
use keyswap::keys::Digest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{raw, request_text};
use crate::gateway::LIMIT;
use crate::upstream::Upstream;
use crate::world::{CHAT, Plan, World, saying};

#[tokio::test]
async fn path_query_and_headers_are_forwarded_as_they_came() {
    let world = World::start().await;
    let key = world.emulator.keys().search_query;
    let target =
        "/indexes(%27hotels%27)//docs?search=a%20b+c&%24top=1&$filter=Rating%20gt%203&api-version=2024-07-01&&x=";
    let request = request_text(
        "GET",
        target,
        &[
            ("Api-Key", &key),
            ("X-Repeated", "one"),
            ("X-Ms-Query-Source-Authorization", "eyJ.a.b"),
            ("X-Repeated", "two"),
            ("Connection", "X-Hop-One, keep-alive"),
            ("X-Hop-One", "gone"),
            ("Connection", "x-hop-two"),
            ("X-Hop-Two", "gone"),
            ("TE", "gzip"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authorization", "Basic c2VjcmV0"),
            ("X-Stays", "a, b"),
        ],
    );
    raw(world.gateway.http, &request).await;
    let arrived = world.only_arrival();
    assert_eq!((arrived.method.as_str(), arrived.target.as_str()), ("GET", target));
    let mut headers = arrived.headers.clone();
    headers.retain(|(name, _)| name != "authorization" && name != "host");
    headers.sort();
    let expected = [
        // Links in the answer may have to be turned.
        ("accept-encoding", "identity"),
        ("x-ms-query-source-authorization", "eyJ.a.b"),
        ("x-repeated", "one"),
        ("x-repeated", "two"),
        ("x-stays", "a, b"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let repeated: Vec<_> = arrived.headers.iter().filter(|(name, _)| name == "x-repeated").map(|(_, v)| v).collect();
    assert_eq!(repeated, ["one", "two"], "the order of equals");
}

#[tokio::test]
async fn a_doubled_slash_is_forwarded_and_counts_as_one() {
    let world = World::start().await;
    let target = format!("/{CHAT}");
    let answer = world.post(&target).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.only_arrival().target, target);
}

#[tokio::test]
async fn answers_come_back_with_their_own_headers_and_ours_beside_them() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    let through = world.post(CHAT).key(&key).json(&saying("hello")).await;
    let url = format!("{}{CHAT}", world.emulator.openai(azure_emulator::Door::KeysEnabled));
    let direct = world.client.call(http::Method::POST, &url).key(&key).json(&saying("hello")).await;
    let mut names = through.header_names();
    names.retain(|name| *name != "x-keyswap-request-id");
    assert_eq!(names, direct.header_names());
    assert_ne!(through.header("apim-request-id"), through.header("x-keyswap-request-id"), "Azure's own id is kept");
}

/// Whatever an answer is packed in stays as it is; Azure AI Search alone is asked for plain JSON, for its links (see links).
#[tokio::test]
async fn what_is_packed_passes_untouched() {
    // No body that anybody could unpack: it is looked at by nobody.
    let packed = [0x1f, 0x8b, 0x08, 0x00, 0xff, 0x0d, 0x0a, 0x00];
    for encoding in ["gzip", "br"] {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", packed.len());
        let upstream = Upstream::answering(&[head.as_bytes(), &packed].concat()).await;
        let world = upstream.plan().start().await;
        let call = world.post(CHAT).key(&world.emulator.keys().openai).header("accept-encoding", encoding);
        let answer = call.json(&saying("hello")).await;
        assert_eq!((answer.header("content-encoding"), &answer.body[..]), (Some(encoding), &packed[..]));
        assert_eq!(upstream.only_asked().header("accept-encoding"), Some(encoding));
    }
}

#[tokio::test]
async fn a_large_upload_arrives_whole() {
    let world = World::start().await;
    let key = world.emulator.keys().search_admin;
    // Larger than any buffer on the way.
    let filler = "x".repeat(20_000);
    let documents: Vec<_> = (0..400)
        .map(|n| json!({"@search.action": "upload", "HotelId": n.to_string(), "Description": filler}))
        .collect();
    let body = json!({ "value": documents }).to_string();
    let sent = Digest::of(body.as_bytes()).to_string();
    let call = world.post("/indexes/hotels/docs/index?api-version=2024-07-01").key(&key);
    let answer = call.header("content-type", "application/json").body(body.into()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let arrived = world.only_arrival();
    assert!(arrived.body_whole);
    assert_eq!(arrived.body_sha256.as_deref(), Some(sent.as_str()));
}

/// The request's first half reaches the upstream while its second half does not exist yet, and an answer's first frame
/// reaches the client while the stream goes on.
#[tokio::test]
async fn bodies_stream_both_ways() {
    let options = Options { stream_pause: Duration::from_millis(20), ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let (mut body, channel) = Channel::<Bytes, Infallible>::new(1);
    let request = Request::post(CHAT)
        .header("host", "gateway")
        .header("api-key", world.emulator.keys().openai)
        .header("content-type", "application/json")
        .body(channel)
        .unwrap();
    let answer = tokio::spawn(sender.send_request(request));

    body.send_data(r#"{"stream": true, "messages": [{"role": "user", "#.into()).await.unwrap();
    let journal = world.emulator.journal();
    let half = journal.wait_for(|entry| entry.target == CHAT && entry.body_length == 47, LIMIT).await;
    assert!(!half.expect("the first half upstream").body_whole);
    body.send_data(r#""content": "in two halves"}]}"#.into()).await.unwrap();
    drop(body);

    let mut answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let first = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    let entry = journal.wait_for(|entry| entry.target == CHAT, LIMIT).await.unwrap();
    assert!(!entry.ended, "the first frame is here and the upstream still sends");
    let rest = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8([first, rest].concat()).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_upstream_request_along() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let key = world.emulator.keys().openai;
    let call = tokio::spawn(world.post(CHAT).key(&key).json(&saying("never mind")));
    let journal = world.emulator.journal();
    journal.wait_for(|entry| entry.target == CHAT && entry.body_whole, LIMIT).await.expect("the request upstream");
    call.abort();
    let gone = journal.wait_for(|entry| entry.target == CHAT && entry.cancelled, LIMIT).await;
    assert!(gone.is_some(), "the upstream request goes on without its client");
}

/// A wrong key in front of a long upload: the answer arrives whole, although the client was still sending.
#[tokio::test]
async fn an_upload_that_is_refused_early_gets_its_whole_answer() {
    let world = World::start().await;
    let length = 8 * 1024 * 1024;
    let head = request_text("POST", CHAT, &[("api-key", "wrong"), ("content-length", &length.to_string())]);
    for _ in 0..3 {
        let (mut reading, mut writing) = TcpStream::connect(world.gateway.http).await.unwrap().into_split();
        let head = head.clone();
        let upload = tokio::spawn(async move {
            writing.write_all(&head).await?;
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..length / piece.len() {
                writing.write_all(&piece).await?;
            }
            writing.shutdown().await
        });
        let mut answer = String::new();
        reading.read_to_string(&mut answer).await.expect("an answer and no reset");
        assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("endpoint for your resource.\"}}"), "{answer}");
        upload.await.unwrap().expect("nothing was thrown back at the client");
    }
    assert_eq!(world.arrived().len(), 0);
}
