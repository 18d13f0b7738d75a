//! Chats that are kept.

use serde_json::{Value, json};

use super::world::{World, id, ids};

async fn chat(world: &World, extra: Value) -> String {
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hallo"}]});
    for (member, value) in extra.as_object().expect("an object") {
        body[member] = value.clone();
    }
    id(&world.post("chat/completions", body).await)
}

#[tokio::test]
async fn only_who_asks_for_it_is_kept() {
    let world = World::start().await;
    chat(&world, json!({})).await;
    let kept = chat(&world, json!({"store": true, "metadata": {"of": "a"}})).await;
    let other = chat(&world, json!({"store": true, "metadata": {"of": "b"}})).await;
    assert_eq!(ids(&world.get("chat/completions?order=asc").await), [kept.as_str(), &other]);
    assert_eq!(ids(&world.get("chat/completions?metadata%5Bof%5D=b").await), [other.as_str()]);
    assert_eq!(ids(&world.get("chat/completions?model=gpt-9").await), [] as [&str; 0]);

    let path = format!("chat/completions/{kept}");
    let shown = world.get(&path).await;
    assert_eq!(shown["choices"][0]["message"]["content"], "You said “Hallo” to gpt-4o. ✓ Zürich");
    assert_eq!(shown["metadata"], json!({"of": "a"}));
    let messages = world.get(&format!("{path}/messages")).await;
    assert_eq!(messages["data"], json!([{"role": "user", "content": "Hallo", "id": format!("{kept}-0")}]));
    let changed = world.post(&path, json!({"metadata": {"of": "c"}})).await;
    assert_eq!(changed["metadata"], json!({"of": "c"}));
    let deleted = world.delete(&path).await;
    assert_eq!(deleted, json!({"object": "chat.completion.deleted", "id": kept, "deleted": true}));
    world.call("GET", &path, Value::Null, 404).await;
    // What is no message is kept as it came.
    let odd = chat(&world, json!({"store": true, "messages": ["x"]})).await;
    assert_eq!(world.get(&format!("chat/completions/{odd}/messages")).await["data"], json!(["x"]));
    // The legacy surface has none.
    let legacy = world.ask("GET", "/openai/chat/completions?api-version=2025-04-01-preview").send().await;
    assert_eq!(legacy.status, 404);
}
