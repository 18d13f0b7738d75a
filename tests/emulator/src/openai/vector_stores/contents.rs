//! The files of a vector store, one by one and in batches.

use serde_json::{Value, json};

use super::VectorStore;
use crate::answer::Answer;
use crate::openai::assistants::show;
use crate::openai::page::Page;
use crate::openai::store::{Object, Objects};
use crate::openai::{Request, refusal};
use crate::{clock, entropy};

/// Files that were added together.
pub(super) struct Batch {
    /// As it is shown.
    shown: Value,
    files: Vec<String>,
}

pub(in crate::openai) fn add(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let id = body["file_id"].as_str().ok_or_else(|| refusal::missing(request.call, "file_id"))?;
    let mut objects = request.objects();
    let length = objects.file(request, id)?.content.len();
    let file = objects.vector_store(request)?.add(id, length, body);
    Ok(show(request, &file))
}

pub(in crate::openai) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    let all: Vec<&Value> = store.files.iter().collect();
    page(request, &all)
}

pub(in crate::openai) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    store.finish();
    Ok(show(request, store.file(request)?))
}

pub(in crate::openai) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let attributes = request.json()?["attributes"].clone();
    let mut objects = request.objects();
    let file = objects.vector_store(request)?.file(request)?;
    file["attributes"] = attributes;
    Ok(show(request, file))
}

pub(in crate::openai) fn content(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    objects.vector_store(request)?.file(request)?;
    let paragraphs = super::paragraphs(&objects.file(request, request.name(1))?.content);
    let data: Vec<Value> = paragraphs.iter().map(|text| json!({"type": "text", "text": text})).collect();
    let page = json!({
        "object": "vector_store.file_content.page",
        "data": data,
        "has_more": false,
        "next_page": null,
    });
    Ok(show(request, &page))
}

/// Takes a file out of the store; the file itself stays.
pub(in crate::openai) fn remove(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(1);
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    store.file(request)?;
    store.files.remove(id);
    store.count();
    Ok(show(request, &json!({"id": id, "object": "vector_store.file.deleted", "deleted": true})))
}

pub(in crate::openai) fn add_batch(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let mut objects = request.objects();
    let files = lengths(request, &objects, &body["file_ids"])?;
    if files.is_empty() {
        return Err(refusal::missing(request.call, "file_ids"));
    }
    let store = objects.vector_store(request)?;
    for (id, length) in &files {
        store.add(id, *length, body);
    }
    let shown = json!({
        "id": format!("vsfb_{}", entropy::hexadecimal(32)),
        "object": "vector_store.file_batch",
        "created_at": clock::unix_seconds(),
        "status": "in_progress",
        "vector_store_id": store.id(),
        "file_counts": {"in_progress": files.len(), "completed": 0, "failed": 0, "cancelled": 0, "total": files.len()},
    });
    let files = files.into_iter().map(|(id, _)| id).collect();
    store.batches.insert(Batch { shown: shown.clone(), files });
    Ok(show(request, &shown))
}

pub(in crate::openai) fn get_batch(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    store.finish();
    Ok(show(request, &store.batch(request)?.shown))
}

/// What is not completed yet is given up.
pub(in crate::openai) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    let batch = store.batch(request)?;
    if batch.shown["status"] == "in_progress" {
        let files = batch.files.clone();
        batch.end("cancelled");
        for id in files {
            if let Some(file) = store.files.get_mut(&id).filter(|file| file["status"] == "in_progress") {
                file["status"] = "cancelled".into();
            }
        }
        store.count();
    }
    Ok(show(request, &store.batch(request)?.shown))
}

pub(in crate::openai) fn list_batch(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    let wanted = store.batch(request)?.files.clone();
    let files: Vec<&Value> = store.files.iter().filter(|file| wanted.iter().any(|id| id == file.id())).collect();
    page(request, &files)
}

/// The files that are named, and how long they are; or 404.
pub(super) fn lengths(request: &Request<'_>, objects: &Objects, ids: &Value) -> Result<Vec<(String, usize)>, Answer> {
    let ids = ids.as_array().into_iter().flatten().filter_map(Value::as_str);
    ids.map(|id| objects.file(request, id).map(|file| (id.to_owned(), file.content.len()))).collect()
}

/// A page of `files`, of all states or of one.
fn page(request: &Request<'_>, files: &[&Value]) -> Result<Answer, Answer> {
    let state = request.call.parameter("filter");
    let wanted = files.iter().copied().filter(|file| state.as_deref().is_none_or(|state| file["status"] == state));
    Ok(show(request, &Page::of(request.call, wanted)?.list()))
}

// === impl VectorStore ===

impl VectorStore {
    /// A file in this store, in progress; as it is shown.
    pub(super) fn add(&mut self, id: &str, length: usize, body: &Value) -> Value {
        let or = |member: &str, default: Value| if body[member].is_null() { default } else { body[member].clone() };
        let usual = json!({"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}});
        let file = json!({
            "id": id,
            "object": "vector_store.file",
            "usage_bytes": length,
            "created_at": clock::unix_seconds(),
            "vector_store_id": self.id(),
            "status": "in_progress",
            "last_error": null,
            "chunking_strategy": or("chunking_strategy", usual),
            "attributes": or("attributes", json!({})),
        });
        self.files.remove(id);
        self.files.insert(file.clone());
        self.count();
        file
    }

    /// What is in progress is completed.
    pub(super) fn finish(&mut self) {
        for file in self.files.iter_mut().filter(|file| file["status"] == "in_progress") {
            file["status"] = "completed".into();
        }
        for batch in self.batches.iter_mut().filter(|batch| batch.shown["status"] == "in_progress") {
            batch.end("completed");
        }
        self.count();
    }

    fn count(&mut self) {
        let mut counts = json!({"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0});
        let mut length = 0;
        for file in self.files.iter() {
            for member in [file["status"].as_str().unwrap_or_default(), "total"] {
                counts[member] = (counts[member].as_u64().unwrap_or_default() + 1).into();
            }
            length += file["usage_bytes"].as_u64().unwrap_or_default();
        }
        self.shown["status"] = if counts["in_progress"] == 0 { "completed".into() } else { "in_progress".into() };
        self.shown["file_counts"] = counts;
        self.shown["usage_bytes"] = length.into();
    }

    /// The file that the path names, or 404.
    fn file(&mut self, request: &Request<'_>) -> Result<&mut Value, Answer> {
        let (store, id) = (request.name(0), request.name(1));
        let unknown =
            || refusal::no_such(request.call, &format!("No file found with id '{id}' in vector store '{store}'."));
        self.files.get_mut(id).ok_or_else(unknown)
    }

    /// The batch that the path names, or 404.
    fn batch(&mut self, request: &Request<'_>) -> Result<&mut Batch, Answer> {
        let id = request.name(1);
        let unknown = || refusal::no_such(request.call, &format!("No file batch found with id '{id}'."));
        self.batches.get_mut(id).ok_or_else(unknown)
    }
}

// === impl Batch ===

impl Batch {
    /// All its files get to this state.
    fn end(&mut self, state: &str) {
        self.shown["status"] = state.into();
        self.shown["file_counts"]["in_progress"] = 0.into();
        self.shown["file_counts"][state] = self.files.len().into();
    }
}

impl Object for Batch {
    fn shown(&self) -> &Value {
        &self.shown
    }
}
