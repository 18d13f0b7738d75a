//! The swap as a library: a tower layer around somebody else's service, with no socket of ours.

use std::sync::{Arc, Mutex};

use axum::Router;
use azure_emulator::{Door, Emulator, Options};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use keyswap::admit::Admitted;
use keyswap::authorize::Way;
use keyswap::egress::Egress;
use keyswap::forward::{Forward, Pools, Replay};
use keyswap::keys::Keys;
use keyswap::refusal::Failure;
use keyswap::settings::Settings;
use keyswap::swap::{Gateway, SwapLayer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower::{Layer, Service, service_fn};

use crate::gateway::directory;
use crate::websocket::REALTIME;
use crate::world::{CHAT, app_identity, client};

/// A gateway of these files, and what keeps its tokens.
fn gateway(emulator: &Emulator, allow: &str) -> (Arc<TempDir>, Settings, Arc<Gateway>) {
    let key = emulator.keys().openai;
    let settings = format!(
        "keys = \"keys.toml\"\n[egress]\nca = \"ca.pem\"\n{}[resources.contoso]\nplane = \"openai\"\nendpoint = \"{}\"\n\
         identity = \"app\"\n",
        app_identity("app", &emulator.app(), &emulator.entra()),
        emulator.openai(Door::Behind),
    );
    let files = directory(&[
        ("keyswap.toml", &settings),
        ("keys.toml", &client("chat", &key, &format!("{{ resource = \"contoso\", allow = [\"{allow}\"] }}"))),
        ("app.secret", &emulator.app().secret),
        ("ca.pem", emulator.ca_pem()),
    ]);
    let settings = Settings::read(&files.path().join("keyswap.toml")).unwrap();
    let keys = Keys::read(&settings).unwrap();
    let gateway = Arc::new(Gateway::new(&settings, keys));
    (files, settings, gateway)
}

/// What somebody else's service gets is the request that may go: to the permitted resource, with our token, without the
/// client's key. What it does not get is a request that was refused.
#[tokio::test]
async fn somebody_elses_service_gets_admitted_requests_alone() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let key = emulator.keys().openai;
    let (_files, settings, gateway) = gateway(&emulator, "inference");
    let _kept = gateway.tokens.keep(&settings, &Egress::new(&settings.egress, settings.timeouts.egress).unwrap());

    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = seen.clone();
    let theirs = service_fn(move |admitted: Admitted<Replay<Full<Bytes>>>| {
        let Way::Permit(permit) = admitted.way() else { panic!("a key has a permit") };
        assert_eq!(&*permit.caller().key().client.name, "chat");
        let (head, _) = admitted.into_request().into_parts();
        noting.lock().unwrap().push(head);
        async { Ok::<_, Failure>(Response::new(Full::<Bytes>::from("theirs"))) }
    });
    let mut swap = SwapLayer::new(gateway).layer(theirs);
    let request = |key: &str| Request::post(CHAT).header("api-key", key).body(Full::<Bytes>::from("{}")).unwrap();

    let answer = swap.call(request(&key)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "theirs");
    let answer = swap.call(request("wrong")).await.unwrap();
    assert_eq!(answer.status(), 401);

    let seen = seen.lock().unwrap();
    let [head] = &seen[..] else { panic!("one request") };
    assert_eq!(head.uri, CHAT);
    assert_eq!(format!("https://{}", head.headers["host"].to_str().unwrap()), emulator.openai(Door::Behind));
    assert!(!head.headers.contains_key("api-key"));
    let bearer = &head.headers["authorization"];
    assert!(bearer.to_str().unwrap().starts_with("Bearer eyJ"));
    assert!(bearer.is_sensitive(), "it would be shown in a debug print");
    assert!(!format!("{head:?}").contains("eyJ"));
}

/// Somebody else's server knows no more of us than hyper's own word for it, and that is enough for a websocket.
#[tokio::test]
async fn a_websocket_opens_through_somebody_elses_server() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let key = emulator.keys().openai;
    let (_files, settings, gateway) = gateway(&emulator, "realtime");
    let egress = Egress::new(&settings.egress, settings.timeouts.egress).unwrap();
    let _kept = gateway.tokens.keep(&settings, &egress);
    let swap = SwapLayer::new(gateway).layer(Forward::new(&egress, &Pools::new(&settings)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(axum::serve(listener, Router::new().fallback_service(swap)).into_future());

    let mut request = format!("ws://{address}{REALTIME}").into_client_request().unwrap();
    request.headers_mut().insert("api-key", key.parse().unwrap());
    let (mut socket, _) = client_async(request, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let said = loop {
        let message = socket.next().await.unwrap().unwrap();
        if message.is_text() {
            break message;
        }
    };
    assert!(said.to_text().unwrap().contains("session.created"));
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    serving.abort();
    assert_eq!(emulator.journal().violations().len(), 0);
}
