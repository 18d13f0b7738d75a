//! Azure AI Search: operations on documents and indexes; what else it does is below.

mod desk;
mod queries;
mod refusals;
mod stack;
mod stored;

use azure_emulator::{Door, Options};
use serde_json::{Value, json};

use crate::bench::Reply;
use desk::{Desk, VERSION};

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
