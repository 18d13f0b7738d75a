//! Conversations: items that responses build upon, and add to.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::page::Page;
use crate::openai::responses::{item, show};
use crate::openai::store::{Collection, Object, Objects};
use crate::openai::{Body, Request, refusal};
use crate::{clock, entropy};

/// A conversation, and what was said in it.
pub(crate) struct Conversation {
    /// As it is shown.
    shown: Value,
    items: Collection<Value>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    // A conversation that begins with nothing needs no body.
    let nothing = json!({});
    let body = if matches!(request.body, Body::None) { &nothing } else { request.json()? };
    let shown = json!({
        "id": format!("conv_{}", entropy::hexadecimal(50)),
        "object": "conversation",
        "created_at": clock::unix_seconds(),
        "metadata": if body["metadata"].is_null() { json!({}) } else { body["metadata"].clone() },
    });
    let mut conversation = Conversation { shown: shown.clone(), items: Collection::default() };
    conversation.hear(item::read_all(&body["items"]).unwrap_or_default());
    request.objects().conversations.insert(conversation);
    Ok(show(request, &shown))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(show(request, &request.objects().conversation(request, request.name(0))?.shown))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let metadata = request.json()?["metadata"].clone();
    let mut objects = request.objects();
    let conversation = objects.conversation(request, request.name(0))?;
    conversation.shown["metadata"] = metadata;
    Ok(show(request, &conversation.shown))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().conversations.remove(id).ok_or_else(|| unknown(request, id))?;
    Ok(show(request, &json!({"id": id, "object": "conversation.deleted", "deleted": true})))
}

/// What is added is shown as a list.
pub(super) fn add_items(request: &Request<'_>) -> Result<Answer, Answer> {
    let items = item::read_all(&request.json()?["items"]).ok_or_else(|| refusal::missing(request.call, "items"))?;
    let mut objects = request.objects();
    objects.conversation(request, request.name(0))?.hear(items.clone());
    Ok(show(request, &Page { data: items, has_more: false }.list()))
}

pub(super) fn list_items(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let items = objects.conversation(request, request.name(0))?.items.iter();
    Ok(show(request, &Page::of(request.call, items)?.list()))
}

pub(super) fn get_item(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let item = objects.conversation(request, request.name(0))?.items.get(request.name(1));
    Ok(show(request, item.ok_or_else(|| unknown_item(request))?))
}

/// Shows what the item was part of.
pub(super) fn delete_item(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let conversation = objects.conversation(request, request.name(0))?;
    conversation.items.remove(request.name(1)).ok_or_else(|| unknown_item(request))?;
    Ok(show(request, &conversation.shown))
}

fn unknown(request: &Request<'_>, id: &str) -> Answer {
    refusal::no_such(request.call, &format!("Conversation with id '{id}' not found."))
}

fn unknown_item(request: &Request<'_>) -> Answer {
    refusal::no_such(request.call, &format!("Item with id '{}' not found.", request.name(1)))
}

// === impl Conversation ===

impl Conversation {
    pub(super) fn hear(&mut self, items: Vec<Value>) {
        for item in items {
            self.items.insert(item);
        }
    }

    pub(super) fn said(&self) -> Vec<Value> {
        self.items.iter().cloned().collect()
    }
}

impl Object for Conversation {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The conversation, or 404.
    pub(super) fn conversation(&mut self, request: &Request<'_>, id: &str) -> Result<&mut Conversation, Answer> {
        self.conversations.get_mut(id).ok_or_else(|| unknown(request, id))
    }
}
