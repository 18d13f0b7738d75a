//! Browsers: what they ask in advance for a web page, and what the page may read then.

use http::Method;
use serde_json::json;

use crate::client::{Answer, Call};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::upstream::Upstream;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

const PAGE: &str = "https://app.contoso.com";

/// What stands in the settings of a gateway that answers web pages.
const LISTED: &str = "[cors]\norigins = [\"https://app.contoso.com\", \"http://localhost:3000\"]\n";

fn plan() -> Plan {
    Plan { settings: Box::new(|text, _| text + LISTED), ..Plan::default() }
}

/// What a browser asks before it sends a chat with a key.
async fn preflight(world: &World, target: &str, origin: &str) -> Answer {
    asking(world.call(Method::OPTIONS, target), origin).send().await
}

fn asking(call: Call, origin: &str) -> Call {
    call.header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "api-key,content-type")
}

/// The headers that a browser looks at, in order, and what they say.
fn told(answer: &Answer) -> Vec<(&str, &str)> {
    let known = |name: &str| name.starts_with("access-control-") || name == "vary";
    let mut told: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| known(name.as_str()))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    told.sort_unstable();
    told
}

#[tokio::test]
async fn a_listed_page_is_told_yes_and_nothing_is_forwarded() {
    let world = plan().start().await;
    for (target, origin) in [(CHAT, PAGE), (SEARCH, "http://localhost:3000"), ("/nowhere", PAGE)] {
        let answer = preflight(&world, target, origin).await;
        assert_eq!((answer.status.as_u16(), answer.reason(), &*answer.text()), (204, "preflight", ""));
        assert_eq!(answer.header("content-type"), None);
        assert_eq!(
            told(&answer),
            [
                ("access-control-allow-headers", "api-key,content-type"),
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-origin", origin),
                ("access-control-max-age", "7200"),
                ("vary", "Origin"),
                ("vary", "access-control-request-headers"),
                ("vary", "access-control-request-method"),
            ]
        );
    }
    let line = world.gateway.told(|line| line["plane"] == "search").await;
    assert_eq!((&line["status"], &line["reason"]), (&json!(204), &json!("preflight")));
    assert!(world.arrived().is_empty());
}

#[tokio::test]
async fn no_other_page_is_even_with_a_key() {
    let (with, without) = (plan().start().await, World::start().await);
    for (world, origin) in [
        (&with, "https://other.example"),
        (&with, "https://app.contoso.com.evil.example"),
        (&with, "http://app.contoso.com"),
        (&with, "null"),
        (&without, PAGE),
    ] {
        let call = world.call(Method::OPTIONS, CHAT).key(&world.emulator.keys().openai);
        let answer = asking(call, origin).send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "origin-not-listed"), "{origin}");
        let message = "This gateway is not told to answer web pages of this origin. Its owner can list the origin in \
                       cors.origins.";
        let error =
            json!({"code": "PermissionDenied", "message": message, "type": "invalid_request_error", "param": null});
        assert_eq!(answer.json(), json!({ "error": error }));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert!(world.arrived().is_empty());
    }
}

#[tokio::test]
async fn an_options_that_is_no_preflight_is_as_any_request() {
    let world = plan().start().await;
    let bare = || world.call(Method::OPTIONS, "/openai/models");
    for call in [bare(), bare().header("origin", PAGE), bare().header("access-control-request-method", "GET")] {
        let answer = call.send().await;
        assert_eq!((answer.status.as_u16(), answer.text()), (401, OPENAI_WRONG_KEY.to_owned()));
    }
    let get = asking(world.get("/openai/models"), PAGE).send().await;
    assert_eq!((get.status.as_u16(), get.reason()), (401, "no-credential"));
}

#[tokio::test]
async fn a_listed_page_may_read_what_it_gets_and_no_other() {
    let world = plan().start().await;
    let key = world.emulator.keys().openai;
    let chat = |origin: &str, key: &str| world.post(CHAT).header("origin", origin).key(key).json(&saying("hello"));
    let readable = [("access-control-allow-origin", PAGE), ("access-control-expose-headers", "*")];
    for (key, status) in [(&*key, 200), ("0123456789abcdef0123456789abcdef", 401)] {
        let answer = chat(PAGE, key).await;
        assert_eq!(answer.status, status);
        let told = told(&answer);
        assert!(readable.iter().all(|header| told.contains(header)), "{told:?}");
        assert!(told.contains(&("vary", "Origin")), "{told:?}");
    }
    let elsewhere = world.post(CHAT).key(&key).json(&saying("hello"));
    for answer in [chat("https://other.example", &key).await, elsewhere.await] {
        assert_eq!(answer.status, 200);
        let told = told(&answer);
        // A cache must not give it to a page that would have got another.
        assert!(told.contains(&("vary", "Origin")), "{told:?}");
        assert!(!told.iter().any(|(name, _)| *name == "access-control-allow-origin"), "{told:?}");
    }

    let world = World::start().await;
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).header("origin", PAGE).send().await;
    assert!(!told(&answer).contains(&("vary", "Origin")), "nothing is said where nothing is listed");
}

#[tokio::test]
async fn what_upstream_says_of_it_stays() {
    let own = b"HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-expose-headers: etag\r\n\
                vary: Accept-Encoding\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::answering(own).await;
    let world = upstream.plan_with("127.0.0.1", LISTED).start().await;
    let answer = world.post(CHAT).header("origin", PAGE).key(&world.emulator.keys().openai).send().await;
    assert_eq!(
        told(&answer),
        [
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "etag"),
            ("vary", "Accept-Encoding"),
            ("vary", "Origin")
        ]
    );
}
