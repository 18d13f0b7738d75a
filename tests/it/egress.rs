//! The way out: through a proxy or not, in bounded time, and past an address that is dead.

mod files;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::process::Command;
use std::time::{Duration, Instant};

use azure_emulator::{Door, Emulator, Options, Plane};
use http::Uri;
use keyswap::egress::Egress;
use keyswap::settings::{self, Timeouts};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, directory};
use crate::namespace::was_run_inside;
use crate::proxy::{Proxy, Way};
use crate::world::{CHAT, Plan, SEARCH, World, saying};

const ENTRA: &str = "login.microsoftonline.com:443";
const OPENAI: &str = "contoso.openai.azure.com:443";
const SEARCH_SERVICE: &str = "contoso.search.windows.net:443";

/// What `user:hunter2` is in a header.
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

/// The usual world under Azure's own names, which only the proxy can lead anywhere.
fn behind(proxy: &Proxy) -> Plan {
    let (address, ways) = (proxy.address, proxy.clone());
    Plan {
        settings: Box::new(move |text, emulator| {
            let text = named(&text, emulator);
            with_egress(&text, &format!("proxy = \"http://{address}\"\n"))
        }),
        before: Box::new(move |emulator| {
            ways.lead(ENTRA, Way::To(address_of(&emulator.entra())));
            ways.lead(OPENAI, Way::To(address_of(&emulator.openai(Door::Behind))));
            ways.lead(SEARCH_SERVICE, Way::To(address_of(&emulator.search(Door::Behind))));
        }),
        ..Plan::default()
    }
}

/// The settings with Azure's names instead of the emulator's addresses.
fn named(settings: &str, emulator: &Emulator) -> String {
    settings
        .replace(&emulator.entra(), "https://login.microsoftonline.com")
        .replace(&emulator.openai(Door::Behind), "https://contoso.openai.azure.com")
        .replace(&emulator.search(Door::Behind), "https://contoso.search.windows.net")
}

fn with_egress(settings: &str, lines: &str) -> String {
    settings.replace("[egress]\n", &format!("[egress]\n{lines}"))
}

fn address_of(url: &str) -> SocketAddr {
    url.rsplit('/').next().unwrap().parse().unwrap()
}

async fn chat(world: &World) -> Answer {
    world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await
}

async fn search(world: &World) -> Answer {
    world.post(SEARCH).key(&world.emulator.keys().search_query).json(&json!({"search": "*"})).await
}

/// The client is told that Azure cannot be reached, and the log why.
async fn is_unreachable(world: &World, why: &str) {
    // The short limits of these worlds are Entra's, too: on a busy machine it may take a second try.
    world.has_token().await;
    let answer = chat(world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-unreachable"), "{}", answer.text());
    let message = "keyswap cannot reach Azure OpenAI. Try again.";
    let error = json!({"code": "UpstreamUnreachable", "message": message, "type": "server_error", "param": null});
    assert_eq!(answer.json(), json!({ "error": error }));
    world.gateway.logged(|line| line["message"] == "cannot connect upstream" && line["cause"] == why).await;
}

/// An address that accepts no connection and refuses none, as behind a firewall that drops: as many wait as may.
pub(crate) fn silent(address: SocketAddr) -> (Socket, Socket) {
    let socket = || Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let waiting = socket();
    waiting.connect(&listener.local_addr().unwrap()).unwrap();
    (listener, waiting)
}

#[tokio::test]
async fn data_and_entra_go_through_the_proxy_which_sees_nothing_but_hosts() {
    let (proxy, decoy) = (Proxy::start().await, Proxy::start().await);
    proxy.demand(BASIC);
    let plan = behind(&proxy);
    let settings = plan.settings;
    let environment = proxy_variables(&decoy)
        .chain([("RUST_LOG", "trace".to_owned()), ("PROXY_CREDENTIALS", "user:hunter2".to_owned())]);
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            with_egress(&settings(text, emulator), "proxy_credentials_env = \"PROXY_CREDENTIALS\"\n")
        }),
        environment: environment.collect(),
        ..plan
    };
    let world = plan.start().await;
    for _ in 0..2 {
        assert_eq!(chat(&world).await.status, 200);
        assert_eq!(search(&world).await.status, 200);
    }

    assert_eq!(proxy.targets(), [OPENAI, SEARCH_SERVICE, ENTRA]);
    for asked in proxy.asked() {
        assert_eq!(asked.credentials.as_deref(), Some(BASIC));
        assert_eq!(asked.headers, ["host", "proxy-authorization"]);
        assert!(asked.line.starts_with("CONNECT ") && asked.line.ends_with(":443 HTTP/1.1"), "{asked:?}");
    }
    let overheard = String::from_utf8_lossy(&proxy.overheard()).into_owned();
    assert!(overheard.contains("contoso.openai.azure.com"), "TLS names the host in the clear");
    for secret in ["Bearer", "deployments", "hello", "client_secret"] {
        assert!(!overheard.contains(secret), "the proxy heard {secret}");
    }
    assert_eq!(decoy.asked(), [], "the environment's proxy is not the settings'");

    for entry in world.emulator.journal().entries() {
        assert_eq!(entry.header("proxy-authorization"), None);
    }
    let log = Value::from(world.gateway.log()).to_string();
    for secret in ["hunter2", "dXNlcjpodW50ZXIy"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

/// Every variable that programs commonly take for a proxy.
fn proxy_variables(proxy: &Proxy) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let url = format!("http://{}", proxy.address);
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .map(|name| (name, url.clone()))
        .into_iter()
}

/// Names that nobody resolves: only a proxy could have led them anywhere.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let decoy = Proxy::start().await;
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let text = text.replace(&emulator.openai(Door::Behind), "https://openai.invalid");
            text.replace(&emulator.search(Door::Behind), "https://search.invalid")
        }),
        environment: proxy_variables(&decoy).collect(),
        ..Plan::default()
    };
    let world = plan.start().await;
    assert_eq!(chat(&world).await.reason(), "upstream-unreachable");
    let told = world.gateway.logged(|line| line["message"] == "cannot connect upstream").await;
    let cause = told["cause"].as_str().unwrap();
    assert!(cause.starts_with("no connection to openai.invalid:443: "), "{cause}");
    assert_eq!(decoy.asked(), []);
}

#[tokio::test]
async fn what_is_near_is_reached_without_the_proxy() {
    let proxy = Proxy::start().await;
    let address = proxy.address;
    let plan = behind(&proxy);
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            // Entra and the search service keep their addresses on loopback.
            let text = text.replace(&emulator.openai(Door::Behind), "https://openai.invalid");
            with_egress(&text, &format!("proxy = \"http://{address}\"\nno_proxy = [\"10.0.0.0/8\", \"*.Invalid\"]\n"))
        }),
        ..plan
    };
    let world = plan.start().await;
    assert_eq!(search(&world).await.status, 200);
    assert_eq!(chat(&world).await.reason(), "upstream-unreachable");
    let told = world.gateway.logged(|line| line["message"] == "cannot connect upstream").await;
    let cause = told["cause"].as_str().unwrap();
    assert!(cause.starts_with("no connection to openai.invalid:443: "), "{cause}");
    assert_eq!(proxy.asked(), []);
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_told_by_name_and_status() {
    let proxy = Proxy::start().await;
    let plan = behind(&proxy);
    let settings = plan.settings;
    let plan = Plan {
        settings: Box::new(|text, emulator| settings(text, emulator) + "[timeouts]\nconnect = \"1s\"\n"),
        ..plan
    };
    let world = plan.start().await;
    let name = format!("the proxy {}", proxy.address);
    for (way, why) in [
        (Way::Refused(407), "407 Proxy Authentication Required"),
        (Way::Refused(403), "403 Forbidden"),
        (Way::Refused(502), "502 Bad Gateway"),
        (Way::Cut, "connection closed before message completed"),
        (Way::Silent, "no answer within 1s"),
    ] {
        proxy.lead(OPENAI, way);
        is_unreachable(&world, &format!("no tunnel to {OPENAI} through {name}: {why}")).await;
    }
    let log = Value::from(world.gateway.log()).to_string();
    assert!(!log.contains("hunter2"), "the proxy's own words are nobody's to trust: {log}");
    assert!(world.arrived().is_empty());
    // It was never our fault: the next request goes through.
    proxy.lead(OPENAI, Way::To(address_of(&world.emulator.openai(Door::Behind))));
    assert_eq!(chat(&world).await.status, 200);
}

#[tokio::test]
async fn a_proxy_that_keeps_tokens_out_is_told_too() {
    let proxy = Proxy::start().await;
    proxy.demand(BASIC);
    let world = behind(&proxy).start().await;
    let why = format!("no tunnel to {ENTRA} through the proxy {}: 407 Proxy Authentication Required", proxy.address);
    let told = |line: &Value| line["why"].as_str().is_some_and(|text| text.contains(&why));
    world.gateway.logged(told).await;
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (503, "token-unavailable"));

    // Nobody listens on port 1.
    let plan = Plan {
        settings: Box::new(|text, emulator| with_egress(&named(&text, emulator), "proxy = \"http://127.0.0.1:1\"\n")),
        ..Plan::default()
    };
    let world = plan.start().await;
    let why = format!("no tunnel to {ENTRA} through the proxy 127.0.0.1:1: Connection refused");
    world.gateway.logged(|line| line["why"].as_str().is_some_and(|text| text.contains(&why))).await;
}

/// The addresses are the real ones, which no rule for loopback keeps from the proxy.
#[tokio::test]
async fn managed_identities_are_asked_without_the_proxy() {
    let link = "ip addr add 169.254.169.254/32 dev lo; ip addr add 169.254.129.2/32 dev lo";
    if was_run_inside("egress::managed_identities_are_asked_without_the_proxy", "", link) {
        return;
    }
    let imds = ([169, 254, 169, 254], 80).into();
    let emulator = Emulator::start(Options { imds: Some(imds), ..Options::default() }).await.unwrap();
    let endpoint = emulator.identity_endpoint();
    let (_, place) = endpoint.url.split_once("://").unwrap();
    let (on_loopback, path) = place.split_once('/').unwrap();
    let relay = relay(on_loopback.parse().unwrap()).await;
    let app_service = [("IDENTITY_ENDPOINT", format!("http://{relay}/{path}")), ("IDENTITY_HEADER", endpoint.header)];

    for (environment, asked) in [(&[][..], Plane::Imds), (&app_service[..], Plane::Identity)] {
        let proxy = Proxy::start().await;
        proxy.lead(OPENAI, Way::To(address_of(&emulator.openai(Door::Behind))));
        let settings = format!(
            "keys = \"keys.toml\"\n[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [egress]\nca = \"ca.pem\"\nproxy = \"http://{}\"\n[identities.machine]\nkind = \"managed-identity\"\n\
             [resources.ai]\nendpoint = \"https://contoso.openai.azure.com\"\nidentity = \"machine\"\n",
            proxy.address
        );
        let key = emulator.keys().openai;
        let keys = crate::world::client("chat", &key, "{ resource = \"ai\" }");
        let files = directory(&[("keyswap.toml", &settings), ("keys.toml", &keys), ("ca.pem", emulator.ca_pem())]);
        let client = Client::trusting(&files.path().join("ca.pem"));
        let gateway = Gateway::start(files, &[], environment).await;
        let url = format!("http://{}{CHAT}", gateway.http);
        let answer = client.call(http::Method::POST, &url).key(&key).json(&saying("hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(proxy.targets(), [OPENAI]);
        assert!(emulator.journal().entries().iter().any(|entry| entry.plane == asked));
    }
}

/// An address of App Service's kind that leads to one on loopback.
async fn relay(to: SocketAddr) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("169.254.129.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = tokio::net::TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await) });
        }
    });
    address
}

/// The name has an IPv6 address that answers nothing and an IPv4 address that does. One after the other, the first
/// would have half of the limit, thirty seconds.
#[tokio::test]
async fn a_dead_address_of_one_family_does_not_hold_up_the_other() {
    let hosts = "2001:db8::1 contoso.openai.azure.com\n127.0.0.1 contoso.openai.azure.com\n";
    let test = "egress::a_dead_address_of_one_family_does_not_hold_up_the_other";
    if was_run_inside(test, hosts, "ip -6 addr add 2001:db8::1/128 dev lo") {
        return;
    }
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let address = emulator.openai(Door::Behind);
            let text = text.replace(&address, &address.replace("127.0.0.1", "contoso.openai.azure.com"));
            text + "[timeouts]\nconnect = \"60s\"\n"
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let port = address_of(&world.emulator.openai(Door::Behind)).port();
    let addresses: Vec<_> = ("contoso.openai.azure.com", port).to_socket_addrs().unwrap().collect();
    assert!(addresses[0].is_ipv6() && addresses[1].is_ipv4(), "{addresses:?}");
    let _silent = silent(addresses[0]);
    world.has_token().await;
    let begun = Instant::now();
    assert_eq!(chat(&world).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_given_up() {
    let (listener, _waiting) = silent(([127, 0, 0, 1], 0).into());
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let world = instead_of_openai(address).start().await;
    is_unreachable(&world, &format!("no connection to {address}: no answer within 1s")).await;
}

#[tokio::test]
async fn an_upstream_that_never_speaks_tls_is_given_up() {
    // The kernel accepts; nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let world = instead_of_openai(address).start().await;
    is_unreachable(&world, &format!("no TLS with {address}: no answer within 1s")).await;
}

fn instead_of_openai(address: SocketAddr) -> Plan {
    Plan {
        settings: Box::new(move |text, emulator| {
            let text = text.replace(&emulator.openai(Door::Behind), &format!("https://{address}"));
            text + "[timeouts]\nconnect = \"1s\"\ntls = \"1s\"\n"
        }),
        ..Plan::default()
    }
}

#[tokio::test]
async fn a_silent_upstream_connection_is_kept_alive() {
    let world = World::start().await;
    assert_eq!(chat(&world).await.status, 200);
    let port = address_of(&world.emulator.openai(Door::Behind)).port();
    // Seen from the gateway's side: the emulator's sockets have this port at their own end.
    let filter = format!("dport = :{port}");
    let output = Command::new("ss").args(["--tcp", "--numeric", "--options", "--no-header", &filter]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let (_, timer) = told.split_once("timer:(keepalive,").unwrap_or_else(|| panic!("{told}"));
    let seconds = timer.split_once("sec,").and_then(|(left, _)| left.parse::<u64>().ok());
    assert!(told.lines().count() == 1 && seconds.is_some_and(|left| left <= 30), "{told}");
}

/// What no tool shows: the socket is asked itself.
#[tokio::test]
async fn a_connection_that_swallows_bytes_is_given_up_after_half_a_minute() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let egress = Egress::new(&settings::Egress::default(), Timeouts::DEFAULT.egress).unwrap();
    let stream = egress.connector().connect(&url).await.unwrap();
    let socket = SockRef::from(&stream);
    let half_a_minute = Duration::from_secs(30);
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(half_a_minute));
    assert_eq!(socket.tcp_keepalive_time().unwrap(), half_a_minute);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), half_a_minute);
}
