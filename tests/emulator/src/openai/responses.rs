//! Responses: an answer that is kept, unless the request says otherwise, and can be built upon. Whole ones are indented and
//! escape what is beyond ASCII (H10); how a stream looks is in `events`.

mod events;
pub(super) mod item;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::deployments::{Deployment, Kind};
use crate::openai::page::Page;
use crate::openai::store::{Object, Objects};
use crate::openai::{Request, chat, refusal, reply, schema};
use crate::{clock, entropy};

/// A response, and what it answers.
#[derive(Clone)]
pub(crate) struct Response {
    /// As it is shown when it is done.
    whole: Value,
    /// How often it has been asked for; who made it in the background sees it grow.
    polls: u32,
    cancelled: bool,
    input: Vec<Value>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let call = request.call;
    let body = request.json()?;
    let Some(model) = body["model"].as_str() else {
        return Err(refusal::missed_model(call));
    };
    call.record.note(|entry| entry.subject = Some(model.to_owned()));
    let deployment = request.deployment(model, Kind::Chat, "responses")?;
    let input = item::read_all(&body["input"]).ok_or_else(|| refusal::missing(call, "input"))?;
    let conversation = body["conversation"].as_str().or_else(|| body["conversation"]["id"].as_str());
    let before = match (body["previous_response_id"].as_str(), conversation) {
        (None, None) => Vec::new(),
        (Some(id), None) => request.objects().said_until(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            refusal::invalid(call, &message, "previous_response_id", "previous_response_not_found")
        })?,
        (None, Some(id)) => request.objects().conversation(request, id)?.said(),
        (Some(_), Some(_)) => {
            let message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.";
            return Err(refusal::invalid(call, message, "previous_response_id", "mutually_exclusive_parameters"));
        }
    };
    let mut response = Response::to(body, deployment, input, &before);
    if let Some(id) = conversation {
        request.objects().conversation(request, id)?.hear(response.said());
        response.whole["conversation"] = json!({"id": id});
    }
    let shown = response.so_far();
    let answer = if body["stream"] == true {
        reply::response(call, deployment, "True")
            .header("content-type", "text/event-stream; charset=utf-8")
            .events(events::of(&response.whole))
    } else {
        reply::response(call, deployment, "False").json(escaped(&indented(&shown)))
    };
    if body["store"] != false {
        request.objects().responses.insert(response);
    }
    Ok(answer)
}

/// One that was made in the background moves on each time: queued, in progress, completed. As a stream it is told again,
/// whole or from a number on.
pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let response = objects.response(request)?;
    response.polls += 1;
    if request.call.parameter("stream").as_deref() == Some("true") {
        let seen = request.call.parameter("starting_after").and_then(|number| number.parse::<usize>().ok());
        let frames = events::of(&response.whole).into_iter().skip(seen.map_or(0, |number| number + 1));
        return Ok(reply::stored(request.call, StatusCode::OK)
            .header("content-type", "text/event-stream; charset=utf-8")
            .events(frames.collect()));
    }
    Ok(show(request, &response.so_far()))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().responses.remove(id).ok_or_else(|| unknown(request))?;
    Ok(show(request, &json!({"id": id, "object": "response.deleted", "deleted": true})))
}

pub(super) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let response = objects.response(request)?;
    if response.whole["background"] != true {
        let message = "Cannot cancel a synchronous response.";
        return Err(refusal::refuse(request.call, message));
    }
    response.cancelled = response.cancelled || !response.is_done();
    Ok(show(request, &response.so_far()))
}

pub(super) fn input_items(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let response = objects.response(request)?;
    Ok(show(request, &Page::of(request.call, response.input.iter())?.list()))
}

/// Anything that is stored here: as responses are.
pub(super) fn show(request: &Request<'_>, shown: &Value) -> Answer {
    reply::stored(request.call, StatusCode::OK).json(escaped(&indented(shown)))
}

fn unknown(request: &Request<'_>) -> Answer {
    let message = format!("Response with id '{}' not found.", request.name(0));
    let body = refusal::openai_body(&message, &Value::Null, &Value::Null);
    reply::stored(request.call, StatusCode::NOT_FOUND).json(indented(&body))
}

/// What is beyond ASCII as `\u2019`, in two such where JSON needs two.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}

// === impl Response ===

impl Response {
    /// Calls the first function that is offered, unless it has been called or nobody wants that; else says what it was told.
    fn to(body: &Value, deployment: &Deployment, input: Vec<Value>, before: &[Value]) -> Self {
        let called = input.last().is_some_and(|last| last["type"] == "function_call_output");
        let offered = body["tools"].as_array().into_iter().flatten().find(|tool| tool["type"] == "function");
        let output = match offered {
            Some(function) if !called && body["tool_choice"] != "none" => item::call(function),
            _ => item::message(&text(body, deployment, &input)),
        };
        let words = |items: &[Value]| items.iter().map(|item| chat::words(&item::text(item))).sum::<usize>();
        let (read, written) = (words(before) + words(&input), words(std::slice::from_ref(&output)).max(1));
        let or = |member: &str, default: Value| if body[member].is_null() { default } else { body[member].clone() };
        let now = clock::unix_seconds();
        let whole = json!({
            "id": format!("resp_{}", entropy::hexadecimal(50)),
            "object": "response",
            "created_at": now,
            "status": "completed",
            "background": or("background", json!(false)),
            "completed_at": now,
            "content_filters": content_filters(),
            "error": null,
            "frequency_penalty": 0.0,
            "incomplete_details": null,
            "instructions": body["instructions"],
            "max_output_tokens": body["max_output_tokens"],
            "max_tool_calls": body["max_tool_calls"],
            "model": deployment.name,
            "moderation": null,
            "output": [output],
            "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
            "presence_penalty": 0.0,
            "previous_response_id": body["previous_response_id"],
            "prompt_cache_key": body["prompt_cache_key"],
            "prompt_cache_retention": "in_memory",
            "reasoning": {
                "context": null,
                "effort": body["reasoning"]["effort"],
                "summary": body["reasoning"]["summary"],
            },
            "safety_identifier": body["safety_identifier"],
            "service_tier": "default",
            "store": or("store", json!(true)),
            "temperature": or("temperature", json!(1.0)),
            "text": or("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
            "tool_choice": or("tool_choice", json!("auto")),
            "tools": or("tools", json!([])),
            "top_logprobs": 0,
            "top_p": or("top_p", json!(1.0)),
            "truncation": or("truncation", json!("disabled")),
            "usage": {
                "input_tokens": read,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": read + written,
            },
            "user": body["user"],
            "metadata": or("metadata", json!({})),
        });
        Self { whole, polls: 0, cancelled: false, input }
    }

    /// The input, and the answer to it.
    fn said(&self) -> Vec<Value> {
        self.input.iter().chain(self.whole["output"].as_array().into_iter().flatten()).cloned().collect()
    }

    fn is_done(&self) -> bool {
        self.whole["background"] != true || self.polls > 1
    }

    /// As far as it has come.
    fn so_far(&self) -> Value {
        if self.is_done() && !self.cancelled {
            return self.whole.clone();
        }
        let mut shown = events::begun(&self.whole);
        shown["status"] = match self.polls {
            _ if self.cancelled => "cancelled".into(),
            0 => "queued".into(),
            _ => "in_progress".into(),
        };
        shown
    }
}

fn text(body: &Value, deployment: &Deployment, input: &[Value]) -> String {
    let format = &body["text"]["format"];
    if format["type"] == "json_schema" {
        return schema::example(&format["schema"]).to_string();
    }
    let said = input.iter().rfind(|item| item["role"] == "user" || item["type"] == "function_call_output");
    chat::answer_to(&said.map(item::text).unwrap_or_default(), deployment.name)
}

fn content_filters() -> Value {
    let filter = |source: &str| {
        json!({
            "blocked": false,
            "source_type": source,
            "content_filter_raw": [],
            "content_filter_results": {
                "hate": {"filtered": false, "severity": "safe"},
                "sexual": {"filtered": false, "severity": "safe"},
                "violence": {"filtered": false, "severity": "safe"},
                "self_harm": {"filtered": false, "severity": "safe"},
            },
            "content_filter_offsets": {"start_offset": 0, "end_offset": 1164, "check_offset": 0},
        })
    };
    json!([filter("prompt"), filter("completion")])
}

impl Object for Response {
    fn shown(&self) -> &Value {
        &self.whole
    }
}

// === impl Objects ===

impl Objects {
    /// The response, or 404.
    fn response(&mut self, request: &Request<'_>) -> Result<&mut Response, Answer> {
        self.responses.get_mut(request.name(0)).ok_or_else(|| unknown(request))
    }

    /// What was said until and with the response of this id, the oldest last.
    fn said_until(&self, id: &str) -> Option<Vec<Value>> {
        let mut said = Vec::new();
        let mut response = Some(self.responses.get(id)?);
        while let Some(found) = response {
            said.extend(found.said());
            response = found.whole["previous_response_id"].as_str().and_then(|id| self.responses.get(id));
        }
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_ascii_is_escaped() {
        assert_eq!(escaped("a “ü” 🦀"), r"a \u201c\u00fc\u201d \ud83e\udd80");
    }
}
