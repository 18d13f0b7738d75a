//! Chat completions that were asked to be kept (`store`): they can be looked at, marked and deleted.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::page::Page;
use crate::openai::store::{Object, Objects};
use crate::openai::{Request, refusal, reply};
use crate::target;

/// A completion, and what it answers.
pub(crate) struct StoredChat {
    /// As it is shown.
    shown: Value,
    messages: Vec<Value>,
}

/// All, or those of one model, or with certain `metadata[key]`.
pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let call = request.call;
    let model = call.parameter("model");
    let marks: Vec<(String, String)> = target::parameters(call.query)
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((key.to_owned(), value))
        })
        .collect();
    let objects = request.objects();
    let wanted = objects.chats.iter().map(Object::shown).filter(|chat| {
        let marked = marks.iter().all(|(key, value)| chat["metadata"][key.as_str()] == value.as_str());
        marked && model.as_deref().is_none_or(|model| chat["model"] == model)
    });
    Ok(show(request, &Page::of(call, wanted)?.list()))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(show(request, &request.objects().chat(request)?.shown))
}

pub(super) fn messages(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let chat = objects.chat(request)?;
    Ok(show(request, &Page::of(request.call, chat.messages.iter())?.list()))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let metadata = request.json()?["metadata"].clone();
    let mut objects = request.objects();
    let chat = objects.chat(request)?;
    chat.shown["metadata"] = metadata;
    Ok(show(request, &chat.shown))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().chats.remove(id).ok_or_else(|| unknown(request))?;
    Ok(show(request, &json!({"object": "chat.completion.deleted", "id": id, "deleted": true})))
}

fn show(request: &Request<'_>, shown: &Value) -> Answer {
    reply::stored(request.call, StatusCode::OK).json(indented(shown))
}

fn unknown(request: &Request<'_>) -> Answer {
    refusal::no_such(request.call, &format!("Chat completion {} not found", request.name(0)))
}

// === impl StoredChat ===

impl StoredChat {
    /// `whole` answers `body`.
    pub(super) fn of(whole: Value, body: &Value) -> Self {
        let id = whole.id().to_owned();
        let messages = body["messages"].as_array().into_iter().flatten().enumerate().map(|(place, message)| {
            let mut message = message.clone();
            if let Some(members) = message.as_object_mut() {
                members.insert("id".to_owned(), format!("{id}-{place}").into());
            }
            message
        });
        let messages = messages.collect();
        let mut shown = whole;
        shown["metadata"] = if body["metadata"].is_null() { json!({}) } else { body["metadata"].clone() };
        Self { shown, messages }
    }
}

impl Object for StoredChat {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The chat that the path names, or 404.
    fn chat(&mut self, request: &Request<'_>) -> Result<&mut StoredChat, Answer> {
        self.chats.get_mut(request.name(0)).ok_or_else(|| unknown(request))
    }
}
