//! Vector stores: files that can be searched. Whatever is in progress is completed when somebody asks for it. Relevance is
//! the share of the query's words that a paragraph has.

pub(super) mod contents;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::assistants::show;
use crate::openai::page::Page;
use crate::openai::store::{Collection, Object, Objects};
use crate::openai::{Request, refusal};
use crate::{clock, entropy};

use contents::Batch;

const DAY: i64 = 86_400;

/// How many results there are if nobody says how many.
const RESULTS: u64 = 10;

/// A store, and which files are in it.
pub(crate) struct VectorStore {
    /// As it is shown.
    shown: Value,
    files: Collection<Value>,
    batches: Collection<Batch>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let mut objects = request.objects();
    let files = contents::lengths(request, &objects, &body["file_ids"])?;
    let mut store = VectorStore::of(body);
    for (id, length) in files {
        store.add(&id, length, body);
    }
    let shown = store.shown.clone();
    objects.vector_stores.insert(store);
    Ok(show(request, &shown))
}

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let page = Page::of(request.call, request.objects().vector_stores.iter().map(Object::shown))?;
    Ok(show(request, &page.list()))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    store.finish();
    Ok(show(request, &store.shown))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    for member in ["name", "metadata", "expires_after"] {
        if let Some(value) = body.get(member) {
            store.shown[member] = value.clone();
        }
    }
    Ok(show(request, &store.shown))
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    request.objects().vector_stores.remove(id).ok_or_else(|| unknown(request))?;
    Ok(show(request, &json!({"id": id, "object": "vector_store.deleted", "deleted": true})))
}

/// The paragraphs that have words of the query, the best first.
pub(super) fn search(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let queries = match &body["query"] {
        Value::String(query) => vec![query.as_str()],
        Value::Array(queries) => queries.iter().filter_map(Value::as_str).collect(),
        _ => return Err(refusal::missing(request.call, "query")),
    };
    let words: Vec<String> = queries.iter().flat_map(|query| query.split_whitespace()).map(str::to_lowercase).collect();
    let least = body["ranking_options"]["score_threshold"].as_f64().unwrap_or_default();
    let mut objects = request.objects();
    let store = objects.vector_store(request)?;
    store.finish();
    let files: Vec<Value> = store.files.iter().cloned().collect();
    let mut found = Vec::new();
    for (file, stored) in files.iter().filter_map(|file| Some((file, objects.files.get(file.id())?))) {
        for paragraph in paragraphs(&stored.content) {
            let score = score(&paragraph, &words);
            if score > 0.0 && score >= least {
                found.push(json!({
                    "file_id": file["id"],
                    "filename": stored.shown["filename"],
                    "score": score,
                    "attributes": file["attributes"],
                    "content": [{"type": "text", "text": paragraph}],
                }));
            }
        }
    }
    let of = |result: &Value| result["score"].as_f64().unwrap_or_default();
    found.sort_by(|one, other| of(other).total_cmp(&of(one)));
    let most = body["max_num_results"].as_u64().unwrap_or(RESULTS);
    found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let page = json!({
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": found,
        "has_more": false,
        "next_page": null,
    });
    Ok(show(request, &page))
}

/// What stands between empty lines.
fn paragraphs(content: &Bytes) -> Vec<String> {
    let text = String::from_utf8_lossy(content).replace("\r\n", "\n");
    text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).map(str::to_owned).collect()
}

/// Between 0 and 1.
fn score(paragraph: &str, words: &[String]) -> f64 {
    let paragraph = paragraph.to_lowercase();
    let hits: f64 = words.iter().map(|word| if paragraph.contains(word.as_str()) { 1.0 } else { 0.0 }).sum();
    let all: f64 = words.iter().map(|_| 1.0).sum();
    if all > 0.0 { hits / all } else { 0.0 }
}

fn unknown(request: &Request<'_>) -> Answer {
    refusal::no_such(request.call, &format!("No vector store found with id '{}'.", request.name(0)))
}

// === impl VectorStore ===

impl VectorStore {
    /// A new one, without files.
    fn of(body: &Value) -> Self {
        let now = clock::unix_seconds();
        let expires_at = body["expires_after"]["days"].as_i64().map(|days| now + days * DAY);
        let shown = json!({
            "id": format!("vs_{}", entropy::key(24)),
            "object": "vector_store",
            "created_at": now,
            "name": body["name"],
            "usage_bytes": 0,
            "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
            "status": "completed",
            "expires_after": body["expires_after"],
            "expires_at": expires_at,
            "last_active_at": now,
            "metadata": if body["metadata"].is_null() { json!({}) } else { body["metadata"].clone() },
        });
        Self { shown, files: Collection::default(), batches: Collection::default() }
    }
}

impl Object for VectorStore {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The store that the path names first, or 404.
    fn vector_store(&mut self, request: &Request<'_>) -> Result<&mut VectorStore, Answer> {
        self.vector_stores.get_mut(request.name(0)).ok_or_else(|| unknown(request))
    }
}
