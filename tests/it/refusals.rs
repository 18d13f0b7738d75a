//! What is refused besides what the closing table has: what cannot be read in one way, and what belongs to nobody.

use crate::client::{raw, request_text};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::world::{CHAT, Plan, World, client, saying};

#[tokio::test]
async fn the_status_line_is_azures_own() {
    let world = World::start().await;
    let answer = raw(world.gateway.http, &request_text("GET", "/openai/models", &[("api-key", "wrong")])).await;
    assert!(answer.starts_with("HTTP/1.1 401 PermissionDenied\r\n"), "{answer}");
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
        assert_eq!((answer.text().as_str(), answer.reason()), (OPENAI_WRONG_KEY, "unknown-key"));
        let line = world.gateway.told(|line| line["why"] == told).await;
        assert_eq!(line["request"].as_str(), answer.header("x-keyswap-request-id"));
    }
    let answer = world.post(CHAT).key(&keys.search_query).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
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
    let refused = |what: &str, more: &str| {
        let message = format!("keyswap does not forward this request: {what}.");
        format!(r#"{{"error":{{"code":"BadRequest","message":"{message}"{more}}}}}"#)
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
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        // A target that is no path belongs to no plane, and is answered in the first one's words.
        let more = if target.contains("/indexes") { "" } else { r#","type":"invalid_request_error","param":null"# };
        assert_eq!(body, refused(what, more));
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
