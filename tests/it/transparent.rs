//! Clients that keep Azure's names: which certificate they are shown, which resource they mean, where it really is.

use std::net::SocketAddr;

use azure_emulator::{Door, Emulator};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::authority::{Authority, OPENAI, SEARCH};
use crate::client::{exchange, secure_as};
use crate::name_server::NameServer;
use crate::namespace::was_run_inside;
use crate::world::{CHAT, Plan, World, saying};

/// A world under Azure's own names, whose resources are where the emulator is.
fn plan(authority: &Authority) -> Plan {
    let tls = authority.path("tls");
    Plan {
        settings: Box::new(move |text, emulator| {
            let text = named(&text, emulator);
            text.replace("[tls]\n", &format!("[tls]\ndirectory = \"{}\"\n", tls.display()))
        }),
        ..Plan::default()
    }
}

/// The settings with Azure's names, each at the emulator's address.
fn named(settings: &str, emulator: &Emulator) -> String {
    [(OPENAI, emulator.openai(Door::Behind)), (SEARCH, emulator.search(Door::Behind))].iter().fold(
        settings.to_owned(),
        |text, (name, url)| {
            let address = url.trim_start_matches("https://");
            text.replace(&format!("\"{url}\""), &format!("\"https://{name}\"\naddress = \"{address}\""))
        },
    )
}

/// A chat over a connection that was made for one name and calls another; its answer as it came.
async fn chat(world: &World, trusted: &str, server_name: &str, host: &str) -> String {
    let stream = secure_as(server_name, world.gateway.https.unwrap(), trusted, b"http/1.1").await.unwrap();
    let (key, body) = (world.emulator.keys().openai, saying("hello").to_string());
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: {host}\r\napi-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    exchange(stream, head.as_bytes()).await
}

#[tokio::test]
async fn azures_own_name_leads_here_and_on_to_its_address() {
    let authority = Authority::new();
    let world = plan(&authority).start().await;
    let answer = chat(&world, &authority.pem(), OPENAI, OPENAI).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let arrived = world.only_arrival();
    assert_eq!((arrived.header("host"), &*arrived.target), (Some(OPENAI), CHAT));
    assert_eq!(world.gateway.told(|line| line["status"] == 200).await["resource"], "ai");
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_for_its_name() {
    let authority = Authority::new();
    let world = plan(&authority).start().await;
    let (trusted, https) = (authority.pem() + world.emulator.ca_pem(), world.gateway.https.unwrap());
    let shown = async |name: &str| {
        let stream = secure_as(name, https, &trusted, b"h2").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let file = |name: &str| CertificateDer::from_pem_file(authority.path(&format!("tls/{name}.pem"))).unwrap();
    assert_eq!(shown(OPENAI).await, file(OPENAI));
    assert_eq!(shown(SEARCH).await, file(SEARCH));
    let default = CertificateDer::from_pem_slice(world.emulator.gateway_certificate().cert_pem.as_bytes()).unwrap();
    for name in ["localhost", "other.openai.azure.com", "127.0.0.1"] {
        assert_eq!(shown(name).await, default, "{name}");
    }
}

#[tokio::test]
async fn without_a_default_an_unknown_name_is_shown_nothing() {
    let authority = Authority::new();
    let usual = plan(&authority).settings;
    let settings = Box::new(|text: String, emulator: &Emulator| {
        usual(text, emulator).replace("cert = \"cert.pem\"\nkey = \"key.pem\"\n", "")
    });
    let world = Plan { settings, ..plan(&authority) }.start().await;
    let https = world.gateway.https.unwrap();
    assert!(secure_as(SEARCH, https, &authority.pem(), b"h2").await.is_ok());
    for name in ["localhost", "below.contoso.openai.azure.com"] {
        let error = secure_as(name, https, &authority.pem(), b"h2").await.unwrap_err();
        assert_eq!(error.to_string(), "received fatal alert: AccessDenied", "{name}");
    }
}

#[tokio::test]
async fn the_name_in_the_handshake_names_the_resource_and_host_must_agree() {
    let authority = Authority::new();
    let plan = Plan {
        keys: Box::new(|_, emulator| {
            let grants = "{ resource = \"ai\" }, { resource = \"search\" }";
            crate::world::client("both", &emulator.keys().openai, grants)
        }),
        ..plan(&authority)
    };
    let world = plan.start().await;
    let trusted = authority.pem() + world.emulator.ca_pem();
    // Whatever names no resource says nothing.
    for (server_name, host) in [(OPENAI, OPENAI), (OPENAI, "localhost"), ("localhost", OPENAI)] {
        let answer = chat(&world, &trusted, server_name, host).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{server_name} {host}: {answer}");
    }
    let arrived = world.arrived().len();
    let message = "keyswap does not forward this request: its connection was made for one resource, and its Host header \
                   names another. Use a connection for each.";
    for (server_name, host) in [(SEARCH, OPENAI), (OPENAI, SEARCH)] {
        let answer = chat(&world, &trusted, server_name, host).await;
        assert!(answer.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-keyswap-reason: misdirected\r\n"), "{answer}");
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let error =
            json!({"code": "MisdirectedRequest", "message": message, "type": "invalid_request_error", "param": null});
        assert_eq!(body, json!({ "error": error }));
        let id = answer.lines().find_map(|line| line.strip_prefix("x-keyswap-request-id: ")).unwrap();
        world
            .says_why_of(
                id,
                "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  421, misdirected
step:      authorize
why:       the TLS connection is for one resource, and the Host header names another
cure:      The client takes one TLS connection for the hosts of two resources, since one certificate has both names. Show each host a certificate of its own, from directory in [tls].
client:    both, key both
",
            )
            .await;
    }
    // The handshake alone says search, where the path is not.
    let answer = chat(&world, &trusted, SEARCH, "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    assert_eq!(world.arrived().len(), arrived);
}

/// A wrong key is told nothing of which hosts there are.
#[tokio::test]
async fn a_wrong_key_does_not_learn_that_it_was_misdirected() {
    let authority = Authority::new();
    let plan = Plan {
        keys: Box::new(|_, _| crate::world::client("other", "another", "{ resource = \"ai\" }")),
        ..plan(&authority)
    };
    let world = plan.start().await;
    let answer = chat(&world, &authority.pem(), SEARCH, OPENAI).await;
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
}

/// The hosts file leads the name to where nobody is; the name server knows better.
#[tokio::test]
async fn the_name_server_of_the_settings_is_asked_and_not_the_system() {
    let test = "transparent::the_name_server_of_the_settings_is_asked_and_not_the_system";
    if was_run_inside(test, &format!("127.0.0.9 {OPENAI}\n"), "") {
        return;
    }
    let names = NameServer::knowing(&[(OPENAI, [127, 0, 0, 1].into())]).await;
    let with = |resolver: Option<SocketAddr>| Plan {
        settings: Box::new(move |text, emulator| {
            let url = emulator.openai(Door::Behind);
            let text = text.replace(&url, &url.replace("127.0.0.1", OPENAI));
            let line = resolver.map(|server| format!("resolver = \"{server}\"\n")).unwrap_or_default();
            text.replace("[egress]\n", &format!("[egress]\n{line}"))
        }),
        ..Plan::default()
    };
    let world = with(Some(names.address)).start().await;
    for _ in 0..2 {
        let call = world.post(CHAT).key(&world.emulator.keys().openai);
        let answer = call.json(&saying("hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // Entra's address here is no name; the search service's neither.
    assert_eq!(names.asked(), [OPENAI]);

    let world = with(None).start().await;
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.reason(), "upstream-unreachable");
}

#[tokio::test]
async fn a_name_that_the_name_server_does_not_know_is_nowhere() {
    let names = NameServer::knowing(&[]).await;
    let server = names.address;
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            let text = text.replace(&emulator.openai(Door::Behind), "https://contoso.openai.azure.com");
            text.replace("[egress]\n", &format!("[egress]\nresolver = \"{server}\"\n"))
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.reason(), "upstream-unreachable");
    let told = world.gateway.logged(|line| line["message"] == "cannot connect upstream").await;
    let why = format!("the name server {server} knows no address of it");
    assert_eq!(told["cause"], format!("no connection to contoso.openai.azure.com:443: {why}"));
}
