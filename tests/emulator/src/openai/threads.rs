//! Threads: what was said to assistants, and by them.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::assistants::show;
use crate::openai::runs::Run;
use crate::openai::store::{Collection, Object, Objects};
use crate::openai::{Body, Request, messages, refusal};
use crate::{clock, entropy};

/// A thread, with all that is in it.
pub(crate) struct Thread {
    /// As it is shown.
    shown: Value,
    pub(super) messages: Collection<Value>,
    pub(super) runs: Collection<Run>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    // A thread without anything in it needs no body.
    let nothing = json!({});
    let body = if matches!(request.body, Body::None) { &nothing } else { request.json()? };
    let thread = Thread::of(request, body)?;
    let shown = thread.shown.clone();
    request.objects().threads.insert(thread);
    Ok(show(request, &shown))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut shown = request.objects().thread(request)?.shown.clone();
    // Asked for, Azure shows resources that nobody has given (oai-threads-net-04).
    if shown["tool_resources"] == json!({}) {
        shown["tool_resources"] = json!({"code_interpreter": {"file_ids": []}});
    }
    Ok(show(request, &shown))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let mut objects = request.objects();
    let thread = objects.thread(request)?;
    for member in ["metadata", "tool_resources"] {
        if let Some(value) = body.get(member) {
            thread.shown[member] = value.clone();
        }
    }
    Ok(show(request, &thread.shown))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().threads.remove(id).ok_or_else(|| unknown(request))?;
    Ok(show(request, &json!({"id": id, "object": "thread.deleted", "deleted": true})))
}

fn unknown(request: &Request<'_>) -> Answer {
    refusal::no_such(request.call, &format!("No thread found with id '{}'.", request.name(0)))
}

// === impl Thread ===

impl Thread {
    /// A new one, with the messages that `body` brings.
    pub(super) fn of(request: &Request<'_>, body: &Value) -> Result<Self, Answer> {
        let or_empty = |member: &str| if body[member].is_null() { json!({}) } else { body[member].clone() };
        let shown = json!({
            "id": format!("thread_{}", entropy::key(24)),
            "object": "thread",
            "created_at": clock::unix_seconds(),
            "metadata": or_empty("metadata"),
            "tool_resources": or_empty("tool_resources"),
        });
        let mut thread = Self { shown, messages: Collection::default(), runs: Collection::default() };
        thread.hear(request, &body["messages"])?;
        Ok(thread)
    }

    /// Takes in messages as a request brings them, if it brings any.
    pub(super) fn hear(&mut self, request: &Request<'_>, messages: &Value) -> Result<(), Answer> {
        for message in messages.as_array().into_iter().flatten() {
            let message = messages::read(request, self.id(), message)?;
            self.messages.insert(message);
        }
        Ok(())
    }
}

impl Object for Thread {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The thread that the path names first, or 404.
    pub(super) fn thread(&mut self, request: &Request<'_>) -> Result<&mut Thread, Answer> {
        self.threads.get_mut(request.name(0)).ok_or_else(|| unknown(request))
    }
}
