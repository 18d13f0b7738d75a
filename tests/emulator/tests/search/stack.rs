//! What stands around the bodies: headers, compression, where an object is (H11, H13).

use std::io::Read;

use azure_emulator::{Options, SearchStack};
use serde_json::json;

use super::desk::{Desk, VERSION};
use crate::bench::Reply;

#[tokio::test]
async fn a_200_is_gzipped_and_nothing_else_is() {
    let desk = Desk::open().await;
    let gzip = |target: &str| desk.ask("GET", target).header("accept-encoding", "gzip, deflate");
    let reply = gzip("/indexes/hotels/docs/7").send().await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    assert_eq!(reply.headers.get_all("strict-transport-security").iter().count(), 2);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).expect("gzip");
    assert!(text.contains("\"HotelId\":\"7\""));
    let error = gzip("/indexes/nothing/docs/7").send().await;
    assert_eq!(error.header("content-encoding"), None);
    let refused = desk.ask("GET", "/indexes/hotels/docs/7").header("accept-encoding", "gzip;q=0");
    assert_eq!(refused.send().await.header("content-encoding"), None);
}

/// The headers of an answer that do not differ from one to the next, sorted, without those that no service sends.
fn headers(reply: &Reply) -> Vec<String> {
    let passing = ["date", "elapsed-time", "request-id", "x-unexpected", "etag", "location"];
    let lasting = reply.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    let mut lines: Vec<String> =
        lasting.map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII"))).collect();
    lines.sort();
    lines
}

/// H13, from the recordings.
#[tokio::test]
async fn either_stack_has_the_headers_that_were_recorded() {
    const PREFERENCE: &str = r#"preference-applied: odata.include-annotations="*""#;
    const SUBDOMAINS: &str = "strict-transport-security: max-age=15724800; includeSubDomains";
    let map = json!({"name": "words", "format": "solr", "synonyms": ""});
    let json_now = "content-type: application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8";
    let hsts = "strict-transport-security: max-age=2592000";

    let now = Desk::open().await;
    let created = now.post("/synonymmaps", map.clone()).await;
    let created_now = [json_now, "odata-version: 4.0", PREFERENCE, SUBDOMAINS, hsts, "transfer-encoding: chunked"];
    assert_eq!(headers(&created), created_now);
    assert!(created.header("etag").expect("an etag").starts_with("\"0x"));
    let shown = now.ask("GET", "/synonymmaps('words')").header("accept-encoding", "gzip").send().await;
    let mut shown_now = created_now.to_vec();
    shown_now.extend(["content-encoding: gzip", "vary: Accept-Encoding"]);
    shown_now.sort_unstable();
    assert_eq!(headers(&shown), shown_now);
    let missing = now.get("/synonymmaps('nothing')").await;
    let error_now = [
        "cache-control: no-cache,no-store",
        "content-language: en",
        &format!("content-length: {}", missing.body.len()),
        "content-type: application/json; charset=utf-8",
        "expires: -1",
        "pragma: no-cache",
        SUBDOMAINS,
    ];
    assert_eq!(headers(&missing), error_now);
    let deleted = now.ask("DELETE", "/synonymmaps('words')").send().await;
    assert_eq!(headers(&deleted), [PREFERENCE, SUBDOMAINS, hsts]);

    let then = Desk::with(Options { search_stack: SearchStack::Until2022, ..Options::default() }).await;
    let length = |reply: &Reply| format!("content-length: {}", reply.body.len());
    let whole = |reply: &Reply| {
        [
            "cache-control: no-cache".to_owned(),
            length(reply),
            "content-type: application/json; odata.metadata=minimal".to_owned(),
            "expires: -1".to_owned(),
            "odata-version: 4.0".to_owned(),
            "pragma: no-cache".to_owned(),
            PREFERENCE.to_owned(),
            SUBDOMAINS.to_owned(),
        ]
        .to_vec()
    };
    let created = then.post("/synonymmaps", map).await;
    assert_eq!(headers(&created), whole(&created));
    let etag = created.json()["@odata.etag"].as_str().expect("an etag").to_owned();
    assert_eq!(created.header("etag"), Some(&*format!("W/{etag}")));
    let missing = then.get("/indexes('nothing')").await;
    let mut error_then = whole(&missing);
    error_then.insert(1, "content-language: en".to_owned());
    assert_eq!(headers(&missing), error_then);
    assert_eq!(
        missing.text(),
        r#"{"error":{"code":"","message":"No index with the name 'nothing' was found in the service 'azure-emulator'."}}"#
    );
    let bare = ["cache-control: no-cache", "expires: -1", "pragma: no-cache", SUBDOMAINS];
    let deleted = then.ask("DELETE", "/synonymmaps('words')").header("if-match", &format!("W/{etag}")).send().await;
    assert_eq!((deleted.status.as_u16(), headers(&deleted)), (204, bare.map(str::to_owned).to_vec()));
    let nobody = then.get("/indexes('hotels')/docs('nobody')").await;
    let mut empty = bare.map(str::to_owned).to_vec();
    empty.insert(1, "content-length: 0".to_owned());
    assert_eq!((nobody.status.as_u16(), headers(&nobody)), (404, empty));
}

/// H11: where the origin names no port, the location does.
#[tokio::test]
async fn a_location_names_its_port() {
    for (stack, port) in [(SearchStack::Current, ":443"), (SearchStack::Until2022, "")] {
        let desk = Desk::with(Options { search_stack: stack, ..Options::default() }).await;
        let ask = desk.ask("POST", "/synonymmaps").body(r#"{"name":"words"}"#).host("contoso.search.windows.net");
        let reply = ask.send().await;
        let location = format!("https://contoso.search.windows.net{port}/synonymmaps('words')?{VERSION}");
        assert_eq!(reply.header("location"), Some(&*location));
        let context = "https://contoso.search.windows.net/$metadata#synonymmaps/$entity";
        assert_eq!(reply.json()["@odata.context"], context);
    }
}
