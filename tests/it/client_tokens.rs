//! Clients with an Entra token of their own: refused, or passed on with that token and with nothing of ours.

use azure_emulator::{App, Door, Emulator};
use http::Method;
use serde_json::json;

use crate::client::{Answer, Call, Client};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::upstream::{Then, Upstream};
use crate::websocket::{REALTIME, Talk};
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

/// The usual world, whose Azure OpenAI takes clients' own tokens, and whose search service does not. Behind keyswap any
/// token of Entra's is one; whose it is, the journal tells.
fn plan() -> Plan {
    Plan { settings: Box::new(|text, _| passing("ai", &text)), ..Plan::default() }
}

fn passing(resource: &str, settings: &str) -> String {
    let section = format!("[resources.{resource}]\n");
    settings.replace(&section, &format!("{section}client_tokens = \"pass\"\n"))
}

/// The same, with an upstream of bytes.
fn passing_to(upstream: &Upstream) -> Plan {
    let plan = upstream.plan();
    let settings = plan.settings;
    Plan { settings: Box::new(|text, emulator| passing("ai", &settings(text, emulator))), ..plan }
}

/// A token of an application that keyswap knows nothing of.
async fn token(emulator: &Emulator, app: &App, scope: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), emulator.ca_pem()).unwrap();
    let url = format!("{}/{}/oauth2/v2.0/token", emulator.entra(), app.tenant);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}/.default",
        app.client_id, app.secret
    );
    let answer = Client::trusting(file.path())
        .call(Method::POST, &url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into())
        .await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

const OPENAI_SCOPE: &str = "https://cognitiveservices.azure.com";

/// Of an application that is not the gateway's identity.
async fn clients_own(world: &World) -> (String, String) {
    let app = world.emulator.reader_app();
    (token(&world.emulator, &app, OPENAI_SCOPE).await, app.object_id)
}

async fn chat(call: Call) -> Answer {
    call.json(&saying("hello")).await
}

#[tokio::test]
async fn a_clients_own_token_goes_through_as_it_came_and_azure_decides() {
    let world = plan().start().await;
    let (token, object_id) = clients_own(&world).await;
    let own = format!("bearer  {token}");
    let call =
        world.post(CHAT).header("authorization", &own).header("x-api-key", "").header("x-forwarded-for", "1.2.3.4");
    let answer = chat(call).await;
    let arrived = world.only_arrival();
    assert_eq!(arrived.header("authorization"), Some(&*own), "{}", answer.text());
    assert_eq!((arrived.header("x-api-key"), arrived.header("x-forwarded-for")), (None, None));

    world.emulator.journal().clear();
    let answer = chat(world.post(CHAT).header("authorization", &format!("Bearer {token}"))).await;
    let arrived = world.only_arrival();
    assert_eq!(arrived.principal.as_deref(), Some(&*object_id), "{}", answer.text());
    let line = world.gateway.told(|line| line["identity"] == "client").await;
    assert_eq!((line["resource"].as_str(), line.get("client"), line.get("key")), (Some("ai"), None, None));
    assert!(!serde_json::Value::from(world.gateway.requests()).to_string().contains(&token[..20]));
}

/// It speaks of a token that is not ours: no refresh, no other identity, not a word changed.
#[tokio::test]
async fn what_azure_says_to_it_is_the_clients() {
    let body = "{ \"statusCode\": 401, \"message\": \"Unauthorized. Access token is missing.\" }";
    let missing = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nwww-authenticate: Bearer error=\"x\"\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let forbidden = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    for said in [&missing, forbidden] {
        let upstream = Upstream::answering(said.as_bytes()).await;
        let world = passing_to(&upstream).start().await;
        let answer = chat(world.post(CHAT).header("authorization", "Bearer eyJ.a.b")).await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert_eq!(answer.text(), body);
        assert!(head.starts_with(&format!("HTTP/1.1 {}", answer.status)), "{answer:?}");
        assert_eq!(answer.reason(), "none: the answer is the upstream's");
        assert_eq!(answer.header("www-authenticate").is_some(), head.contains("www-authenticate"));
        assert_eq!(upstream.only_asked().header("authorization"), Some("Bearer eyJ.a.b"));
        assert_eq!(world.gateway.told(|line| line["path"].is_string()).await["replays"], 0);
    }
}

#[tokio::test]
async fn neither_grants_nor_keys_have_a_say_and_paths_do() {
    let world = plan().start().await;
    let (token, _) = clients_own(&world).await;
    let bearer = format!("Bearer {token}");
    let with = |method: Method, target: &str| world.call(method, target).header("authorization", &bearer);
    // No family has it, and no key could be granted it.
    let unknown = with(Method::POST, "/openai/v1/video/generations/jobs").send().await;
    assert_eq!(unknown.reason(), "none: the answer is the upstream's");
    let prefixed = chat(with(Method::POST, &format!("/ai{CHAT}"))).await;
    assert_eq!(prefixed.reason(), "none: the answer is the upstream's");
    assert_eq!(world.arrived().pop().unwrap().target, CHAT);
    let arrived = world.arrived().len();

    for (method, target, status, reason) in [
        (Method::GET, "/openai/deployments/%2e%2e/x", 400, "ambiguous"),
        (Method::TRACE, CHAT, 400, "ambiguous"),
        (Method::GET, "/nowhere", 404, "no-plane"),
        // The search service takes no such token; what does not exist is as good.
        (Method::POST, SEARCH, 403, "client-token"),
        (Method::POST, "/search/indexes", 403, "client-token"),
        (Method::POST, "/nobody/openai/models", 401, "client-token"),
        // The host or prefix is one of Azure OpenAI's: where the path is not, the endpoint is wrong.
        (Method::POST, "/ai/indexes", 404, "no-plane"),
    ] {
        let answer = with(method.clone(), target).send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (status, reason), "{method} {target}");
    }
    let twice = chat(with(Method::POST, CHAT).header("authorization", &bearer)).await;
    assert_eq!((twice.status.as_u16(), twice.reason()), (400, "ambiguous"));
    let several = chat(with(Method::POST, CHAT).header("authorization", "Bearer eyJ.other.one")).await;
    assert_eq!((several.status.as_u16(), several.reason()), (401, "unknown-key"));
    let in_url = world.get(&format!("/openai/models?authorization=Bearer+{token}")).send().await;
    assert_eq!((in_url.status.as_u16(), in_url.reason()), (401, "client-token"));
    assert_eq!(world.arrived().len(), arrived);
}

#[tokio::test]
async fn a_key_beside_a_token_is_a_key() {
    let world = plan().start().await;
    let (token, object_id) = clients_own(&world).await;
    let bearer = format!("Bearer {token}");
    let call = || world.post(CHAT).header("authorization", &bearer);
    let answer = chat(call().key(&world.emulator.keys().openai)).await;
    assert_eq!(answer.status, 200);
    let ours = world.only_arrival().principal.unwrap();
    assert_ne!(ours, object_id);
    // A wrong key is a wrong key: the token does not carry it through.
    let answer = chat(call().key("0123456789abcdef0123456789abcdef")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (401, OPENAI_WRONG_KEY.to_owned()));
    assert_eq!(world.arrived().len(), 1);
}

#[tokio::test]
async fn among_several_resources_a_token_must_name_its_own() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let second = format!(
                "[resources.second]\nplane = \"openai\"\nendpoint = \"{}\"\nidentity = \"app\"\n\
                 hosts = [\"second.example\"]\nclient_tokens = \"pass\"\n",
                emulator.openai(Door::Lenient)
            );
            passing("ai", &text) + &second
        }),
        keys: Box::new(|_, emulator| client("chat", &emulator.keys().openai, "{ resource = \"ai\" }")),
        ..Plan::default()
    };
    let world = plan.start().await;
    let call = || world.post(CHAT).header("authorization", "Bearer eyJ.a.b");
    let answer = chat(call()).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (400, "several-resources"));
    let message = "This gateway passes Microsoft Entra tokens on, and the request names no resource to pass its own to. \
                   Call keyswap by the host name of one, or put its name before the path.";
    let error = json!({"code": "BadRequest", "message": message, "type": "invalid_request_error", "param": null});
    assert_eq!(answer.json(), json!({ "error": error }));
    assert!(world.arrived().is_empty());
    let answer = chat(call().header("host", "second.example")).await;
    assert_eq!(answer.reason(), "none: the answer is the upstream's");
    assert_eq!(world.only_arrival().door, Some(Door::Lenient));
    // The emulator has noted that the token is none of Entra's, which is what was to be shown.
    world.emulator.journal().clear();
}

/// A kept connection that upstream has just closed is none of the client's affair, whosever token it is.
#[tokio::test]
async fn a_lost_connection_is_tried_once_more_with_the_same_token() {
    let ok: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::answering_in_turn(&[(ok, Then::Stay), (b"", Then::Close), (ok, Then::Stay)]).await;
    let world = passing_to(&upstream).start().await;
    for _ in 0..2 {
        let answer = chat(world.post(CHAT).header("authorization", "Bearer eyJ.a.b")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let asked = upstream.all_asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer eyJ.a.b")), "{asked:#?}");
}

#[tokio::test]
async fn a_websocket_opens_with_it_too() {
    let world = plan().start().await;
    let token = token(&world.emulator, &world.emulator.app(), OPENAI_SCOPE).await;
    let bearer = format!("Bearer {token}");
    let mut talk = Talk::open(&world, REALTIME, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(talk.hear().await["type"], "session.created");
    assert_eq!(world.only_arrival().header("authorization"), Some(&*bearer));
    talk.socket.close(None).await.unwrap();
    while talk.next().await.is_some() {}
    drop(talk);
    let line = world.gateway.told(|line| line["status"] == 101).await;
    assert_eq!((&line["identity"], &line["outcome"]), (&json!("client"), &json!("complete")));
}
