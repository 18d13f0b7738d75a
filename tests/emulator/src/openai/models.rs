//! The models that the deployments run.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::deployments::{DEPLOYMENTS, Deployment, Kind};
use crate::openai::{Request, reply};

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let models: Vec<Value> = DEPLOYMENTS.iter().map(describe).collect();
    let body = json!({"data": models, "object": "list"});
    Ok(reply::api(request.call, StatusCode::OK).json(indented(&body) + "\n"))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let name = request.name(0);
    let found = DEPLOYMENTS.iter().find(|deployment| deployment.model == name || deployment.name == name);
    match found {
        Some(deployment) => Ok(reply::api(request.call, StatusCode::OK).json(indented(&describe(deployment)) + "\n")),
        None => {
            let body = json!({"error": {
                "message": format!("The model '{name}' does not exist"),
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }});
            Err(reply::api(request.call, StatusCode::NOT_FOUND).json(indented(&body) + "\n"))
        }
    }
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
