//! Conversations.

use serde_json::{Value, json};

use super::world::{World, id, ids};

#[tokio::test]
async fn responses_build_upon_a_conversation_and_add_to_it() {
    let world = World::start().await;
    let items = json!([{"type": "message", "role": "user", "content": "one two"}]);
    let talk = world.post("conversations", json!({"items": items, "metadata": {"a": "b"}})).await;
    assert_eq!((&talk["object"], &talk["metadata"]), (&json!("conversation"), &json!({"a": "b"})));
    let path = format!("conversations/{}", id(&talk));
    for (conversation, tokens) in [(talk["id"].clone(), 3), (json!({"id": talk["id"]}), 11)] {
        let ask = json!({"model": "gpt-4o", "input": "Hallo", "conversation": conversation});
        let response = world.post("responses", ask).await;
        assert_eq!(response["conversation"], json!({"id": talk["id"]}));
        assert_eq!(response["usage"]["input_tokens"], tokens);
    }
    let all = world.get(&format!("{path}/items?order=asc")).await;
    let roles: Vec<&Value> = (0..5).map(|place| &all["data"][place]["role"]).collect();
    assert_eq!(roles, ["user", "user", "assistant", "user", "assistant"]);
    assert_eq!(world.get(&path).await, talk);

    let both = json!({"model": "gpt-4o", "input": "x", "conversation": talk["id"], "previous_response_id": "resp_1"});
    let refused = world.call("POST", "responses", both, 400).await;
    assert_eq!(refused["error"]["code"], "mutually_exclusive_parameters");
    world.call("POST", "responses", json!({"model": "gpt-4o", "input": "x", "conversation": "conv_1"}), 404).await;
}

#[tokio::test]
async fn a_conversation_and_its_items_are_changed_and_deleted() {
    let world = World::start().await;
    let path = format!("conversations/{}", id(&world.post("conversations", Value::Null).await));
    let added = json!({"items": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]});
    let added = world.post(&format!("{path}/items"), added).await;
    let item = format!("{path}/items/{}", ids(&added)[0]);
    assert_eq!(world.get(&item).await["content"], json!([{"type": "input_text", "text": "one"}]));
    assert_eq!(world.delete(&item).await["object"], "conversation");
    world.call("GET", &item, Value::Null, 404).await;
    assert_eq!(ids(&world.get(&format!("{path}/items")).await), ids(&added)[1..]);
    assert_eq!(world.post(&path, json!({"metadata": {"c": "d"}})).await["metadata"], json!({"c": "d"}));
    assert_eq!(world.delete(&path).await["object"], "conversation.deleted");
    world.call("GET", &path, Value::Null, 404).await;
}
