//! Tokens while all is well: fetched ahead, once, and nobody notices.

use std::time::Duration;

use azure_emulator::{Entry, Fault, FixedTokens, Options, Plane};
use serde_json::json;

use crate::gateway::LIMIT;
use crate::world::{CHAT, Plan, SEARCH, saying};

/// Tokens of six seconds under constant requests, on both planes: none fails, and Entra is asked about once in three
/// seconds for each scope.
#[tokio::test]
async fn short_tokens_under_load_fail_no_request() {
    let life = Duration::from_secs(6);
    let options = Options { token_life: life, ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let keys = world.emulator.keys();
    let minute = tokio::time::sleep(Duration::from_secs(60));
    let load = async {
        // A request of each plane every five milliseconds: constant, and no race for the machine's cores.
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        for sent in 0.. {
            pace.tick().await;
            let chat = world.post(CHAT).key(&keys.openai).json(&saying("hello"));
            let search = world.post(SEARCH).key(&keys.search_query).json(&json!({"search": "*", "top": 1}));
            let (chat, search) = tokio::join!(chat, search);
            assert_eq!(chat.status, 200, "after {sent} of each: {}", chat.text());
            assert_eq!(search.status, 200, "after {sent} of each: {}", search.text());
        }
    };
    tokio::select! {
        () = load => {}
        () = minute => {}
    }
    // Two scopes, every three seconds give or take a twentieth of six: 18 to 23 each, and the first.
    let asked = world.token_calls();
    assert!((34..=48).contains(&asked), "Entra was asked {asked} times: {:#?}", world.gateway.log());
}

#[tokio::test]
async fn a_cold_start_waits_for_the_first_token_and_asks_once() {
    let plan = Plan {
        before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::slow(1000), 2).unwrap()),
        ..Plan::default()
    };
    let world = plan.start().await;
    let key = world.emulator.keys().openai;
    let waiting: Vec<_> = (0..200).map(|_| tokio::spawn(world.post(CHAT).key(&key).json(&saying("hello")))).collect();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(world.token_calls(), 2, "one for each scope");
}

/// A managed identity's own cache gives the same token for hours; so a refresh that brings it again is a good one.
#[tokio::test]
async fn the_same_token_again_is_no_failure() {
    let tokens = FixedTokens { openai: "the-token-of-chat".to_owned(), search: "the-token-of-search".to_owned() };
    let options = Options { token_life: Duration::from_secs(4), fixed_tokens: Some(tokens), ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    // The first of each scope, and two refreshes.
    let seventh = |entry: &Entry| entry.plane == Plane::Entra && entry.sequence > 6;
    world.emulator.journal().wait_for(seventh, LIMIT).await.expect("refreshes");
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (_, page) = world.admin("/metrics").await;
    for scope in ["cognitiveservices", "search"] {
        let line =
            format!("keyswap_token_failed_total{{identity=\"app\",scope=\"https://{scope}.azure.com/.default\"}} 0\n");
        assert!(page.contains(&line), "{page}");
    }
}
