//! Assistants, threads and messages; what runs do has a file of its own.

use serde_json::{Value, json};

use super::world::{World, id, ids};

const MIDDLEWARE: [&str; 9] = [
    "apim-request-id",
    "content-length",
    "content-type",
    "date",
    "strict-transport-security",
    "x-content-type-options",
    "x-ms-middleware-request-id",
    "x-ms-region",
    "x-request-id",
];

#[tokio::test]
async fn an_assistant_is_made_changed_and_deleted() {
    let world = World::start().await;
    let target = "/openai/assistants?api-version=2024-05-01-preview";
    let body = r#"{"model":"gpt-4o","tool_resources":{}}"#;
    let reply = world.ask("POST", target).header("openai-beta", "assistants=v2").body(body).send().await;
    let mut names = [&MIDDLEWARE[..], &["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"]].concat();
    names.sort_unstable();
    assert_eq!((reply.status.as_u16(), reply.names()), (200, names));
    let (assistant, created) = (id(&reply.json()), reply.json()["created_at"].to_string());
    assert_eq!((&assistant[..5], assistant.len()), ("asst_", 29));
    assert_eq!(
        reply.text(),
        format!(
            r#"{{
  "id": "{assistant}",
  "object": "assistant",
  "created_at": {created},
  "name": null,
  "description": null,
  "model": "gpt-4o",
  "instructions": null,
  "tools": [],
  "top_p": 1.0,
  "temperature": 1.0,
  "tool_resources": {{}},
  "metadata": {{}},
  "response_format": "auto"
}}"#
        )
    );
    let path = format!("assistants/{assistant}");
    let changed = world.post(&path, json!({"name": "test assistant name"})).await;
    assert_eq!((&changed["name"], &changed["model"]), (&json!("test assistant name"), &json!("gpt-4o")));
    assert_eq!(world.get(&path).await, changed);
    assert_eq!(ids(&world.get("assistants").await), [assistant.as_str()]);
    let target = format!("/openai/{path}?api-version=2024-05-01-preview");
    let deleted = world.ask("DELETE", &target).send().await;
    assert_eq!(
        deleted.text(),
        format!("{{\n  \"id\": \"{assistant}\",\n  \"object\": \"assistant.deleted\",\n  \"deleted\": true\n}}")
    );
    let gone = world.call("DELETE", &path, Value::Null, 404).await;
    assert_eq!(gone["error"]["message"], format!("No assistant found with id '{assistant}'."));

    let refused = world.call("POST", "assistants", json!({"model": "gpt-9"}), 400).await;
    assert_eq!(refused["error"]["code"], "model_not_found");
    let refused = world.call("POST", "assistants", json!({"name": "x"}), 400).await;
    assert_eq!(refused["error"]["param"], "model");
}

#[tokio::test]
async fn a_thread_has_azures_layout() {
    let world = World::start().await;
    let version = "?api-version=2024-07-01-preview";
    let made = world.ask("POST", &format!("/openai/threads{version}")).send().await;
    assert_eq!((made.status.as_u16(), made.names()), (200, MIDDLEWARE.to_vec()));
    let (thread, created) = (id(&made.json()), made.json()["created_at"].to_string());
    assert_eq!(
        made.text(),
        format!(
            "{{\n  \"id\": \"{thread}\",\n  \"object\": \"thread\",\n  \"created_at\": {created},\n  \
             \"metadata\": {{}},\n  \"tool_resources\": {{}}\n}}"
        )
    );
    let path = format!("threads/{thread}");
    let seen = world.get(&path).await;
    assert_eq!(seen["tool_resources"], json!({"code_interpreter": {"file_ids": []}}));
    let changed = world.post(&path, json!({"metadata": {"a": "b"}})).await;
    assert_eq!((&changed["metadata"], &changed["tool_resources"]), (&json!({"a": "b"}), &json!({})));
    let deleted = world.delete(&path).await;
    assert_eq!(deleted, json!({"id": thread, "object": "thread.deleted", "deleted": true}));
    let gone = world.ask("DELETE", &format!("/openai/{path}{version}")).send().await;
    // Without the ids of the layer behind, which is not asked.
    let names: Vec<&str> =
        MIDDLEWARE.into_iter().filter(|name| !["x-ms-middleware-request-id", "x-request-id"].contains(name)).collect();
    assert_eq!((gone.status.as_u16(), gone.names()), (404, names));
    assert_eq!(
        gone.text(),
        format!(
            "{{\n  \"error\": {{\n    \"message\": \"No thread found with id '{thread}'.\",\n    \
             \"type\": \"invalid_request_error\",\n    \"param\": null,\n    \"code\": null\n  }}\n}}"
        )
    );
}

#[tokio::test]
async fn messages_are_added_listed_changed_and_deleted() {
    let world = World::start().await;
    let first = json!({"role": "user", "content": "one", "metadata": {"n": "1"}});
    let thread = id(&world.post("threads", json!({"messages": [first]})).await);
    let path = format!("threads/{thread}/messages");
    let parts = json!([{"type": "text", "text": "two"}]);
    let second = world.post(&path, json!({"role": "assistant", "content": parts})).await;
    assert_eq!(second["content"], json!([{"type": "text", "text": {"value": "two", "annotations": []}}]));
    assert_eq!((&second["thread_id"], &second["run_id"]), (&json!(thread), &Value::Null));

    let list = world.get(&format!("{path}?order=asc")).await;
    let texts: Vec<&Value> = (0..2).map(|place| &list["data"][place]["content"][0]["text"]["value"]).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(list["data"][0]["metadata"]["n"], "1");
    let newest = world.get(&format!("{path}?limit=1")).await;
    assert_eq!((&newest["last_id"], &newest["has_more"]), (&second["id"], &json!(true)));

    let message = format!("{path}/{}", id(&second));
    let changed = world.post(&message, json!({"metadata": {"a": "b"}})).await;
    assert_eq!(world.get(&message).await, changed);
    assert_eq!(world.delete(&message).await["object"], "thread.message.deleted");
    let gone = world.call("GET", &message, Value::Null, 404).await;
    assert_eq!(gone["error"]["message"], format!("No message found with id '{}'.", id(&second)));
    for (body, param) in [(json!({"content": "x"}), "role"), (json!({"role": "user"}), "content")] {
        assert_eq!(world.call("POST", &path, body, 400).await["error"]["param"], param);
    }
    world.call("POST", "threads/thread_1/messages", json!({"role": "user", "content": "x"}), 404).await;
}
