//! The objects of the search service that are no indexes: stored, changed, run, asked.

use azure_emulator::{Door, Plane, Role};
use serde_json::{Value, json};

use super::desk::{Desk, VERSION};
use crate::bench::SEARCH_SCOPE;

const CONNECTION: &str =
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net";

fn data_source() -> Value {
    json!({"name": "blobs", "type": "azureblob", "credentials": {"connectionString": CONNECTION},
           "container": {"name": "c"}})
}

/// Of each kind: its collection, one definition, and what the service makes of it.
fn kinds() -> [(&'static str, Value, Value); 7] {
    [
        (
            "datasources",
            data_source(),
            json!({
                "name": "blobs", "description": null, "type": "azureblob", "subtype": null,
                "credentials": {"connectionString": null}, "container": {"name": "c", "query": null},
                "dataChangeDetectionPolicy": null, "dataDeletionDetectionPolicy": null, "encryptionKey": null,
            }),
        ),
        (
            "skillsets",
            json!({"name": "skills", "description": "d", "skills": [{
                "@odata.type": "#Microsoft.Skills.Text.LanguageDetectionSkill", "modelVersion": "1",
                "inputs": [{"name": "text", "source": "/document/content"}],
                "outputs": [{"name": "languageCode", "targetName": "languageCode"}],
            }]}),
            json!({
                "name": "skills", "description": "d", "skills": [{
                    "@odata.type": "#Microsoft.Skills.Text.LanguageDetectionSkill", "name": "#1", "description": null,
                    "context": null, "defaultCountryHint": null, "modelVersion": "1",
                    "inputs": [{"name": "text", "source": "/document/content", "sourceContext": null, "inputs": []}],
                    "outputs": [{"name": "languageCode", "targetName": "languageCode"}],
                }],
                "cognitiveServices": null, "knowledgeStore": null, "indexProjections": null, "encryptionKey": null,
            }),
        ),
        (
            "indexers",
            json!({"name": "runner", "dataSourceName": "blobs", "skillsetName": "skills", "targetIndexName": "hotels",
                   "schedule": {"interval": "P1D"}, "parameters": {"configuration": {"x": 1}}}),
            json!({
                "name": "runner", "description": null, "dataSourceName": "blobs", "skillsetName": "skills",
                "targetIndexName": "hotels", "disabled": null,
                "schedule": {"interval": "P1D", "startTime": "0001-01-01T00:00:00Z"},
                "parameters": {"batchSize": null, "maxFailedItems": null, "maxFailedItemsPerBatch": null,
                               "configuration": {"x": 1}},
                "fieldMappings": [], "outputFieldMappings": [], "cache": null, "encryptionKey": null,
            }),
        ),
        (
            "synonymmaps",
            json!({"name": "words", "format": "solr", "synonyms": "hotel,motel\ncozy,warm"}),
            json!({"name": "words", "format": "solr", "synonyms": "hotel,motel\ncozy,warm", "encryptionKey": null}),
        ),
        (
            "aliases",
            json!({"name": "current", "indexes": ["hotels"]}),
            json!({"name": "current", "indexes": ["hotels"]}),
        ),
        (
            "knowledgesources",
            json!({"name": "source", "kind": "searchIndex", "searchIndexParameters": {"searchIndexName": "hotels"}}),
            json!({
                "name": "source", "kind": "searchIndex", "description": null, "encryptionKey": null,
                "searchIndexParameters": {"searchIndexName": "hotels", "semanticConfigurationName": null,
                                          "sourceDataFields": [], "searchFields": []},
                "azureBlobParameters": null, "webParameters": null, "indexedOneLakeParameters": null,
            }),
        ),
        (
            "knowledgebases",
            json!({"name": "base", "knowledgeSources": [{"name": "source"}],
                   "models": [{"kind": "azureOpenAI", "azureOpenAIParameters": {"apiKey": "secret"}}]}),
            json!({
                "name": "base", "description": null, "knowledgeSources": [{"name": "source"}],
                "models": [{"kind": "azureOpenAI", "azureOpenAIParameters": {"apiKey": "<redacted>"}}],
                "encryptionKey": null,
            }),
        ),
    ]
}

/// A desk where one of each kind is stored.
async fn furnished() -> Desk {
    let desk = Desk::open().await;
    for (collection, definition, _) in kinds() {
        let reply = desk.post(&format!("/{collection}"), definition).await;
        assert_eq!(reply.status, 201, "{collection}: {}", reply.text());
    }
    desk
}

#[tokio::test]
async fn each_kind_lives_through_a_whole_life() {
    let desk = Desk::open().await;
    let origin = desk.bench.emulator.search(Door::Behind);
    for (collection, definition, complete) in kinds() {
        let name = definition["name"].as_str().expect("a name");
        let (odata, slash) = (format!("/{collection}('{name}')"), format!("/{collection}/{name}"));

        let created = desk.post(&format!("/{collection}"), definition.clone()).await;
        assert_eq!(created.status, 201, "{collection}: {}", created.text());
        let etag = created.header("etag").expect("an etag").to_owned();
        let mut whole = json!({
            "@odata.context": format!("{origin}/$metadata#{collection}/$entity"), "@odata.etag": etag,
        });
        whole.as_object_mut().expect("members").extend(complete.as_object().expect("members").clone());
        // The bytes: order counts.
        assert_eq!(created.text(), whole.to_string());
        // Of the knowledge kinds none was seen.
        let location = (!collection.starts_with("knowledge")).then(|| format!("{origin}{odata}?{VERSION}"));
        assert_eq!(created.header("location"), location.as_deref(), "{collection}");

        let again = desk.post(&format!("/{collection}"), definition.clone()).await;
        assert_eq!(again.status, 409, "{collection}");
        for path in [&odata, &slash] {
            let got = desk.get(path).await;
            assert_eq!((got.status.as_u16(), got.text()), (200, &*whole.to_string()), "{path}");
            assert_eq!(got.header("etag"), Some(&*etag));
        }
        let listed = desk.get(&format!("/{collection}")).await.json();
        assert_eq!(listed["@odata.context"], format!("{origin}/$metadata#{collection}"));
        assert_eq!(listed["value"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed["value"][0]["@odata.etag"], etag);
        let names = desk.get(&format!("/{collection}?$select=name")).await.json();
        assert_eq!(names["@odata.context"], format!("{origin}/$metadata#{collection}(name)"));
        assert_eq!(names["value"], json!([{"name": name}]));

        let put = |condition: (&'static str, String), prefer: &'static str| {
            let ask = desk.ask("PUT", &odata).body(definition.to_string()).header("prefer", prefer);
            ask.header(condition.0, &condition.1).send()
        };
        for condition in [("if-match", "\"0x1\"".to_owned()), ("if-none-match", "*".to_owned())] {
            let stale = put(condition, "").await;
            assert_eq!((stale.status.as_u16(), stale.body.len()), (412, 160), "{collection}");
        }
        let shown = put(("if-match", etag.clone()), "return=representation").await;
        assert_eq!(shown.status, 200, "{collection}");
        let newer = shown.header("etag").expect("an etag").to_owned();
        assert_ne!(newer, etag);
        assert_eq!(shown.json()["@odata.etag"], newer);
        let minimal = put(("if-match", newer), "return=minimal").await;
        assert_eq!((minimal.status.as_u16(), minimal.text()), (204, ""));
        assert_eq!(minimal.header("preference-applied"), Some(r#"odata.include-annotations="*""#));

        let delete = || desk.ask("DELETE", &slash);
        assert_eq!(delete().header("if-match", &etag).send().await.status, 412);
        assert_eq!(delete().send().await.status, 204);
        assert_eq!(delete().send().await.status, 404);
        let put_new = desk.ask("PUT", &odata).body(definition.to_string()).send().await;
        assert_eq!(put_new.status, 201, "{collection}: needed by those that follow");
    }
}

#[tokio::test]
async fn what_is_not_there_is_missed_in_the_recorded_words() {
    let desk = Desk::open().await;
    for (method, target, text) in [
        ("GET", "/skillsets('x')", "No skillset with the name 'x' was found in service 'azure-emulator'."),
        ("GET", "/datasources('x')", "No data source with the name 'x' was found in service 'azure-emulator'."),
        ("DELETE", "/datasources/x", "No datasource with the name 'x' was found in a service named 'azure-emulator'."),
        ("DELETE", "/synonymmaps/x", "No synonymMap with the name 'x' was found in a service named 'azure-emulator'."),
        ("GET", "/indexers('x')", "Indexer 'x' was not found in service 'azure-emulator'."),
        ("POST", "/indexers('x')/search.run", "Indexer 'x' was not found in service 'azure-emulator'."),
        (
            "POST",
            "/knowledgebases('x')/retrieve",
            "No Knowledge Base with the name 'x' was found in service 'azure-emulator'.",
        ),
    ] {
        let reply = desk.ask(method, target).body("{}").send().await;
        assert_eq!(reply.status, 404, "{method} {target}");
        assert_eq!(reply.json(), json!({"error": {"code": "", "message": text}}), "{method} {target}");
        assert_eq!(reply.header("cache-control"), Some("no-cache,no-store"));
        assert_eq!(reply.header("odata-version"), None);
    }
}

#[tokio::test]
async fn definitions_are_refused_in_the_recorded_words() {
    let desk = Desk::open().await;
    let with = |mut definition: Value, member: &str, value: Value| {
        definition[member] = value;
        definition
    };
    let connection =
        json!({"connectionString": "DefaultEndpointsProtocol=https;AccountName=placeholder;AccountKey=placeholder"});
    for (collection, definition, text) in [
        (
            "datasources",
            with(data_source(), "type", json!("thistypedoesnotexist")),
            "Data source type 'thistypedoesnotexist' is not supported",
        ),
        (
            "datasources",
            with(data_source(), "credentials", connection),
            "Connection string could not be parsed. It must be in one of the following formats: 'ResourceId=[resource ID string];' or 'DefaultEndpointsProtocol=https;AccountName=[your storage account];AccountKey=[your account key];' or 'BlobEndpoint=[your blob endpoint URI];SharedAccessSignature=[your account shared access token];' or 'ContainerSharedAccessUri=[your container shared access token with read and list permissions]'",
        ),
        (
            "indexers",
            json!({"name": "i-1", "dataSourceName": "nowhere", "targetIndexName": "hotels"}),
            "This indexer refers to a data source 'nowhere' that doesn't exist",
        ),
        (
            "synonymmaps",
            json!({"name": "words", "format": "solr", "synonyms": "a => b => c"}),
            "Syntax error in line 1: 'a => b => c'. Only one explicit mapping (=>) can be specified in a synonym rule.",
        ),
        (
            "aliases",
            json!({"name": "a-1", "indexes": ["nowhere"]}),
            "This alias refers to an index 'nowhere' that doesn't exist",
        ),
        (
            "skillsets",
            json!({"name": "Loud"}),
            "The request is invalid. Details: skillset : Invalid skillset name: Skillset name must only contain lowercase letters, digits or dashes, cannot start or end with dashes and is limited to 128 characters.\r\n",
        ),
    ] {
        let reply = desk.post(&format!("/{collection}"), definition).await;
        assert_eq!(reply.status, 400, "{collection}");
        assert_eq!(reply.json(), json!({"error": {"code": "", "message": text}}));
    }
    // What clients send who changed something else.
    let unchanged = with(data_source(), "credentials", json!({"connectionString": "<unchanged>"}));
    assert_eq!(desk.post("/datasources", unchanged).await.status, 201);
    let other = desk.ask("PUT", "/aliases('other')").body(json!({"name": "a-1", "indexes": ["hotels"]}).to_string());
    assert_eq!(other.send().await.status, 400);
}

#[tokio::test]
async fn an_indexer_runs_and_is_reset() {
    let desk = furnished().await;
    for (action, status) in
        [("search.run", 202), ("search.reset", 204), ("search.resetdocs", 204), ("search.resync", 204)]
    {
        let reply = desk.ask("POST", &format!("/indexers('runner')/{action}")).send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, ""), "{action}");
        // H16: nothing of OData.
        for name in ["odata-version", "preference-applied", "content-type"] {
            assert_eq!(reply.header(name), None, "{action}");
        }
    }
    let reply = desk.ask("POST", "/skillsets('skills')/search.resetskills").body("{}").send().await;
    assert_eq!(reply.status, 204);

    let status = desk.get("/indexers('runner')/search.status").await.json();
    let context = status["@odata.context"].as_str().expect("a context");
    assert!(context.ends_with("/$metadata#Microsoft.Azure.Search.V2025_09_01.IndexerExecutionInfo"), "{context}");
    assert_eq!(status["status"], "running");
    assert_eq!(status["lastResult"]["status"], "reset");
    assert_eq!(status["lastResult"], status["executionHistory"][0]);
    assert_eq!(status["executionHistory"][1]["status"], "success");
    assert_eq!(status["executionHistory"].as_array().map(Vec::len), Some(2));

    // A changed definition has the same past; a new indexer has none.
    let definition = kinds()[2].1.to_string();
    desk.ask("PUT", "/indexers/runner").body(definition.clone()).send().await;
    assert_eq!(desk.get("/indexers/runner/search.status").await.json()["lastResult"]["status"], "reset");
    desk.ask("DELETE", "/indexers/runner").send().await;
    desk.ask("PUT", "/indexers/runner").body(definition).send().await;
    assert_eq!(desk.get("/indexers/runner/search.status").await.json()["lastResult"], Value::Null);
}

#[tokio::test]
async fn an_alias_is_another_name_for_documents() {
    let desk = furnished().await;
    assert_eq!(desk.get("/indexes('current')/docs/$count").await.text(), "120");
    assert_eq!(desk.get("/indexes('current')/docs('7')").await.json()["HotelId"], "7");
    let written = json!({"value": [{"HotelId": "by-alias"}]});
    assert_eq!(desk.post("/indexes('current')/docs/search.index", written).await.status, 200);
    assert_eq!(desk.get("/indexes('hotels')/docs('by-alias')").await.status, 200);
    // But not for what is managed.
    assert_eq!(desk.get("/indexes('current')").await.status, 404);
    let missing = desk.get("/indexes('nothing')/docs('7')").await;
    assert_eq!(
        missing.text(),
        r#"{"error":{"code":"","message":"The index 'nothing' for service 'azure-emulator' was not found."}}"#
    );
}

#[tokio::test]
async fn a_knowledge_base_answers_from_its_sources() {
    let desk = furnished().await;
    let status = desk.get("/knowledgesources('source')/status").await.json();
    assert_eq!((&status["kind"], &status["synchronizationStatus"]), (&json!("searchIndex"), &json!("active")));
    let context = status["@odata.context"].as_str().expect("a context");
    assert!(
        context
            .ends_with("#Microsoft.WindowsAzure.Search.Core.Models.V2025_09_01.KnowledgeSources.KnowledgeSourceStatus")
    );

    let intents = json!({"intents": [{"search": "Zürich", "type": "semantic"}]});
    let messages = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "Zürich"}]}]});
    for question in [intents, messages] {
        let reply = desk.post("/knowledgebases('base')/retrieve", question).await;
        assert_eq!(reply.status, 200);
        let answer = reply.json();
        let references = answer["references"].as_array().expect("references");
        assert_eq!(references.len(), 5);
        assert_eq!(references[0]["docKey"], "11");
        let text = answer["response"][0]["content"][0]["text"].as_str().expect("a text");
        let found: Value = serde_json::from_str(text).expect("JSON in a text");
        assert!(found[0]["content"].as_str().expect("a text").starts_with("Café Zürich Hotel"));
        assert_eq!(answer["activity"][0]["count"], 5);
        assert_eq!(answer["activity"][1]["type"], "agenticReasoning");
    }
    let nothing = desk.post("/knowledgebases('base')/retrieve", json!({"intents": [{"search": "xyzzy"}]})).await;
    assert_eq!(nothing.json()["response"], json!([{"content": [{"type": "text", "text": "[]"}]}]));

    // Whoever reads documents may ask; a query key may not, as far as anybody knows (B2).
    let target = format!("/knowledgebases('base')/retrieve?{VERSION}");
    let reader = desk.bench.token(&desk.bench.emulator.reader_app(), SEARCH_SCOPE).await;
    let reply = desk.bench.search("POST", &target).bearer(&reader).body("{}").send().await;
    assert_eq!(reply.status, 200);
    let (door, keys) = (desk.bench.emulator.search(Door::KeysEnabled), desk.bench.emulator.keys());
    let reply = desk.bench.ask("POST", &door, &target).header("api-key", &keys.search_query).body("{}").send().await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn statistics_count_what_is_stored() {
    let desk = furnished().await;
    let counters = desk.get("/servicestats").await.json()["counters"].clone();
    assert_eq!(counters.get("aliasesCount"), None, "in 2025");
    let target = "/servicestats?api-version=2026-04-01";
    let newer = desk.bench.search("GET", target).bearer(&desk.token).send().await.json()["counters"].clone();
    assert_eq!(newer["aliasesCount"], json!({"usage": 1, "quota": 200}));
    for counter in ["indexesCount", "indexersCount", "dataSourcesCount", "synonymMaps", "skillsetCount"] {
        assert_eq!(counters[counter], json!({"usage": 1, "quota": 200}), "{counter}");
    }
    assert_eq!(counters["documentCount"]["usage"], 120);
    assert_eq!(counters["vectorIndexSize"]["usage"], 120 * 8 * 4);
    let all = desk.get("/indexstats").await.json();
    assert_eq!((&all["value"][0]["name"], &all["value"][0]["documentCount"]), (&json!("hotels"), &json!(120)));
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let desk = Desk::open().await;
    for number in 0..200 {
        let map = json!({"name": format!("map-{number}"), "format": "solr", "synonyms": ""});
        assert_eq!(desk.post("/synonymmaps", map).await.status, 201);
    }
    let reply = desk.post("/synonymmaps", json!({"name": "one-more"})).await;
    assert_eq!(reply.status, 429);
    assert_eq!(
        reply.json()["error"]["message"],
        "Synonym map quota of 200 has been exceeded for this service. You must either delete unused synonymmaps or upgrade the service to a higher tier."
    );
    assert_eq!(desk.get("/synonymmaps").await.json()["value"].as_array().map(Vec::len), Some(200));
}

#[tokio::test]
async fn there_is_room_for_so_many_documents() {
    let desk = Desk::open().await;
    let documents: Vec<Value> = (0..100_000).map(|number| json!({"HotelId": number.to_string()})).collect();
    let reply = desk.post("/indexes('hotels')/docs/search.index", json!({"value": documents})).await;
    assert_eq!(reply.status, 429);
    let text = reply.json()["error"]["message"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("Document quota of 100000 has been exceeded for this service."), "{text}");
    assert_eq!(desk.get("/indexes('hotels')/docs/$count").await.text(), "120");
}

#[tokio::test]
async fn stored_objects_are_managed_and_nothing_else() {
    let desk = furnished().await;
    let principal = desk.bench.emulator.app().object_id;
    desk.bench.emulator.set_role(&principal, Role::SearchServiceContributor, false);
    for (collection, definition, _) in kinds() {
        let name = definition["name"].as_str().expect("a name");
        assert_eq!(desk.get(&format!("/{collection}('{name}')")).await.status, 403, "{collection}");
    }
    let entry = desk.bench.entry(|entry| entry.operation == Some("knowledgebases-get")).await;
    assert_eq!((entry.plane, entry.subject.as_deref()), (Plane::Search, Some("base")));
}

#[tokio::test]
async fn an_index_changes_its_analyzers_standing_still() {
    let desk = Desk::open().await;
    let mut definition = json!({"name": "mine", "fields": [{"name": "id", "type": "Edm.String", "key": true}]});
    desk.post("/indexes", definition.clone()).await;
    definition["analyzers"] = json!([
        {"name": "own", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "whitespace"},
    ]);
    let put =
        |target: &str| desk.ask("PUT", target).body(definition.to_string()).header("prefer", "return=representation");
    let refused = put("/indexes('mine')?allowIndexDowntime=false").send().await;
    assert_eq!(refused.status, 400);
    let text = refused.json()["error"]["message"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("An index with the name 'mine' in service 'azure-emulator' could not be updated. Index update not allowed because it would cause downtime."), "{text}");
    assert_eq!(put("/indexes('mine')?allowIndexDowntime=true").send().await.status, 200);
    let analyzed =
        desk.post("/indexes('mine')/search.analyze", json!({"text": "A-b c", "analyzer": "own"})).await.json();
    assert_eq!(analyzed["tokens"][0]["token"], "A-b");
}
