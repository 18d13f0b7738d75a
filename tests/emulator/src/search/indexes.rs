//! Index definitions: list, create, get, put, delete.

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::search::entity::{self, Words};
use crate::search::schema::Index;
use crate::search::service::OBJECTS;
use crate::search::{Request, refusal, reply};

const INDEXES: Words = Words { collection: "indexes", noun: "index" };

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    Ok(entity::listed(request, &INDEXES, memory.indexes.values().map(|index| &index.object)))
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = entity::name_in(request, &INDEXES, &definition)?;
    let mut memory = request.azure.search.memory();
    if memory.indexes.contains_key(&name) {
        return Err(entity::already_there(request, &INDEXES, &name));
    }
    check_quota(request, memory.indexes.len())?;
    let index = define(request, &name, &definition)?;
    let answer = entity::created(request, &INDEXES, &name, &index.object);
    memory.indexes.insert(name, index);
    Ok(answer)
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    Ok(entity::shown(request, &INDEXES, StatusCode::OK, &request.index(&memory)?.object))
}

/// Creates or replaces; an index that is replaced keeps its documents.
pub(super) fn put(request: &Request<'_>) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = entity::name_in(request, &INDEXES, &definition)?;
    let mut memory = request.azure.search.memory();
    let old = memory.indexes.get(&name);
    entity::check_preconditions(request, old.map(|old| &old.object))?;
    let mut index = define(request, &name, &definition)?;
    let answer = if let Some(old) = old {
        if needs_downtime(old, &index) && request.call.parameter("allowIndexDowntime").as_deref() != Some("true") {
            return Err(refusal::index_downtime(request.call, &name));
        }
        index.documents = old.documents.clone();
        entity::replaced(request, &INDEXES, &index.object)
    } else {
        check_quota(request, memory.indexes.len())?;
        entity::created(request, &INDEXES, &name, &index.object)
    };
    memory.indexes.insert(name, index);
    Ok(answer)
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut memory = request.azure.search.memory();
    entity::check_preconditions(request, memory.indexes.get(request.name()).map(|old| &old.object))?;
    match memory.indexes.remove(request.name()) {
        Some(_) => Ok(reply::no_content(request.call)),
        None => Err(request.no_such_index()),
    }
}

fn define(request: &Request<'_>, name: &str, definition: &Map<String, Value>) -> Result<Index, Answer> {
    Index::define(name, definition).map_err(|text| refusal::bad_request(request.call, &text))
}

fn check_quota(request: &Request<'_>, count: usize) -> Result<(), Answer> {
    if count < OBJECTS { Ok(()) } else { Err(refusal::quota(request.call, "Index", "indexes", OBJECTS)) }
}

/// New parts of analyzers can be added to an index only while it stands still.
fn needs_downtime(old: &Index, new: &Index) -> bool {
    ["analyzers", "tokenizers", "tokenFilters", "charFilters"].iter().any(|member| {
        let parts = |index: &Index| index.object.definition.get(*member).and_then(Value::as_array).cloned();
        let (old, new) = (parts(old).unwrap_or_default(), parts(new).unwrap_or_default());
        new.iter().any(|part| !old.contains(part))
    })
}
