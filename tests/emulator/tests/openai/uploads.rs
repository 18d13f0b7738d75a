//! Files that come in parts.

use serde_json::{Value, json};

use super::world::{FORM, World, form, id};

#[tokio::test]
async fn parts_become_a_file_in_the_order_that_is_said() {
    let world = World::start().await;
    let wanted = json!({"filename": "a.jsonl", "purpose": "batch", "bytes": 6, "mime_type": "application/jsonl"});
    let ask = world.ask("POST", "/openai/uploads?api-version=2024-10-21");
    let reply = ask.body(wanted.to_string()).send().await;
    let upload = id(&reply.json());
    let location = format!("{}/openai/uploads/{upload}?api-version=2024-10-21", world.origin());
    assert_eq!((reply.status.as_u16(), reply.header("location")), (200, Some(location.as_str())));
    assert_eq!(reply.json()["status"], "pending");

    let path = format!("uploads/{upload}");
    let mut parts = Vec::new();
    for part in ["abc", "def"] {
        let ask = world.ask("POST", &format!("/openai/v1/{path}/parts")).header("content-type", FORM);
        let reply = ask.body(form(&[("data", Some("blob"), part.as_bytes())])).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json()["upload_id"]), (200, &json!(upload)));
        parts.push(id(&reply.json()));
    }
    let refused = world.call("POST", &format!("{path}/complete"), json!({"part_ids": [parts[0]]}), 400).await;
    assert_eq!(refused["error"]["message"], "Expected 6 bytes, but the parts have 3.");
    world.call("POST", &format!("{path}/complete"), json!({"part_ids": ["part"]}), 400).await;
    parts.reverse();
    let done = world.post(&format!("{path}/complete"), json!({"part_ids": parts})).await;
    assert_eq!((&done["status"], &done["file"]["filename"]), (&json!("completed"), &json!("a.jsonl")));
    let content = world.ask("GET", &format!("/openai/v1/files/{}/content", id(&done["file"]))).send().await;
    assert_eq!(content.text(), "defabc");
    world.call("POST", &format!("{path}/cancel"), Value::Null, 400).await;
}

#[tokio::test]
async fn an_upload_is_cancelled() {
    let world = World::start().await;
    let wanted = json!({"filename": "a", "purpose": "assistants", "bytes": 6, "mime_type": "text/plain"});
    let path = format!("uploads/{}", id(&world.post("uploads", wanted).await));
    assert_eq!(world.post(&format!("{path}/cancel"), Value::Null).await["status"], "cancelled");
    world.call("POST", &format!("{path}/complete"), json!({"part_ids": []}), 400).await;
    world.call("POST", "uploads/upload_1/complete", json!({"part_ids": []}), 404).await;
    world.call("POST", "uploads", json!({"filename": "a"}), 400).await;
}
