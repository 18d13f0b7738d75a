//! Azure AI Search: operations and refusals.

use std::io::Read;

use azure_emulator::{
    Door, Fault, Options, Plane, Role, SearchBearerRefusal, SearchKeyRefusal, SearchNoCredential, SearchRoleRefusal,
    SearchStack,
};
use serde_json::{Value, json};

use crate::bench::{Bench, Reply, SEARCH_SCOPE};
use crate::desk::{Desk, VERSION};

const WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;
const DENIED: &str = r#"{"error":{"code":"","message":"Authorization failed."}}"#;
const CHALLENGE: &str = r#"Bearer realm="Azure Cognitive Search" error="invalid_token" error_description="Authentication token failed validation.""#;

fn keys(reply: &Reply) -> Vec<String> {
    let hits = reply.json()["value"].as_array().expect("hits").clone();
    let key = |hit: &Value| hit["HotelId"].as_str().expect("a key").to_owned();
    hits.iter().map(key).collect()
}

#[tokio::test]
async fn a_search_pages_by_link_and_by_body() {
    let desk = Desk::open().await;
    let origin = desk.bench.emulator.search(Door::Behind);

    let mut body = json!({"search": "*", "select": "HotelId", "count": true});
    let mut found = Vec::new();
    loop {
        let reply = desk.post("/indexes('hotels')/docs/search.post.search", body).await;
        found.extend(keys(&reply));
        let page = reply.json();
        assert_eq!(page["@odata.count"], 120);
        if page["@odata.nextLink"].is_null() {
            break;
        }
        assert_eq!(page["@odata.nextLink"], format!("{origin}/indexes('hotels')/docs/search.post.search?{VERSION}"));
        // The context is first, the link last (H12).
        assert!(reply.text().starts_with(r#"{"@odata.context":"#));
        assert!(reply.text().ends_with(&format!(r#"?{VERSION}"}}"#)));
        body = page["@search.nextPageParameters"].clone();
    }
    let all: Vec<String> = (1..=120).map(|number| number.to_string()).collect();
    assert_eq!(found, all);

    let mut target = format!("/indexes/hotels/docs?{VERSION}&search=*&$select=HotelId");
    let mut found = Vec::new();
    loop {
        let reply = desk.bench.search("GET", &target).bearer(&desk.token);
        let reply = reply.header("accept", "application/json;odata.metadata=none").send().await;
        found.extend(keys(&reply));
        let page = reply.json();
        assert!(page.get("@odata.context").is_none());
        assert!(page.get("@search.nextPageParameters").is_none());
        // Absolute even without metadata (B3).
        let Some(link) = page["@odata.nextLink"].as_str() else {
            break;
        };
        link.strip_prefix(&origin).expect("our own URL").clone_into(&mut target);
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_search_filters_sorts_selects_and_counts() {
    let desk = Desk::open().await;
    let target = "/indexes/hotels/docs?$filter=Rating%20ge%204%20and%20Address/City%20eq%20'Seattle'\
                  &$orderby=Rating%20desc,HotelId&$select=HotelId,Rating,Address/City&$count=true&$top=2";
    let reply = desk.get(target).await.json();
    assert_eq!(reply["value"].as_array().map(Vec::len), Some(2));
    assert!(reply["@odata.count"].as_u64() > Some(2));
    assert!(reply.get("@odata.nextLink").is_none());
    let first = &reply["value"][0];
    assert!(first["Rating"].as_f64() >= reply["value"][1]["Rating"].as_f64());
    assert_eq!(first["Address"], json!({"City": "Seattle"}));

    let some = desk.post("/indexes/hotels/docs/search", json!({"search": "wifi mill"})).await;
    let all = json!({"search": "wifi mill", "searchMode": "all"});
    let both = desk.post("/indexes/hotels/docs/search", all).await;
    assert!(keys(&some).len() > keys(&both).len() && !keys(&both).is_empty());

    let facets = json!({"facets": ["Category,count:2"], "top": 0});
    let reply = desk.post("/indexes/hotels/docs/search", facets).await.json();
    let buckets = &reply["@search.facets"]["Category"];
    assert_eq!(buckets.as_array().map(Vec::len), Some(2));
    assert_eq!(buckets[0]["count"], 24);
}

#[tokio::test]
async fn bad_expressions_are_refused_in_azures_words() {
    let desk = Desk::open().await;
    let filter = json!({"filter": "This is not a valid filter."});
    let reply = desk.post("/indexes/hotels/docs/search", filter).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.text(),
        r#"{"error":{"code":"","message":"Invalid expression: Syntax error at position 7 in 'This is not a valid filter.'.\r\nParameter name: $filter"}}"#
    );
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(reply.header("odata-version"), None);
    let reply = desk.get("/indexes('hotels')/docs('2')?$select=HotelId%2cNothing").await;
    assert_eq!(
        reply.text(),
        r#"{"error":{"code":"","message":"Invalid expression: Could not find a property named 'Nothing' on type 'search.document'.\r\nParameter name: $select"}}"#
    );
}

#[tokio::test]
async fn documents_are_looked_up_and_counted() {
    let desk = Desk::open().await;
    for target in ["/indexes('hotels')/docs('7')", "/indexes(%27hotels%27)/docs%28%277%27%29", "/indexes/hotels/docs/7"]
    {
        let reply = desk.get(target).await;
        assert_eq!(reply.json()["HotelId"], "7", "{target}");
    }
    let missing = desk.get("/indexes('hotels')/docs('nobody')").await;
    assert_eq!((missing.status.as_u16(), missing.text()), (404, ""));
    assert_eq!(missing.header("content-type"), None);

    for target in ["/indexes('hotels')/docs/$count", "/indexes/hotels/docs/%24count"] {
        let reply = desk.get(target).await;
        assert_eq!(reply.text(), "120");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let desk = Desk::with(Options { count_with_bom: true, ..Options::default() }).await;
    assert_eq!(desk.get("/indexes/hotels/docs/$count").await.text(), "\u{feff}120");
}

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

#[tokio::test]
async fn documents_are_written_one_by_one() {
    let desk = Desk::open().await;
    let write = |actions: Value| {
        let body = json!({"value": actions});
        desk.post("/indexes('hotels')/docs/search.index", body)
    };
    let reply = write(json!([
        {"@search.action": "upload", "HotelId": "new", "HotelName": "New"},
        {"@search.action": "mergeOrUpload", "HotelId": "new", "Rating": 5},
        {"@search.action": "delete", "HotelId": "1"},
    ]))
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json()["value"],
        json!([
            {"key": "new", "status": true, "errorMessage": null, "statusCode": 201},
            {"key": "new", "status": true, "errorMessage": null, "statusCode": 200},
            {"key": "1", "status": true, "errorMessage": null, "statusCode": 200},
        ])
    );
    let new = desk.get("/indexes/hotels/docs/new").await.json();
    assert_eq!((&new["HotelName"], &new["Rating"]), (&json!("New"), &json!(5)));
    assert_eq!(desk.get("/indexes/hotels/docs/1").await.status, 404);

    let reply = write(json!([{"@search.action": "merge", "HotelId": "nobody"}])).await;
    assert_eq!(reply.status, 207);
    assert_eq!(reply.json()["value"][0]["errorMessage"], "Document not found.");
    let reply = write(json!([{"HotelId": "x", "Wrong": 1}, {"HotelId": "y"}])).await;
    assert_eq!(reply.status, 400);
    let reply = write(json!([{"HotelName": "keyless"}])).await;
    assert_eq!(
        reply.text(),
        r#"{"error":{"code":"","message":"The request is invalid. Details: actions : 0: Document key cannot be missing or empty.\r\n"}}"#
    );
    assert_eq!(desk.get("/indexes/hotels/docs/$count").await.text(), "120");
}

#[tokio::test]
async fn suggestions_come_from_the_suggester() {
    let desk = Desk::open().await;
    let ask = json!({"search": "harb", "suggesterName": "sg", "select": "HotelName", "top": 1});
    let posted = desk.post("/indexes('hotels')/docs/search.post.suggest", ask).await.json();
    let target = "/indexes/hotels/docs/suggest?search=harb&suggesterName=sg&$select=HotelName&$top=1";
    assert_eq!(desk.get(target).await.json()["value"], posted["value"]);
    assert_eq!(posted["value"], json!([{"@search.text": "Harbor Light Hotel", "HotelName": "Harbor Light Hotel"}]));
    let target = "/indexes/hotels/docs/search.autocomplete?search=old%20mi&suggesterName=sg";
    assert_eq!(desk.get(target).await.json()["value"], json!([{"text": "mill", "queryPlusText": "old mill"}]));
    let ask = json!({"search": "harb", "suggesterName": "sg", "top": 1, "orderby": "HotelId desc", "minimumCoverage": 50,
                     "highlightPreTag": "<b>", "highlightPostTag": "</b>"});
    let marked = desk.post("/indexes/hotels/docs/suggest", ask).await.json();
    assert_eq!(marked["value"], json!([{"@search.text": "<b>Harbor</b> Light Inn", "HotelId": "91"}]));
    assert_eq!(marked["@search.coverage"], 100.0);
    for (mode, completions) in
        [("oneTerm", vec!["mill"]), ("twoTerms", vec!["mill hotel", "mill inn"]), ("oneTermWithContext", vec!["mill"])]
    {
        let ask = json!({"search": "old mi", "suggesterName": "sg", "autocompleteMode": mode, "top": 2});
        let found = desk.post("/indexes/hotels/docs/autocomplete", ask).await.json()["value"].clone();
        let texts: Vec<&str> =
            found.as_array().expect("completions").iter().filter_map(|one| one["text"].as_str()).collect();
        assert_eq!(texts, completions, "{mode}");
    }
    let ask = json!({"search": "x", "suggesterName": "nobody"});
    let reply = desk.post("/indexes/hotels/docs/search.post.autocomplete", ask).await;
    assert_eq!(
        reply.text(),
        r#"{"error":{"code":"","message":"The specified suggester name 'nobody' does not exist in this index definition.\r\nParameter name: name"}}"#
    );
}

#[tokio::test]
async fn indexes_live_and_die() {
    let desk = Desk::open().await;
    let origin = desk.bench.emulator.search(Door::Behind);
    let definition = json!({"name": "mine", "fields": [
        {"name": "id", "type": "Edm.String", "key": true}, {"name": "text", "type": "Edm.String"},
    ]});
    let created = desk.post("/indexes", definition.clone()).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), Some(&*format!("{origin}/indexes('mine')?{VERSION}")));
    let etag = created.header("etag").expect("an etag").to_owned();
    assert_eq!(created.json()["@odata.etag"], etag);
    assert_eq!(created.json()["@odata.context"], format!("{origin}/$metadata#indexes/$entity"));
    assert_eq!(desk.post("/indexes", definition.clone()).await.status, 409);

    let names = desk.get("/indexes?$select=name").await.json();
    assert_eq!(names["value"], json!([{"name": "hotels"}, {"name": "mine"}]));
    assert_eq!(desk.get("/indexes('mine')").await.header("etag"), Some(&*etag));

    let put = |condition: &str| {
        let ask = desk.ask("PUT", "/indexes('mine')").body(definition.to_string());
        ask.header("if-match", condition).header("prefer", "return=representation").send()
    };
    let stale = put("\"0x0\"").await;
    assert_eq!((stale.status.as_u16(), stale.body.len()), (412, 160));
    assert_eq!(put(&etag).await.status, 200);
    let delete = || desk.ask("DELETE", "/indexes('mine')");
    assert_eq!(delete().header("if-match", &etag).send().await.status, 412);
    let deleted = delete().send().await;
    assert_eq!(deleted.status, 204);
    assert_eq!(deleted.header("content-length"), None);
    let gone = delete().send().await;
    assert_eq!(gone.status, 404);
    assert_eq!(
        gone.text(),
        r#"{"error":{"code":"OperationNotAllowed","message":"No index with the name 'mine' was found in a service named 'azure-emulator'.","details":[{"code":"IndexNotFoundInService","message":"No index with the name 'mine' was found in a service named 'azure-emulator'."}]}}"#
    );
    let keyless = json!({"name": "mine", "fields": []});
    assert_eq!(
        desk.post("/indexes", keyless).await.text(),
        r#"{"error":{"code":"","message":"The request is invalid. Details: index : Found 0 key fields in index 'mine'. Each index must have exactly one key field.\r\n"}}"#
    );
}

#[tokio::test]
async fn statistics_and_analysis() {
    let desk = Desk::open().await;
    let stats = desk.get("/indexes('hotels')/search.stats").await.json();
    assert_eq!(stats["documentCount"], 120);
    let stats = desk.get("/servicestats").await.json();
    assert_eq!(stats["counters"]["indexesCount"]["usage"], 1);
    let text = json!({"text": "The Quick", "analyzer": "standard.lucene"});
    let reply = desk.post("/indexes('hotels')/search.analyze", text).await.json();
    assert_eq!(reply["tokens"][1], json!({"token": "quick", "startOffset": 4, "endOffset": 9, "position": 1}));
}

#[tokio::test]
async fn the_api_version_is_required() {
    let desk = Desk::open().await;
    for target in ["/indexes/hotels/docs/7", "/indexes/hotels/docs/7?api-version=1"] {
        let reply = desk.bench.search("GET", target).bearer(&desk.token).send().await;
        assert_eq!(reply.status, 400, "{target}");
        assert_eq!(reply.json()["error"]["message"], "Invalid or missing api-version query string parameter");
    }
    let target = "/indexes/hotels/docs/7?api-version=2021-04-30-Preview";
    let reply = desk.bench.search("GET", target).bearer(&desk.token).send().await;
    assert_eq!(reply.status, 200);
}

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
