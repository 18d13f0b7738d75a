//! The old completions: a prompt, and a text that repeats it.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::chat::{answer_to, pieces, words};
use crate::openai::deployments::Deployment;
use crate::openai::{Request, refusal, reply};
use crate::{clock, entropy};

pub(super) fn run(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let prompts: Vec<&str> = match &body["prompt"] {
        Value::String(prompt) => vec![prompt],
        Value::Array(prompts) => prompts.iter().filter_map(Value::as_str).collect(),
        _ => {
            let text = "Missing required parameter: 'prompt'.";
            return Err(refusal::bad_request(request.call, text));
        }
    };
    let frame = json!({
        "id": format!("cmpl-{}", entropy::key(29)),
        "object": "text_completion",
        "created": clock::unix_seconds(),
        "model": deployment.model,
    });
    let answers: Vec<String> = prompts.iter().map(|prompt| answer_to(prompt, deployment.name)).collect();
    if body["stream"] == true {
        let events = events(&frame, &answers);
        return Ok(reply::event_stream(request.call, deployment, &events));
    }
    let choices = answers.iter().enumerate().map(|(index, text)| choice(index, text, &json!("stop"))).collect();
    let mut whole = frame;
    whole["choices"] = Value::Array(choices);
    let prompt_tokens: usize = prompts.iter().map(|prompt| words(prompt)).sum();
    let completion_tokens: usize = answers.iter().map(|text| words(text)).sum();
    whole["usage"] = json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    });
    Ok(reply::model(request.call, deployment).json(whole.to_string()))
}

fn events(frame: &Value, answers: &[String]) -> Vec<Value> {
    let event = |index, text: &str, finish: &Value| {
        let mut event = frame.clone();
        event["choices"] = json!([choice(index, text, finish)]);
        event
    };
    let mut events = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let pieces = pieces(answer);
        events.extend(pieces.iter().map(|piece| event(index, piece, &Value::Null)));
        events.push(event(index, "", &json!("stop")));
    }
    events
}

fn choice(index: usize, text: &str, finish: &Value) -> Value {
    json!({"text": text, "index": index, "finish_reason": finish, "logprobs": null})
}
