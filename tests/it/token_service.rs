//! The token service as an address: it restarts, or sends whoever asks elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use azure_emulator::{Emulator, Entry, Options, Plane};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::gateway::LIMIT;
use crate::upstream::{Then, Upstream, acceptor};
use crate::world::{CHAT, Plan, World, app_identity, client, saying, without_tls};

/// Whoever connects here is connected there. It ends with all its connections when it is dropped.
struct Relay {
    address: SocketAddr,
    _relaying: JoinSet<()>,
}

impl Relay {
    /// A relay at this address, which may take TLS off what comes.
    async fn start(address: SocketAddr, to: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut relaying = JoinSet::new();
        relaying.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let tls = tls.clone();
                connections.spawn(async move {
                    let mut there = TcpStream::connect(to).await.unwrap();
                    // Either side may have enough of it.
                    match tls {
                        Some(tls) => {
                            let Ok(mut stream) = tls.accept(stream).await else { return };
                            drop(copy_bidirectional(&mut stream, &mut there).await);
                        }
                        None => drop(copy_bidirectional(&mut stream, &mut there).await),
                    }
                });
            }
        });
        Self { address, _relaying: relaying }
    }
}

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn chat(world: &World) -> u16 {
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    answer.status.as_u16()
}

/// A token service that restarts is gone for a moment: no request fails, and its next answer is taken.
#[tokio::test]
async fn a_token_service_that_restarts_fails_no_request() {
    let options = Options { token_life: Duration::from_secs(20), ..Options::default() };
    let plan = Plan {
        options,
        keys: Box::new(|_, emulator| client("chat", &emulator.keys().openai, "{ resource = \"ai\" }")),
        ..Plan::default()
    };
    let world = plan.start().await;
    let entra = world.emulator.entra().strip_prefix("https://").unwrap().parse().unwrap();
    let relay = Relay::start(ANYWHERE, entra, None).await;
    let address = relay.address;
    world.change("keyswap.toml", |text| text.replace(&world.emulator.entra(), &format!("https://{address}")));
    world.generation(2).await;
    assert_eq!(chat(&world).await, 200);

    let load = async {
        loop {
            assert_eq!(chat(&world).await, 200);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let restart = async {
        drop(relay);
        let unheard = |line: &serde_json::Value| line["message"] == "token not refreshed, the old one serves";
        world.gateway.logged(unheard).await;
        let before = world.emulator.journal().entries().last().unwrap().sequence;
        let _relay = Relay::start(address, entra, None).await;
        let again = |entry: &Entry| entry.plane == Plane::Entra && entry.sequence > before;
        world.emulator.journal().wait_for(again, LIMIT).await.expect("it is asked again");
        world.gateway.logged_times(3, |line| line["message"] == "token fetched").await;
    };
    tokio::select! {
        () = load => {}
        () = restart => {}
    }
}

/// Whoever answers in Entra's place may name any other place: the secret goes nowhere but where the settings say.
#[tokio::test]
async fn a_token_service_that_sends_elsewhere_is_not_followed() {
    let elsewhere = Upstream::answering(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n").await;
    let redirects = [301, 302, 303, 307, 308].map(|status| {
        let head = format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {}/token\r\n", elsewhere.url());
        format!("{head}content-length: 0\r\nconnection: close\r\n\r\n")
    });
    let answers: Vec<_> = redirects.iter().map(|answer| (answer.as_bytes(), Then::Close)).collect();
    let issuer = Upstream::answering_in_turn(&answers).await;
    let to = issuer.address();
    // The issuer shows the certificate that is keyswap's otherwise: keyswap calls nobody who shows its own.
    let settings = Box::new(|text: String, _: &Emulator| without_tls(&text));
    let world = Plan { settings, ..Plan::default() }.start().await;
    let front = Relay::start(ANYWHERE, to, Some(acceptor(world.emulator.gateway_certificate()))).await;

    let app = world.emulator.app();
    let authority = format!("https://localhost:{}", front.address.port());
    let before = app_identity("app", &app, &world.emulator.entra());
    world.change("keyswap.toml", |text| text.replace(&before, &app_identity("app", &app, &authority)));
    world.generation(2).await;
    let asked = async {
        while issuer.count() < redirects.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.expect("it is asked again and again");
    let told = world.gateway.logged(|line| line["why"] == "HTTP 302").await;
    assert_eq!(told["identity"], "app");
    assert_eq!(chat(&world).await, 503);
    assert!(issuer.all_asked().iter().all(|asked| asked.body.contains(&app.secret)), "else there was nothing to keep");
    assert_eq!(elsewhere.count(), 0);
}
