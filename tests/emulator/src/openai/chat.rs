//! Chat completions, whole and streamed. The answer repeats what the user said, or calls a function that is offered, or has
//! the form that is asked for.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::clock;
use crate::entropy;
use crate::openai::deployments::Deployment;
use crate::openai::stored_chats::StoredChat;
use crate::openai::{Request, refusal, reply, schema};

/// What all parts of one completion share.
struct Completion {
    id: String,
    created: i64,
    model: &'static str,
    prompt_tokens: usize,
    answer: Spoken,
}

/// What the model answers.
enum Spoken {
    /// A text in pieces, as a stream sends them.
    Text(Vec<String>),
    /// A call of a function.
    Call { id: String, name: Value, arguments: String },
}

pub(super) fn run(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let Some(messages) = body["messages"].as_array() else {
        let text = "Missing required parameter: 'messages'.";
        return Err(refusal::bad_request(request.call, text));
    };
    let completion = Completion {
        id: format!("chatcmpl-{}", entropy::key(29)),
        created: clock::unix_seconds(),
        model: deployment.model,
        prompt_tokens: messages.iter().map(|message| words(&text(&message["content"]))).sum(),
        answer: Spoken::to(body, messages, deployment),
    };
    let whole = completion.whole();
    let answer = if body["stream"] == true {
        let usage = body["stream_options"]["include_usage"] == true;
        let events = completion.events(usage);
        reply::event_stream(request.call, deployment, &events)
    } else {
        reply::model(request.call, deployment).json(whole.to_string())
    };
    if body["store"] == true {
        request.objects().chats.insert(StoredChat::of(whole, body));
    }
    Ok(answer)
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

pub(super) fn nothing_filtered() -> Value {
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

// === impl Spoken ===

impl Spoken {
    /// A call of the function that must be called, or of the first, unless functions were just called or nobody wants that.
    fn to(body: &Value, messages: &[Value], deployment: &Deployment) -> Self {
        let last = messages.last().map_or(&Value::Null, |message| &message["role"]);
        let wanted = body["tool_choice"]["function"]["name"].as_str();
        let mut offered = body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]);
        let function = offered.find(|function| wanted.is_none_or(|wanted| function["name"] == wanted));
        if let Some(function) = function
            && *last != "tool"
            && body["tool_choice"] != "none"
        {
            let arguments = schema::example(&function["parameters"]).to_string();
            return Self::Call { id: format!("call_{}", entropy::key(24)), name: function["name"].clone(), arguments };
        }
        let format = &body["response_format"];
        let answer = if format["type"] == "json_schema" {
            schema::example(&format["json_schema"]["schema"]).to_string()
        } else {
            let said = messages.iter().rfind(|message| message["role"] == "user" || message["role"] == "tool");
            answer_to(&said.map(|said| text(&said["content"])).unwrap_or_default(), deployment.name)
        };
        Self::Text(pieces(&answer))
    }

    fn finish_reason(&self) -> &'static str {
        match self {
            Self::Text(_) => "stop",
            Self::Call { .. } => "tool_calls",
        }
    }

    /// As a message of the assistant's.
    fn message(&self) -> Value {
        match self {
            Self::Text(pieces) => {
                json!({"annotations": [], "content": pieces.concat(), "refusal": null, "role": "assistant"})
            }
            Self::Call { id, name, arguments } => json!({
                "annotations": [],
                "content": null,
                "refusal": null,
                "role": "assistant",
                "tool_calls": [{"function": {"arguments": arguments, "name": name}, "id": id, "type": "function"}],
            }),
        }
    }

    /// As a stream tells it, bit by bit.
    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::Text(pieces) => {
                let first = json!({"content": "", "refusal": null, "role": "assistant"});
                [first].into_iter().chain(pieces.iter().map(|piece| json!({"content": piece}))).collect()
            }
            Self::Call { id, name, arguments } => {
                let call =
                    json!({"function": {"arguments": "", "name": name}, "id": id, "index": 0, "type": "function"});
                let first = json!({"content": null, "refusal": null, "role": "assistant", "tool_calls": [call]});
                let pieces = pieces(arguments);
                let rest =
                    pieces.iter().map(|piece| json!({"tool_calls": [{"function": {"arguments": piece}, "index": 0}]}));
                [first].into_iter().chain(rest).collect()
            }
        }
    }

    fn tokens(&self) -> usize {
        match self {
            Self::Text(pieces) => pieces.len(),
            Self::Call { arguments, .. } => words(arguments),
        }
    }
}

// === impl Completion ===

impl Completion {
    fn whole(&self) -> Value {
        json!({
            "choices": [{
                "content_filter_results": nothing_filtered(),
                "finish_reason": self.answer.finish_reason(),
                "index": 0,
                "logprobs": null,
                "message": self.answer.message(),
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
        for (place, delta) in self.answer.deltas().iter().enumerate() {
            let filter = if place == 0 { json!({}) } else { nothing_filtered() };
            events.push(self.chunk(&filter, delta, &Value::Null, usage));
        }
        events.push(self.chunk(&json!({}), &json!({}), &json!(self.answer.finish_reason()), usage));
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
        let completion = self.answer.tokens();
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
