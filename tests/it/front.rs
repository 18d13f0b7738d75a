//! Where clients connect, and where their keys stand.

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use tokio::net::UnixStream;

use crate::client::{exchange, http2, raw, request_text};
use crate::world::{CHAT, World, saying};

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
async fn a_key_is_found_where_legacy_clients_put_it() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    let bearer = format!("Bearer {key}");
    let chat = saying("hello");
    // openai-python 1.0 to 2.33 sends both; plain OpenAI SDKs send a bearer alone, on either surface.
    let v1 = serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]});
    for (name, answer) in [
        ("api-key", world.post(CHAT).header("API-Key", &key).json(&chat).await),
        ("both", world.post(CHAT).key(&key).header("authorization", &bearer).json(&chat).await),
        ("bearer", world.post(CHAT).header("authorization", &bearer).json(&chat).await),
        ("v1", world.post("/openai/v1/chat/completions").header("authorization", &bearer).json(&v1).await),
        ("apim", world.post(CHAT).header("ocp-apim-subscription-key", &key).json(&chat).await),
        ("anthropic", world.post(CHAT).header("x-api-key", &key).json(&chat).await),
        // api-key decides, whatever the other says.
        ("other bearer", world.post(CHAT).key(&key).header("authorization", "Bearer wrong").json(&chat).await),
    ] {
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    for (name, answer) in [
        (
            "wrong api-key, good bearer",
            world.post(CHAT).key("wrong").header("authorization", &bearer).json(&chat).await,
        ),
        ("two keys", world.post(CHAT).key(&key).key("wrong").json(&chat).await),
        ("basic", world.post(CHAT).header("authorization", &format!("Basic {key}")).json(&chat).await),
        ("url of the other plane", world.post(&format!("{CHAT}&api-key={key}")).json(&chat).await),
    ] {
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
    }
    assert_eq!(world.arrived().len(), 7);
}

#[tokio::test]
async fn a_query_key_may_stand_in_the_url_of_a_search_and_goes_no_further() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let docs = "/indexes/hotels/docs?search=*&$top=1&api-version=2024-07-01";
    let answer = world.get(&format!("{docs}&api-key={}&$count=true", keys.search_query)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The rest of the query is as it came.
    assert_eq!(world.only_arrival().target, format!("{docs}&$count=true"));

    let answer = world.get(&format!("{docs}&api-key={}", keys.search_admin)).send().await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.text(),
        r#"{"error":{"code":"","message":"The given API key is not permitted in the URI query string."}}"#
    );
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
