//! The swap as a library: a tower layer around somebody else's service, with no socket of ours.

use std::sync::{Arc, Mutex};

use azure_emulator::{Door, Emulator, Options};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use keyswap::admit::Admitted;
use keyswap::egress::Egress;
use keyswap::forward::Replay;
use keyswap::keys::Keys;
use keyswap::refusal::Failure;
use keyswap::settings::Settings;
use keyswap::swap::{Gateway, SwapLayer};
use tower::{Layer, Service, service_fn};

use crate::gateway::directory;
use crate::world::{CHAT, app_identity, client};

/// What somebody else's service gets is the request that may go: to the permitted resource, with our token, without the
/// client's key. What it does not get is a request that was refused.
#[tokio::test]
async fn somebody_elses_service_gets_admitted_requests_alone() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let key = emulator.keys().openai;
    let settings = format!(
        "keys = \"keys.toml\"\n[egress]\nca = \"ca.pem\"\n{}[resources.contoso]\nplane = \"openai\"\nendpoint = \"{}\"\n\
         identity = \"app\"\n",
        app_identity("app", &emulator.app(), &emulator.entra()),
        emulator.openai(Door::Behind),
    );
    let files = directory(&[
        ("keyswap.toml", &settings),
        ("keys.toml", &client("chat", &key, "{ resource = \"contoso\" }")),
        ("app.secret", &emulator.app().secret),
        ("ca.pem", emulator.ca_pem()),
    ]);
    let settings = Settings::read(&files.path().join("keyswap.toml")).unwrap();
    let keys = Keys::read(&settings).unwrap();
    let gateway = Arc::new(Gateway::new(&settings, keys));
    let _kept = gateway.tokens.keep(&settings, &Egress::new(&settings.egress, settings.timeouts.egress).unwrap());

    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = seen.clone();
    let theirs = service_fn(move |admitted: Admitted<Replay<Full<Bytes>>>| {
        assert_eq!(&*admitted.permit().unwrap().caller().key().client.name, "chat");
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
