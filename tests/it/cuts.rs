//! An upstream's answer that breaks off at any byte: within its head nothing has been answered, and keyswap says so; within
//! its body what came arrives, and then the answer breaks, for a client of every version.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::http2;
use crate::upstream::{Then, Upstream};
use crate::wire::{End, chat, read_all};
use crate::world::{CHAT, World, saying};

const HEAD: &str = "HTTP/1.1 200 OK\r\nx-said: so\r\n";

/// What a client has read of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    body: Vec<u8>,
    is_whole: bool,
}

/// Over HTTP/1, on a connection of its own.
async fn over_http_1(world: &World, version: &str) -> Read {
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let request = String::from_utf8(chat(world, version, &saying("hello"))).unwrap();
    stream.write_all(request.replace("host: ", "connection: close\r\nhost: ").as_bytes()).await.unwrap();
    let (answer, end) = read_all(stream).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("transfer-encoding: chunked") { data(body) } else { body.as_bytes().to_vec() };
    Read { status, body, is_whole: end == End::Clean }
}

/// The data of chunks, as far as they came.
fn data(mut chunks: &str) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let (piece, rest) = rest.split_at(size.min(rest.len()));
        data.extend(piece.as_bytes());
        chunks = rest.strip_prefix("\r\n").unwrap_or_default();
    }
    data
}

async fn over_http_2(world: &World, send: &mut SendRequest<Full<Bytes>>) -> Read {
    let request = Request::post(format!("https://localhost{CHAT}")).header("api-key", world.emulator.keys().openai);
    let request = request.body(Full::from(saying("hello").to_string())).unwrap();
    let mut answer = send.send_request(request).await.unwrap();
    let mut body = Vec::new();
    let is_whole = loop {
        match answer.body_mut().frame().await {
            Some(Ok(frame)) => body.extend(frame.into_data().unwrap()),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    Read { status: answer.status().as_u16(), body, is_whole }
}

/// How the answer to each client has to be, whose upstream says so much and no more.
async fn hold(framing: &str, body: &str) {
    let whole = format!("{HEAD}{framing}\r\n\r\n{body}");
    let begin = whole.len() - body.len();
    let cuts: Vec<_> =
        (0..whole.len()).flat_map(|length| [length; 3]).map(|length| &whole.as_bytes()[..length]).collect();
    let answers: Vec<_> = cuts.iter().map(|cut| (*cut, Then::Close)).collect();
    let upstream = Upstream::answering_in_turn(&answers).await;
    let world = upstream.plan().start().await;
    let lost = r#"{"error":{"code":"UpstreamConnectionLost","message":"The connection to Azure was lost after the request had been sent; it may have been carried out.","type":"server_error","param":null}}"#;
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for length in 0..whole.len() {
        let expected = || match length.checked_sub(begin) {
            None => Read { status: 502, body: lost.into(), is_whole: true },
            Some(length) if framing.contains("chunked") => {
                Read { status: 200, body: data(&body[..length]), is_whole: false }
            }
            Some(length) => Read { status: 200, body: body.as_bytes()[..length].to_vec(), is_whole: false },
        };
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            assert_eq!(over_http_1(&world, version).await, expected(), "{version}, after {:?}", &whole[..length]);
        }
        assert_eq!(over_http_2(&world, &mut send).await, expected(), "HTTP/2, after {:?}", &whole[..length]);
    }
    assert_eq!(upstream.count(), cuts.len(), "each was asked for once");
}

#[tokio::test]
async fn an_answer_with_a_length_that_is_cut_anywhere() {
    hold("content-length: 13", "hello, world!").await;
}

#[tokio::test]
async fn an_answer_in_chunks_that_is_cut_anywhere() {
    hold("transfer-encoding: chunked", "7\r\nhello, \r\n6\r\nworld!\r\n0\r\n\r\n").await;
}
