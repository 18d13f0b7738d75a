//! What becomes of a request whose connection ends before anything was answered: whether it is sent once more, and how often.

use std::io::{BufRead, BufReader as StdReader, Read, Write};
use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use azure_emulator::{Door, Emulator, Options};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use keyswap::egress::Egress;
use keyswap::forward::{Forward, Pools};
use keyswap::keys::Keys;
use keyswap::settings::Settings;
use keyswap::swap::{Gateway, SwapLayer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tower::{Layer, ServiceExt};

use crate::client::Answer;
use crate::gateway::directory;
use crate::upstream::{Then, Upstream, read_body, read_head};
use crate::world::{CHAT, Plan, World, app_identity, client, saying, without_tls};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Documents that are written: what was done once is not to be done again.
const DOCUMENTS: &str = "/indexes/hotels/docs/index?api-version=2024-07-01";

async fn write_documents(world: &World) -> Answer {
    world.post(DOCUMENTS).key(&world.emulator.keys().search_admin).json(&json!({"value": []})).await
}

fn is_lost(answer: &Answer) {
    assert_eq!((answer.status, answer.reason()), (StatusCode::BAD_GATEWAY, "upstream-lost"));
    let text = "The connection to Azure was lost after the request had been sent; it may have been carried out.";
    assert_eq!(answer.json()["error"]["message"], text);
    assert_eq!(answer.header("retry-after"), None);
}

/// The upstream takes it on a connection that it has kept, and closes without a word: nobody knows what it has done.
#[tokio::test]
async fn what_must_not_be_done_twice_is_sent_once() {
    let answers = [(OK, Then::Stay), (b"", Then::Close), (OK, Then::Stay)];
    let upstream = Upstream::answering_in_turn(&answers).await;
    let world = upstream.search_plan().start().await;
    assert_eq!(write_documents(&world).await.status, 200);
    is_lost(&write_documents(&world).await);
    assert_eq!(upstream.count(), 2);
    let told = world.gateway.told(|line| line["status"] == 502).await;
    assert_eq!(told["replays"], json!(0));
    assert_eq!(write_documents(&world).await.status, 200);
}

/// The same for a chat of which not all is kept.
#[tokio::test]
async fn what_is_too_long_to_be_kept_is_sent_once() {
    let answers = [(OK, Then::Stay), (b"", Then::Close), (OK, Then::Stay)];
    let upstream = Upstream::answering_in_turn(&answers).await;
    let world = upstream.plan().start().await;
    let key = world.emulator.keys().openai;
    let call = |length| world.post(CHAT).key(&key).json(&saying(&"x".repeat(length)));
    assert_eq!(call(1).await.status, 200);
    is_lost(&call(70_000).await);
    assert_eq!(upstream.count(), 2);
}

/// An upstream that answers two requests when it has both, and to any other says nothing, and closes; and how many have come.
async fn forsaking_all_but_two() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, both) = (Arc::<AtomicUsize>::default(), Arc::new(Barrier::new(2)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (counted, both) = (counted.clone(), both.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some(head) = read_head(&mut stream).await {
                    read_body(&mut stream, &head).await;
                    if counted.fetch_add(1, Ordering::SeqCst) >= 2 {
                        return;
                    }
                    both.wait().await;
                    stream.write_all(OK).await.unwrap();
                }
            });
        }
    });
    (url, count)
}

/// Once more is once, however many kept connections have ended.
#[tokio::test]
async fn a_request_is_sent_once_more_and_no_more() {
    let (url, count) = forsaking_all_but_two().await;
    let settings = move |text: String, emulator: &Emulator| {
        text.replace("workers = 2\n", "workers = 1\n").replace(&emulator.openai(Door::Behind), &url)
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    let key = world.emulator.keys().openai;
    let call = || world.post(CHAT).key(&key).json(&saying("hello"));
    let (one, other) = tokio::join!(call(), call());
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
    is_lost(&call().await);
    assert_eq!(count.load(Ordering::SeqCst), 4, "the two that were answered, and one twice");
    let told = world.gateway.told(|line| line["status"] == 502).await;
    assert_eq!(told["replays"], json!(1));
}

/// A connection that its upstream has closed between two requests takes none.
#[tokio::test]
async fn what_must_not_be_done_twice_goes_on_no_connection_that_has_ended() {
    let upstream = Upstream::answering_in_turn(&[(OK, Then::Close), (OK, Then::Close)]).await;
    let world = upstream.search_plan().start().await;
    for count in 1..=20 {
        let answer = write_documents(&world).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        upstream.connections_ended(count).await;
    }
    assert_eq!(upstream.count(), 20);
}

/// An upstream in a thread of its own, where it can do what it does while nothing else runs. When it is told to close the
/// connection that it has, it does so, and says when it has.
fn closing_when_told() -> (String, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ((close, told), (say, closed)) = (mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StdReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(said) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = said.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            stream.get_mut().write_all(OK).unwrap();
            if told.recv().is_err() {
                return;
            }
            drop(stream);
            say.send(()).unwrap();
        }
    });
    (url, close, closed)
}

/// The system knows that a kept connection has ended, and this program has not looked: it looks before it takes one for what
/// must not be done twice.
#[tokio::test]
async fn an_end_that_nobody_has_looked_at_is_seen() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let key = emulator.keys().search_admin;
    let (url, close, closed) = closing_when_told();
    let settings = format!(
        "keys = \"keys.toml\"\n[egress]\nca = \"ca.pem\"\n{}[resources.search]\nplane = \"search\"\nendpoint = \"{url}\"\n\
         identity = \"app\"\n",
        app_identity("app", &emulator.app(), &emulator.entra()),
    );
    let files = directory(&[
        ("keyswap.toml", &settings),
        ("keys.toml", &client("writer", &key, "{ resource = \"search\" }")),
        ("app.secret", &emulator.app().secret),
        ("ca.pem", emulator.ca_pem()),
    ]);
    let settings = Settings::read(&files.path().join("keyswap.toml")).unwrap();
    let gateway = Arc::new(Gateway::new(&settings, Keys::read(&settings).unwrap()));
    let egress = Egress::new(&settings.egress, settings.timeouts.egress).unwrap();
    let _kept = gateway.tokens.keep(&settings, &egress);
    let swap = SwapLayer::new(gateway).layer(Forward::new(&egress, &Pools::new(&settings)));
    let write = move || {
        let request = Request::post(DOCUMENTS).header("api-key", &key);
        let answer = swap.clone().oneshot(request.body(Full::<Bytes>::from(r#"{"value": []}"#)).unwrap());
        async {
            let (head, body) = answer.await.unwrap().into_parts();
            body.collect().await.unwrap();
            head.status
        }
    };
    // As in a worker of ours: a task among others, on one thread.
    let requests = tokio::spawn(async move {
        for _ in 0..5 {
            assert_eq!(write().await, 200);
            // Its connection is kept, and all that was to be done is done.
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Now everything here stands still.
            close.send(()).unwrap();
            closed.recv().unwrap();
        }
    });
    requests.await.unwrap();
}

/// An upstream that says with its last word of the handshake that it will say nothing more.
fn closing_at_once(emulator: &Emulator) -> String {
    let certificate = emulator.gateway_certificate();
    let chain = CertificateDer::pem_slice_iter(certificate.cert_pem.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(close_at_once(stream, ServerConnection::new(config.clone()).unwrap()));
        }
    });
    url
}

async fn close_at_once(mut stream: TcpStream, mut tls: ServerConnection) {
    let mut said = [0; 4096];
    while !tls.wants_write() {
        let length = stream.read(&mut said).await.unwrap();
        tls.read_tls(&mut &said[..length]).unwrap();
        tls.process_new_packets().unwrap();
    }
    tls.send_close_notify();
    let mut words = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut words).unwrap();
    }
    stream.write_all(&words).await.unwrap();
    while stream.read(&mut said).await.is_ok_and(|length| length > 0) {}
}

/// A new connection that ends before it takes the request: nothing was sent, and so it is told.
#[tokio::test]
async fn what_a_new_connection_does_not_take_was_not_sent() {
    let settings = |text: String, emulator: &Emulator| {
        // The only certificate that there is must not be ours, too.
        let text = without_tls(&text);
        text.replace(&emulator.search(Door::Behind), &closing_at_once(emulator))
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    let answer = write_documents(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (503, "upstream-unreachable"), "{}", answer.text());
    assert_eq!(answer.json()["error"]["message"], "keyswap cannot reach Azure AI Search. Try again.");
    assert_eq!(answer.header("retry-after"), Some("2"));
    let told = world.gateway.told(|line| line["status"] == 503).await;
    assert_eq!(told["why"], "the upstream cannot be reached: it closed the connection before it took the request");
}
