//! Whom the service refuses, and how: the rows of B1.

use azure_emulator::{
    Door, Fault, Options, Plane, Role, SearchBearerRefusal, SearchKeyRefusal, SearchNoCredential, SearchRoleRefusal,
};
use serde_json::json;

use super::desk::{Desk, VERSION};
use crate::bench::{Bench, SEARCH_SCOPE};

const WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;
const DENIED: &str = r#"{"error":{"code":"","message":"Authorization failed."}}"#;
const CHALLENGE: &str = r#"Bearer realm="Azure Cognitive Search" error="invalid_token" error_description="Authentication token failed validation.""#;

#[tokio::test]
async fn roles_divide_reading_writing_and_managing() {
    let bench = Bench::start().await;
    let reader = bench.token(&bench.emulator.reader_app(), SEARCH_SCOPE).await;
    let read = format!("/indexes/hotels/docs/7?{VERSION}");
    let write = format!("/indexes/hotels/docs/index?{VERSION}");
    let manage = format!("/indexes?{VERSION}");
    let body = r#"{"value":[]}"#;
    for (method, target, status) in [("GET", &read, 200), ("POST", &write, 403), ("GET", &manage, 403)] {
        let reply = bench.search(method, target).bearer(&reader).body(body).send().await;
        assert_eq!(reply.status, status, "{target}");
        if status == 403 {
            assert_eq!(reply.text(), DENIED);
        }
    }
    let principal = bench.emulator.reader_app().object_id;
    bench.emulator.set_role(&principal, Role::SearchServiceContributor, true);
    let reply = bench.search("GET", &manage).bearer(&reader).send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn refusals_follow_the_settings() {
    let target = format!("/indexes/hotels/docs/7?{VERSION}");
    let strict = Bench::start().await;
    let reply = strict.search("GET", &target).header("api-key", "any").send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, ""));
    let reply = strict.search("GET", &format!("{target}&api-key=any")).send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, ""));
    let reply = strict.search("GET", &target).bearer("garbage").send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (401, ""));
    assert_eq!(reply.header("www-authenticate"), Some(CHALLENGE));
    let reply = strict.search("GET", &target).send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, ""));

    let other = Bench::with(Options {
        key_refusal: SearchKeyRefusal::Text403,
        bearer_refusal: SearchBearerRefusal::Json403,
        no_credential: SearchNoCredential::Empty401,
        role_refusal: SearchRoleRefusal::Text403,
        ..Options::default()
    })
    .await;
    let reply = other.search("GET", &target).header("api-key", "any").send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, WRONG_KEY));
    let reply = other.search("GET", &target).bearer("garbage").send().await;
    assert_eq!((reply.status.as_u16(), reply.text()), (403, DENIED));
    assert_eq!(other.search("GET", &target).send().await.status, 401);
    let reader = other.token(&other.emulator.reader_app(), SEARCH_SCOPE).await;
    let reply = other.search("GET", &format!("/indexes?{VERSION}")).bearer(&reader).send().await;
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(reply.text().starts_with("CheckAccess API call with non successful response."));
}

#[tokio::test]
async fn with_keys_enabled_keys_mean_what_they_meant() {
    let bench = Bench::start().await;
    let base = bench.emulator.search(Door::KeysEnabled);
    let keys = bench.emulator.keys();
    let read = format!("/indexes/hotels/docs/7?{VERSION}");
    let manage = format!("/indexes?{VERSION}");
    let ask = |target: &str| bench.ask("GET", &base, target);
    let by_query = |key: &str| bench.ask("GET", &base, &format!("{read}&api-key={key}"));
    for (ask, status, text) in [
        (ask(&read).header("api-key", &keys.search_admin), 200, None),
        (ask(&manage).header("api-key", &keys.search_admin), 200, None),
        (ask(&read).header("api-key", &keys.search_query), 200, None),
        (by_query(&keys.search_query), 200, None),
        (ask(&manage).header("api-key", &keys.search_query), 403, Some(WRONG_KEY)),
        (ask(&read).header("api-key", "wrong"), 403, Some(WRONG_KEY)),
        (
            by_query(&keys.search_admin),
            403,
            Some(r#"{"error":{"code":"","message":"The given API key is not permitted in the URI query string."}}"#),
        ),
        (ask(&read), 403, Some("")),
    ] {
        let reply = ask.send().await;
        assert_eq!(reply.status, status);
        if let Some(text) = text {
            assert_eq!(reply.text(), text);
        }
    }
    assert_eq!(WRONG_KEY.len(), 112);
}

#[tokio::test]
async fn rows_of_b1_on_demand() {
    let desk = Desk::open().await;
    // Name, status, part of the body; nothing means that there is none.
    let rows = [
        ("B1.1", 403, "internal, primary or secondary keys"),
        ("B1.2", 403, "not permitted in the URI"),
        ("B1.3", 403, ""),
        ("B1.3-401", 401, ""),
        ("B1.4", 401, ""),
        ("B1.4-http403", 403, "Authorization failed."),
        ("B1.5", 403, ""),
        ("B1.5-text", 403, "internal, primary or secondary keys"),
        ("B1.5-challenge", 401, ""),
        ("B1.6", 403, ""),
        ("B1.7", 403, "Authorization failed."),
        ("B1.8", 403, "CheckAccess API call"),
        ("B1.9", 404, "IndexNotFoundInService"),
        ("B1.9-documents", 404, "The index 'hotels' for service 'azure-emulator' was not found."),
        ("B1.9-old", 404, "was found in the service"),
        ("B1.10", 400, "Syntax error at position 7"),
        ("B1.11", 400, "Invalid or missing api-version"),
        ("B1.12", 400, "x-ms-query-source-authorization"),
        ("B1.12-audience", 400, "Audience claim is invalid"),
        ("B1.13", 412, "No change was made"),
        ("B1.14", 503, "azure-search-throttling"),
        ("B1.14-429", 429, "azure-search-throttling"),
        ("B1.15", 429, "Skillset quota of 3 has been exceeded for this service."),
        ("B1.16", 400, "is disabled"),
        ("document-missing", 404, ""),
        ("206", 206, "AgentRetrievalResponse"),
        ("207", 207, "Document not found."),
        ("402", 402, "semantic"),
        ("413", 413, ""),
        ("415", 415, "content type"),
        ("500", 500, "An error has occurred"),
        ("502", 502, "<html>"),
    ];
    for (name, ..) in rows {
        let next = desk.bench.emulator.next(Plane::Search, Fault::named(name), 1);
        next.expect(name);
    }
    for (name, status, part) in rows {
        let reply = desk.get("/indexes/hotels/docs/7").await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.text().contains(part), "{name}: {}", reply.text());
        assert_eq!(part.is_empty(), reply.body.is_empty(), "{name}");
        assert_eq!(reply.body.is_empty(), reply.header("content-type").is_none());
        let challenge = ["B1.4", "B1.5-challenge"].contains(&name).then_some(CHALLENGE);
        assert_eq!(reply.header("www-authenticate"), challenge, "{name}");
    }
    let tested: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let own = azure_emulator::fault_names(Plane::Search);
    assert_eq!(own[..tested.len()], tested);
}

#[tokio::test]
async fn get_and_delete_miss_an_index_in_other_words() {
    let desk = Desk::open().await;
    let body = |service: &str| {
        let text = format!("No index with the name 'x' was found in {service} 'azure-emulator'.");
        json!({"error": {"code": "OperationNotAllowed", "message": text,
                         "details": [{"code": "IndexNotFoundInService", "message": text}]}})
    };
    for (method, service) in [("GET", "the service"), ("DELETE", "a service named")] {
        let reply = desk.ask(method, "/indexes('x')").send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (404, &*body(service).to_string()));
    }
}
