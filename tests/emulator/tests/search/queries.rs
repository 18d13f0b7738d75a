//! What a search can be asked for besides words: highlights, facets, meaning, nearness; and how a text is cut to words.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::bench::Reply;

const SEARCH: &str = "/indexes('hotels')/docs/search.post.search";

/// The members of the first hit whose names start with `@search`, and all names of the answer, in their order.
fn shape(reply: &Reply) -> (Vec<String>, Vec<String>) {
    let body = reply.json();
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let hit = names(&body["value"][0]).into_iter().filter(|name| name.starts_with("@search")).collect();
    (hit, names(&body))
}

#[tokio::test]
async fn found_words_are_marked() {
    let desk = Desk::open().await;
    let ask = json!({"search": "zürich wifi", "highlight": "Description-1, Tags", "top": 1,
                     "highlightPreTag": "<b>", "highlightPostTag": "</b>", "filter": "HotelId eq '11'"});
    let posted = desk.post(SEARCH, ask).await;
    assert_eq!(shape(&posted).0, ["@search.score", "@search.highlights"]);
    let hit = posted.json()["value"][0].clone();
    let marked = hit["@search.highlights"]["Description"][0].as_str().expect("a text");
    assert!(marked.starts_with("Café <b>Zürich</b> Hotel is a "), "{marked}");
    let target = "/indexes/hotels/docs?search=z%C3%BCrich%20wifi&highlight=Description-1&highlight=Tags&$top=1\
                  &highlightPreTag=%3Cb%3E&highlightPostTag=%3C/b%3E&$filter=HotelId%20eq%20'11'";
    assert_eq!(desk.get(target).await.json()["value"][0], hit);
    let unmarked = desk.post(SEARCH, json!({"search": "*", "highlight": "Tags", "top": 1})).await;
    assert_eq!(shape(&unmarked).0, ["@search.score"]);
}

#[tokio::test]
async fn facets_have_ranges_intervals_and_an_order() {
    let desk = Desk::open().await;
    let facets = json!(["Rating,values:2|4", "Category,sort:-value,count:1", "Tags", "Rating,interval:2"]);
    let found = desk.post(SEARCH, json!({"facets": facets.as_array().expect("facets")[..3], "top": 0})).await.json();
    let ranges = &found["@search.facets"]["Rating"];
    assert_eq!((&ranges[0]["to"], &ranges[1]["from"], &ranges[1]["to"]), (&json!(2.0), &json!(2.0), &json!(4.0)));
    assert_eq!(ranges[2].get("to"), None);
    let counts: u64 = (0..3).filter_map(|place| ranges[place]["count"].as_u64()).sum();
    assert_eq!(counts, 120);
    assert_eq!(found["@search.facets"]["Category"], json!([{"count": 24, "value": "Suite"}]));
    let found = desk.get("/indexes/hotels/docs?facet=Rating,interval:2&$top=0").await.json();
    let values: Vec<&Value> = (0..3).map(|place| &found["@search.facets"]["Rating"][place]["value"]).collect();
    assert_eq!(values, [&json!(0.0), &json!(2.0), &json!(4.0)]);
}

#[tokio::test]
async fn an_answer_has_its_members_in_the_services_order() {
    let desk = Desk::open().await;
    let ask = json!({"search": "wifi", "count": true, "minimumCoverage": 80, "facets": ["Category"], "top": 1,
                     "queryType": "semantic", "semanticConfiguration": "default", "captions": "extractive",
                     "answers": "extractive|count-2", "scoringStatistics": "global", "sessionId": "s",
                     "scoringProfile": "by-name", "highlight": "Tags"});
    let reply = desk.post(SEARCH, ask).await;
    let (hit, answer) = shape(&reply);
    assert_eq!(hit, ["@search.score", "@search.rerankerScore", "@search.captions", "@search.highlights"]);
    assert_eq!(
        answer,
        ["@odata.context", "@odata.count", "@search.coverage", "@search.facets", "@search.answers", "value"]
    );
    assert_eq!(reply.json()["@search.coverage"], 100.0);
    let reply = desk.post(SEARCH, json!({"search": "*", "count": true})).await;
    let names = ["@odata.context", "@odata.count", "@search.nextPageParameters", "value", "@odata.nextLink"];
    assert_eq!(shape(&reply).1, names);
}

#[tokio::test]
async fn a_semantic_query_has_scores_captions_and_answers() {
    let desk = Desk::open().await;
    let ask = json!({"search": "Where is Café Zürich?", "queryType": "semantic", "captions": "extractive|highlight-true",
                     "answers": "extractive|count-2", "select": "HotelId"});
    let found = desk.post(SEARCH, ask).await.json();
    let hit = &found["value"][0];
    let score = hit["@search.rerankerScore"].as_f64().expect("a score");
    assert!((0.0..=4.0).contains(&score));
    let caption = &hit["@search.captions"][0];
    assert!(caption["text"].as_str().expect("a text").contains("Zürich"));
    assert!(caption["highlights"].as_str().expect("a text").contains("<em>Zürich</em>"));
    let answers = found["@search.answers"].as_array().expect("answers");
    assert_eq!((answers.len(), &answers[0]["key"]), (2, &hit["HotelId"]));
    assert!(answers[0]["score"].as_f64() <= Some(1.0));

    let by_get = "/indexes/hotels/docs?search=z%C3%BCrich&queryType=semantic&semanticConfiguration=default&captions=extractive%7Chighlight-false&$top=1";
    let hit = desk.get(by_get).await.json()["value"][0].clone();
    assert_eq!(hit["@search.captions"][0]["highlights"], Value::Null);
    let unknown =
        desk.post(SEARCH, json!({"search": "x", "queryType": "semantic", "semanticConfiguration": "no"})).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json()["error"]["message"], "Unknown semantic configuration 'no'.");
}

#[tokio::test]
async fn the_nearest_come_first() {
    let desk = Desk::open().await;
    let definition = json!({"name": "near", "fields": [
        {"name": "id", "type": "Edm.String", "key": true},
        {"name": "text", "type": "Edm.String"},
        {"name": "at", "type": "Collection(Edm.Single)", "dimensions": 2, "vectorSearchProfile": "p"},
    ]});
    assert_eq!(desk.post("/indexes", definition).await.status, 201);
    let documents = json!({"value": [
        {"id": "east", "text": "sun rises", "at": [1.0, 0.0]}, {"id": "north", "text": "no sun", "at": [0.0, 1.0]},
        {"id": "west", "text": "nothing", "at": [-1.0, 0.0]},
    ]});
    assert_eq!(desk.post("/indexes/near/docs/index", documents).await.status, 200);
    let ids = |found: &Value| -> Vec<String> {
        let hits = found["value"].as_array().expect("hits");
        hits.iter().map(|hit| hit["id"].as_str().expect("an id").to_owned()).collect()
    };
    let near = |k: usize| json!([{"kind": "vector", "vector": [0.9, 0.1], "fields": "at", "k": k, "exhaustive": true}]);

    let found = desk.post("/indexes/near/docs/search", json!({"vectorQueries": near(2), "count": true})).await.json();
    assert_eq!((ids(&found), &found["@odata.count"]), (vec!["east".to_owned(), "north".to_owned()], &json!(2)));
    assert!(found["value"][0]["@search.score"].as_f64() > Some(0.9));
    let filtered = json!({"vectorQueries": near(2), "filter": "id ne 'east'", "vectorFilterMode": "preFilter"});
    assert_eq!(ids(&desk.post("/indexes/near/docs/search", filtered).await.json()), ["north", "west"]);
    let hybrid = json!({"search": "no", "vectorQueries": near(3)});
    let found = desk.post("/indexes/near/docs/search", hybrid).await.json();
    assert_eq!(ids(&found)[0], "north", "it stands in both rankings");
    let then = json!({"vectors": [{"value": [0.9, 0.1], "fields": "at", "k": 1}]});
    assert_eq!(ids(&desk.post("/indexes/near/docs/search", then).await.json()), ["east"]);

    let by_text =
        json!({"vectorQueries": [{"kind": "text", "text": "Lakeside", "fields": "DescriptionVector", "k": 3}]});
    let found = desk.post(SEARCH, by_text).await.json();
    assert_eq!(found["value"].as_array().map(Vec::len), Some(3));
    // Its field cannot be retrieved.
    assert_eq!(found["value"][0].get("DescriptionVector"), None);
}

#[tokio::test]
async fn vectors_of_another_length_are_refused() {
    let desk = Desk::open().await;
    let query = |field: &str| json!({"vectorQueries": [{"kind": "vector", "vector": [1], "fields": field}]});
    let mismatch = "There's a mismatch in vector dimensions. The vector field 'DescriptionVector', with dimension of '8', expects a length of '8'. However, the provided vector has a length of '1'.";
    let reply = desk.post(SEARCH, query("DescriptionVector")).await;
    let error = reply.json()["error"].clone();
    assert_eq!((reply.status.as_u16(), &error["code"]), (400, &json!("InvalidVectorQuery")));
    assert!(error["message"].as_str().expect("a text").starts_with(mismatch), "{error}");
    let reply = desk.post(SEARCH, query("HotelName")).await;
    assert_eq!(
        reply.text(),
        r#"{"error":{"code":"InvalidRequestParameter","message":"Unknown field 'HotelName' in vector field list.","details":[{"code":"UnknownField","message":"Unknown field 'HotelName' in vector field list."}]}}"#
    );
    let upload = json!({"value": [{"HotelId": "x", "DescriptionVector": [1]}]});
    let reply = desk.post("/indexes/hotels/docs/index", upload).await;
    let text = reply.json()["error"]["message"].as_str().expect("a text").to_owned();
    assert!(text.starts_with(&format!("The request is invalid. Details: actions : 0: {mismatch}")), "{text}");
}

#[tokio::test]
async fn the_full_syntax_must_be_whole() {
    let desk = Desk::open().await;
    let ask = |search: &str| desk.post(SEARCH, json!({"search": search, "queryType": "full", "select": "HotelId"}));
    assert_eq!(
        ask("/.*/.*/").await.text(),
        r#"{"error":{"code":"","message":"Failed to parse query string at line 1, column 8. See https://aka.ms/azure-search-full-query for supported syntax."}}"#
    );
    let found = ask("HotelName:zürich^2 AND \"hotel\"").await.json();
    let ids: Vec<&Value> = (0..3).map(|place| &found["value"][place]["HotelId"]).collect();
    assert_eq!(ids, [&json!("11"), &json!("71"), &Value::Null]);
    let profile = desk.post(SEARCH, json!({"scoringProfile": "nobody"})).await;
    assert_eq!(profile.status, 400);
}

#[tokio::test]
async fn a_text_is_cut_as_its_analyzer_says() {
    let desk = Desk::open().await;
    let text = "The Quick-fox's 2 Cafés 😀 x";
    for (how, tokens) in [
        (json!({"analyzer": "standard.lucene"}), vec!["the", "quick", "fox", "s", "2", "cafés", "x"]),
        (json!({"analyzer": "keyword"}), vec![text]),
        (json!({"analyzer": "whitespace"}), vec!["The", "Quick-fox's", "2", "Cafés", "😀", "x"]),
        (json!({"analyzer": "simple"}), vec!["the", "quick", "fox", "s", "cafés", "x"]),
        (json!({"analyzer": "stop"}), vec!["quick", "fox", "s", "cafés", "x"]),
        (json!({"analyzer": "en.microsoft"}), vec!["the", "quick", "fox", "s", "2", "cafés", "x"]),
        (json!({"tokenizer": "letter", "tokenFilters": ["uppercase"]}), vec!["THE", "QUICK", "FOX", "S", "CAFÉS", "X"]),
        (json!({"normalizer": "lowercase"}), vec!["the quick-fox's 2 cafés 😀 x"]),
    ] {
        let mut ask = how.clone();
        ask["text"] = json!(text);
        let reply = desk.post("/indexes('hotels')/search.analyze", ask).await;
        let found = reply.json()["tokens"].as_array().expect("tokens").clone();
        let words: Vec<&str> = found.iter().filter_map(|token| token["token"].as_str()).collect();
        assert_eq!(words, tokens, "{how}");
        // UTF-16: the face counts for two.
        let units = text.encode_utf16().count();
        assert_eq!(found.last().expect("tokens")["endOffset"], units, "{how}");
    }
    let stop = desk.post("/indexes/hotels/analyze", json!({"analyzer": "stop", "text": text})).await.json();
    assert_eq!(stop["tokens"][0]["position"], 1, "what is left out leaves its place");
    let unknown = desk.post("/indexes/hotels/analyze", json!({"analyzer": "nobody", "text": text})).await;
    assert_eq!(unknown.status, 400);
}
