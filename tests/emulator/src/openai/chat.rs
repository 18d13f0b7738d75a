//! Chat completions, whole and streamed. The answer repeats what the user said.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::clock;
use crate::entropy;
use crate::openai::deployments::Deployment;
use crate::openai::{Request, refusal, reply};

/// What all parts of one completion share.
struct Completion {
    id: String,
    created: i64,
    model: &'static str,
    prompt_tokens: usize,
    /// The answer in pieces, as a stream sends them.
    pieces: Vec<String>,
}

pub(super) fn run(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let Some(messages) = body["messages"].as_array() else {
        let text = "Missing required parameter: 'messages'.";
        return Err(refusal::bad_request(request.call, text));
    };
    let said = messages
        .iter()
        .rfind(|message| message["role"] == "user")
        .map(|message| text(&message["content"]))
        .unwrap_or_default();
    let completion = Completion {
        id: format!("chatcmpl-{}", entropy::key(29)),
        created: clock::unix_seconds(),
        model: deployment.model,
        prompt_tokens: messages.iter().map(|message| words(&text(&message["content"]))).sum(),
        pieces: pieces(&answer_to(&said, deployment.name)),
    };
    if body["stream"] == true {
        let usage = body["stream_options"]["include_usage"] == true;
        let events = completion.events(usage);
        Ok(reply::event_stream(request.call, deployment, &events))
    } else {
        Ok(reply::model(request.call, deployment).json(completion.whole().to_string()))
    }
}

/// The answer to `said`: predictable, and with characters of two and three bytes.
pub(super) fn answer_to(said: &str, deployment: &str) -> String {
    format!("You said “{said}” to {deployment}. ✓ Zürich")
}

/// A text in words, each with the space before it.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for part in text.split_inclusive(' ') {
        pieces.push(part.to_owned());
    }
    pieces
}

pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A message's content: a text, or parts of which some are texts.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn nothing_filtered() -> Value {
    json!({
        "hate": {"filtered": false, "severity": "safe"},
        "self_harm": {"filtered": false, "severity": "safe"},
        "sexual": {"filtered": false, "severity": "safe"},
        "violence": {"filtered": false, "severity": "safe"},
    })
}

fn prompt_not_filtered() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": {
        "hate": {"filtered": false, "severity": "safe"},
        "jailbreak": {"detected": false, "filtered": false},
        "self_harm": {"filtered": false, "severity": "safe"},
        "sexual": {"filtered": false, "severity": "safe"},
        "violence": {"filtered": false, "severity": "safe"},
    }}])
}

impl Completion {
    fn whole(&self) -> Value {
        json!({
            "choices": [{
                "content_filter_results": nothing_filtered(),
                "finish_reason": "stop",
                "index": 0,
                "logprobs": null,
                "message": {
                    "annotations": [],
                    "content": self.pieces.concat(),
                    "refusal": null,
                    "role": "assistant",
                },
            }],
            "created": self.created,
            "id": self.id,
            "model": self.model,
            "object": "chat.completion",
            "prompt_filter_results": prompt_not_filtered(),
            "system_fingerprint": "fp_b705f0c291",
            "usage": self.usage(),
        })
    }

    /// First the prompt's filter results, then the role, the pieces, the end, and the usage if
    /// it was asked for (A3, H9).
    fn events(&self, usage: bool) -> Vec<Value> {
        let mut events = vec![json!({
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": prompt_not_filtered(),
        })];
        let role = json!({"content": "", "refusal": null, "role": "assistant"});
        events.push(self.chunk(&json!({}), &role, &Value::Null, usage));
        events.extend(self.pieces.iter().map(|piece| {
            let delta = json!({"content": piece});
            self.chunk(&nothing_filtered(), &delta, &Value::Null, usage)
        }));
        events.push(self.chunk(&json!({}), &json!({}), &json!("stop"), usage));
        if usage {
            let mut last = self.frame(json!([]));
            last["usage"] = self.usage();
            events.push(last);
        }
        events
    }

    fn chunk(&self, filter: &Value, delta: &Value, finish: &Value, usage: bool) -> Value {
        let mut frame = self.frame(json!([{
            "content_filter_results": filter,
            "delta": delta,
            "finish_reason": finish,
            "index": 0,
            "logprobs": null,
        }]));
        if usage {
            frame["usage"] = Value::Null;
        }
        frame
    }

    fn frame(&self, choices: Value) -> Value {
        let mut frame = json!({"choices": null});
        frame["choices"] = choices;
        frame["created"] = self.created.into();
        frame["id"] = self.id.as_str().into();
        frame["model"] = self.model.into();
        frame["obfuscation"] = entropy::key(10).into();
        frame["object"] = "chat.completion.chunk".into();
        frame["system_fingerprint"] = "fp_b705f0c291".into();
        frame
    }

    fn usage(&self) -> Value {
        let completion = self.pieces.len();
        json!({
            "completion_tokens": completion,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0,
                "audio_tokens": 0,
                "reasoning_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "prompt_tokens": self.prompt_tokens,
            "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
            "total_tokens": self.prompt_tokens + completion,
        })
    }
}
