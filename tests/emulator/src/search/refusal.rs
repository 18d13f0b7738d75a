//! Azure AI Search's errors, in its own bytes (B1; H13 to H15 where they know better).

use hyper::{Method, StatusCode};
use serde_json::{Map, json};

use super::service::SERVICE_NAME;
use crate::answer::{Answer, nested_error};
use crate::exchange::Call;
use crate::options::{SearchBearerRefusal, SearchKeyRefusal, SearchNoCredential, SearchRoleRefusal};
use crate::search::reply::{self, STRICT_TRANSPORT};

/// What can be asked for by name: rows of B1 with their variants, and statuses of B1.17.
pub(crate) const NAMES: &[&str] = &[
    "B1.1",
    "B1.2",
    "B1.3",
    "B1.3-401",
    "B1.4",
    "B1.4-http403",
    "B1.5",
    "B1.5-text",
    "B1.5-challenge",
    "B1.6",
    "B1.7",
    "B1.8",
    "B1.9",
    "B1.9-documents",
    "B1.9-old",
    "B1.10",
    "B1.11",
    "B1.12",
    "B1.12-audience",
    "B1.13",
    "B1.14",
    "B1.14-429",
    "B1.15",
    "B1.16",
    "document-missing",
    "206",
    "207",
    "402",
    "413",
    "415",
    "500",
    "502",
];

const WRONG_KEY: &str = "The given API key doesn't match service's internal, primary or secondary keys.";
/// No commas between the parts: not what the RFC wants, but what the service sends.
const CHALLENGE: &str = r#"Bearer realm="Azure Cognitive Search" error="invalid_token" error_description="Authentication token failed validation.""#;
const PRECONDITION: &str = "The precondition given in one of the request headers evaluated to false. No change was made to the resource from this request.";
const THROTTLED: &str = "Failed to execute request. Reduce the rate of requests, or adjust the number of replicas/partitions. See http://aka.ms/azure-search-throttling for more information.";

/// An error with the usual envelope and an empty code.
pub(super) fn error(call: &Call<'_>, status: StatusCode, message: &str) -> Answer {
    with_body(call, status, nested_error("", message))
}

fn with_body(call: &Call<'_>, status: StatusCode, body: String) -> Answer {
    empty(call, status).header("content-language", "en").body("application/json; charset=utf-8", body)
}

/// An error without a body: without a content type, too.
fn empty(call: &Call<'_>, status: StatusCode) -> Answer {
    reply::with_ids(Answer::new(status), call).headers([
        ("cache-control", "no-cache,no-store"),
        ("expires", "-1"),
        ("pragma", "no-cache"),
        STRICT_TRANSPORT,
    ])
}

/// B1.1: a wrong key, and a query key where an admin key is wanted.
pub(super) fn wrong_key(call: &Call<'_>) -> Answer {
    error(call, StatusCode::FORBIDDEN, WRONG_KEY)
}

/// B1.2.
pub(super) fn admin_key_in_query(call: &Call<'_>) -> Answer {
    let text = "The given API key is not permitted in the URI query string.";
    error(call, StatusCode::FORBIDDEN, text)
}

/// B1.3.
pub(super) fn no_credential(call: &Call<'_>, form: SearchNoCredential) -> Answer {
    match form {
        SearchNoCredential::Empty403 => empty(call, StatusCode::FORBIDDEN),
        SearchNoCredential::Empty401 => empty(call, StatusCode::UNAUTHORIZED),
    }
}

/// B1.4.
pub(super) fn bad_token(call: &Call<'_>, form: SearchBearerRefusal) -> Answer {
    match form {
        SearchBearerRefusal::Challenge401 => challenge(call),
        SearchBearerRefusal::Json403 => role_missing(call, SearchRoleRefusal::Json403),
    }
}

fn challenge(call: &Call<'_>) -> Answer {
    empty(call, StatusCode::UNAUTHORIZED).header("www-authenticate", CHALLENGE)
}

/// B1.5.
pub(super) fn keys_disabled(call: &Call<'_>, form: SearchKeyRefusal) -> Answer {
    match form {
        SearchKeyRefusal::Empty403 => empty(call, StatusCode::FORBIDDEN),
        SearchKeyRefusal::Text403 => wrong_key(call),
        SearchKeyRefusal::Challenge401 => challenge(call),
    }
}

/// B1.6, B1.7, B1.8.
pub(super) fn role_missing(call: &Call<'_>, form: SearchRoleRefusal) -> Answer {
    match form {
        SearchRoleRefusal::Json403 => error(call, StatusCode::FORBIDDEN, "Authorization failed."),
        SearchRoleRefusal::Empty403 => empty(call, StatusCode::FORBIDDEN),
        SearchRoleRefusal::Text403 => {
            let text = format!(
                "CheckAccess API call with non successful response. StatusCode: Forbidden Body:  \
                 Correlation Id: {}",
                call.id
            );
            empty(call, StatusCode::FORBIDDEN).body("text/plain; charset=utf-8", text)
        }
    }
}

/// B1.9 in its form of 2025; DELETE has other words than GET (H14).
pub(super) fn no_such_index(call: &Call<'_>, method: &Method, name: &str) -> Answer {
    let message = missing_index(method, name);
    let body = json!({"error": {
        "code": "OperationNotAllowed",
        "message": message,
        "details": [{"code": "IndexNotFoundInService", "message": message}],
    }});
    with_body(call, StatusCode::NOT_FOUND, body.to_string())
}

/// B1.9 as it was until 2022.
pub(super) fn no_such_index_then(call: &Call<'_>, method: &Method, name: &str) -> Answer {
    error(call, StatusCode::NOT_FOUND, &missing_index(method, name))
}

fn missing_index(method: &Method, name: &str) -> String {
    let service = if *method == Method::DELETE { "a service named" } else { "the service" };
    format!("No index with the name '{name}' was found in {service} '{SERVICE_NAME}'.")
}

/// What the layer of documents says of an index that is not there (Azure-Samples/azure-search-openai-demo#79).
pub(super) fn index_not_served(call: &Call<'_>, name: &str) -> Answer {
    let text = format!("The index '{name}' for service '{SERVICE_NAME}' was not found.");
    error(call, StatusCode::NOT_FOUND, &text)
}

/// An index cannot be changed while it is in use.
pub(super) fn index_downtime(call: &Call<'_>, name: &str) -> Answer {
    let text = format!(
        "An index with the name '{name}' in service '{SERVICE_NAME}' could not be updated. Index update not allowed \
         because it would cause downtime. In order to add new analyzers, tokenizers, token filters, or character filters \
         to an existing index, set the 'allowIndexDowntime' query parameter to 'true' in the index update request. Note \
         that this operation will put your index offline for at least a few seconds, causing your indexing and query \
         requests to fail. Performance and write availability of the index can be impaired for several minutes after the \
         index is updated, or longer for very large indexes."
    );
    bad_request(call, &text)
}

/// B1.15: not for a retry, whatever its status.
pub(super) fn quota(call: &Call<'_>, title: &str, collection: &str, quota: usize) -> Answer {
    let text = format!(
        "{title} quota of {quota} has been exceeded for this service. You must either delete unused {collection} or \
         upgrade the service to a higher tier."
    );
    error(call, StatusCode::TOO_MANY_REQUESTS, &text)
}

/// An error of the newer kind: a code of its own, and another for its one detail.
pub(super) fn coded(call: &Call<'_>, code: &str, detail: &str, message: &str) -> Answer {
    let body = json!({"error": {"code": code, "message": message, "details": [{"code": detail, "message": message}]}});
    with_body(call, StatusCode::BAD_REQUEST, body.to_string())
}

/// B1.10 and its kin.
pub(super) fn bad_request(call: &Call<'_>, message: &str) -> Answer {
    error(call, StatusCode::BAD_REQUEST, message)
}

/// B1.10: `parameter` is what the service calls it, `$filter`.
pub(super) fn bad_expression(call: &Call<'_>, problem: &str, parameter: &str) -> Answer {
    let text = format!("Invalid expression: {problem}\r\nParameter name: {parameter}");
    bad_request(call, &text)
}

/// B1.11.
pub(super) fn api_version(call: &Call<'_>) -> Answer {
    bad_request(call, "Invalid or missing api-version query string parameter")
}

/// B1.13: always the same 160 bytes (H17).
pub(super) fn precondition(call: &Call<'_>) -> Answer {
    error(call, StatusCode::PRECONDITION_FAILED, PRECONDITION)
}

/// A missing document: no body, no content type (H15).
pub(super) fn no_such_document(call: &Call<'_>) -> Answer {
    empty(call, StatusCode::NOT_FOUND)
}

/// A path that is no operation.
pub(super) fn no_such_path(call: &Call<'_>) -> Answer {
    empty(call, StatusCode::NOT_FOUND)
}

/// A knowledge base of which a source has failed (B1.17; the body is UNSURE).
fn partial_content(call: &Call<'_>) -> Answer {
    let members = Map::from_iter([
        ("response".to_owned(), json!([{"content": [{"type": "text", "text": "[]"}]}])),
        (
            "activity".to_owned(),
            json!([{"type": "searchIndex", "id": 0, "error": {"code": "Timeout", "message": "The source did not answer."}}]),
        ),
        ("references".to_owned(), json!([])),
    ]);
    let kind = reply::core_type(call, "Agents.AgentRetrievalResponse");
    reply::json(call, StatusCode::PARTIAL_CONTENT, &format!("$metadata#{kind}"), members)
}

/// Documents of which one could not be written (B1.17).
fn multi_status(call: &Call<'_>) -> Answer {
    let value = json!([
        {"key": "1", "status": true, "errorMessage": null, "statusCode": 201},
        {"key": "2", "status": false, "errorMessage": "Document not found.", "statusCode": 404},
    ]);
    let kind = reply::versioned(call, "IndexResult");
    let context = format!("indexes('hotels')/$metadata#Collection({kind})");
    reply::json(call, StatusCode::MULTI_STATUS, &context, Map::from_iter([("value".to_owned(), value)]))
}

/// Answers by name.
pub(super) fn on_demand(name: &str, call: &Call<'_>) -> Option<Answer> {
    Some(match name {
        "B1.1" => wrong_key(call),
        "B1.2" => admin_key_in_query(call),
        "B1.3" => no_credential(call, SearchNoCredential::Empty403),
        "B1.3-401" => no_credential(call, SearchNoCredential::Empty401),
        "B1.4" => bad_token(call, SearchBearerRefusal::Challenge401),
        "B1.4-http403" => bad_token(call, SearchBearerRefusal::Json403),
        "B1.5" => keys_disabled(call, SearchKeyRefusal::Empty403),
        "B1.5-text" => keys_disabled(call, SearchKeyRefusal::Text403),
        "B1.5-challenge" => keys_disabled(call, SearchKeyRefusal::Challenge401),
        "B1.6" => role_missing(call, SearchRoleRefusal::Empty403),
        "B1.7" => role_missing(call, SearchRoleRefusal::Json403),
        "B1.8" => role_missing(call, SearchRoleRefusal::Text403),
        "B1.9" => no_such_index(call, &call.method, "hotels"),
        "B1.9-documents" => index_not_served(call, "hotels"),
        "B1.9-old" => no_such_index_then(call, &call.method, "hotels"),
        "B1.10" => bad_expression(call, "Syntax error at position 7 in 'This is not a valid filter.'.", "$filter"),
        "B1.11" => api_version(call),
        "B1.12" => bad_request(call, "Invalid header: 'x-ms-query-source-authorization'"),
        "B1.12-audience" => bad_request(call, "Audience claim is invalid in the JWT token."),
        "B1.13" => precondition(call),
        "B1.14" => error(call, StatusCode::SERVICE_UNAVAILABLE, THROTTLED),
        "B1.14-429" => error(call, StatusCode::TOO_MANY_REQUESTS, THROTTLED),
        "B1.15" => quota(call, "Skillset", "skillsets", 3),
        "B1.16" => bad_request(call, &format!("The search service '{SERVICE_NAME}' is disabled.")),
        "206" => partial_content(call),
        "207" => multi_status(call),
        // UNSURE: the documentation has the status alone.
        "402" => error(call, StatusCode::PAYMENT_REQUIRED, "The free monthly quota of semantic queries is used up."),
        "413" => empty(call, StatusCode::PAYLOAD_TOO_LARGE),
        // UNSURE: the documentation has the status alone.
        "415" => error(call, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type of the request is not supported."),
        "502" => {
            Answer::new(StatusCode::BAD_GATEWAY).body("text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")
        }
        "document-missing" => no_such_document(call),
        "500" => error(call, StatusCode::INTERNAL_SERVER_ERROR, "An error has occurred."),
        _ => return None,
    })
}
