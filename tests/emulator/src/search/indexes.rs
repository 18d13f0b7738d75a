//! Index definitions: list, create, get, put, delete.

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::search::service::Index;
use crate::search::{Request, refusal, reply};
use crate::target;

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let select = request.call.parameter("$select");
    let context = match &select {
        Some(select) => format!("$metadata#indexes({select})"),
        None => "$metadata#indexes".to_owned(),
    };
    let indexes = request.azure.search.indexes();
    let all: Vec<Value> = indexes
        .values()
        .map(|index| {
            let mut members = with_etag(index);
            if let Some(select) = &select {
                let wanted: Vec<&str> = select.split(',').map(str::trim).collect();
                members.retain(|name, _| wanted.contains(&name.as_str()));
            }
            Value::Object(members)
        })
        .collect();
    let members = Map::from_iter([("value".to_owned(), Value::Array(all))]);
    Ok(reply::json(request, StatusCode::OK, &context, members))
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = name_in(request, &definition)?;
    let mut indexes = request.azure.search.indexes();
    if indexes.contains_key(&name) {
        let text = format!("Cannot create index '{name}' because it already exists.");
        return Err(refusal::error(request.call, StatusCode::CONFLICT, &text));
    }
    let index = define(request, &name, &definition)?;
    let answer = show_new(request, &name, &index);
    indexes.insert(name, index);
    Ok(answer)
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let indexes = request.azure.search.indexes();
    let index = request.index_in(&indexes)?;
    Ok(show(request, StatusCode::OK, index))
}

/// Creates or replaces; an index that is replaced keeps its documents.
pub(super) fn put(request: &Request<'_>) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = name_in(request, &definition)?;
    if name != request.index() {
        let text = "The request is invalid. Details: index : The index name in the URL does not match the index name in the request body.\r\n";
        return Err(refusal::bad_request(request.call, text));
    }
    let mut indexes = request.azure.search.indexes();
    let old = indexes.get(&name);
    check_preconditions(request, old)?;
    let mut index = define(request, &name, &definition)?;
    let Some(old) = old else {
        let answer = show_new(request, &name, &index);
        indexes.insert(name, index);
        return Ok(answer);
    };
    index.documents = old.documents.clone();
    let prefer = request.call.header("prefer").unwrap_or_default();
    let answer = if prefer.contains("return=representation") {
        show(request, StatusCode::OK, &index)
    } else {
        reply::no_content(request.call)
    };
    indexes.insert(name, index);
    Ok(answer)
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut indexes = request.azure.search.indexes();
    let old = indexes.get(request.index());
    check_preconditions(request, old)?;
    match indexes.remove(request.index()) {
        Some(_) => Ok(reply::no_content(request.call)),
        None => Err(refusal::no_such_index(request.call, request.index())),
    }
}

fn define(request: &Request<'_>, name: &str, definition: &Map<String, Value>) -> Result<Index, Answer> {
    Index::define(name, definition).map_err(|text| refusal::bad_request(request.call, &text))
}

/// The name in a definition: lower-case letters, digits and dashes.
fn name_in(request: &Request<'_>, definition: &Map<String, Value>) -> Result<String, Answer> {
    let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (2..=128).contains(&name.len()) && name.bytes().all(legal) {
        return Ok(name.to_owned());
    }
    let text = "The request is invalid. Details: index : Invalid index name: Index name must only contain lowercase letters, digits or dashes, cannot start or end with dashes and is limited to 128 characters.\r\n";
    Err(refusal::bad_request(request.call, text))
}

/// B1.13.
fn check_preconditions(request: &Request<'_>, index: Option<&Index>) -> Result<(), Answer> {
    let etag = index.map(|index| index.etag.as_str());
    let names = |header: &str| {
        header
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| (tag == "*" && etag.is_some()) || Some(tag) == etag)
    };
    let matched = request.call.header("if-match").is_none_or(names);
    let unmatched = request.call.header("if-none-match").is_none_or(|header| !names(header));
    if matched && unmatched { Ok(()) } else { Err(refusal::precondition(request.call)) }
}

fn show(request: &Request<'_>, status: StatusCode, index: &Index) -> Answer {
    reply::json(request, status, "$metadata#indexes/$entity", with_etag(index)).header("etag", index.etag.as_str())
}

/// 201, with the URL of what is new.
fn show_new(request: &Request<'_>, name: &str, index: &Index) -> Answer {
    let version = request.call.parameter("api-version").unwrap_or_default();
    let location = format!("{}/indexes('{name}')?api-version={}", request.call.origin, target::encode(&version));
    show(request, StatusCode::CREATED, index).header("location", location)
}

fn with_etag(index: &Index) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("@odata.etag".to_owned(), Value::from(index.etag.as_str()));
    members.extend(index.definition.clone());
    members
}
