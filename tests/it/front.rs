//! Where clients connect.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use tokio::net::UnixStream;

use crate::client::{exchange, http2, raw, request_text};
use crate::world::{CHAT, Plan, World, saying};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

#[tokio::test]
async fn http_https_and_a_unix_socket_serve_the_same() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;

    let plain = world.get(MODELS).key(&key).send().await;
    let https = format!("https://{}{MODELS}", world.gateway.https.unwrap());
    let secure = world.client.call(Method::GET, &https).key(&key).send().await;
    assert_eq!((plain.status, &plain.body), (secure.status, &secure.body));
    assert_eq!(plain.status, 200);

    let socket = UnixStream::connect(world.gateway.directory.path().join("keyswap.sock")).await.unwrap();
    let answer = exchange(socket, &request_text("GET", MODELS, &[("api-key", &key)])).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&plain.text()), "{answer}");
}

/// Whoever may write to the socket may connect, and the settings say who that is, whatever the umask is.
#[tokio::test]
async fn the_settings_say_who_may_connect_to_the_unix_socket() {
    for mode in [0o660, 0o666, 0o600] {
        let line = format!("unix = \"keyswap.sock\"\nunix_mode = \"{mode:o}\"\n");
        let settings = move |text: String, _: &_| text.replace("unix = \"keyswap.sock\"\n", &line);
        let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
        let socket = std::fs::metadata(world.path("keyswap.sock")).unwrap();
        assert_eq!(socket.permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn alpn_gets_http_2_to_who_asks_for_it() {
    let world = World::start().await;
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let chat = Request::post(format!("https://localhost{CHAT}"))
        .header("api-key", world.emulator.keys().openai)
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(saying("over two").to_string()))
        .unwrap();
    let answer = send.send_request(chat).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("over two"));
    // Upstream it was an ordinary request of HTTP/1.1, with a Host and no key.
    let arrived = world.only_arrival();
    assert_eq!((arrived.version, arrived.target.as_str()), ("1.1", CHAT));
    assert!(arrived.header("host").is_some());

    // A refusal has no reason phrase there, and the same bytes.
    let refused = Request::get("https://localhost/openai/models").body(Full::default()).unwrap();
    let answer = send.send_request(refused).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn connections_are_handed_to_the_workers_in_turn() {
    // Each request on a connection of its own, more than there are workers: whichever gets it, it is served.
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    for _ in 0..6 {
        let answer = raw(world.gateway.http, &request_text("GET", MODELS, &[("api-key", &key)])).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    // Each worker has upstream connections of its own and keeps them: two workers, two connections.
    let connections: std::collections::BTreeSet<_> = world.arrived().iter().map(|entry| entry.connection).collect();
    assert_eq!(connections.len(), 2, "{connections:?}");
}
