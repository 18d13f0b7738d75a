//! Responses.

use serde_json::{Value, json};

use super::world::{World, id, ids};

const SAID: &str = "You said “Hallo” to gpt-4o. ✓ Zürich";

fn output(response: &Value) -> &Value {
    &response["output"][0]["content"][0]["text"]
}

#[tokio::test]
async fn a_response_is_kept_until_it_is_deleted() {
    let world = World::start().await;
    let target = "/openai/responses?api-version=2025-04-01-preview";
    let body = json!({"model": "gpt-4o", "input": "Hallo", "metadata": {"a": "b"}}).to_string();
    let created = world.ask("POST", target).body(body).send().await;
    assert_eq!((created.status.as_u16(), created.header("content-type")), (200, Some("application/json")));
    for (name, value) in [
        ("azureai-fe-is-streaming", "False"),
        ("x-ms-served-model", "gpt-4o-2024-11-20"),
        ("x-ratelimit-key", "gpt-4o"),
        ("x-ms-aoai-configured-data-retention-days", "30"),
    ] {
        assert_eq!(created.header(name), Some(value));
    }
    // Indented, and ASCII only (H10).
    assert!(created.text().is_ascii() && created.text().starts_with("{\n  \"id\": \"resp_"), "{}", created.text());
    assert!(created.text().contains(r"You said \u201cHallo\u201d to gpt-4o. \u2713 Z\u00fcrich"));
    let response = created.json();
    assert_eq!((output(&response), &response["status"]), (&json!(SAID), &json!("completed")));
    assert_eq!((&response["model"], &response["metadata"]), (&json!("gpt-4o"), &json!({"a": "b"})));

    let id = id(&response);
    let path = format!("/openai/responses/{id}?api-version=2025-04-01-preview");
    let kept = world.ask("GET", &path).send().await;
    assert_eq!(kept.text(), created.text());
    assert_eq!(
        kept.names(),
        [
            "apim-request-id",
            "content-length",
            "content-type",
            "date",
            "openai-organization",
            "openai-processing-ms",
            "openai-version",
            "strict-transport-security",
            "x-content-type-options",
            "x-ms-middleware-request-id",
            "x-ms-region",
            "x-request-id"
        ]
    );
    let items = world.get(&format!("responses/{id}/input_items")).await;
    assert_eq!(items["data"][0]["content"], json!([{"type": "input_text", "text": "Hallo"}]));
    assert_eq!((&items["first_id"], &items["has_more"]), (&items["data"][0]["id"], &json!(false)));

    let deleted = world.ask("DELETE", &path).send().await;
    assert_eq!(
        deleted.text(),
        format!("{{\n  \"id\": \"{id}\",\n  \"object\": \"response.deleted\",\n  \"deleted\": true\n}}")
    );
    for method in ["GET", "DELETE"] {
        let gone = world.ask(method, &path).send().await;
        assert_eq!(gone.status, 404);
        assert_eq!(
            gone.text(),
            format!(
                "{{\n  \"error\": {{\n    \"message\": \"Response with id '{id}' not found.\",\n    \
                 \"type\": \"invalid_request_error\",\n    \"param\": null,\n    \"code\": null\n  }}\n}}"
            )
        );
    }
}

#[tokio::test]
async fn a_stream_names_its_events_and_has_no_done() {
    let world = World::start().await;
    let body = json!({"model": "gpt-4o", "stream": true, "input": [
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "input_text", "text": "Hallo"}]},
    ]});
    let reply = world.ask("POST", "/openai/v1/responses").body(body.to_string()).send().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.header("azureai-fe-is-streaming"), Some("True"));
    let frames: Vec<(&str, Value)> = reply
        .text()
        .strip_suffix("\n\n")
        .expect("a whole last frame")
        .split("\n\n")
        .map(|frame| {
            let (event, data) = frame.split_once('\n').expect("two lines");
            let data = data.strip_prefix("data: ").expect("data");
            (event.strip_prefix("event: ").expect("an event"), serde_json::from_str(data).expect("JSON"))
        })
        .collect();
    let mut names: Vec<&str> = frames.iter().map(|(name, _)| *name).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    for (number, (name, data)) in frames.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
    }
    let text: String = frames.iter().filter_map(|(_, data)| data["delta"].as_str()).collect();
    assert_eq!(text, SAID);
    let (first, last) = (&frames[0].1["response"], &frames.last().expect("frames").1["response"]);
    assert_eq!((&first["status"], &first["output"]), (&json!("in_progress"), &json!([])));
    assert_eq!(output(last), SAID);
    let path = format!("responses/{}", id(last));
    assert_eq!(world.get(&path).await, *last);
    let again = world.ask("GET", &format!("/openai/v1/{path}?stream=true&starting_after=1")).send().await;
    assert!(again.text().starts_with("event: response.output_item.added\n"), "{}", again.text());
}

#[tokio::test]
async fn a_response_builds_on_another_and_calls_functions() {
    let world = World::start().await;
    let create = |body: Value| world.post("responses", body);
    let tool = json!({"type": "function", "name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    }});
    let first = create(json!({"model": "gpt-4o", "input": "one two three", "tools": [tool]})).await;
    let call = &first["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("weather")));
    assert_eq!(call["arguments"], r#"{"city":"Zürich"}"#);
    let told = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]);
    let ask = json!({"model": "gpt-4o", "input": told, "tools": [tool], "previous_response_id": first["id"]});
    let second = create(ask).await;
    assert_eq!(*output(&second), "You said “sunny” to gpt-4o. ✓ Zürich");
    // Three words, a call, and what came of it.
    assert_eq!(second["usage"]["input_tokens"], 5);

    let lost = json!({"model": "gpt-4o", "input": "x", "previous_response_id": "resp_1"});
    let refused = world.call("POST", "responses", lost, 400).await;
    assert_eq!(refused["error"]["code"], "previous_response_not_found");
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format = json!({"format": {"type": "json_schema", "name": "n", "schema": schema}});
    let formed = create(json!({"model": "gpt-4o", "input": "x", "text": format})).await;
    assert_eq!(*output(&formed), r#"{"n":42}"#);
    let forgotten = create(json!({"model": "gpt-4o", "input": "x", "store": false})).await;
    world.call("GET", &format!("responses/{}", id(&forgotten)), Value::Null, 404).await;
}

#[tokio::test]
async fn in_the_background_it_grows_with_each_poll_or_is_cancelled() {
    let world = World::start().await;
    let create =
        |background| world.post("responses", json!({"model": "gpt-4o", "input": "Hallo", "background": background}));
    let path = |response: &Value| format!("responses/{}", id(response));
    let response = create(true).await;
    assert_eq!((&response["status"], &response["output"]), (&json!("queued"), &json!([])));
    assert_eq!(world.get(&path(&response)).await["status"], "in_progress");
    let done = world.get(&path(&response)).await;
    assert_eq!((&done["status"], output(&done)), (&json!("completed"), &json!(SAID)));

    let response = create(true).await;
    let cancelled = world.post(&format!("{}/cancel", path(&response)), Value::Null).await;
    assert_eq!(cancelled["status"], "cancelled");
    for _ in 0..3 {
        assert_eq!(world.get(&path(&response)).await["status"], "cancelled");
    }
    let response = create(false).await;
    let refused = world.call("POST", &format!("{}/cancel", path(&response)), Value::Null, 400).await;
    assert_eq!(refused["error"]["message"], "Cannot cancel a synchronous response.");
}

#[tokio::test]
async fn without_a_model_there_is_neither_code_nor_content_type() {
    let world = World::start().await;
    let reply = world.ask("POST", "/openai/v1/responses").body("{}").send().await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.text(), "{\n  \"error\": {\n    \"message\": \"Missed model deployment\"\n  }\n}");
    assert_eq!(
        reply.names(),
        [
            "apim-request-id",
            "date",
            "strict-transport-security",
            "transfer-encoding",
            "x-content-type-options",
            "x-ms-region"
        ]
    );
    let unknown = world.call("POST", "responses", json!({"model": "nope", "input": "x"}), 404).await;
    assert_eq!(unknown["error"]["code"], "DeploymentNotFound");
    let wrong = world.call("POST", "responses", json!({"model": "tts", "input": "x"}), 400).await;
    assert_eq!(wrong["error"]["code"], "OperationNotSupported");
    let nothing = world.call("POST", "responses", json!({"model": "gpt-4o"}), 400).await;
    assert_eq!(nothing["error"]["param"], "input");
}

#[tokio::test]
async fn input_items_have_pages() {
    let world = World::start().await;
    let input: Vec<Value> = (0..5).map(|number| json!({"role": "user", "content": number.to_string()})).collect();
    let response = world.post("responses", json!({"model": "gpt-4o", "input": input})).await;
    let path = format!("responses/{}/input_items", id(&response));
    let all = ids(&world.get(&format!("{path}?order=asc")).await);
    let page = world.get(&format!("{path}?limit=2&order=asc&after={}", all[0])).await;
    assert_eq!((ids(&page), &page["has_more"]), (all[1..3].to_vec(), &json!(true)));
    assert_eq!((&page["first_id"], &page["last_id"]), (&json!(all[1]), &json!(all[2])));
    let back = world.get(&format!("{path}?limit=2&order=asc&before={}", all[2])).await;
    assert_eq!((ids(&back), &back["has_more"]), (all[..2].to_vec(), &json!(false)));
    let newest = world.get(&format!("{path}?limit=1")).await;
    assert_eq!(ids(&newest), [all[4].as_str()]);
}
