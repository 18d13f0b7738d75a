//! Assistants: a model with instructions and tools, kept under an id.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::page::Page;
use crate::openai::store::Objects;
use crate::openai::{Request, deployments, refusal, reply};
use crate::{clock, entropy};

/// What can be said of an assistant, in the order in which it is shown, and what it is if nothing is said.
fn defaults() -> [(&'static str, Value); 10] {
    [
        ("name", Value::Null),
        ("description", Value::Null),
        ("model", Value::Null),
        ("instructions", Value::Null),
        ("tools", json!([])),
        ("top_p", json!(1.0)),
        ("temperature", json!(1.0)),
        ("tool_resources", json!({})),
        ("metadata", json!({})),
        ("response_format", json!("auto")),
    ]
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let model = body["model"].as_str().ok_or_else(|| refusal::missing(request.call, "model"))?;
    check_model(request, model)?;
    let now = clock::unix_seconds();
    let mut assistant = json!({"id": format!("asst_{}", entropy::key(24)), "object": "assistant", "created_at": now});
    for (member, default) in defaults() {
        assistant[member] = if body[member].is_null() { default } else { body[member].clone() };
    }
    request.objects().assistants.insert(assistant.clone());
    Ok(show(request, &assistant)
        .headers([("x-ratelimit-remaining-requests", "69"), ("x-ratelimit-remaining-tokens", "69360")]))
}

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let page = Page::of(request.call, request.objects().assistants.iter())?;
    Ok(show(request, &page.list()))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(show(request, request.objects().assistant(request, request.name(0))?))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    if let Some(model) = body["model"].as_str() {
        check_model(request, model)?;
    }
    let mut objects = request.objects();
    let id = request.name(0);
    let assistant = objects.assistants.get_mut(id).ok_or_else(|| unknown(request, id))?;
    for (member, _) in defaults() {
        if let Some(value) = body.get(member) {
            assistant[member] = value.clone();
        }
    }
    Ok(show(request, assistant))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().assistants.remove(id).ok_or_else(|| unknown(request, id))?;
    Ok(show(request, &json!({"id": id, "object": "assistant.deleted", "deleted": true})))
}

/// Any of OpenAI's own objects: indented.
pub(super) fn show(request: &Request<'_>, shown: &Value) -> Answer {
    reply::middleware(request.call, StatusCode::OK).json(indented(shown))
}

/// A model that nobody has deployed can do nothing.
pub(super) fn check_model(request: &Request<'_>, model: &str) -> Result<(), Answer> {
    let message = format!("The requested model '{model}' does not exist.");
    let refuse = || refusal::invalid(request.call, &message, "model", "model_not_found");
    deployments::find(model).map(|_| ()).ok_or_else(refuse)
}

fn unknown(request: &Request<'_>, id: &str) -> Answer {
    refusal::no_such(request.call, &format!("No assistant found with id '{id}'."))
}

// === impl Objects ===

impl Objects {
    /// The assistant, or 404.
    pub(super) fn assistant(&self, request: &Request<'_>, id: &str) -> Result<&Value, Answer> {
        self.assistants.get(id).ok_or_else(|| unknown(request, id))
    }
}
