//! Which resource a request means: by host, by the path's first segment, or because there is no other.

use azure_emulator::{Door, Emulator};
use http::Method;
use serde_json::json;

use crate::client::{Answer, http2};
use crate::closing_table::{OPENAI_WRONG_KEY, SEARCH_WRONG_KEY};
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

/// Two resources of Azure OpenAI, told apart by the emulator's doors, and one of Search. The key has both of the first
/// and the last; `limited` has the first alone.
fn plan() -> Plan {
    Plan {
        settings: Box::new(|text, emulator: &Emulator| {
            let text = text.replace("[resources.search]\n", "[resources.search]\nhosts = [\"find.example\"]\n");
            let text = text.replace("[resources.ai]\n", "[resources.ai]\nhosts = [\"AI.example\", \"team.example\"]\n");
            let other = |name: &str, hosts: &str| {
                let endpoint = emulator.openai(Door::Lenient);
                format!(
                    "[resources.{name}]\nplane = \"openai\"\nendpoint = \"{endpoint}\"\nidentity = \"app\"\nhosts = {hosts}\n"
                )
            };
            text + &other("second", "[\"second.example\"]") + &other("foreign", "[\"foreign.example\"]")
        }),
        keys: Box::new(|_, emulator: &Emulator| {
            let keys = emulator.keys();
            let all = "{ resource = \"ai\" }, { resource = \"second\" }, { resource = \"search\" }";
            client("all", &keys.openai, all) + &client("limited", &keys.search_admin, "{ resource = \"ai\" }")
        }),
        ..Plan::default()
    }
}

async fn chat(world: &World, target: &str, host: Option<&str>) -> Answer {
    let call = world.post(target).key(&world.emulator.keys().openai);
    match host {
        Some(host) => call.header("host", host).json(&saying("hello")).await,
        None => call.json(&saying("hello")).await,
    }
}

#[tokio::test]
async fn a_resource_is_named_by_host_or_by_path() {
    let world = plan().start().await;
    for (prefix, host, door) in [
        ("", Some("ai.example"), Door::Behind),
        ("", Some("Team.Example:8443"), Door::Behind),
        ("", Some("second.example."), Door::Lenient),
        ("/ai", None, Door::Behind),
        ("/second", None, Door::Lenient),
        ("//second/", None, Door::Lenient),
        ("/second", Some("second.example"), Door::Lenient),
        ("/%73econd", Some("localhost"), Door::Lenient),
    ] {
        let answer = chat(&world, &format!("{prefix}{CHAT}"), host).await;
        assert_eq!(answer.status, 200, "{prefix} {host:?}: {}", answer.text());
        let arrived = world.arrived().pop().unwrap();
        assert_eq!(arrived.door, Some(door), "{prefix} {host:?}");
        // What follows the name is forwarded byte for byte.
        let slash = if prefix.ends_with('/') { "/" } else { "" };
        assert_eq!(arrived.target, format!("{slash}{CHAT}"));
    }
    let line = world.gateway.told(|line| line["path"].as_str().is_some_and(|path| path.starts_with("/second"))).await;
    assert_eq!(line["resource"], "second");
    let search = world.post(&format!("/search{SEARCH}")).key(&world.emulator.keys().openai).json(&json!({})).await;
    assert_eq!(search.status, 200, "{}", search.text());
    assert_eq!(world.arrived().pop().unwrap().target, SEARCH);
}

#[tokio::test]
async fn over_http2_the_authority_is_the_host() {
    let world = plan().start().await;
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for (host, door) in [("ai.example", Door::Behind), ("second.example:443", Door::Lenient)] {
        let request = http::Request::post(format!("https://{host}{CHAT}"))
            .header("api-key", world.emulator.keys().openai)
            .header("content-type", "application/json")
            .body(http_body_util::Full::new(bytes::Bytes::from(saying("hello").to_string())))
            .unwrap();
        assert_eq!(send.send_request(request).await.unwrap().status(), 200);
        assert_eq!(world.arrived().pop().unwrap().door, Some(door));
    }
}

#[tokio::test]
async fn a_key_of_several_resources_that_names_none_is_told_how_to() {
    let world = plan().start().await;
    for host in [None, Some("unlisted.example")] {
        let answer = chat(&world, CHAT, host).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (400, "several-resources"));
        // The third one of the plane is nobody's business.
        let text = "This key may use several resources here (ai, second), and the request names none. Call keyswap by \
                    the host name of one, or put its name before the path: https://.../ai/...";
        let error = json!({"code": "BadRequest", "message": text, "type": "invalid_request_error", "param": null});
        assert_eq!(answer.json(), json!({ "error": error }));
    }
    // Of the other plane it has one, which needs no name.
    let search = world.post(SEARCH).key(&world.emulator.keys().openai).json(&json!({})).await;
    assert_eq!(search.status, 200);
    assert_eq!(world.arrived().len(), 1);
}

#[tokio::test]
async fn nobody_learns_which_resources_there_are() {
    let world = plan().start().await;
    let limited = world.emulator.keys().search_admin;
    let openai = |path: &str| (Method::POST, format!("{path}{CHAT}"), OPENAI_WRONG_KEY);
    let search = |path: &str| (Method::POST, format!("{path}{SEARCH}"), SEARCH_WRONG_KEY);
    for (method, target, body) in [
        openai("/second"),
        openai("/foreign"),
        openai("/nobody"),
        openai("/search"),
        search("/search"),
        search("/second"),
        search("/nobody"),
    ] {
        for (key, reason) in [("wrong", "unknown-key"), (&limited, "resource-not-granted")] {
            let answer = world.call(method.clone(), &target).key(key).json(&json!({})).await;
            assert_eq!((answer.reason(), answer.text().as_str()), (reason, body), "{target}");
        }
    }
    for host in ["second.example", "foreign.example"] {
        let answer = world.post(CHAT).header("host", host).key(&limited).json(&json!({})).await;
        assert_eq!((answer.reason(), answer.text().as_str()), ("resource-not-granted", OPENAI_WRONG_KEY), "{host}");
    }
    // The log does.
    let line = world.gateway.told(|line| line["reason"] == "resource-not-granted").await;
    assert_eq!(line["why"], "the client has no grant on a resource second");
    // What is below no plane is the same for everybody, whatever stands before it.
    for target in ["/ai/favicon.ico", "/nobody/favicon.ico", "/ai", "/nobody"] {
        let answer = world.get(target).key("wrong").send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (404, "no-plane"), "{target}");
    }
    assert_eq!(world.arrived().len(), 0);
}

#[tokio::test]
async fn names_that_do_not_agree_are_refused() {
    let world = plan().start().await;
    let answer = chat(&world, &format!("/second{CHAT}"), Some("ai.example")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (400, "ambiguous"));
    let text = "keyswap does not forward this request: its host names one resource and its path another.";
    assert_eq!(answer.json()["error"]["message"], text);

    let key = world.emulator.keys().openai;
    for (target, host, text) in [
        (format!("/search{CHAT}"), "localhost", "the path is one of Azure OpenAI, and 'search' is Azure AI Search"),
        (CHAT.to_owned(), "find.example", "the path is one of Azure OpenAI, and 'search' is Azure AI Search"),
        (format!("/ai{SEARCH}"), "localhost", "the path is one of Azure AI Search, and 'ai' is Azure OpenAI"),
        (SEARCH.to_owned(), "second.example", "the path is one of Azure AI Search, and 'second' is Azure OpenAI"),
    ] {
        let answer = world.post(&target).header("host", host).key(&key).json(&json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (404, "other-plane"), "{target}");
        let text = format!("Resource not found: {text}. Check the endpoint that the client was given.");
        assert_eq!(answer.json()["error"]["message"], text);
    }
    assert_eq!(world.arrived().len(), 0);
}
