//! A response as a stream: `event:` and `data:` in each frame, numbered, and no `[DONE]` (H9).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::entropy;
use crate::openai::{chat, reply};

/// Frames in the order of their making.
#[derive(Default)]
struct Frames(Vec<Bytes>);

/// All frames of a response.
pub(super) fn of(whole: &Value) -> Vec<Bytes> {
    let mut frames = Frames::default();
    let begun = begun(whole);
    frames.push(json!({"type": "response.created", "response": begun}));
    frames.push(json!({"type": "response.in_progress", "response": begun}));
    for (place, item) in whole["output"].as_array().into_iter().flatten().enumerate() {
        if item["type"] == "function_call" {
            frames.call(place, item);
        } else {
            frames.message(place, item);
        }
    }
    frames.push(json!({"type": "response.completed", "response": whole}));
    frames.0
}

/// The response before the model has said anything.
pub(super) fn begun(whole: &Value) -> Value {
    let mut begun = whole.clone();
    for member in ["completed_at", "content_filters", "usage"] {
        begun[member] = Value::Null;
    }
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["service_tier"] = "auto".into();
    begun
}

// === impl Frames ===

impl Frames {
    fn push(&mut self, mut data: Value) {
        data["sequence_number"] = self.0.len().into();
        let name = data["type"].as_str().unwrap_or_default();
        self.0.push(reply::frame(name, &data));
    }

    fn message(&mut self, place: usize, item: &Value) {
        let (id, part) = (&item["id"], &item["content"][0]);
        let text = part["text"].as_str().unwrap_or_default();
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        begun["content"] = json!([]);
        let mut empty = part.clone();
        empty["text"] = "".into();
        self.push(json!({"type": "response.output_item.added", "item": begun, "output_index": place}));
        self.push(json!({
            "type": "response.content_part.added", "content_index": 0, "item_id": id, "output_index": place, "part": empty,
        }));
        for piece in chat::pieces(text) {
            self.push(json!({
                "type": "response.output_text.delta", "content_index": 0, "delta": piece, "item_id": id, "logprobs": [],
                "obfuscation": entropy::key(13), "output_index": place,
            }));
        }
        self.push(json!({
            "type": "response.output_text.done", "content_index": 0, "item_id": id, "logprobs": [], "output_index": place,
            "text": text,
        }));
        self.push(json!({
            "type": "response.content_part.done", "content_index": 0, "item_id": id, "output_index": place, "part": part,
        }));
        self.push(json!({"type": "response.output_item.done", "item": item, "output_index": place}));
    }

    fn call(&mut self, place: usize, item: &Value) {
        let id = &item["id"];
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        begun["arguments"] = "".into();
        self.push(json!({"type": "response.output_item.added", "item": begun, "output_index": place}));
        self.push(json!({
            "type": "response.function_call_arguments.delta", "delta": item["arguments"], "item_id": id,
            "obfuscation": entropy::key(13), "output_index": place,
        }));
        self.push(json!({
            "type": "response.function_call_arguments.done", "arguments": item["arguments"], "item_id": id,
            "output_index": place,
        }));
        self.push(json!({"type": "response.output_item.done", "item": item, "output_index": place}));
    }
}
