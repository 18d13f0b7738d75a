//! Tokens: fetched ahead, served until they expire, and what is said when there is none.

use std::time::{Duration, Instant};

use azure_emulator::{Fault, Options, Plane};
use serde_json::json;

use crate::gateway::LIMIT;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// The requests for tokens of this scope that arrived at Entra.
fn calls(world: &World, plane: Plane) -> usize {
    world.emulator.journal().entries().iter().filter(|entry| entry.plane == plane).count()
}

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
    let asked = calls(&world, Plane::Entra);
    assert!((34..=48).contains(&asked), "Entra was asked {asked} times: {:#?}", world.gateway.log());
}

#[tokio::test]
async fn a_cold_start_waits_for_the_first_token_and_asks_once() {
    let plan = Plan {
        before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::slow(300), 9).unwrap()),
        ..Plan::default()
    };
    let world = plan.start().await;
    let key = world.emulator.keys().openai;
    let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(world.post(CHAT).key(&key).json(&saying("hello")))).collect();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(calls(&world, Plane::Entra), 2, "one for each scope");
}

#[tokio::test]
async fn a_configuration_that_entra_refuses_is_a_500_that_names_the_code_alone() {
    for (fault, code) in
        [("wrong-secret", "AADSTS7000215"), ("unknown-app", "AADSTS700016"), ("unknown-resource", "AADSTS500011")]
    {
        let plan = Plan {
            before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::named(fault), 99).unwrap()),
            ..Plan::default()
        };
        let world = plan.start().await;
        let keys = world.emulator.keys();
        let text = format!(
            "keyswap could not get a Microsoft Entra token for its own identity ({code}). The gateway's owner must mend its \
             configuration."
        );
        let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (500, "token-refused"), "{fault}");
        let error = json!({"code": "GatewayTokenUnavailable", "message": text, "type": "server_error", "param": null});
        assert_eq!(answer.json(), json!({ "error": error }));
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
        let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (500, "token-refused"), "{fault}");
        assert_eq!(answer.json(), json!({"error": {"code": "GatewayTokenUnavailable", "message": text}}));

        let secret = world.emulator.app().secret;
        let log = format!("{:?}", world.gateway.log());
        assert!(log.contains(code), "{log}");
        assert!(!log.contains(&secret), "the secret is in the log");
        assert_eq!(world.gateway.health().0, Some(1), "never ready");
        assert_eq!(world.arrived().len(), 0);
    }
}

#[tokio::test]
async fn an_entra_that_is_busy_or_broken_is_a_503_that_asks_to_come_again() {
    for fault in ["429", "500", "503", "html", "empty-token", "blank-token", "string-expiry"] {
        let plan = Plan {
            before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::named(fault), 9999).unwrap()),
            ..Plan::default()
        };
        let world = plan.start().await;
        let keys = world.emulator.keys();
        let text = "keyswap has no valid Microsoft Entra token at the moment and is trying to get one. Try again.";
        let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (503, "token-unavailable"), "{fault}");
        assert_eq!(answer.json()["error"]["message"], text);
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (None, Some("2")));
        let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (503, "token-unavailable"), "{fault}");
        // It is tried for again, and the gateway comes to life without a restart.
        world.emulator.clear_faults();
        world.gateway.logged(|line| line["message"] == "token fetched").await;
    }
}

/// A valid token is served until it really expires, whatever Entra does.
#[tokio::test]
async fn an_outage_of_entra_fails_nobody_while_the_token_lives() {
    let options = Options { token_life: Duration::from_secs(4), ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.post(CHAT).key(&key).json(&saying("before")).await.status, 200);
    world.emulator.next(Plane::Entra, Fault::named("500"), 3).unwrap();
    let failed = || {
        world.gateway.log().iter().filter(|line| line["message"] == "token not refreshed, the old one serves").count()
    };
    let begun = Instant::now();
    while failed() < 3 && begun.elapsed() < LIMIT {
        let answer = world.post(CHAT).key(&key).json(&saying("during")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(failed() >= 3, "the outage was not noticed");
    let answer = world.post(CHAT).key(&key).json(&saying("after")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
