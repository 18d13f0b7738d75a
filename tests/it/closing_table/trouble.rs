//! No token, or no way to Azure: what is our own trouble, and whether another try may help.

use azure_emulator::{Door, Emulator, Fault, Plane};
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::answer::{Expected, Got, Ours, Retry};
use super::row::{Ask, Row, hold};
use crate::gateway::LIMIT;
use crate::identities::with_identity;
use crate::wire::with_timeouts;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// What both planes say.
fn on_both(world: &World, condition: &'static str, ours: impl Fn() -> Ours) -> [Row; 2] {
    let keys = world.emulator.keys();
    [Ask::chat().key(&keys.openai), Ask::search().key(&keys.search_query)].map(|ask| Row {
        condition,
        ask,
        azure: None,
        answer: Expected::Ours(ours()),
    })
}

/// What each plane says: azure-core repeats a POST on 503 alone, and openai 0.28 hides every text behind one.
fn on_each(world: &World, condition: &'static str, [openai, search]: [Ours; 2]) -> [Row; 2] {
    let keys = world.emulator.keys();
    [(Ask::chat().key(&keys.openai), openai), (Ask::search().key(&keys.search_query), search)].map(|(ask, ours)| Row {
        condition,
        ask,
        azure: None,
        answer: Expected::Ours(ours),
    })
}

fn soon(reason: &'static str, code: &'static str, message: &str) -> Ours {
    Ours { retry: Retry::Soon, ..Ours::never("503 Service Unavailable", reason, code, message) }
}

fn unsaid(status: &'static str, reason: &'static str, code: &'static str, message: &str) -> Ours {
    Ours { retry: Retry::Unsaid, ..Ours::never(status, reason, code, message) }
}

fn where_entra_answers(fault: Fault) -> Plan {
    Plan { before: Box::new(move |emulator| emulator.next(Plane::Entra, fault, 9999).unwrap()), ..Plan::default() }
}

#[tokio::test]
async fn entra_refuses_our_identity() {
    let worlds = [
        ("wrong-secret", "AADSTS7000215", "the secret is none of the application's", "put the value"),
        ("expired-secret", "AADSTS7000222", "the application's secret has expired", "make a new one"),
        ("unknown-app", "AADSTS700016", "no such application in this tenant", "compare the identity's client_id"),
        ("unknown-resource", "AADSTS500011", "no such audience in this tenant", "compare the resource's scope"),
    ];
    let worlds = worlds.into_iter().map(|(fault, code, means, cure)| async move {
        let world = where_entra_answers(Fault::named(fault)).start().await;
        let message = format!(
            "keyswap could not get a Microsoft Entra token for its own identity ({code}). The gateway's owner must mend its \
             configuration."
        );
        let ours = || Ours::never("500 Internal Server Error", "token-refused", "GatewayTokenUnavailable", &message);
        hold(&world, on_both(&world, "Entra 4xx config error", ours)).await;
        let line = world.gateway.logged(|line| line["cure"].as_str().is_some_and(|text| text.contains(cure))).await;
        assert!(line["why"].as_str().unwrap().ends_with(&format!("{code}: {means}")), "{line}");
        assert_eq!(world.arrived().len(), 0);
    });
    worlds.collect::<JoinSet<()>>().join_all().await;
}

#[tokio::test]
async fn nobody_gives_us_a_token_at_the_moment() {
    let entra = ["429", "500", "503", "html"].map(|fault| where_entra_answers(Fault::named(fault)));
    // Nobody listens on port 1.
    let endpoint = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"), ("IDENTITY_HEADER", "header")];
    let environment = endpoint.map(|(name, value)| (name, value.to_owned())).into();
    let machine = Plan { environment, ..with_identity(|_| "kind = \"managed-identity\"".to_owned()) };
    for plan in entra.into_iter().chain([machine]) {
        let world = plan.start().await;
        let message = "keyswap has no valid Microsoft Entra token at the moment and is trying to get one. Try again.";
        let rows = on_both(&world, "Entra 429 or 5xx, IMDS down, no valid cached token", || {
            soon("token-unavailable", "GatewayTokenUnavailable", message)
        });
        hold(&world, rows).await;
    }
}

#[tokio::test]
async fn azure_cannot_be_reached() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            // Nobody listens on port 1.
            let text = text.replace(&emulator.openai(Door::Behind), "https://127.0.0.1:1");
            text.replace(&emulator.search(Door::Behind), "https://127.0.0.1:1")
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let openai = "keyswap cannot reach Azure OpenAI. Try again.";
    let search = "keyswap cannot reach Azure AI Search. Try again.";
    let rows = [
        unsaid("502 Bad Gateway", "upstream-unreachable", "UpstreamUnreachable", openai),
        soon("upstream-unreachable", "UpstreamUnreachable", search),
    ];
    hold(&world, on_each(&world, "connect failure, nothing sent", rows)).await;
}

/// One request has the one connection of each resource, and never ends.
#[tokio::test]
async fn azure_has_all_the_connections_it_may_have() {
    let settings = |text: String, _: &Emulator| {
        let text = text.replace("[resources.ai]\n", "[resources.ai]\nconnections = 1\n");
        text.replace("[resources.search]\n", "[resources.search]\nconnections = 1\n") + "[timeouts]\nwait = \"200ms\"\n"
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    let keys = world.emulator.keys();
    let mut stalled = JoinSet::new();
    for (plane, target, key) in [(Plane::OpenAi, CHAT, &keys.openai), (Plane::Search, SEARCH, &keys.search_query)] {
        world.emulator.next(plane, Fault::named("stall"), 1).unwrap();
        stalled.spawn(world.post(target).key(key).json(&saying("stalled")));
        world.emulator.journal().wait_for(|entry| entry.target == target, LIMIT).await.unwrap();
    }
    let message = "keyswap has as many connections to this resource as it may have. Try again.";
    let rows =
        [unsaid("502 Bad Gateway", "overloaded", "Overloaded", message), soon("overloaded", "Overloaded", message)];
    hold(&world, on_each(&world, "Gateway overload, nothing sent", rows)).await;
    assert_eq!(world.arrived().len(), 2);
}

#[tokio::test]
async fn the_connection_is_lost_after_sending() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let message = "The connection to Azure was lost after the request had been sent; it may have been carried out.";
    let upload = "/indexes/hotels/docs/index?api-version=2024-07-01";
    let upload = Ask::new(Plane::Search, Method::POST, upload, json!({"value": []}));
    for ask in [Ask::chat().key(&keys.openai), upload.key(&keys.search_admin)] {
        let ours = unsaid("502 Bad Gateway", "upstream-lost", "UpstreamConnectionLost", message);
        let ours = Ours { got: Got::Sent, ..ours };
        let answer = Expected::Ours(ours);
        hold(&world, [Row { condition: "connection lost, not replayable", ask, azure: Some("reset"), answer }]).await;
    }
}

#[tokio::test]
async fn azure_does_not_answer_in_time() {
    let world = with_timeouts("answer = \"300ms\"").start().await;
    let message = "Azure did not answer in time.";
    let late = || {
        let ours = unsaid("504 Gateway Timeout", "upstream-timed-out", "UpstreamTimeout", message);
        Ours { got: Got::Sent, ..ours }
    };
    for row in on_both(&world, "time-out", late) {
        hold(&world, [Row { azure: Some("stall"), ..row }]).await;
    }
}
