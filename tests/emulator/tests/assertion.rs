//! Client assertions: what Entra takes for a proof, and what it does not.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use azure_emulator::ServiceAccountToken;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::bench::{Bench, OPENAI_SCOPE, Reply};

/// A certificate and its key, as an application's owner makes them.
struct Made {
    pem: String,
    der: Vec<u8>,
    key: KeyPair,
}

impl Made {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::new(Vec::<String>::new()).unwrap().self_signed(&key).unwrap();
        let key = KeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().to_vec(), key }
    }

    fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.der))
    }

    fn sign(&self, header: &Value, claims: &Value, encoding: &'static dyn RsaEncoding) -> String {
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Asks for a token with an assertion, as the application.
async fn ask(bench: &Bench, assertion: &str) -> Reply {
    let app = bench.emulator.app();
    let form = format!(
        "grant_type=client_credentials&client_id={}&scope={OPENAI_SCOPE}\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion={assertion}",
        app.client_id
    );
    let target = format!("/{}/oauth2/v2.0/token", app.tenant);
    bench.ask("POST", &bench.emulator.entra(), &target).body(form).send().await
}

/// The code of a refusal; 0 for a token.
async fn code(bench: &Bench, assertion: &str) -> u64 {
    let reply = ask(bench, assertion).await;
    let body = reply.json();
    if reply.status == 200 {
        return 0;
    }
    assert_eq!((reply.status.as_u16(), &body["error"]), (401, &json!("invalid_client")));
    body["error_codes"][0].as_u64().expect("a code")
}

fn with(claims: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[key] = value.into();
    claims
}

#[tokio::test]
async fn an_assertion_is_believed_if_all_of_it_is_right() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let (own, others) = (Made::new(), Made::new());
    bench.emulator.upload_certificate(&app, &own.pem).unwrap();
    bench.emulator.upload_certificate(&bench.emulator.reader_app(), &others.pem).unwrap();

    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let endpoint = format!("{}/{}/oauth2/v2.0/token", bench.emulator.entra(), app.tenant);
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": own.thumbprint()});
    let claims = json!({
        "aud": endpoint, "iss": app.client_id, "sub": app.client_id, "jti": "1", "nbf": now, "exp": now + 300,
    });
    let ps = |header: &Value, claims: &Value| own.sign(header, claims, &RSA_PSS_SHA256);

    let chain = json!([BASE64_STANDARD.encode(&own.der)]);
    let pem_for_a_chain = json!([BASE64_STANDARD.encode(&own.pem)]);
    let good = ps(&header, &claims);
    // Ten letters less: what is left is whole bytes.
    let cut = &good[..good.len() - 10];
    for (name, assertion, expected) in [
        ("good", good.clone(), 0),
        ("of an older library", own.sign(&with(&header, "alg", "RS256"), &claims, &RSA_PKCS1_SHA256), 0),
        ("with a chain", ps(&with(&header, "x5c", chain), &claims), 0),
        ("with a chain that is no DER", ps(&with(&header, "x5c", pem_for_a_chain), &claims), 50_027),
        ("no JWT", "a.b.c".to_owned(), 50_027),
        ("without an id", ps(&header, &with(&claims, "jti", "")), 50_027),
        ("signed by another scheme", own.sign(&header, &claims, &RSA_PKCS1_SHA256), 700_027),
        ("signed by another key", others.sign(&header, &claims, &RSA_PSS_SHA256), 700_027),
        (
            "another application's certificate",
            others.sign(&with(&header, "x5t#S256", others.thumbprint()), &claims, &RSA_PSS_SHA256),
            700_027,
        ),
        ("a cut signature", cut.to_owned(), 700_027),
        ("an algorithm of elliptic curves", ps(&with(&header, "alg", "ES256"), &claims), 5_002_738),
        ("no algorithm", ps(&with(&header, "alg", "none"), &claims), 5_002_738),
        ("another issuer", ps(&header, &with(&claims, "iss", "x")), 700_021),
        ("another subject", ps(&header, &with(&claims, "sub", "x")), 700_021),
        ("another audience", ps(&header, &with(&claims, "aud", "https://login.microsoftonline.com")), 700_023),
        ("ended", ps(&header, &with(&claims, "exp", now - 1)), 700_024),
        ("not begun", ps(&header, &with(&claims, "nbf", now + 3600)), 700_024),
    ] {
        assert_eq!(code(&bench, &assertion).await, expected, "{name}");
    }
    let entry = bench.entry(|entry| entry.credential == Some("certificate")).await;
    assert_eq!(entry.principal, Some(app.object_id));
}

#[tokio::test]
async fn a_service_account_is_believed_if_the_application_trusts_it() {
    let bench = Bench::start().await;
    let token = ServiceAccountToken::default;
    let sign = |token: &ServiceAccountToken| bench.emulator.service_account_token(token).unwrap();
    assert_eq!(code(&bench, &sign(&token())).await, 700_213, "nobody has said yet that it may");
    bench.emulator.federate(&bench.emulator.app(), &token().subject);
    let tampered = {
        let [other, good] = [ServiceAccountToken { subject: "x".to_owned(), ..token() }, token()].map(|it| sign(&it));
        let (signed, signature) = (good.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
        format!("{signed}.{signature}")
    };
    for (name, assertion, expected) in [
        ("good", sign(&token()), 0),
        ("tampered with", tampered, 50_013),
        ("ended", sign(&ServiceAccountToken { seconds: -1, ..token() }), 700_024),
        (
            "another issuer",
            sign(&ServiceAccountToken { issuer: "https://elsewhere.example/".to_owned(), ..token() }),
            700_211,
        ),
        (
            "another case of letters",
            sign(&ServiceAccountToken { subject: token().subject.to_uppercase(), ..token() }),
            700_213,
        ),
        ("another audience", sign(&ServiceAccountToken { audience: "api://x".to_owned(), ..token() }), 700_212),
    ] {
        assert_eq!(code(&bench, &assertion).await, expected, "{name}");
    }
    bench.entry(|entry| entry.credential == Some("federated-token")).await;
}

/// Whoever is no program in Rust says the same over the control port.
#[tokio::test]
async fn the_control_port_registers_what_proves_an_application() {
    let bench = Bench::start().await;
    let control = bench.emulator.control();
    let post = |path: &'static str, body: Value| bench.ask("POST", &control, path).body(body.to_string()).send();
    let client_id = bench.emulator.app().client_id;
    let subject = "system:serviceaccount:apps:chat";
    let federation = json!({"client_id": client_id, "subject": subject});
    assert_eq!(post("/federate", federation).await.status, 200);
    let token = post("/service-account-token", json!({ "subject": subject })).await.json();
    assert_eq!(code(&bench, token["token"].as_str().expect("a token")).await, 0);
    let upload = |pem: &str| post("/certificate", json!({"client_id": client_id, "pem": pem}));
    assert_eq!(upload(&Made::new().pem).await.status, 200);
    assert_eq!(upload("no PEM").await.status, 400);
}
