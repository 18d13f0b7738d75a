//! When it is ready, where that is not plain. What counts for it is a table in src/admin/readiness.rs.

use std::net::TcpListener;

use azure_emulator::{Fault, Plane};

use crate::world::{Plan, World, app_identity, client};

/// Clients bring tokens of their own, and none of ours is needed.
#[tokio::test]
async fn without_a_key_there_is_no_token_to_wait_for() {
    let world = Plan { keys: Box::new(|_, _| String::new()), ..Plan::default() }.start().await;
    assert_eq!(world.admin("/health/ready").await, (200, "ready\nsettings: generation 1\n".to_owned()));
    assert_eq!(world.token_calls(), 0);
}

/// One error of Entra's at the start: the replica gets no request before it has both tokens.
#[tokio::test]
async fn a_token_that_may_come_soon_is_waited_for() {
    let fault = |emulator: &azure_emulator::Emulator| emulator.next(Plane::Entra, Fault::named("503"), 1).unwrap();
    let world = Plan { before: Box::new(fault), ..Plan::default() }.start().await;
    let page = world.becomes_ready().await;
    assert_eq!(page.matches(": token valid for ").count(), 2, "{page}");
}

/// An identity comes with new settings, and Entra does not answer it: that is no reason to send everybody away.
#[tokio::test]
async fn what_new_settings_need_keeps_nobody_from_what_works() {
    let world = World::start().await;
    world.becomes_ready().await;
    // It takes connections, and says nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("https://{}", silent.local_addr().unwrap());
    let late = app_identity("late", &world.emulator.app(), &authority);
    world.write("late.secret", &world.emulator.app().secret);
    world.change("keyswap.toml", |text| {
        let late = format!("{late}[resources.late]\nplane = \"openai\"\nidentity = \"late\"\n");
        text + &late + "endpoint = \"https://late.openai.azure.com\"\n"
    });
    let key = "what-the-late-client-has-for-a-key";
    world.change("keys.toml", |text| text + &client("late", key, "{ resource = \"late\" }"));
    world.gateway.logged(|line| line["message"] == "new settings are in effect" && line["keys"] == 4).await;
    let (status, page) = world.admin("/health/ready").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("\nlate https://cognitiveservices.azure.com/.default: no token"), "{page}");
}
