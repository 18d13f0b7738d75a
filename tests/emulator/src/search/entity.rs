//! What all named objects of the service have in common, indexes among them: an etag, preconditions, and the answers that
//! show one, several, or a new one (H11, H13, H17).

use hyper::StatusCode;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::search::{Request, refusal, reply};
use crate::{clock, target};

/// An object as it is stored.
pub(super) struct Object {
    /// As the service gives it back, without `@odata.etag`.
    pub(super) definition: Map<String, Value>,
    /// With its quotes, as it stands in the header.
    pub(super) etag: String,
    /// What has happened to it, the newest first: only indexers have a history.
    pub(super) history: Vec<Value>,
}

/// What a request calls an object, and where its kind stands.
pub(super) struct Words {
    /// Of the path: `datasources`.
    pub(super) collection: &'static str,
    /// In a refusal: `data source`.
    pub(super) noun: &'static str,
}

impl Object {
    pub(super) fn new(definition: Map<String, Value>) -> Self {
        Self { definition, etag: format!("\"0x{:X}\"", clock::ticks()), history: Vec::new() }
    }

    /// The text of a member of its definition.
    pub(super) fn text(&self, member: &str) -> &str {
        text(&self.definition, member)
    }

    fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("@odata.etag".to_owned(), Value::from(self.etag.as_str()));
        members.extend(self.definition.clone());
        members
    }
}

/// The text of a member, or an empty one.
pub(super) fn text<'a>(members: &'a Map<String, Value>, member: &str) -> &'a str {
    members.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The service never tells what it was told in confidence: connection strings are null, keys a word (B3).
pub(super) fn hide_secrets(definition: &mut Map<String, Value>) {
    for (name, value) in definition {
        match (name.as_str(), &mut *value) {
            ("connectionString" | "applicationSecret", secret) => *secret = Value::Null,
            ("apiKey", secret) if secret.is_string() => *secret = Value::from("<redacted>"),
            (_, Value::Object(members)) => hide_secrets(members),
            (_, Value::Array(values)) => values.iter_mut().filter_map(Value::as_object_mut).for_each(hide_secrets),
            _ => {}
        }
    }
}

/// The name in a definition: lower-case letters, digits and dashes. Where the path has one, too, they must agree.
pub(super) fn name_in(request: &Request<'_>, words: &Words, definition: &Map<String, Value>) -> Result<String, Answer> {
    let Words { noun, .. } = words;
    let mut title = (*noun).to_owned();
    title.get_mut(..1).map(str::make_ascii_uppercase);
    let name = text(definition, "name");
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let dashed = name.starts_with('-') || name.ends_with('-');
    if !(2..=128).contains(&name.len()) || !name.bytes().all(legal) || dashed {
        let text = format!(
            "The request is invalid. Details: {noun} : Invalid {noun} name: {title} name must only contain lowercase \
             letters, digits or dashes, cannot start or end with dashes and is limited to 128 characters.\r\n"
        );
        return Err(refusal::bad_request(request.call, &text));
    }
    if request.names.first().is_some_and(|wanted| wanted != name) {
        let text = format!(
            "The request is invalid. Details: {noun} : The {noun} name in the URL does not match the {noun} name in \
             the request body.\r\n"
        );
        return Err(refusal::bad_request(request.call, &text));
    }
    Ok(name.to_owned())
}

/// B1.13.
pub(super) fn check_preconditions(request: &Request<'_>, object: Option<&Object>) -> Result<(), Answer> {
    let etag = object.map(|object| object.etag.as_str());
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

/// What would be there already.
pub(super) fn already_there(request: &Request<'_>, words: &Words, name: &str) -> Answer {
    let text = format!("Cannot create {} '{name}' because it already exists.", words.noun);
    refusal::error(request.call, StatusCode::CONFLICT, &text)
}

/// All objects of a kind, or of each what `$select` names.
pub(super) fn listed<'a>(request: &Request<'_>, words: &Words, objects: impl Iterator<Item = &'a Object>) -> Answer {
    let select = request.call.parameter("$select");
    let context = match &select {
        Some(select) => format!("$metadata#{}({select})", words.collection),
        None => format!("$metadata#{}", words.collection),
    };
    let wanted: Option<Vec<&str>> = select.as_ref().map(|select| select.split(',').map(str::trim).collect());
    let all = objects.map(|object| {
        let mut members = object.members();
        if let Some(wanted) = &wanted {
            members.retain(|name, _| wanted.contains(&name.as_str()) || wanted.contains(&"*"));
        }
        Value::Object(members)
    });
    let members = Map::from_iter([("value".to_owned(), all.collect())]);
    reply::json(request.call, StatusCode::OK, &context, members)
}

/// One object.
pub(super) fn shown(request: &Request<'_>, words: &Words, status: StatusCode, object: &Object) -> Answer {
    let context = format!("$metadata#{}/$entity", words.collection);
    reply::json(request.call, status, &context, object.members()).header("etag", object.etag.as_str())
}

/// 201, with the URL of what is new: it names its port, even the one that need not be named (H11).
pub(super) fn created(request: &Request<'_>, words: &Words, name: &str, object: &Object) -> Answer {
    let version = request.call.parameter("api-version").unwrap_or_default();
    let origin = &request.call.origin;
    let named = origin.rsplit(':').next().is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    let port = if named { "" } else { ":443" };
    let location = format!("{origin}{port}/{}('{name}')?api-version={}", words.collection, target::encode(&version));
    shown(request, words, StatusCode::CREATED, object).header("location", location)
}

/// 200 or 204: a client that wants to see the new definition says so.
pub(super) fn replaced(request: &Request<'_>, words: &Words, object: &Object) -> Answer {
    let prefer = request.call.header("prefer").unwrap_or_default();
    if prefer.contains("return=representation") {
        shown(request, words, StatusCode::OK, object)
    } else {
        reply::no_content(request.call)
    }
}
