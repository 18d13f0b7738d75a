//! Batches: many requests in a file, and their answers in another one. Every line is really answered, by what answers such
//! a request that comes alone. A batch moves on when somebody asks for it: validating, in progress, completed.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::files::File;
use crate::openai::operations::Needs;
use crate::openai::page::Page;
use crate::openai::store::Objects;
use crate::openai::{Body, Request, Surface, refusal, reply, route};
use crate::{clock, entropy};

/// What a batch can consist of.
const ENDPOINTS: [&str; 4] = ["/chat/completions", "/completions", "/embeddings", "/responses"];

const DAY: i64 = 86_400;

/// What went wrong with a file of requests: the code, the text, and the number of the line.
type Fault = (&'static str, String, Option<usize>);

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let call = request.call;
    let body = request.json()?;
    let text = |member: &str| body[member].as_str().ok_or_else(|| refusal::missing(call, member));
    let input = text("input_file_id")?;
    let endpoint = text("endpoint")?;
    let window = text("completion_window")?;
    // Azure shows the endpoint without what OpenAI has before it.
    let endpoint = endpoint.strip_prefix("/v1").unwrap_or(endpoint);
    if !ENDPOINTS.contains(&endpoint) {
        let message = format!("Invalid value: '{endpoint}'. Supported values are: {}.", quoted(&ENDPOINTS));
        return Err(refusal::invalid(call, &message, "endpoint", "invalid_value"));
    }
    if window != "24h" {
        let message = format!("Invalid value: '{window}'. Value must be '24h'.");
        return Err(refusal::invalid(call, &message, "completion_window", "invalid_value"));
    }
    let mut objects = request.objects();
    objects.file(request, input)?;
    let now = clock::unix_seconds();
    let id = format!("batch_{}", entropy::uuid());
    let batch = json!({
        "cancelled_at": null,
        "cancelling_at": null,
        "completed_at": null,
        "completion_window": window,
        "created_at": now,
        "error_file_id": "",
        "expired_at": null,
        "expires_at": now + DAY,
        "failed_at": null,
        "finalizing_at": null,
        "id": id,
        "in_progress_at": null,
        "input_file_id": input,
        "errors": null,
        "metadata": body["metadata"],
        "object": "batch",
        "output_file_id": "",
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "status": "validating",
        "endpoint": endpoint,
    });
    objects.batches.insert(batch.clone());
    Ok(show(request, &batch))
}

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let page = Page::of(request.call, request.objects().batches.iter())?;
    Ok(show(request, &page.list()))
}

/// Moves the batch on by one state.
pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut batch = find(&request.objects(), request)?;
    let now = clock::unix_seconds();
    match batch["status"].as_str().unwrap_or_default() {
        "validating" => match lines(request, &batch) {
            Ok(lines) => {
                batch["request_counts"]["total"] = lines.len().into();
                batch["in_progress_at"] = now.into();
                batch["status"] = "in_progress".into();
            }
            Err(fault) => fail(&mut batch, fault, now),
        },
        "in_progress" => match lines(request, &batch) {
            Ok(lines) => complete(request, &mut batch, lines, now),
            Err(fault) => fail(&mut batch, fault, now),
        },
        "cancelling" => {
            batch["cancelled_at"] = now.into();
            batch["error_file_id"] = Value::Null;
            batch["output_file_id"] = Value::Null;
            batch["status"] = "cancelled".into();
        }
        _ => {}
    }
    keep(request, &batch);
    Ok(show(request, &batch))
}

pub(super) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut batch = find(&request.objects(), request)?;
    let status = batch["status"].as_str().unwrap_or_default();
    if !["validating", "in_progress"].contains(&status) {
        let message = format!("Cannot cancel a batch with status '{status}'.");
        return Err(refusal::refuse(request.call, &message));
    }
    batch["cancelling_at"] = clock::unix_seconds().into();
    batch["status"] = "cancelling".into();
    keep(request, &batch);
    Ok(show(request, &batch))
}

fn find(objects: &Objects, request: &Request<'_>) -> Result<Value, Answer> {
    let id = request.name(0);
    let unknown = || refusal::no_such(request.call, &format!("No batch found with id '{id}'."));
    objects.batches.get(id).cloned().ok_or_else(unknown)
}

fn keep(request: &Request<'_>, batch: &Value) {
    if let Some(kept) = request.objects().batches.get_mut(request.name(0)) {
        kept.clone_from(batch);
    }
}

fn show(request: &Request<'_>, shown: &Value) -> Answer {
    reply::batch(request.call).body("application/json; charset=utf-8", indented(shown))
}

/// The requests of the batch, if its file has nothing else.
fn lines(request: &Request<'_>, batch: &Value) -> Result<Vec<Value>, Fault> {
    let id = batch["input_file_id"].as_str().unwrap_or_default();
    let content = request.objects().files.get(id).map(|file| file.content.clone());
    let Some(content) = content else {
        return Err(("invalid_file", format!("The input file {id} is not there any more."), None));
    };
    let text = String::from_utf8_lossy(&content);
    let mut lines: Vec<Value> = Vec::new();
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = Some(place + 1);
        let line: Value = serde_json::from_str(line)
            .map_err(|_| ("invalid_json_line", "This line is not parseable as valid JSON.".to_owned(), number))?;
        let url = line["url"].as_str().unwrap_or_default();
        if batch["endpoint"] != url.strip_prefix("/v1").unwrap_or(url) {
            let message = "The URL provided for this request does not match the batch endpoint.";
            return Err(("mismatched_url", message.to_owned(), number));
        }
        if !line["custom_id"].is_string() {
            return Err(("missing_required_parameter", "Missing required parameter: 'custom_id'.".to_owned(), number));
        }
        if lines.iter().any(|other| other["custom_id"] == line["custom_id"]) {
            let message = format!("The custom_id {} is not unique.", line["custom_id"]);
            return Err(("duplicate_custom_id", message, number));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err((
            "empty_file",
            "The input file is empty. Please ensure that the batch has requests.".to_owned(),
            None,
        ));
    }
    Ok(lines)
}

fn fail(batch: &mut Value, (code, message, line): Fault, now: i64) {
    let error = json!({"code": code, "message": message, "param": null, "line": line});
    batch["errors"] = json!({"object": "list", "data": [error]});
    batch["failed_at"] = now.into();
    batch["status"] = "failed".into();
}

/// Answers every line; what succeeded is in one file, what did not in another.
fn complete(request: &Request<'_>, batch: &mut Value, lines: Vec<Value>, now: i64) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for line in lines {
        let (status, body) = answer(request, &line);
        let response = json!({"body": body, "request_id": entropy::uuid(), "status_code": status.as_u16()});
        let answered = json!({"custom_id": line["custom_id"], "response": response, "error": null});
        if status.is_success() { good.push(answered) } else { bad.push(answered) }
    }
    batch["request_counts"]["completed"] = good.len().into();
    batch["request_counts"]["failed"] = bad.len().into();
    let mut objects = request.objects();
    batch["output_file_id"] = store(&mut objects, "output", &good);
    batch["error_file_id"] = store(&mut objects, "error", &bad);
    batch["finalizing_at"] = now.into();
    batch["completed_at"] = now.into();
    batch["status"] = "completed".into();
}

/// The answer to one line, as if it had come alone.
fn answer(request: &Request<'_>, line: &Value) -> (StatusCode, Value) {
    let url = line["url"].as_str().unwrap_or_default();
    let path = format!("openai/v1{}", url.strip_prefix("/v1").unwrap_or(url));
    let mut body = line["body"].clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("stream");
    }
    let name = body["model"].as_str().unwrap_or_default().to_owned();
    let alone = Request {
        azure: request.azure,
        call: request.call,
        names: Vec::new(),
        surface: Surface::V1,
        body: Body::Json(body),
    };
    let answer = match route::find_strictly(&Method::POST, &route::segments(&path)).map(|found| found.operation) {
        Some(operation) => match operation.needs {
            Needs::Deployment(kind, run) => {
                alone.deployment(&name, kind, operation.name).and_then(|deployment| run(&alone, deployment))
            }
            Needs::Objects(run) | Needs::Nothing(run) => run(&alone),
        },
        None => Err(refusal::not_found(request.call)),
    };
    let mut answer = answer.unwrap_or_else(|refusal| refusal);
    let body: Vec<Bytes> = answer.take_pieces().pieces.into();
    (answer.status, serde_json::from_slice(&body.concat()).unwrap_or_default())
}

/// The id of a file with these lines, if there are any.
fn store(objects: &mut Objects, what: &str, lines: &[Value]) -> Value {
    if lines.is_empty() {
        return Value::Null;
    }
    let content: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = File::new("batch_output", &format!("{what}.jsonl"), content.into());
    let id = file.shown["id"].clone();
    objects.keep(file);
    id
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}
