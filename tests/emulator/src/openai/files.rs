//! Files. Two layers keep them, which answer differently (H6): those for assistants are OpenAI's own, the others Azure's.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::page::Page;
use crate::openai::store::{Object, Objects};
use crate::openai::{Body, Request, refusal, reply};
use crate::{clock, entropy};

/// All files together are at most so long, in bytes; the oldest make room.
const ROOM: usize = 512 << 20;

const PURPOSES: [&str; 6] = ["assistants", "batch", "evals", "fine-tune", "user_data", "vision"];

/// One file.
pub(crate) struct File {
    /// As it is shown.
    pub(super) shown: Value,
    pub(super) content: Bytes,
}

/// `POST /files`: 201 and its own URL, or 200 without one for an assistant's (H6).
pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let call = request.call;
    let Body::Form(form) = &request.body else {
        return Err(refusal::missing(call, "file"));
    };
    let part = form.part("file").ok_or_else(|| refusal::missing(call, "file"))?;
    let purpose = form.text("purpose").ok_or_else(|| refusal::missing(call, "purpose"))?;
    if !PURPOSES.contains(&purpose) {
        let message = format!("'{purpose}' is not one of {PURPOSES:?} - 'purpose'").replace('"', "'");
        return Err(refusal::invalid(call, &message, "purpose", "invalid_value"));
    }
    let file = File::new(purpose, part.file_name.as_deref().unwrap_or("file"), part.content.clone());
    let shown = file.shown.clone();
    request.objects().keep(file);
    let id = shown.id();
    Ok(if is_of_assistants(id) {
        of_assistants(request, StatusCode::OK, &shown)
    } else {
        reply::authoring(call, StatusCode::CREATED, &shown)
            .header("x-ms-middleware-request-id", entropy::uuid())
            .header("location", request.location(id))
    })
}

/// `GET /files`, of all purposes or of one.
pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let purpose = request.call.parameter("purpose");
    let objects = request.objects();
    let shown = objects.files.iter().map(|file| &file.shown);
    let wanted = shown.filter(|file| purpose.as_deref().is_none_or(|purpose| file["purpose"] == purpose));
    let Page { data, has_more } = Page::of(request.call, wanted)?;
    let list = json!({"has_more": has_more, "data": data, "object": "list"});
    Ok(reply::authoring(request.call, StatusCode::OK, &list))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    let objects = request.objects();
    let file = objects.file(request, id)?;
    Ok(if is_of_assistants(id) {
        of_assistants(request, StatusCode::OK, &file.shown)
    } else {
        reply::authoring(request.call, StatusCode::OK, &file.shown)
    })
}

pub(super) fn content(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    let objects = request.objects();
    let file = objects.file(request, id)?;
    if is_of_assistants(id) {
        let message = "Not allowed to download files of purpose: assistants";
        return Err(refusal::refuse(request.call, message));
    }
    let disposition = format!("attachment; filename=\"{}\"", file.shown["filename"].as_str().unwrap_or_default());
    Ok(reply::authoring_head(request.call, StatusCode::OK)
        .header("content-disposition", disposition)
        .header("content-type", "application/octet-stream")
        .chunked(file.content.clone()))
}

/// `DELETE /files/{id}`. Azure's own layer does not mind an unknown one, OpenAI's does (both seen).
pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    let deleted = request.objects().files.remove(id).is_some();
    let shown = json!({"object": "file", "deleted": deleted, "id": id});
    if !is_of_assistants(id) {
        let answer = reply::authoring(request.call, StatusCode::OK, &shown);
        return Ok(answer.header("x-envoy-upstream-service-time", "27"));
    }
    if !deleted {
        return Err(unknown(request, id));
    }
    Ok(of_assistants(request, StatusCode::OK, &shown))
}

fn is_of_assistants(id: &str) -> bool {
    id.starts_with("assistant-")
}

fn of_assistants(request: &Request<'_>, status: StatusCode, shown: &Value) -> Answer {
    reply::middleware(request.call, status).header("access-control-allow-origin", "*").json(indented(shown) + "\n")
}

fn unknown(request: &Request<'_>, id: &str) -> Answer {
    let message = format!("No such File object: {id}");
    let body = refusal::openai_body(&message, &json!("id"), &Value::Null);
    of_assistants(request, StatusCode::NOT_FOUND, &body)
}

// === impl File ===

impl File {
    pub(super) fn new(purpose: &str, name: &str, content: Bytes) -> Self {
        let (length, created_at) = (content.len(), clock::unix_seconds());
        let shown = if purpose == "assistants" {
            json!({
                "object": "file",
                "id": format!("assistant-{}", entropy::key(24)),
                "purpose": purpose,
                "filename": name,
                "bytes": length,
                "created_at": created_at,
                "status": "processed",
                "status_details": null,
            })
        } else {
            json!({
                "status": "processed",
                "bytes": length,
                "purpose": purpose,
                "filename": name,
                "id": format!("file-{}", entropy::hexadecimal(32)),
                "created_at": created_at,
                "object": "file",
            })
        };
        Self { shown, content }
    }
}

impl Object for File {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// Stores a file; the oldest make room.
    pub(super) fn keep(&mut self, file: File) {
        let mut length: usize = self.files.iter().map(|file| file.content.len()).sum::<usize>() + file.content.len();
        while length > ROOM {
            let Some(oldest) = self.files.iter().next().map(|oldest| oldest.id().to_owned()) else {
                break;
            };
            length -= self.files.remove(&oldest).map_or(0, |oldest| oldest.content.len());
        }
        self.files.insert(file);
    }

    /// The file, or 404.
    pub(super) fn file(&self, request: &Request<'_>, id: &str) -> Result<&File, Answer> {
        self.files.get(id).ok_or_else(|| unknown(request, id))
    }
}
