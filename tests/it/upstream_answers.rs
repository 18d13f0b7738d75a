//! Section F of azure-wire, row by row: what an upstream's answer becomes.

use azure_emulator::{Door, Fault, Options, Plane, SearchBearerRefusal};
use http::Method;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// An answer of keyswap's own on the OpenAI plane.
fn openai_error(code: &str, message: &str, kind: &str) -> Value {
    json!({"error": {"code": code, "message": message, "type": kind, "param": null}})
}

/// An answer of keyswap's own on the Search plane.
fn search_error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

async fn chat(world: &World) -> Answer {
    world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await
}

async fn search(world: &World) -> Answer {
    world.post(SEARCH).key(&world.emulator.keys().search_query).json(&json!({"search": "*"})).await
}

fn is_final(answer: &Answer) {
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.header("www-authenticate"), None);
}

/// What is the client's own affair passes: status, phrase, headers, bytes.
#[tokio::test]
async fn what_is_the_clients_affair_passes_untouched() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    for (plane, door_url, target, key, names) in [
        (
            Plane::OpenAi,
            world.emulator.openai(Door::KeysEnabled),
            CHAT,
            &keys.openai,
            &[
                "A1.6",
                "A1.6-2024",
                "A1.7",
                "A1.8",
                "A1.10",
                "A1.11",
                "A1.11b",
                "A1.11c",
                "A1.12",
                "A1.12-foundry",
                "A1.13",
            ][..],
        ),
        (
            Plane::Search,
            world.emulator.search(Door::KeysEnabled),
            SEARCH,
            &keys.search_query,
            &["B1.9", "B1.9-old", "B1.10", "B1.11", "B1.12", "B1.13", "B1.14", "B1.14-429", "B1.15", "B1.16"][..],
        ),
    ] {
        for name in names {
            // Once for the direct call and once for the one through keyswap.
            world.emulator.next(plane, Fault::named(name), 2).unwrap();
            let direct =
                world.client.call(Method::POST, &format!("{door_url}{target}")).key(key).json(&json!({})).await;
            let through = world.post(target).key(key).json(&json!({})).await;
            assert!(direct.status.is_client_error() || direct.status.is_server_error(), "{name}: {}", direct.status);
            assert_eq!((direct.status, &direct.phrase), (through.status, &through.phrase), "{name}");
            assert_eq!(direct.body, through.body, "{name}");
            let mut names = through.header_names();
            names.retain(|header| *header != "x-keyswap-request-id");
            assert_eq!(direct.header_names(), names, "{name}");
            for header in ["content-type", "retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens"] {
                assert_eq!(direct.header(header), through.header(header), "{name}: {header}");
            }
        }
    }
}

/// "On Your Data": the model's own call to a search service was refused. The body has an id of its own each time.
#[tokio::test]
async fn a_refusal_within_on_your_data_passes() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("A1.14"), 1).unwrap();
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-keyswap-reason")), (400, None));
    assert_eq!(answer.json()["error"]["code"], 400);
}

#[tokio::test]
async fn a_missing_role_is_a_403_that_names_it() {
    let world = World::start().await;
    let roles = "keyswap's identity lacks a role on this resource: 'Cognitive Services OpenAI User', or 'Cognitive Services \
                 OpenAI Contributor' for files and fine-tuning. Azure said: ";
    for (fault, said) in [("A1.5", "Principal does not have access to API/Operation."), ("A1.5b", "The principal `")] {
        world.emulator.next(Plane::OpenAi, Fault::named(fault), 1).unwrap();
        let answer = chat(&world).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "upstream-permission"), "{fault}");
        let error = answer.json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{roles}{said}")), "{message}");
        assert_eq!(error, openai_error("UpstreamPermissionDenied", message, "invalid_request_error"));
        is_final(&answer);
    }
    let roles = "keyswap's identity lacks a role on this resource: 'Search Index Data Reader' for queries, 'Search Index Data \
                 Contributor' for documents, 'Search Service Contributor' for everything else. Azure said: ";
    for (fault, said) in [("B1.6", ""), ("B1.7", "Authorization failed."), ("B1.8", "CheckAccess API call")] {
        world.emulator.next(Plane::Search, Fault::named(fault), 1).unwrap();
        let answer = search(&world).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "upstream-permission"), "{fault}");
        let error = answer.json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{roles}{said}")), "{message}");
        assert_eq!(error, search_error("UpstreamPermissionDenied", message));
        is_final(&answer);
    }
    // A missing role is no reason for another token.
    assert_eq!(world.token_calls(), 2);
}

#[tokio::test]
async fn an_upstream_that_saw_a_key_is_a_502() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("A1.4"), 1).unwrap();
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-saw-key"));
    let text = "Azure refused a key that did not come from keyswap, which sends none. If the request's body holds a key, \
                replace it by a managed identity. Azure said: Key based authentication is disabled for this resource.";
    assert_eq!(answer.json(), openai_error("UpstreamKeyRejected", text, "server_error"));
    is_final(&answer);

    world.emulator.next(Plane::OpenAi, Fault::named("A1.1"), 1).unwrap();
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
    is_final(&answer);

    world.emulator.next(Plane::Search, Fault::named("B1.1"), 1).unwrap();
    let answer = search(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-saw-key"));
    is_final(&answer);
    assert_eq!(world.token_calls(), 2, "another token would cure none of these");
}

#[tokio::test]
async fn a_resource_without_a_custom_subdomain_is_a_502() {
    let world = World::start().await;
    for (fault, said) in [
        ("A1.9", "Please provide a custom subdomain for token authentication, otherwise API key is required."),
        ("A1.9-old", "Please provide an authentication key."),
    ] {
        world.emulator.next(Plane::OpenAi, Fault::named(fault), 1).unwrap();
        let answer = chat(&world).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason()),
            (502, "no-custom-subdomain"),
            "{fault}: {}",
            answer.text()
        );
        let error = answer.json();
        let text = "The resource takes no Microsoft Entra tokens until it has a custom subdomain. Azure said: ";
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{text}{said}")), "{message}");
        is_final(&answer);
    }
}

/// The token was revoked: one refresh, one replay, and the client sees nothing of it.
#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced_and_the_request_replayed() {
    let world = World::start().await;
    assert_eq!(chat(&world).await.status, 200);
    assert_eq!(search(&world).await.status, 200);
    let before = world.token_calls();
    world.emulator.revoke_tokens();
    let answer = chat(&world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = search(&world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.token_calls(), before + 2, "one for each scope");
    let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status.unwrap()).collect();
    assert_eq!(statuses, [200, 200, 401, 200, 401, 200]);
}

/// Whatever is wrong with the token, another one does not help: rendered, and not asked for again within a minute.
#[tokio::test]
async fn a_token_that_is_never_taken_is_a_502_and_costs_one_refresh() {
    let options = Options { bearer_refusal: SearchBearerRefusal::Challenge401, ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    assert_eq!(chat(&world).await.status, 200);
    assert_eq!(search(&world).await.status, 200);
    let before = world.token_calls();
    world.emulator.next(Plane::OpenAi, Fault::named("A1.2"), 99).unwrap();
    world.emulator.next(Plane::Search, Fault::named("B1.4"), 99).unwrap();
    for _ in 0..5 {
        let answer = chat(&world).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
        let text = "Azure did not accept the Microsoft Entra token of keyswap's identity. The gateway's owner should check \
                    its tenant and scope. Azure said: Unauthorized. Access token is missing, invalid, audience is incorrect \
                    (https://cognitiveservices.azure.com), or have expired.";
        assert_eq!(answer.json(), openai_error("UpstreamAuthenticationFailed", text, "server_error"));
        is_final(&answer);
        let answer = search(&world).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
        let text = "Azure did not accept the Microsoft Entra token of keyswap's identity. The gateway's owner should check \
                    its tenant and scope. Azure said: Bearer realm=\"Azure Cognitive Search\" error=\"invalid_token\" \
                    error_description=\"Authentication token failed validation.\"";
        assert_eq!(answer.json(), search_error("UpstreamAuthenticationFailed", text));
        is_final(&answer);
    }
    assert_eq!(world.token_calls(), before + 2, "one forced refresh for each scope");
}

/// A body that was too long to keep cannot be replayed: the client is told, and whoever comes next has a new token.
#[tokio::test]
async fn a_request_that_was_not_kept_is_not_replayed_and_still_asks_for_a_token() {
    let world = World::start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.revoke_tokens();
    let long = "x".repeat(70_000);
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying(&long)).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
    assert_eq!(chat(&world).await.status, 200);
    let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status.unwrap()).collect();
    assert_eq!(statuses, [200, 401, 200]);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_told_in_each_planes_way() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            // Nobody listens on port 1.
            let text = text.replace(&emulator.openai(Door::Behind), "https://127.0.0.1:1");
            text.replace(&emulator.search(Door::Behind), "https://127.0.0.1:1")
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-unreachable"));
    let text = "keyswap cannot reach Azure OpenAI. Try again.";
    assert_eq!(answer.json(), openai_error("UpstreamUnreachable", text, "server_error"));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, None));

    let answer = search(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (503, "upstream-unreachable"));
    assert_eq!(answer.json(), search_error("UpstreamUnreachable", "keyswap cannot reach Azure AI Search. Try again."));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("2"), None));
}

#[tokio::test]
async fn a_connection_that_is_lost_after_sending_is_told_as_such() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("reset"), 9).unwrap();
    let answer = chat(&world).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-lost"));
    let text = "The connection to Azure was lost after the request had been sent; it may have been carried out.";
    assert_eq!(answer.json(), openai_error("UpstreamConnectionLost", text, "server_error"));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, None));
}
