//! Documents, one by one: write, look up, count.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::search::schema::{Document, Index};
use crate::search::selection::Selection;
use crate::search::service::DOCUMENTS;
use crate::search::{Request, refusal, reply, vectors};

/// `POST …/docs/search.index`: upload, merge, mergeOrUpload, delete. 200 if all succeeded,
/// otherwise 207 (B1.17).
pub(super) fn index(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut body = request.json()?;
    let Some(Value::Array(actions)) = body.remove("value") else {
        let text = "The request is invalid. Details: actions : No indexing actions found in the request. Please include between 1 and 32000 indexing actions in your request.\r\n";
        return Err(refusal::bad_request(request.call, text));
    };
    let mut memory = request.azure.search.memory();
    if memory.documents() + actions.len() > DOCUMENTS {
        return Err(refusal::quota(request.call, "Document", "documents", DOCUMENTS));
    }
    let index = request.queried_mut(&mut memory)?;
    // Nothing is written if one action is malformed.
    let actions = actions
        .into_iter()
        .enumerate()
        .map(|(place, action)| Action::read(action, place, index))
        .collect::<Result<Vec<_>, String>>()
        .map_err(|text| refusal::bad_request(request.call, &text))?;

    let results: Vec<(String, u16)> =
        actions.into_iter().map(|action| (action.key.clone(), action.apply(index))).collect();
    let status =
        if results.iter().all(|(_, status)| *status < 300) { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let value = results
        .iter()
        .map(|(key, status)| {
            let good = *status < 300;
            let message = if good { Value::Null } else { json!("Document not found.") };
            json!({"key": key, "status": good, "errorMessage": message, "statusCode": status})
        })
        .collect();
    let kind = reply::versioned(request.call, "IndexResult");
    let context = format!("indexes('{}')/$metadata#Collection({kind})", request.name());
    let members = Map::from_iter([("value".to_owned(), Value::Array(value))]);
    Ok(reply::json(request.call, status, &context, members))
}

/// `GET …/docs('key')`.
pub(super) fn lookup(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let index = request.queried(&memory)?;
    let select = request.call.parameter("$select").unwrap_or_default();
    let selection = Selection::read(&select, index)
        .map_err(|problem| refusal::bad_expression(request.call, &problem, "$select"))?;
    let key = request.names.get(1).map_or("", String::as_str);
    let Some(Value::Object(document)) = index.documents.get(key) else {
        return Err(refusal::no_such_document(request.call));
    };
    let context = format!("indexes('{}')/$metadata#docs(*)/$entity", request.name());
    let members = selection.of(document);
    Ok(reply::json(request.call, StatusCode::OK, &context, members))
}

/// `GET …/docs/$count`: a bare number (H16).
pub(super) fn count(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let index = request.queried(&memory)?;
    let mark = if request.azure.options.count_with_bom { "\u{feff}" } else { "" };
    Ok(reply::text(request.call, format!("{mark}{}", index.documents.len())))
}

struct Action {
    kind: Kind,
    key: String,
    document: Document,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upload,
    Merge,
    MergeOrUpload,
    Delete,
}

impl Action {
    /// An error is the service's own text.
    fn read(action: Value, place: usize, index: &Index) -> Result<Self, String> {
        let invalid = |text: String| format!("The request is invalid. Details: {text}\r\n");
        let Value::Object(mut document) = action else {
            return Err(invalid("actions : An action must be an object.".to_owned()));
        };
        let kind = match document.remove("@search.action") {
            None => Kind::Upload,
            Some(name) => match name.as_str() {
                Some("upload") => Kind::Upload,
                Some("merge") => Kind::Merge,
                Some("mergeOrUpload") => Kind::MergeOrUpload,
                Some("delete") => Kind::Delete,
                _ => return Err(invalid(format!("actions : {place}: Invalid action {name}."))),
            },
        };
        for name in document.keys() {
            if index.field(name).is_none() {
                return Err(invalid(format!(
                    "parameters : The property '{name}' does not exist on type \
                     'search.documentFields'. Make sure to only use property names that are \
                     defined by the type."
                )));
            }
        }
        for (field, value) in &document {
            let length = value.as_array().map(Vec::len);
            match (vectors::dimensions(index, field), length) {
                (Some(expected), Some(given)) if expected != given => {
                    let problem = vectors::mismatch(field, expected, given);
                    return Err(invalid(format!("actions : {place}: {problem}")));
                }
                _ => {}
            }
        }
        let key = document.get(&index.key).and_then(Value::as_str);
        match key.filter(|key| !key.is_empty()) {
            Some(key) => Ok(Self { kind, key: key.to_owned(), document }),
            None => Err(invalid(format!("actions : {place}: Document key cannot be missing or empty."))),
        }
    }

    /// The status of this action alone.
    fn apply(self, index: &mut Index) -> u16 {
        match (self.kind, index.documents.get_mut(&self.key)) {
            (Kind::Delete, _) => {
                index.documents.shift_remove(&self.key);
                200
            }
            (Kind::Merge | Kind::MergeOrUpload, Some(Value::Object(old))) => {
                old.extend(self.document);
                200
            }
            (Kind::Merge, _) => 404,
            (Kind::Upload | Kind::MergeOrUpload, _) => {
                if index.put(self.document) {
                    201
                } else {
                    200
                }
            }
        }
    }
}
