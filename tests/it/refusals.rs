//! What we say to a key that is not good: exactly what Azure said when it still took keys.

use azure_emulator::Door;
use http::Method;
use serde_json::json;

use crate::client::{Answer, raw, request_text};
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

pub(crate) const OPENAI_WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;

pub(crate) const SEARCH_WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;

fn is_openai_wrong_key(answer: &Answer) {
    assert_eq!(answer.status, 401);
    assert_eq!(answer.phrase.as_deref(), Some("PermissionDenied"));
    assert_eq!(answer.text(), OPENAI_WRONG_KEY);
    let names = ["apim-request-id", "content-type", "x-keyswap-reason", "x-keyswap-request-id"];
    assert_eq!(answer.header_names(), names);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("content-length"), Some("224"));
}

fn is_search_wrong_key(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.phrase.as_deref()), (403, None));
    assert_eq!(answer.text(), SEARCH_WRONG_KEY);
    let names = ["content-type", "request-id", "x-keyswap-reason", "x-keyswap-request-id"];
    assert_eq!(answer.header_names(), names);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("content-length"), Some("112"));
}

#[tokio::test]
async fn a_wrong_key_gets_azures_bytes() {
    let world = World::start().await;
    let through = world.post(CHAT).key("wrong").json(&saying("hello")).await;
    is_openai_wrong_key(&through);
    assert_eq!(through.reason(), "unknown-key");
    let url = format!("{}{CHAT}", world.emulator.openai(Door::KeysEnabled));
    let azures = world.client.call(Method::POST, &url).key("wrong").json(&saying("hello")).await;
    assert_eq!((azures.status, &azures.phrase, &azures.body), (through.status, &through.phrase, &through.body));

    let through = world.post(SEARCH).key("wrong").header("x-ms-client-request-id", "my-id").json(&json!({})).await;
    is_search_wrong_key(&through);
    assert_eq!(through.header("request-id"), Some("my-id"), "Search gives the client's id back");
    let url = format!("{}{SEARCH}", world.emulator.search(Door::KeysEnabled));
    let azures = world.client.call(Method::POST, &url).key("wrong").json(&json!({})).await;
    assert_eq!((azures.status, &azures.body), (through.status, &through.body));
}

#[tokio::test]
async fn the_status_line_is_azures_own() {
    let world = World::start().await;
    let answer = raw(world.gateway.http, &request_text("GET", "/openai/models", &[("api-key", "wrong")])).await;
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
}

#[tokio::test]
async fn no_credential_is_answered_like_a_wrong_one() {
    let world = World::start().await;
    let answer = world.post(CHAT).json(&saying("hello")).await;
    is_openai_wrong_key(&answer);
    assert_eq!(answer.reason(), "no-credential");
    let answer = world.post(SEARCH).json(&json!({})).await;
    is_search_wrong_key(&answer);
    assert_eq!(answer.reason(), "no-credential");
    let answer = world.post(CHAT).key("").json(&saying("hello")).await;
    is_openai_wrong_key(&answer);
}

#[tokio::test]
async fn expired_and_early_keys_are_unknown_to_the_caller_and_known_to_the_operator() {
    let plan = Plan {
        keys: Box::new(|_, emulator| {
            let keys = emulator.keys();
            let dated = |name: &str, key: &str, date: &str| {
                client(name, key, "{ resource = \"ai\" }").replace(" }]\ngrants", &format!(", {date} }}]\ngrants"))
            };
            [
                dated("old", &keys.openai, "expires = 2020-01-01T00:00:00Z"),
                dated("new", &keys.search_admin, "not_before = 2090-01-01T00:00:00Z"),
                dated(
                    "good",
                    &keys.search_query,
                    "not_before = 2020-01-01T00:00:00Z, expires = 2090-01-01T00:00:00+01:00",
                ),
            ]
            .concat()
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let keys = world.emulator.keys();
    for (key, told) in [(&keys.openai, "the key old is expired"), (&keys.search_admin, "the key new is not-yet-valid")]
    {
        let answer = world.post(CHAT).key(key).json(&saying("hello")).await;
        is_openai_wrong_key(&answer);
        assert_eq!(answer.reason(), "unknown-key");
        let line = world.gateway.told(|line| line["why"] == told).await;
        assert_eq!(line["request"].as_str(), answer.header("x-keyswap-request-id"));
    }
    let answer = world.post(CHAT).key(&keys.search_query).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_key_of_the_other_plane_is_a_wrong_key() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let answer = world.post(CHAT).key(&keys.search_admin).json(&saying("hello")).await;
    is_openai_wrong_key(&answer);
    assert_eq!(answer.reason(), "no-resource");
    let answer = world.post(SEARCH).key(&keys.openai).json(&json!({})).await;
    is_search_wrong_key(&answer);
}

#[tokio::test]
async fn a_clients_own_token_is_refused_in_words_and_goes_nowhere() {
    let world = World::start().await;
    let token = "Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln";
    let answer = world.post(CHAT).header("authorization", token).json(&saying("hello")).await;
    let text = "This gateway takes api-keys, and the request brought a Microsoft Entra token. Configure the client with a \
                key, or let it call Azure directly.";
    assert_eq!((answer.status.as_u16(), answer.reason()), (401, "client-token"));
    let expected =
        format!(r#"{{"error":{{"code":"401","message":"{text}","type":"invalid_request_error","param":null}}}}"#);
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("x-should-retry"), Some("false"));

    let answer = world.post(SEARCH).header("authorization", token).json(&json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "client-token"));
    assert_eq!(answer.text(), format!(r#"{{"error":{{"code":"","message":"{text}"}}}}"#));
    assert_eq!(world.arrived().len(), 0);
}

#[tokio::test]
async fn a_path_of_neither_plane_is_told_where_to_go() {
    let world = World::start().await;
    let answer = world.get("/v1/chat/completions").key(&world.emulator.keys().openai).send().await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (404, "no-plane"));
    let text = "Resource not found: keyswap serves the paths of Azure OpenAI (/openai, /models, /anthropic, /api) and of \
                Azure AI Search (/indexes, /indexers, ...). Check the endpoint that the client was given.";
    let expected =
        format!(r#"{{"error":{{"code":"404","message":"{text}","type":"invalid_request_error","param":null}}}}"#);
    assert_eq!(answer.text(), expected);
}

#[tokio::test]
async fn whatever_names_two_hosts_or_two_methods_is_refused() {
    let world = World::start().await;
    let key = world.emulator.keys().search_query;
    let docs = "/indexes/hotels/docs?api-version=2024-07-01";
    let refused = |what: &str| {
        format!(r#"{{"error":{{"code":"BadRequest","message":"keyswap does not forward this request: {what}."}}}}"#)
    };
    for (method, target, headers, what) in [
        ("GET", docs.to_owned(), vec![("host", "other")], "it has more than one Host header"),
        ("GET", format!("http://other{docs}"), vec![], "its target and its Host header name different hosts"),
        ("GET", docs.to_owned(), vec![("x-http-method-override", "POST")], "it asks for another method than its own"),
        ("GET", format!("{docs}&_Method=POST"), vec![], "it asks for another method than its own"),
        ("TRACE", docs.to_owned(), vec![], "its method is TRACE, whose answer would show the gateway's own token"),
        ("GET", docs.to_owned(), vec![("x-original-url", "/indexes")], "it asks for another path than its own"),
        ("GET", format!("ws://gateway{docs}"), vec![], "its target has another scheme than http and https"),
        ("OPTIONS", "*".to_owned(), vec![], "its target is no path"),
        ("CONNECT", "gateway".to_owned(), vec![], "its method is CONNECT, and this is no proxy"),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([("api-key", key.as_str())]).collect();
        let answer = raw(world.gateway.http, &request_text(method, &target, &headers)).await;
        // Before the path is read there is no plane, and so no dialect but the first one's.
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let message = refused(what);
        let message = message.split_once("\"message\"").unwrap().1.trim_end_matches('}');
        assert!(answer.contains(message), "{answer}");
    }
    for host in ["a, b", "user@a", "a:b", "a/b"] {
        let request = request_text("GET", docs, &[("api-key", &key)]);
        let request = String::from_utf8(request).unwrap().replace("host: gateway", &format!("host: {host}"));
        let answer = raw(world.gateway.http, request.as_bytes()).await;
        assert!(answer.contains("does not forward this request: its Host header is no host name."), "{answer}");
    }
    let absolute =
        raw(world.gateway.http, &request_text("GET", &format!("http://gateway{docs}"), &[("api-key", &key)])).await;
    assert!(absolute.starts_with("HTTP/1.1 200 OK\r\n"), "{absolute}");
    assert_eq!(world.only_arrival().target, docs);
}
