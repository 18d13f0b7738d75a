//! Bodies pass as they are: their bytes, their framing, and the lack of them.

use std::convert::Infallible;

use azure_emulator::{Fault, Plane};
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Channel, Full};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, http2, raw, request_text};
use crate::upstream::Upstream;
use crate::world::{CHAT, World, saying};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A request of the world's legacy client on a connection of its own.
fn request(world: &World, method: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let key = world.emulator.keys().openai;
    let headers = [&[("api-key", key.as_str())], headers].concat();
    // Asking for chats is another family's affair.
    let target = if method == "POST" { CHAT } else { "/openai/models?api-version=2024-10-21" };
    [request_text(method, target, &headers), body.as_bytes().to_vec()].concat()
}

/// A piece of a body in chunked framing.
fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// The data of a body in chunked framing, which may have been cut anew on the way.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("a chunk");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_client_that_asks_whether_to_go_on_is_told_so_and_then_answered() {
    let world = World::start().await;
    let body = saying("go on").to_string();
    let headers = [("expect", "100-continue"), ("content-length", &body.len().to_string())];
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&request(&world, "POST", &headers, "")).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("go on"), "{answer}");
    let arrived = world.only_arrival();
    assert!(arrived.body_whole && arrived.headers.iter().all(|(name, _)| name != "expect"), "{arrived:?}");
}

/// A refusal is the whole answer to such a client: it was not asked to go on.
#[tokio::test]
async fn a_client_that_asks_with_a_wrong_key_is_answered_at_once() {
    let world = World::start().await;
    let headers = [("api-key", "wrong"), ("expect", "100-continue"), ("content-length", "50000000")];
    let answer = raw(world.gateway.http, &request_text("POST", CHAT, &headers)).await;
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
}

#[tokio::test]
async fn an_upload_in_chunks_stays_in_chunks_and_whole() {
    let upstream = Upstream::answering(OK).await;
    let world = upstream.plan().start().await;
    let pieces = ["{\"messages\": [", &"x".repeat(300_000), "]}"];
    let body = pieces.map(chunk).concat() + "0\r\n\r\n";
    let answer = raw(world.gateway.http, &request(&world, "POST", &[("transfer-encoding", "chunked")], &body)).await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let asked = upstream.only_asked();
    assert_eq!((asked.header("transfer-encoding"), asked.header("content-length")), (Some("chunked"), None));
    assert_eq!(unchunked(&asked.body), pieces.concat());
}

/// Nothing is made of nothing: a request with no body gets none, an empty one stays empty, in its own framing.
#[tokio::test]
async fn empty_bodies_stay_what_they_are() {
    let upstream = Upstream::answering(OK).await;
    let world = upstream.plan().start().await;
    let chunked = ("transfer-encoding", "chunked");
    for (method, headers, body, framing) in [
        ("POST", vec![("content-length", "0")], "", (Some("0"), None, "")),
        ("POST", vec![chunked], "0\r\n\r\n", (None, Some("chunked"), "0\r\n\r\n")),
        ("GET", vec![], "", (None, None, "")),
        // Without a word about a body there is none (RFC 9112, 6.3).
        ("POST", vec![], "", (None, None, "")),
    ] {
        let answer = raw(world.gateway.http, &request(&world, method, &headers, body)).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{method} {headers:?}: {answer}");
        let asked = upstream.only_asked();
        let seen = (asked.header("content-length"), asked.header("transfer-encoding"), asked.body.as_str());
        assert_eq!(seen, framing, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn empty_answers_stay_what_they_are() {
    for (answer, framing) in [
        ("200 OK\r\ncontent-length: 0\r\n\r\n", "content-length: 0"),
        ("200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding: chunked"),
        ("204 No Content\r\n\r\n", ""),
        ("304 Not Modified\r\netag: \"1\"\r\n\r\n", ""),
    ] {
        let upstream = Upstream::answering(format!("HTTP/1.1 {answer}").as_bytes()).await;
        let world = upstream.plan().start().await;
        let through = raw(world.gateway.http, &request(&world, "GET", &[], "")).await;
        let (head, body) = through.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.lines().next(), format!("HTTP/1.1 {answer}").lines().next());
        let framed = |line: &&str| line.starts_with("content-length") || line.starts_with("transfer-encoding");
        assert_eq!(head.lines().filter(framed).collect::<String>(), framing, "{head}");
        assert_eq!(body, if framing.contains("chunked") { "0\r\n\r\n" } else { "" });
    }
}

/// The headers of a HEAD are those that a GET would have had, its length too, and there is no body.
#[tokio::test]
async fn head_has_the_upstreams_headers_and_no_body() {
    let upstream =
        Upstream::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\ncontent-type: a/b\r\netag: \"1\"\r\n\r\n")
            .await;
    let world = upstream.plan().start().await;
    for _ in 0..2 {
        let answer = raw(world.gateway.http, &request(&world, "HEAD", &[], "")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("x-keyswap-")).collect();
        lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("connection: "));
        assert_eq!(lines, ["HTTP/1.1 200 OK", "content-length: 1234", "content-type: a/b", "etag: \"1\""]);
        assert_eq!(body, "");
        assert!(upstream.only_asked().head[0].starts_with("HEAD "));
    }
}

#[tokio::test]
async fn packed_bodies_pass_byte_for_byte() {
    // Nothing on the way may look inside, so that it need not even be what its header says.
    let packed: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for encoding in ["gzip", "br", "zstd", "deflate, gzip"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\nvary: x\r\n\
             content-length: {}\r\n\r\n",
            packed.len()
        );
        let upstream = Upstream::answering(&[head.as_bytes(), &packed].concat()).await;
        let world = upstream.plan().start().await;
        let call = world.call(Method::POST, CHAT).key(&world.emulator.keys().openai);
        let answer = call.header("accept-encoding", encoding).json(&json!({})).await;
        assert_eq!(upstream.only_asked().header("accept-encoding"), Some(encoding));
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (Some(encoding), Some("x")));
        assert_eq!(answer.header("content-length"), Some("200000"));
        assert!(answer.body == packed, "{encoding}: the bytes differ");
    }
}

/// Trailers pass where HTTP/1.1 can carry them: a request's when `Trailer` has announced them; an answer's when it has,
/// and the client has said `TE: trailers`. hyper drops others, as RFC 9110 (6.5.1) has it; Azure sends none at all.
#[tokio::test]
async fn announced_trailers_pass_both_ways() {
    let answer =
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n";
    let upstream = Upstream::answering(answer.as_bytes()).await;
    let world = upstream.plan().start().await;
    let body = chunk("{}") + "0\r\nx-digest: 17\r\n\r\n";
    let announced = [("transfer-encoding", "chunked"), ("trailer", "x-digest")];
    let accepting = [&announced[..], &[("te", "trailers")]].concat();
    // `request_text` has a Connection line of its own, which must name TE.
    let text = String::from_utf8(request(&world, "POST", &accepting, &body)).unwrap();
    let text = text.replace("connection: close", "connection: close, te");
    let through = raw(world.gateway.http, text.as_bytes()).await;
    assert!(through.ends_with("\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n"), "{through}");
    assert_eq!(upstream.only_asked().body, body);

    let unwilling = raw(world.gateway.http, &request(&world, "POST", &announced, &body)).await;
    assert!(unwilling.ends_with("\r\n2\r\nok\r\n0\r\n\r\n"), "{unwilling}");
    assert_eq!(upstream.only_asked().body, body);
}

/// Over HTTP/2 nothing has to be announced by the client's side; the upstream's HTTP/1.1 still needs it.
#[tokio::test]
async fn trailers_pass_from_and_to_http_2() {
    let answer =
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n";
    let upstream = Upstream::answering(answer.as_bytes()).await;
    let world = upstream.plan().start().await;
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let (mut body, channel) = Channel::<Bytes, Infallible>::new(2);
    body.send_data("{}".into()).await.unwrap();
    body.send_trailers(HeaderMap::from_iter([("x-digest".parse().unwrap(), "17".parse().unwrap())])).await.unwrap();
    let request = Request::post(format!("https://localhost{CHAT}"))
        .header("api-key", world.emulator.keys().openai)
        .header("trailer", "x-digest")
        .body(channel)
        .unwrap();
    let answer = send.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-sum"], "42");
    assert_eq!(answer.to_bytes(), "ok");
    assert_eq!(upstream.only_asked().body, chunk("{}") + "0\r\nx-digest: 17\r\n\r\n");
}

/// An upstream that answers and reads on nothing: the client has the answer while its body is not half sent.
#[tokio::test]
async fn an_early_answer_passes_a_body_that_is_still_coming() {
    let upstream = Upstream::answering_early(b"HTTP/1.1 413 Too Much\r\ncontent-length: 5\r\n\r\nEarly").await;
    let world = upstream.plan().start().await;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let begin = "x".repeat(100_000);
    stream.write_all(&request(&world, "POST", &[("content-length", "50000000")], &begin)).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\nEarly").await;
    assert!(answer.starts_with("HTTP/1.1 413 Too Much\r\n"), "{answer}");

    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let (mut body, channel) = Channel::<Bytes, Infallible>::new(1);
    body.send_data(begin.into()).await.unwrap();
    let request = Request::post(format!("https://localhost{CHAT}"));
    let request = request.header("api-key", world.emulator.keys().openai).body(channel).unwrap();
    let answer = send.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "Early");
}

/// An upstream that answers early and closes on the rest, as servers do: the client has its answer, while it sends on.
#[tokio::test]
async fn an_early_answer_reaches_a_client_that_sends_all_first() {
    let world = World::start().await;
    let whole = Bytes::from(vec![b'x'; 20_000_000]);
    for _ in 0..5 {
        world.emulator.next(Plane::OpenAi, Fault::named("A1.12").early(), 1).unwrap();
        let answer: Answer = world.post(CHAT).key(&world.emulator.keys().openai).body(whole.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (429, "none: the answer is the upstream's"));
    }
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for _ in 0..5 {
        world.emulator.next(Plane::OpenAi, Fault::named("A1.12").early(), 1).unwrap();
        let request = Request::post(format!("https://localhost{CHAT}"));
        let request = request.header("api-key", world.emulator.keys().openai).body(Full::new(whole.clone())).unwrap();
        assert_eq!(send.send_request(request).await.unwrap().status(), 429);
    }
}
