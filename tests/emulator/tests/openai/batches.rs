//! Batches.

use serde_json::{Value, json};

use super::world::{World, id, ids};

fn line(id: &str, model: &str, said: &str) -> String {
    let body = json!({"model": model, "messages": [{"role": "user", "content": said}], "stream": true});
    format!("{}\n", json!({"custom_id": id, "method": "POST", "url": "/chat/completions", "body": body}))
}

async fn batch(world: &World, lines: &str) -> String {
    let reply = world.upload("/openai/v1/files", "batch", "in.jsonl", lines.as_bytes()).await;
    let file = id(&reply.json());
    let asked = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    id(&world.post("batches", asked).await)
}

async fn lines(world: &World, file: &Value) -> Vec<Value> {
    let path = format!("/openai/v1/files/{}/content", file.as_str().expect("a file"));
    let content = world.ask("GET", &path).send().await;
    content.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn every_line_is_answered() {
    let world = World::start().await;
    let lines_in = [line("a", "gpt-4o", "Hallo"), "\n".to_owned(), line("b", "nope", "Hallo")].concat();
    let batch = batch(&world, &lines_in).await;
    let path = format!("batches/{batch}");
    assert_eq!(world.get(&path).await["status"], "in_progress");
    let done = world.get(&path).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    assert!(done["completed_at"].is_number() && done["in_progress_at"].is_number());

    let output = lines(&world, &done["output_file_id"]).await;
    assert_eq!((output.len(), &output[0]["custom_id"], &output[0]["error"]), (1, &json!("a"), &Value::Null));
    let response = &output[0]["response"];
    assert_eq!(response["status_code"], 200);
    assert_eq!(response["body"]["choices"][0]["message"]["content"], "You said “Hallo” to gpt-4o. ✓ Zürich");
    let errors = lines(&world, &done["error_file_id"]).await;
    assert_eq!((errors.len(), &errors[0]["custom_id"]), (1, &json!("b")));
    assert_eq!(errors[0]["response"]["status_code"], 404);
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "DeploymentNotFound");
    assert_eq!(world.get(&path).await, done);
}

#[tokio::test]
async fn a_new_batch_has_azures_layout_and_can_be_cancelled() {
    let world = World::start().await;
    let file = world.upload("/openai/v1/files", "batch", "in.jsonl", line("a", "gpt-4o", "x").as_bytes()).await;
    let file = id(&file.json());
    let asked = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let ask = world.ask("POST", "/openai/batches?api-version=2024-12-01-preview");
    let reply = ask.body(asked.to_string()).send().await;
    assert_eq!(reply.status, 200);
    let (batch, created) = (id(&reply.json()), reply.json()["created_at"].as_i64().expect("a time"));
    let expected = format!(
        r#"{{
  "cancelled_at": null,
  "cancelling_at": null,
  "completed_at": null,
  "completion_window": "24h",
  "created_at": {created},
  "error_file_id": "",
  "expired_at": null,
  "expires_at": {},
  "failed_at": null,
  "finalizing_at": null,
  "id": "{batch}",
  "in_progress_at": null,
  "input_file_id": "{file}",
  "errors": null,
  "metadata": null,
  "object": "batch",
  "output_file_id": "",
  "request_counts": {{
    "total": 0,
    "completed": 0,
    "failed": 0
  }},
  "status": "validating",
  "endpoint": "/chat/completions"
}}"#,
        created + 86_400
    );
    assert_eq!(reply.text(), expected);
    assert_eq!(
        reply.names(),
        [
            "apim-request-id",
            "content-length",
            "content-type",
            "date",
            "mise-correlation-id",
            "request-context",
            "strict-transport-security",
            "vary",
            "x-aml-cluster",
            "x-content-type-options",
            "x-ms-region",
            "x-ms-response-type",
            "x-request-time"
        ]
    );
    let path = format!("batches/{batch}");
    assert_eq!(world.post(&format!("{path}/cancel"), Value::Null).await["status"], "cancelling");
    let cancelled = world.get(&path).await;
    assert_eq!((&cancelled["status"], &cancelled["output_file_id"]), (&json!("cancelled"), &Value::Null));
    let again = world.call("POST", &format!("{path}/cancel"), Value::Null, 400).await;
    assert_eq!(again["error"]["message"], "Cannot cancel a batch with status 'cancelled'.");
    assert_eq!(ids(&world.get("batches").await), [batch]);
}

#[tokio::test]
async fn a_file_that_is_no_batch_fails() {
    let world = World::start().await;
    let other = line("a", "gpt-4o", "x").replace("/chat/completions", "/embeddings");
    let twice = line("a", "gpt-4o", "x").repeat(2);
    for (lines, code, number) in [
        ("", "empty_file", Value::Null),
        ("{}\nnonsense", "mismatched_url", json!(1)),
        (other.as_str(), "mismatched_url", json!(1)),
        (twice.as_str(), "duplicate_custom_id", json!(2)),
        ("nonsense", "invalid_json_line", json!(1)),
    ] {
        let batch = batch(&world, lines).await;
        let failed = world.get(&format!("batches/{batch}")).await;
        assert_eq!(failed["status"], "failed", "{lines}");
        let error = &failed["errors"]["data"][0];
        assert_eq!((&error["code"], &error["line"]), (&json!(code), &number), "{lines}");
    }
    let unknown = world.call("GET", "batches/batch_1", Value::Null, 404).await;
    assert_eq!(unknown["error"]["message"], "No batch found with id 'batch_1'.");
    let file = world.file("batch", "{}").await;
    for (body, param) in [
        (json!({"endpoint": "/v1/embeddings", "completion_window": "24h"}), "input_file_id"),
        (json!({"input_file_id": file, "endpoint": "/v1/x", "completion_window": "24h"}), "endpoint"),
        (json!({"input_file_id": file, "endpoint": "/embeddings", "completion_window": "1h"}), "completion_window"),
    ] {
        assert_eq!(world.call("POST", "batches", body, 400).await["error"]["param"], param);
    }
}
