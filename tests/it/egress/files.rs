//! What the way out reads from files: whom it trusts, and what it shows the proxy. Each of them may change while it runs.

use std::io::Write;

use azure_emulator::FixedTokens;
use tempfile::NamedTempFile;

use super::{Door, Emulator, Options, Plan, Proxy, behind, chat, search, with_egress};

/// What `user:swordfish` is in a header.
const ANOTHER_BASIC: &str = "Basic dXNlcjpzd29yZGZpc2g=";

/// Tokens that are good at every emulator.
fn fixed_tokens() -> Options {
    let tokens = FixedTokens { openai: "o".repeat(30), search: "s".repeat(30) };
    Options { fixed_tokens: Some(tokens), ..Options::default() }
}

/// The usual world, but Azure OpenAI is another emulator's, whose certificates another authority has issued.
async fn of_two_authorities() -> (Emulator, Plan) {
    let other = Emulator::start(fixed_tokens()).await.unwrap();
    let there = other.openai(Door::Behind);
    let settings = move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &there);
    (other, Plan { options: fixed_tokens(), settings: Box::new(settings), ..Plan::default() })
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_besides_the_systems() {
    let (other, plan) = of_two_authorities().await;
    let mut system = NamedTempFile::new().unwrap();
    system.write_all(other.ca_pem().as_bytes()).unwrap();
    let environment = vec![("SSL_CERT_FILE", system.path().to_str().unwrap().to_owned())];
    let world = Plan { environment, ..plan }.start().await;
    assert_eq!((chat(&world).await.status.as_u16(), search(&world).await.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn an_authority_that_is_added_counts_from_then_on() {
    let (other, plan) = of_two_authorities().await;
    let world = plan.start().await;
    assert_eq!(chat(&world).await.reason(), "upstream-unreachable");
    world.change("ca.pem", |text| text + other.ca_pem());
    world.generation(2).await;
    assert_eq!((chat(&world).await.status.as_u16(), search(&world).await.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn a_proxys_new_password_counts_from_then_on() {
    let proxy = Proxy::start().await;
    let world = behind(&proxy).start().await;
    world.write("proxy.secret", "user:hunter2\n");
    world.change("keyswap.toml", |text| with_egress(&text, "proxy_credentials_file = \"proxy.secret\"\n"));
    world.generation(2).await;
    proxy.demand(ANOTHER_BASIC);
    world.write("proxy.secret", "user:swordfish\n");
    world.generation(3).await;
    assert_eq!(chat(&world).await.status, 200);
}
