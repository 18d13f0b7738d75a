//! A file hangs that an identity proves itself with, as one does on a volume that is gone: a FIFO that nobody writes to.

use std::fs;
use std::time::Duration;

use azure_emulator::Options;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::client::{raw, request_text};
use crate::world::{CHAT, Plan, SEARCH, app_identity, saying};

#[tokio::test]
async fn a_file_that_hangs_costs_its_identity_a_token_and_nobody_else_anything() {
    let plan = Plan {
        options: Options { token_life: Duration::from_secs(4), ..Options::default() },
        settings: Box::new(|text, emulator| {
            // Each plane has an identity of its own.
            let (before, search) = text.split_once("[resources.search]").unwrap();
            let reader = app_identity("reader", &emulator.reader_app(), &emulator.entra());
            let search = search.replace("identity = \"app\"", "identity = \"reader\"");
            format!("{before}{reader}[resources.search]{search}")
        }),
        ..Plan::default()
    };
    let mut world = plan.start().await;
    let keys = world.emulator.keys();
    let chat = async || world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
    let search = async || world.post(SEARCH).key(&keys.search_query).json(&json!({"search": "*"})).await;
    assert_eq!((chat().await.status.as_u16(), search().await.status.as_u16()), (200, 200));

    let secret = world.path("app.secret");
    fs::remove_file(&secret).unwrap();
    mknodat(CWD, &secret, FileType::Fifo, Mode::RWXU, 0).unwrap();

    let unread = format!("{} could not be read within 10s", secret.display());
    let told = |line: &serde_json::Value| {
        line["identity"] == "app" && line["why"].as_str().is_some_and(|why| unread.ends_with(why))
    };
    world.gateway.logged(told).await;
    let reloading = "settings: are still being read after 10s: look at their volumes; SIGHUP begins anew";
    world.gateway.logged(|line| line["mistake"] == reloading).await;
    assert_eq!(chat().await.reason(), "token-unavailable");
    assert_eq!(search().await.status, 200);
    let (status, page) = world.admin("/health/live").await;
    assert_eq!((status, &*page), (200, "alive\n"));
    let answer = raw(world.gateway.http, &request_text("GET", "/openai/models", &[])).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    // Another file in its place is taken when somebody says so.
    fs::remove_file(&secret).unwrap();
    fs::write(&secret, world.emulator.app().secret).unwrap();
    world.gateway.signal("HUP");
    world.generation(2).await;

    // What hangs in vain keeps no process.
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
}
