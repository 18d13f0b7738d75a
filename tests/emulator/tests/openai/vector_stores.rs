//! Vector stores.

use serde_json::{Value, json};

use super::world::{World, id, ids};

#[tokio::test]
async fn a_store_takes_files_and_finds_what_they_say() {
    let world = World::start().await;
    let cats = world.file("assistants", "Cats purr softly.\n\nDogs bark.").await;
    let store = world.post("vector_stores", json!({"name": "animals", "file_ids": [cats]})).await;
    assert_eq!((&store["status"], &store["file_counts"]["in_progress"]), (&json!("in_progress"), &json!(1)));
    let path = format!("vector_stores/{}", id(&store));
    let store = world.get(&path).await;
    let counts = json!({"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1});
    assert_eq!((&store["status"], &store["file_counts"]), (&json!("completed"), &counts));
    assert_eq!(store["usage_bytes"], 29);

    let fish = world.file("assistants", "Fish swim softly.").await;
    let added = json!({"file_id": fish, "attributes": {"legs": 0}});
    let added = world.post(&format!("{path}/files"), added).await;
    assert_eq!((&added["status"], &added["vector_store_id"]), (&json!("in_progress"), &store["id"]));
    let file = format!("{path}/files/{fish}");
    assert_eq!(world.get(&file).await["status"], "completed");
    assert_eq!(ids(&world.get(&format!("{path}/files?order=asc")).await), [cats.as_str(), &fish]);
    assert_eq!(ids(&world.get(&format!("{path}/files?filter=failed")).await), [] as [&str; 0]);

    let found = world.post(&format!("{path}/search"), json!({"query": "cats purr"})).await;
    assert_eq!(
        found,
        json!({
            "object": "vector_store.search_results.page",
            "search_query": ["cats purr"],
            "data": [{
                "file_id": cats, "filename": "notes.txt", "score": 1.0, "attributes": {},
                "content": [{"type": "text", "text": "Cats purr softly."}],
            }],
            "has_more": false,
            "next_page": null,
        })
    );
    let found = world.post(&format!("{path}/search"), json!({"query": ["softly", "swim"], "max_num_results": 1})).await;
    assert_eq!((&found["data"][0]["file_id"], &found["data"][0]["attributes"]), (&json!(fish), &json!({"legs": 0})));
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));

    let changed = world.post(&file, json!({"attributes": {"legs": 1}})).await;
    assert_eq!(changed["attributes"], json!({"legs": 1}));
    let content = world.get(&format!("{file}/content")).await;
    assert_eq!(content["data"], json!([{"type": "text", "text": "Fish swim softly."}]));
    assert_eq!(world.delete(&file).await["object"], "vector_store.file.deleted");
    world.call("GET", &file, Value::Null, 404).await;
    assert_eq!(ids(&world.get("files").await).len(), 2);
}

#[tokio::test]
async fn files_come_in_batches() {
    let world = World::start().await;
    let files = [world.file("assistants", "one").await, world.file("assistants", "two").await];
    let path = format!("vector_stores/{}", id(&world.post("vector_stores", json!({})).await));
    let batches = format!("{path}/file_batches");
    let batch = world.post(&batches, json!({"file_ids": files})).await;
    assert_eq!((&batch["status"], &batch["file_counts"]["in_progress"]), (&json!("in_progress"), &json!(2)));
    let one = format!("{batches}/{}", id(&batch));
    let done = world.get(&one).await;
    assert_eq!((&done["status"], &done["file_counts"]["completed"]), (&json!("completed"), &json!(2)));
    assert_eq!(ids(&world.get(&format!("{one}/files?order=asc")).await), files);

    let batch = world.post(&batches, json!({"file_ids": [files[0]]})).await;
    let cancelled = world.post(&format!("{batches}/{}/cancel", id(&batch)), Value::Null).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(world.get(&path).await["file_counts"]["cancelled"], 1);
    world.call("GET", &format!("{batches}/vsfb_1"), Value::Null, 404).await;
    world.call("POST", &batches, json!({"file_ids": ["file-1"]}), 404).await;
}

#[tokio::test]
async fn a_store_is_changed_listed_and_deleted() {
    let world = World::start().await;
    let store = id(&world.post("vector_stores", json!({"name": "a", "metadata": {"k": "v"}})).await);
    let path = format!("vector_stores/{store}");
    let ask = world.ask("POST", &format!("/openai/{path}?api-version=2024-05-01-preview"));
    let changed = ask.body(r#"{"name":"b"}"#).send().await.json();
    assert_eq!((&changed["name"], &changed["metadata"]), (&json!("b"), &json!({"k": "v"})));
    assert_eq!(ids(&world.get("vector_stores").await), [store.as_str()]);
    let deleted = world.delete(&path).await;
    assert_eq!(deleted, json!({"id": store, "object": "vector_store.deleted", "deleted": true}));
    let gone = world.call("GET", &path, Value::Null, 404).await;
    assert_eq!(gone["error"]["message"], format!("No vector store found with id '{store}'."));
}
