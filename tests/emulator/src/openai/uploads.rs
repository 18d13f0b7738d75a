//! Uploads: a file that comes in parts.

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::files::File;
use crate::openai::store::{Object, Objects};
use crate::openai::{Body, Request, refusal, reply};
use crate::{clock, entropy};

/// How long the parts may take, in seconds.
const LIFE: i64 = 7200;

/// A file in the making.
pub(crate) struct Upload {
    /// As it is shown.
    shown: Value,
    parts: Vec<(String, Bytes)>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    for member in ["filename", "purpose", "bytes", "mime_type"] {
        if body[member].is_null() {
            return Err(refusal::missing(request.call, member));
        }
    }
    let now = clock::unix_seconds();
    let shown = json!({
        "bytes": body["bytes"],
        "filename": body["filename"],
        "purpose": body["purpose"],
        "status": "pending",
        "expires_at": now + LIFE,
        "file": null,
        "id": format!("upload_{}", entropy::hexadecimal(32)),
        "created_at": now,
        "object": "upload",
    });
    request.objects().uploads.insert(Upload { shown: shown.clone(), parts: Vec::new() });
    Ok(reply::authoring(request.call, StatusCode::OK, &shown).header("location", request.location(shown.id())))
}

pub(super) fn add_part(request: &Request<'_>) -> Result<Answer, Answer> {
    let Body::Form(form) = &request.body else {
        return Err(refusal::missing(request.call, "data"));
    };
    let data = form.part("data").ok_or_else(|| refusal::missing(request.call, "data"))?;
    let id = format!("uplprt-{}", entropy::hexadecimal(32));
    let mut objects = request.objects();
    let upload = objects.pending(request)?;
    upload.parts.push((id.clone(), data.content.clone()));
    let part = json!({
        "upload_id": upload.id(),
        "azure_block_id": entropy::key(24),
        "id": id,
        "created_at": clock::unix_seconds(),
        "object": "upload.part",
    });
    Ok(reply::authoring(request.call, StatusCode::OK, &part))
}

/// The parts, in the order that is said, are a file.
pub(super) fn complete(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let wanted = body["part_ids"].as_array().ok_or_else(|| refusal::missing(request.call, "part_ids"))?;
    let mut objects = request.objects();
    let upload = objects.pending(request)?;
    let mut content = BytesMut::new();
    for id in wanted {
        let Some((_, part)) = upload.parts.iter().find(|(key, _)| id == key) else {
            return Err(refusal::refuse(request.call, &format!("No part found with id {id}.")));
        };
        content.extend_from_slice(part);
    }
    if upload.shown["bytes"] != content.len() {
        let message = format!("Expected {} bytes, but the parts have {}.", upload.shown["bytes"], content.len());
        return Err(refusal::refuse(request.call, &message));
    }
    let text = |member: &str| upload.shown[member].as_str().unwrap_or_default();
    let file = File::new(text("purpose"), text("filename"), content.freeze());
    upload.parts.clear();
    upload.shown["status"] = "completed".into();
    upload.shown["file"] = file.shown.clone();
    let shown = upload.shown.clone();
    objects.keep(file);
    Ok(reply::authoring(request.call, StatusCode::OK, &shown))
}

pub(super) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let upload = objects.pending(request)?;
    upload.parts.clear();
    upload.shown["status"] = "cancelled".into();
    Ok(reply::authoring(request.call, StatusCode::OK, &upload.shown))
}

// === impl Upload ===

impl Object for Upload {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The upload that the path names, if parts may still come.
    fn pending(&mut self, request: &Request<'_>) -> Result<&mut Upload, Answer> {
        let id = request.name(0);
        let unknown = || refusal::no_such(request.call, &format!("No upload found with id '{id}'."));
        let upload = self.uploads.get_mut(id).ok_or_else(unknown)?;
        if upload.shown["status"] != "pending" {
            let message = format!("Upload {id} has status {}.", upload.shown["status"]);
            return Err(refusal::refuse(request.call, &message));
        }
        Ok(upload)
    }
}
