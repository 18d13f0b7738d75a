//! The messages of a thread.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::assistants::show;
use crate::openai::page::Page;
use crate::openai::store::Object;
use crate::openai::{Request, refusal};
use crate::{clock, entropy};

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let mut objects = request.objects();
    let thread = objects.thread(request)?;
    if let Some(run) = thread.active_run() {
        let message = format!("Can't add messages to {} while a run {run} is active.", thread.id());
        return Err(refusal::refuse(request.call, &message));
    }
    let message = read(request, thread.id(), body)?;
    thread.messages.insert(message.clone());
    Ok(show(request, &message))
}

/// All of the thread, or those that one run has made.
pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let run = request.call.parameter("run_id");
    let mut objects = request.objects();
    let messages = objects.thread(request)?.messages.iter();
    let wanted = messages.filter(|message| run.as_deref().is_none_or(|run| message["run_id"] == run));
    Ok(show(request, &Page::of(request.call, wanted)?.list()))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let message = objects.thread(request)?.messages.get(request.name(1));
    Ok(show(request, message.ok_or_else(|| unknown(request))?))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let metadata = request.json()?["metadata"].clone();
    let mut objects = request.objects();
    let message = objects.thread(request)?.messages.get_mut(request.name(1)).ok_or_else(|| unknown(request))?;
    message["metadata"] = metadata;
    Ok(show(request, message))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(1);
    let mut objects = request.objects();
    objects.thread(request)?.messages.remove(id).ok_or_else(|| unknown(request))?;
    Ok(show(request, &json!({"id": id, "object": "thread.message.deleted", "deleted": true})))
}

/// A message as a request brings it; its content is a text, or parts.
pub(super) fn read(request: &Request<'_>, thread: &str, body: &Value) -> Result<Value, Answer> {
    let missing = |member| refusal::missing(request.call, member);
    let role = body["role"].as_str().ok_or_else(|| missing("role"))?;
    let text = |text: &Value| json!({"type": "text", "text": {"value": text, "annotations": []}});
    let content = match &body["content"] {
        Value::Array(parts) => {
            let part = |part: &Value| if part["type"] == "text" { text(&part["text"]) } else { part.clone() };
            parts.iter().map(part).collect()
        }
        Value::Null => return Err(missing("content")),
        whole => vec![text(whole)],
    };
    let mut message = said(thread, role, Value::Array(content));
    for (member, default) in [("attachments", json!([])), ("metadata", json!({}))] {
        message[member] = if body[member].is_null() { default } else { body[member].clone() };
    }
    Ok(message)
}

/// A new message of the thread, by nobody's run.
pub(super) fn said(thread: &str, role: &str, content: Value) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", entropy::key(24)),
        "object": "thread.message",
        "created_at": clock::unix_seconds(),
        "assistant_id": null,
        "thread_id": thread,
        "run_id": null,
        "role": role,
        "content": [],
        "attachments": [],
        "metadata": {},
    });
    message["content"] = content;
    message
}

/// All that a message says.
pub(super) fn text(message: &Value) -> String {
    let parts = message["content"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"]["value"].as_str()).collect::<Vec<_>>().join(" ")
}

fn unknown(request: &Request<'_>) -> Answer {
    refusal::no_such(request.call, &format!("No message found with id '{}'.", request.name(1)))
}
