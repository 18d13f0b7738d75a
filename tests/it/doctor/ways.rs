//! The way out, and the way to Entra: names, connections, proxies, TLS; and where it ends.

use std::net::{Ipv4Addr, SocketAddr};

use ::base64::prelude::{BASE64_STANDARD, Engine};
use azure_emulator::{Emulator, Options};
use serde_json::{Value, json};

use super::{Practice, is_told};
use crate::name_server::NameServer;
use crate::proxy::{Proxy, Way};
use crate::world::Plan;

const LOGIN: &str = "login.microsoftonline.com";

/// Settings with this authority, and these lines in `[egress]`.
fn by(authority: impl FnOnce(&Emulator) -> String + Send + 'static, egress: String) -> Plan {
    let settings = move |text: String, emulator: &Emulator| {
        let text = text.replace(&emulator.entra(), &authority(emulator));
        text.replace("[egress]\n", &format!("[egress]\n{egress}"))
    };
    Plan { settings: Box::new(settings), ..Plan::default() }
}

fn address_of(url: &str) -> SocketAddr {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

// === To Entra ===

#[tokio::test]
async fn an_authority_where_nobody_listens_is_told() {
    let practice = Practice::open(by(|_| "https://127.0.0.1:1".to_owned(), String::new())).await;
    is_told(
        &practice,
        "no connection to 127.0.0.1:1: Connection refused (os error 111)",
        "Nobody at 127.0.0.1:1 takes a connection from here: a firewall, or a wrong authority.",
        "Let keyswap reach 127.0.0.1:1; if the way out is a proxy, name it as egress.proxy.",
        &["curl -sv --max-time 10 --output /dev/null https://127.0.0.1:1/"],
    )
    .await;
}

#[tokio::test]
async fn an_authority_whose_name_leads_nowhere_is_told() {
    let names = NameServer::knowing(&[]).await;
    let resolver = format!("resolver = \"{}\"\n", names.address);
    let practice = Practice::open(by(|_| format!("https://{LOGIN}"), resolver)).await;
    let finding = practice.finding("token").await;
    let found = finding["found"].as_str().unwrap();
    let unknown = format!("the name server {} knows no address of it", names.address);
    assert!(found.ends_with(&unknown), "{found}");
    assert_eq!(finding["means"], format!("The name {LOGIN} leads nowhere from here."));
    assert_eq!(finding["commands"], json!([format!("getent hosts {LOGIN}")]));
}

#[tokio::test]
async fn an_authority_that_leads_back_is_told() {
    let settings = |text: String, emulator: &Emulator| {
        let text = text.replace("http = \"127.0.0.1:0\"", "http = \"127.0.0.1:1\"");
        text.replace(&emulator.entra(), "https://127.0.0.1:1")
    };
    let practice = Practice::open(Plan { settings: Box::new(settings), ..Plan::default() }).await;
    is_told(
        &practice,
        "no connection to 127.0.0.1:1: it leads back to keyswap, which listens on 127.0.0.1:1",
        "The name 127.0.0.1 leads back to keyswap.",
        "Name as egress.resolver a DNS server that does not lead Azure's names here.",
        &["getent hosts 127.0.0.1"],
    )
    .await;
}

#[tokio::test]
async fn an_authority_whose_certificate_is_not_trusted_is_told() {
    // Another authority's certificate is what is trusted.
    let practice = Practice::open(Plan::default()).await;
    let other = Emulator::start(Options::default()).await.unwrap();
    practice.write("ca.pem", other.ca_pem());
    let finding = practice.finding("token").await;
    let found = finding["found"].as_str().unwrap();
    let prefix = "no TLS with ENTRA: invalid peer certificate: ";
    assert!(found.starts_with(prefix), "{found}");
    assert_eq!(
        json!([finding["means"], finding["cure"], finding["commands"]]),
        json!([
            "Its certificate comes from an authority that keyswap does not trust: something on the way opens TLS, or this is \
             not Entra.",
            "If a proxy of your own opens TLS, name its authority's PEM file as egress.ca.",
            ["openssl s_client -connect ENTRA -servername 127.0.0.1 -showcerts </dev/null"],
        ])
    );
}

#[tokio::test]
async fn an_authority_that_is_somebody_else_is_told() {
    let host = "login.contoso.example";
    let names = NameServer::knowing(&[(host, Ipv4Addr::LOCALHOST)]).await;
    let resolver = format!("resolver = \"{}\"\n", names.address);
    let authority = move |emulator: &Emulator| format!("https://{host}:{}", address_of(&emulator.entra()).port());
    let practice = Practice::open(by(authority, resolver)).await;
    let finding = practice.finding("token").await;
    assert_eq!(
        finding["means"],
        format!("Whoever answers there is not {host}, as its certificate goes."),
        "{finding:#}"
    );
    assert_eq!(finding["cure"], "Compare the identity's authority, and where its name leads.");
}

#[tokio::test]
async fn an_authority_that_speaks_no_tls_is_told() {
    let control = |emulator: &Emulator| emulator.control().replace("http://", "https://");
    let finding = Practice::open(by(control, String::new())).await.finding("token").await;
    let means = finding["means"].as_str().unwrap();
    assert!(means.starts_with("A connection comes about, and no TLS over it:"), "{finding:#}");
}

// === By a proxy ===

/// What is found of the proxy, and of the token that has to go through it.
async fn by_proxy(proxy: &Proxy, more: &str) -> (Value, Value) {
    let egress = format!("proxy = \"http://{}\"\n{more}", proxy.address);
    let practice = Practice::open(by(|_| format!("https://{LOGIN}"), egress)).await;
    let (of_egress, _) = practice.findings("egress").await;
    assert_eq!(of_egress.len(), 1, "{of_egress:#?}");
    (of_egress[0].clone(), practice.finding("token").await)
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_told_with_its_cure() {
    for (status, means, cure) in [
        (
            407,
            "The proxy wants to know who asks.",
            "Name its credentials, user:password, as egress.proxy_credentials_file or egress.proxy_credentials_env.",
        ),
        (403, "The proxy does not let keyswap through to this host.", "Have its rules allow this host and port."),
        (502, "The proxy cannot reach this host, or makes no tunnels.", "Have its owners see why."),
    ] {
        let proxy = Proxy::start().await;
        proxy.lead(&format!("{LOGIN}:443"), Way::Refused(status));
        let (egress, token) = by_proxy(&proxy, "").await;
        let curl =
            format!("curl -sv --max-time 10 --output /dev/null --proxy http://{} https://{LOGIN}/", proxy.address);
        let why = format!("no tunnel to {LOGIN}:443 through the proxy {}: {status}", proxy.address);
        for finding in [&egress, &token] {
            let told = json!([finding["status"], finding["means"], finding["cure"], finding["commands"]]);
            assert_eq!(told, json!(["wrong", means, cure, [curl]]), "{finding:#}");
            assert!(finding["found"].as_str().unwrap().contains(&why), "{finding:#}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_take_our_credentials_is_told() {
    let proxy = Proxy::start().await;
    proxy.demand("Basic somebody-else");
    let egress = format!("proxy = \"http://{}\"\nproxy_credentials_env = \"PROXY\"\n", proxy.address);
    let environment = vec![("PROXY", "keyswap:hunter2".to_owned())];
    let practice = Practice::open(Plan { environment, ..by(|_| format!("https://{LOGIN}"), egress) }).await;
    let (egress, _) = practice.findings("egress").await;
    let told = json!([egress[0]["status"], egress[0]["means"]]);
    assert_eq!(told, json!(["wrong", "The proxy does not take keyswap's credentials."]));
}

#[tokio::test]
async fn a_proxy_that_is_well_is_told() {
    let proxy = Proxy::start().await;
    proxy.demand(&format!("Basic {}", BASE64_STANDARD.encode("keyswap:hunter2")));
    let egress = format!("proxy = \"http://{}\"\nproxy_credentials_env = \"PROXY\"\n", proxy.address);
    let plan = Plan {
        environment: vec![("PROXY", "keyswap:hunter2".to_owned())],
        ..by(|_| format!("https://{LOGIN}"), egress)
    };
    let practice = Practice::open(plan).await;
    proxy.lead(&format!("{LOGIN}:443"), Way::To(address_of(&practice.emulator.entra())));
    let (egress, exit) = practice.findings("egress").await;
    assert_eq!((&egress[0]["found"], exit), (&json!(format!("it opens a tunnel to {LOGIN}")), Some(0)));
    assert_eq!(practice.finding("token").await["found"], "good for 59 min");
    // Nobody is reached through it.
    let near = format!("proxy = \"http://{}\"\n", proxy.address);
    let (egress, _) = Practice::open(by(Emulator::entra, near)).await.findings("egress").await;
    assert_eq!(
        (&egress[0]["status"], &egress[0]["found"]),
        (&json!("note"), &json!("no host of the settings is reached through it"))
    );
}

/// What it is set to may hold a password.
#[tokio::test]
async fn a_proxy_that_only_the_environment_names_is_told_to_be_ignored() {
    let environment = vec![("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1".to_owned())];
    let practice = Practice::open(Plan { environment, ..Plan::default() }).await;
    let told = practice.doctor(&["--only", "egress"]).await;
    let expected = "\
egress: without a proxy, names as the system finds them
  note         proxy: the environment has HTTPS_PROXY, which keyswap ignores
               A token must not go where a forgotten variable says.
               to do: If keyswap is to go through that proxy, name it as egress.proxy.

1 note
";
    assert_eq!((told.status, &*told.out, &*told.err), (Some(0), expected, ""));
}

// === By a name server ===

#[tokio::test]
async fn a_name_server_is_asked() {
    let names = NameServer::knowing(&[(LOGIN, Ipv4Addr::new(203, 0, 113, 7))]).await;
    let resolver = format!("resolver = \"{}\"\n", names.address);
    let found = Practice::open(by(|_| format!("https://{LOGIN}"), resolver.clone())).await.findings("egress").await.0;
    assert_eq!(
        (&found[0]["found"], &found[0]["facts"]),
        (&json!(format!("it finds {LOGIN}")), &json!({"addresses": "203.0.113.7"}))
    );
    let other = "login.contoso.example";
    let found = Practice::open(by(move |_| format!("https://{other}"), resolver)).await.findings("egress").await.0;
    let why = format!("no address of {other}: the name server {} knows no address of it", names.address);
    let told = json!([found[0]["status"], found[0]["found"], found[0]["commands"]]);
    assert_eq!(told, json!(["wrong", why, [format!("nslookup {other} 127.0.0.1")]]));
    // Addresses need none.
    let resolver = format!("resolver = \"{}\"\n", names.address);
    let found = Practice::open(by(Emulator::entra, resolver)).await.findings("egress").await.0;
    assert_eq!(found[0]["status"], "cannot-tell", "{found:#?}");
}
