//! A query key cannot write, however the write is dressed up: against the lenient emulator, which reads a request as the
//! most careless server would.

use azure_emulator::Door;
use serde_json::json;

use crate::client::{raw, request_text};
use crate::world::{Plan, World};

/// A write in disguise: name, method, target, headers.
type Disguise = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Sent to the lenient emulator directly, each of them writes.
const DISGUISES: &[Disguise] = &[
    ("plain", "POST", "/indexes/hotels/docs/index", &[]),
    ("odata", "POST", "/indexes('hotels')/docs/search.index", &[]),
    ("case", "POST", "/Indexes/hotels/DOCS/Index", &[]),
    ("encoded letter", "POST", "/indexes/hotels/docs/%69ndex", &[]),
    ("encoded twice", "POST", "/indexes/hotels/docs/%2569ndex", &[]),
    ("doubled slash", "POST", "/indexes/hotels//docs//index", &[]),
    ("dot segment", "POST", "/indexes/hotels/docs/./index", &[]),
    ("parent segment", "POST", "/indexes/hotels/docs/search/../index", &[]),
    ("encoded parent", "POST", "/indexes/hotels/docs/search/%2e%2e/index", &[]),
    ("encoded slash", "POST", "/indexes/hotels/docs/search/..%2findex", &[]),
    ("encoded slash, twice", "POST", "/indexes/hotels/docs/search/..%252findex", &[]),
    ("backslash", "POST", "/indexes/hotels/docs%5cindex", &[]),
    ("matrix parameter", "POST", "/indexes/hotels/docs/index;x=y", &[]),
    ("matrix parent", "POST", "/indexes/hotels/docs/search/..;x/index", &[]),
    ("trailing dot", "POST", "/indexes/hotels/docs/index.", &[]),
    ("trailing blank", "POST", "/indexes/hotels/docs/index%20", &[]),
    ("trailing slash", "POST", "/indexes/hotels/docs/index/", &[]),
    ("question mark", "POST", "/indexes/hotels/docs/index%3f/search", &[]),
    ("nul", "POST", "/indexes/hotels/docs/index%00/search", &[]),
    ("override", "GET", "/indexes/hotels/docs/index", &[("X-HTTP-Method-Override", "POST")]),
    ("old override", "GET", "/indexes/hotels/docs/index", &[("X-HTTP-Method", "POST")]),
    ("other override", "GET", "/indexes/hotels/docs/index", &[("X-Method-Override", "POST")]),
    ("override in the query", "GET", "/indexes/hotels/docs/index?_method=POST", &[]),
    ("document key that climbs", "POST", "/indexes/hotels/docs('a%2f..%2f..%2fdocs%2findex;')", &[]),
    ("absolute form", "POST", "http://gateway/indexes/hotels/docs/index", &[]),
];

fn write(method: &str, target: &str, headers: &[(&str, &str)], key: Option<&str>) -> Vec<u8> {
    let mark = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{mark}api-version=2024-07-01");
    let body = json!({"value": [{"@search.action": "upload", "HotelId": "intruder"}]}).to_string();
    let length = body.len().to_string();
    let mut all = vec![("content-type", "application/json"), ("content-length", length.as_str())];
    all.extend(key.map(|key| ("api-key", key)));
    all.extend(headers);
    [request_text(method, &target, &all), body.into_bytes()].concat()
}

async fn world() -> World {
    Plan { door: Door::Lenient, ..Plan::default() }.start().await
}

#[tokio::test]
async fn a_query_key_cannot_write_in_any_disguise() {
    let world = world().await;
    let key = world.emulator.keys().search_query;
    for (name, method, target, headers) in DISGUISES {
        let answer = raw(world.gateway.http, &write(method, target, headers, Some(&key))).await;
        let status = answer.split(' ').nth(1).unwrap();
        assert!(["400", "403"].contains(&status), "{name}: {answer}");
        if status == "403" {
            let body = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;
            assert!(answer.ends_with(body), "{name}: {answer}");
        } else {
            assert!(answer.contains("keyswap does not forward this request: "), "{name}: {answer}");
        }
    }
    // Not one of them was forwarded, let alone completed.
    assert_eq!(world.arrived().iter().map(|entry| &entry.target).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The disguises are real: a key that may write gets through the wall with the honest ones, and the lenient emulator
/// completes them. Otherwise the test above would prove nothing.
#[tokio::test]
async fn the_honest_disguises_do_write_with_an_admin_key() {
    let world = world().await;
    let key = world.emulator.keys().search_admin;
    for (name, method, target, headers) in DISGUISES {
        if ["plain", "odata", "case", "encoded letter", "doubled slash", "trailing slash", "absolute form"]
            .contains(name)
        {
            let answer = raw(world.gateway.http, &write(method, target, headers, Some(&key))).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {answer}");
        }
    }
    let written: Vec<_> = world.arrived().into_iter().filter(|entry| entry.completed).collect();
    assert_eq!(written.len(), 7);
    assert!(written.iter().all(|entry| entry.operation == Some("docs-index")));
}
