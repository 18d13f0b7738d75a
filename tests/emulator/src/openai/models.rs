//! The models that the deployments run, and those that fine-tuning has made.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::clock;
use crate::openai::deployments::{DEPLOYMENTS, Deployment, Kind};
use crate::openai::{Request, refusal, reply};

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut models: Vec<Value> = DEPLOYMENTS.iter().map(describe).collect();
    models.extend(request.objects().models.iter().cloned());
    let body = json!({"data": models, "object": "list"});
    Ok(reply::api(request.call, StatusCode::OK).json(indented(&body) + "\n"))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let name = request.name(0);
    let deployed = DEPLOYMENTS.iter().find(|deployment| deployment.model == name || deployment.name == name);
    let found = deployed.map(describe).or_else(|| request.objects().models.get(name).cloned());
    let found = found.ok_or_else(|| unknown(request))?;
    Ok(reply::api(request.call, StatusCode::OK).json(indented(&found) + "\n"))
}

/// Only what fine-tuning has made can be deleted.
pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let name = request.name(0);
    request.objects().models.remove(name).ok_or_else(|| unknown(request))?;
    let body = json!({"id": name, "object": "model", "deleted": true});
    Ok(reply::api(request.call, StatusCode::OK).json(indented(&body) + "\n"))
}

/// A model that fine-tuning has made of `base`.
pub(super) fn fine_tuned(name: &str, base: &str) -> Value {
    json!({
        "status": "succeeded",
        "model": base,
        "capabilities": {
            "fine_tune": false, "inference": true, "completion": false, "chat_completion": true, "embeddings": false,
        },
        "lifecycle_status": "generally-available",
        "deprecation": {"inference": 1_798_761_600},
        "id": name,
        "created_at": clock::unix_seconds(),
        "object": "model",
    })
}

fn unknown(request: &Request<'_>) -> Answer {
    let message = format!("The model '{}' does not exist", request.name(0));
    let body = refusal::openai_body(&message, &json!("model"), &json!("model_not_found"));
    reply::api(request.call, StatusCode::NOT_FOUND).json(indented(&body) + "\n")
}

fn describe(deployment: &Deployment) -> Value {
    let kind = deployment.kind;
    json!({
        "status": "succeeded",
        "capabilities": {
            "fine_tune": false,
            "inference": true,
            "completion": kind == Kind::Completion,
            "chat_completion": kind == Kind::Chat,
            "embeddings": kind == Kind::Embedding,
        },
        "lifecycle_status": "generally-available",
        "deprecation": {"inference": 1_798_761_600},
        "id": deployment.model,
        "created_at": 1_732_060_800,
        "updated_at": 1_732_060_800,
        "object": "model",
    })
}
