//! What is said over a realtime websocket: an event is heard, events answer it.

use serde_json::{Value, json};

use crate::entropy;
use crate::openai::chat;
use crate::openai::deployments::Deployment;

/// One session.
pub(crate) struct Dialogue {
    deployment: &'static Deployment,
    /// The events of `/openai/v1` have other names than those of the preview.
    v1: bool,
    session: Value,
    /// What the user said last.
    said: String,
}

impl Dialogue {
    pub(crate) fn new(deployment: &'static Deployment, v1: bool) -> Self {
        let session = json!({
            "id": format!("sess_{}", entropy::key(21)),
            "object": "realtime.session",
            "type": "realtime",
            "model": deployment.model,
            "modalities": ["text", "audio"],
            "instructions": "",
        });
        Self { deployment, v1, session, said: String::new() }
    }

    /// The first word is the service's.
    pub(crate) fn opening(&self) -> Value {
        event("session.created", json!({"session": self.session}))
    }

    /// What is answered to a message.
    pub(crate) fn hear(&mut self, message: &str) -> Vec<Value> {
        let Ok(heard) = serde_json::from_str::<Value>(message) else {
            return vec![error("invalid_json", "The message is no JSON document.", &Value::Null)];
        };
        let id = &heard["event_id"];
        match heard["type"].as_str() {
            Some("session.update") => {
                let Some(changes) = heard["session"].as_object() else {
                    return vec![error("missing_required_parameter", "Missing required parameter: 'session'.", id)];
                };
                for (name, value) in changes {
                    self.session[name] = value.clone();
                }
                vec![event("session.updated", json!({"session": self.session}))]
            }
            Some("conversation.item.create") => self.take(&heard["item"], id),
            Some("response.create") => self.respond(),
            // Voice is heard, and says nothing to us.
            Some("input_audio_buffer.append") => Vec::new(),
            Some("input_audio_buffer.commit") => {
                vec![event("input_audio_buffer.committed", json!({"item_id": item_id(), "previous_item_id": null}))]
            }
            Some("input_audio_buffer.clear") => vec![event("input_audio_buffer.cleared", json!({}))],
            other => {
                let text = format!("Invalid value: '{}'.", other.unwrap_or_default());
                vec![error("invalid_value", &text, id)]
            }
        }
    }

    fn take(&mut self, item: &Value, id: &Value) -> Vec<Value> {
        let Some(parts) = item["content"].as_array() else {
            return vec![error("missing_required_parameter", "Missing required parameter: 'item.content'.", id)];
        };
        if item["role"] == "user" {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            self.said = texts.join(" ");
        }
        let mut item = item.clone();
        item["id"] = json!(item_id());
        item["object"] = json!("realtime.item");
        item["status"] = json!("completed");
        let of_item = |name| event(name, json!({"previous_item_id": null, "item": item}));
        if self.v1 {
            vec![of_item("conversation.item.added"), of_item("conversation.item.done")]
        } else {
            vec![of_item("conversation.item.created")]
        }
    }

    fn respond(&self) -> Vec<Value> {
        let text = chat::answer_to(&self.said, self.deployment.name);
        let (response_id, item_id) = (format!("resp_{}", entropy::key(21)), item_id());
        let kind = if self.v1 { "output_text" } else { "text" };
        let (delta, done) = (format!("response.{kind}.delta"), format!("response.{kind}.done"));
        let response = |status: &str, output: Value| {
            json!({"response": {
                "id": response_id, "object": "realtime.response", "status": status, "output": output,
                "usage": {"total_tokens": chat::words(&self.said) + chat::words(&text),
                    "input_tokens": chat::words(&self.said), "output_tokens": chat::words(&text)},
            }})
        };
        let item = |status: &str, content: Value| {
            json!({
                "id": item_id, "object": "realtime.item", "type": "message", "status": status,
                "role": "assistant", "content": content,
            })
        };
        let place = |more: Value| {
            let mut place = json!({
                "response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0,
            });
            if let (Value::Object(place), Value::Object(more)) = (&mut place, more) {
                place.extend(more);
            }
            place
        };
        let whole = json!([{"type": kind, "text": text}]);
        let mut events = vec![
            event("response.created", response("in_progress", json!([]))),
            event(
                "response.output_item.added",
                json!({
                    "response_id": response_id, "output_index": 0, "item": item("in_progress", json!([])),
                }),
            ),
            event("response.content_part.added", place(json!({"part": {"type": kind, "text": ""}}))),
        ];
        events.extend(chat::pieces(&text).into_iter().map(|piece| event(&delta, place(json!({"delta": piece})))));
        events.extend([
            event(&done, place(json!({"text": text}))),
            event("response.content_part.done", place(json!({"part": {"type": kind, "text": text}}))),
            event(
                "response.output_item.done",
                json!({
                    "response_id": response_id, "output_index": 0, "item": item("completed", whole.clone()),
                }),
            ),
            event("response.done", response("completed", json!([item("completed", whole)]))),
        ]);
        events
    }
}

fn event(name: &str, more: Value) -> Value {
    let mut event = json!({"type": name, "event_id": format!("event_{}", entropy::key(21))});
    if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
        event.extend(more);
    }
    event
}

fn error(code: &str, message: &str, event_id: &Value) -> Value {
    event(
        "error",
        json!({"error": {
            "type": "invalid_request_error", "code": code, "message": message, "param": null, "event_id": event_id,
        }}),
    )
}

fn item_id() -> String {
    format!("item_{}", entropy::key(21))
}
