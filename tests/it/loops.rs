//! We never call ourselves: not by address, not behind a forwarded port, not in a circle.

use std::net::SocketAddr;
use std::sync::Arc;

use azure_emulator::{Door, FixedTokens, Options};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

use crate::authority::{Authority, OPENAI};
use crate::client::Answer;
use crate::namespace::was_run_inside;
use crate::world::{CHAT, Plan, World, saying};

const LOOP: &str = "The host name of this resource leads back to keyswap itself. The gateway's owner must tell it the \
                    resource's real address, or the name server to ask.";

async fn chat(world: &World) -> Answer {
    world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await
}

fn is_refused(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.reason()), (508, "loop"), "{}", answer.text());
    let error = json!({"code": "LoopDetected", "message": LOOP, "type": "server_error", "param": null});
    assert_eq!(answer.json(), json!({ "error": error }));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

/// The hosts file leads Azure's name to us, and so it does for ourselves.
#[tokio::test]
async fn an_address_of_our_own_is_not_called() {
    let hosts = format!("127.0.0.1 {OPENAI}\n");
    if was_run_inside("loops::an_address_of_our_own_is_not_called", &hosts, "ip addr add 192.0.2.1/32 dev lo") {
        return;
    }
    for (listen, endpoint, address) in [
        ("127.0.0.1:443", OPENAI, "127.0.0.1:443"),
        ("0.0.0.0:443", OPENAI, "127.0.0.1:443"),
        ("[::]:443", OPENAI, "127.0.0.1:443"),
        ("0.0.0.0:443", "192.0.2.1", "192.0.2.1:443"),
    ] {
        let plan = Plan {
            settings: Box::new(move |text, emulator| {
                let text = text.replace("https = \"127.0.0.1:0\"", &format!("https = \"{listen}\""));
                text.replace(&emulator.openai(Door::Behind), &format!("https://{endpoint}"))
            }),
            ..Plan::default()
        };
        let world = plan.start().await;
        is_refused(&chat(&world).await);
        let told = world.gateway.logged(|line| line["message"] == "cannot connect upstream").await;
        let why = format!("it leads back to keyswap, which listens on {address}");
        assert_eq!(told["cause"], format!("no connection to {endpoint}:443: {why}"));
        let line = world.gateway.told(|line| line["status"] == 508).await;
        assert_eq!(line["why"], "the way to the upstream leads back to keyswap");
    }
}

/// A port in front of another, as of a container.
struct Relay {
    address: SocketAddr,
    to: Arc<OnceCell<SocketAddr>>,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), to: Arc::default() };
        let to = relay.to.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(to.get().unwrap()).await.unwrap();
                tokio::spawn(async move { drop(copy_bidirectional(&mut client, &mut server).await) });
            }
        });
        relay
    }
}

#[tokio::test]
async fn our_own_certificate_tells_us_behind_a_forwarded_port() {
    let (authority, relay) = (Authority::new(), Relay::start().await);
    let (tls, address, to) = (authority.path("tls"), relay.address, relay.to);
    // A machine whose own store has our authority: its clients need that.
    let (given, trusted) = std::sync::mpsc::channel();
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            let named = format!("https://{OPENAI}\"\naddress = \"{address}");
            let text = text.replace(&emulator.openai(Door::Behind), &named);
            let text = text.replace("[tls]\n", &format!("[tls]\ndirectory = \"{}\"\n", tls.display()));
            let both = authority.with(emulator);
            let text = text.replace("ca = \"ca.pem\"", &format!("ca = \"{}\"", both.display()));
            given.send(authority).unwrap();
            text
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let _authority = trusted.recv().unwrap();
    to.set(world.gateway.https.unwrap()).unwrap();
    let answer = chat(&world).await;
    is_refused(&answer);
    let told = world.gateway.logged(|line| line["message"] == "cannot connect upstream").await;
    assert_eq!(told["cause"], format!("no TLS with {OPENAI}:443 at {address}: it shows keyswap's own certificate"));
    // Nothing has gone out that could have come back.
    let requests = world.gateway.told(|line| line["status"] == 508).await;
    assert_eq!((requests["resource"].as_str(), world.gateway.requests().len()), (Some("ai"), 1));
    world
        .says_why(
            &answer,
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  508, loop
step:      forward
why:       the way to the upstream leads back to keyswap
cure:      Tell keyswap where the resource really is: address in [resources.ai], or resolver in [egress]. The name of its endpoint leads back to keyswap.
client:    chat, key chat
resource:  ai, identity app
",
        )
        .await;
}

/// Whatever way it took: nobody else has our token.
#[tokio::test]
async fn a_request_with_our_own_token_has_come_back() {
    let token = |plane: &str| format!("eyJ0eXAi.{plane}.c2lnbmF0dXJl");
    let tokens = FixedTokens { openai: token("openai"), search: token("search") };
    let plan = Plan {
        options: Options { fixed_tokens: Some(tokens), ..Options::default() },
        settings: Box::new(|text, _| text.replace("[resources.ai]\n", "[resources.ai]\nclient_tokens = \"pass\"\n")),
        ..Plan::default()
    };
    let world = plan.start().await;
    assert_eq!(chat(&world).await.status, 200);
    for plane in ["openai", "search"] {
        let answer = world.post(CHAT).header("authorization", &format!("bearer {}", token(plane))).send().await;
        is_refused(&answer);
        world
            .says_why(
                &answer,
                "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  508, loop
step:      token
why:       the request brings keyswap's own token: it has come back
cure:      Tell keyswap where the resource really is: address in [resources.NAME], or resolver in [egress]. The name of its endpoint leads back to keyswap.
",
            )
            .await;
    }
    let line = world.gateway.told(|line| line["status"] == 508).await;
    assert_eq!(line["why"], "the request brings keyswap's own token: it has come back");
    assert_eq!(world.arrived().len(), 1);
}
