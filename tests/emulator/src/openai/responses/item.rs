//! The items of which input and output consist.

use serde_json::{Value, json};

use crate::entropy;
use crate::openai::schema;

/// The input as a list, each item with an id; a text is what the user said. `None` if it is neither.
pub(in crate::openai) fn read_all(input: &Value) -> Option<Vec<Value>> {
    match input {
        Value::String(text) => Some(vec![read(&json!({"role": "user", "content": text}))]),
        Value::Array(items) => Some(items.iter().map(read).collect()),
        _ => None,
    }
}

fn read(item: &Value) -> Value {
    // A message need not say that it is one.
    let kind = item["type"].as_str().unwrap_or("message");
    if kind != "message" {
        let mut item = item.clone();
        if item["id"].is_null() && item.is_object() {
            let start = if kind == "function_call_output" { "fco" } else { "item" };
            item["id"] = id(start);
        }
        return item;
    }
    let role = item["role"].as_str().unwrap_or("user");
    let content = match &item["content"] {
        Value::String(text) if role == "assistant" => json!([{"type": "output_text", "annotations": [], "text": text}]),
        Value::String(text) => json!([{"type": "input_text", "text": text}]),
        parts => parts.clone(),
    };
    json!({"id": id("msg"), "type": "message", "status": "completed", "content": content, "role": role})
}

/// A message of the model's.
pub(super) fn message(text: &str) -> Value {
    json!({
        "id": id("msg"),
        "type": "message",
        "status": "completed",
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        "role": "assistant",
    })
}

/// The model's call of a function, with arguments that fit.
pub(super) fn call(function: &Value) -> Value {
    json!({
        "id": id("fc"),
        "type": "function_call",
        "status": "completed",
        "arguments": schema::example(&function["parameters"]).to_string(),
        "call_id": format!("call_{}", entropy::key(24)),
        "name": function["name"],
    })
}

/// All that an item says.
pub(super) fn text(item: &Value) -> String {
    if let Some(text) = item["output"].as_str().or_else(|| item["arguments"].as_str()) {
        return text.to_owned();
    }
    let parts = item["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
}

fn id(start: &str) -> Value {
    format!("{start}_{}", entropy::hexadecimal(50)).into()
}
