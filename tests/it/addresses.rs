//! Which of a name's addresses is taken, where the DNS server of the settings has told them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use azure_emulator::Door;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::egress::silent;
use crate::name_server::NameServer;
use crate::namespace::was_run_inside;
use crate::world::{CHAT, Plan, saying};

const OPENAI: &str = "contoso.openai.azure.com";

/// An address of the other family that leads to this one.
async fn relay(to: SocketAddr) {
    let listener = TcpListener::bind(("::1", to.port())).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { drop(copy_bidirectional(&mut client, &mut upstream).await) });
        }
    });
}

/// The address of IPv4 answers nothing, and that of IPv6 does. One after the other, the first would have half of the limit,
/// thirty seconds.
#[tokio::test]
async fn a_dead_address_that_a_name_server_tells_does_not_hold_up_the_other() {
    let test = "addresses::a_dead_address_that_a_name_server_tells_does_not_hold_up_the_other";
    if was_run_inside(test, "", "") {
        return;
    }
    let names = NameServer::knowing_both(OPENAI, [127, 0, 0, 9].into(), "::1".parse().unwrap()).await;
    let server = names.address;
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            let url = emulator.openai(Door::Behind);
            let text = text.replace(&url, &url.replace("127.0.0.1", OPENAI));
            let text = text.replace("[egress]\n", &format!("[egress]\nresolver = \"{server}\"\n"));
            text + "[timeouts]\nconnect = \"60s\"\n"
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let upstream: SocketAddr = world.emulator.openai(Door::Behind).rsplit('/').next().unwrap().parse().unwrap();
    relay(upstream).await;
    let _silent = silent(([127, 0, 0, 9], upstream.port()).into());
    let begun = Instant::now();
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
