//! What clients are shown and what we prove ourselves with: certificates and secrets that change.

use std::fs;

use azure_emulator::{Fault, Plane};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{MODELS, key, keyed};
use crate::client::{exchange, handshake, request_text};
use crate::world::{CHAT, Plan, saying};

/// A certificate for the gateway from an authority that nobody has heard of yet: both, and the key, in PEM.
fn another() -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (ca, leaf.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_connection_on() {
    let world = keyed([1]).start().await;
    let https = world.gateway.https.unwrap();
    let connect =
        async |ca: &str| handshake(tokio::net::TcpStream::connect(https).await.unwrap(), ca, b"http/1.1").await;
    let old_ca = world.emulator.ca_pem().to_owned();
    let before = connect(&old_ca).await.unwrap();
    let (ca, cert, key_pem) = another();

    // One without the other is no pair: it stays at the one before, until both are there.
    world.write("cert.pem", &cert);
    world
        .gateway
        .logged(|line| line["level"] == "ERROR" && line["mistake"].as_str().unwrap().contains("cert.pem"))
        .await;
    connect(&old_ca).await.unwrap();
    world.write("key.pem", &key_pem);
    world.generation(2).await;

    assert!(connect(&old_ca).await.is_err());
    let text = request_text("GET", MODELS, &[("api-key", &key(1))]);
    for stream in [connect(&ca).await.unwrap(), before] {
        let answer = exchange(stream, &text).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// Entra has refused the secret, and would be asked again in half a minute: a new one is tried when it is there.
#[tokio::test]
async fn a_new_secret_is_tried_at_once() {
    let plan = Plan {
        before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::named("wrong-secret"), 1000).unwrap()),
        ..keyed([1])
    };
    let world = plan.start().await;
    let failed = world.post(CHAT).key(&key(1)).json(&saying("hello")).await;
    assert_eq!(failed.status, 500);
    world.emulator.clear_faults();
    let secret = fs::read_to_string(world.path("app.secret")).unwrap();
    world.write("app.secret", &format!("{secret}\n"));
    world.generation(2).await;
    world.gateway.logged(|line| line["message"] == "token fetched").await;
    let answer = world.post(CHAT).key(&key(1)).json(&saying("hello")).await;
    assert_eq!(answer.status, 200);
}
