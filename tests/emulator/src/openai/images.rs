//! Images: at once, or the old way with an operation to poll. The pictures are one pixel each.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::deployments::Deployment;
use crate::openai::store::Objects;
use crate::openai::{Body, Request, chat, refusal, reply};
use crate::{clock, entropy, target};

const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAAAXNSR0IArs4c6QAAAARnQU1BAACxjwv8YQUAAAAJcEhZcwAAFiQAABYkAZsVxhQAAAAMSURBVBhXY2BgYAAAAAQAAVzN/2kAAAAASUVORK5CYII=";

/// How many pictures one request may ask for.
const LIMIT: u64 = 10;

pub(super) fn generate(request: &Request<'_>, _: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let prompt = prompt(request, body)?;
    Ok(pictures(request, prompt, count(body["n"].as_u64()), body["response_format"].as_str()))
}

/// A picture is uploaded; the revised prompt tells what arrived.
pub(super) fn edit(request: &Request<'_>, _: &'static Deployment) -> Result<Answer, Answer> {
    let missing = |part: &str| refusal::bad_request(request.call, &format!("Missing required parameter: '{part}'."));
    let Body::Form(form) = &request.body else {
        return Err(missing("image"));
    };
    let image = form.part("image").or_else(|| form.part("image[]")).ok_or_else(|| missing("image"))?;
    let prompt = form.text("prompt").ok_or_else(|| missing("prompt"))?;
    let prompt = format!("{prompt} ({})", image.described());
    let number = form.text("n").and_then(|number| number.parse().ok());
    Ok(pictures(request, &prompt, count(number), form.text("response_format")))
}

/// So many pictures in this format, each at a URL if there is none.
fn pictures(request: &Request<'_>, prompt: &str, count: u64, format: Option<&str>) -> Answer {
    let id = entropy::uuid();
    let data: Vec<Value> = (0..count)
        .map(|number| {
            let mut picture = match format {
                Some("b64_json") => json!({"b64_json": PIXEL}),
                _ => json!({"url": blob(&id, number)}),
            };
            picture["content_filter_results"] = chat::nothing_filtered();
            picture["prompt_filter_results"] = prompt_not_filtered();
            picture["revised_prompt"] = prompt.into();
            picture
        })
        .collect();
    let body = json!({"created": clock::unix_seconds(), "data": data});
    reply::image(request.call).header("content-type", "application/json").chunked(body.to_string())
}

fn prompt_not_filtered() -> Value {
    json!({
        "hate": {"filtered": false, "severity": "safe"},
        "profanity": {"detected": false, "filtered": false},
        "self_harm": {"filtered": false, "severity": "safe"},
        "sexual": {"filtered": false, "severity": "safe"},
        "violence": {"filtered": false, "severity": "safe"},
    })
}

/// `POST …/images/generations:submit`: 202 and where to ask for the result (H6).
pub(super) fn submit(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    prompt(request, body)?;
    // The number of pictures is in the id, so nothing needs to be remembered.
    let uuid = entropy::uuid();
    let id = format!("{}{:012}", &uuid[..24], count(body["n"].as_u64()));
    let version = request.call.parameter("api-version").unwrap_or_default();
    let location =
        format!("{}/openai/operations/images/{id}?api-version={}", request.call.origin, target::encode(&version));
    let body = json!({"id": id, "status": "notRunning"});
    Ok(reply::operation(request.call, StatusCode::ACCEPTED)
        .header("operation-location", location)
        .json(body.to_string()))
}

/// `GET /openai/operations/images/{id}`: the first poll says when to come again, and the next one has the pictures (H6).
pub(super) fn poll(request: &Request<'_>) -> Result<Answer, Answer> {
    let id = request.name(0);
    let count = id.get(24..).and_then(|count| count.parse::<u64>().ok());
    let Some(count) = count.filter(|count| (1..=LIMIT).contains(count)) else {
        return Err(refusal::not_found(request.call));
    };
    let created = clock::unix_seconds();
    if request.objects().image_begins(id) {
        let wait = request.azure.options.image_wait.as_secs().to_string();
        let body = json!({"created": created, "id": id, "status": "running"});
        return Ok(reply::operation(request.call, StatusCode::OK).header("retry-after", wait).json(body.to_string()));
    }
    let data: Vec<Value> = (0..count).map(|number| json!({"url": blob(id, number)})).collect();
    let body = json!({
        "created": created,
        "expires": created + 86_400,
        "id": id,
        "result": {"created": created, "data": data},
        "status": "succeeded",
    });
    Ok(reply::operation(request.call, StatusCode::OK).json(body.to_string()))
}

fn prompt<'a>(request: &Request<'_>, body: &'a Value) -> Result<&'a str, Answer> {
    let missing = || refusal::bad_request(request.call, "Missing required parameter: 'prompt'.");
    body["prompt"].as_str().ok_or_else(missing)
}

fn count(wanted: Option<u64>) -> u64 {
    wanted.unwrap_or(1).clamp(1, LIMIT)
}

/// A signed URL on another host: none of a gateway's business.
fn blob(id: &str, number: u64) -> String {
    format!(
        "https://dalleproduse.blob.core.windows.net/private/images/{id}/generated_{number:02}.png\
         ?se=2030-01-01T00%3A00%3A00Z&sig=none&sp=r&spr=https&sr=b&sv=2020-10-02"
    )
}

// === impl Objects ===

impl Objects {
    /// Whether an operation is polled for the first time, or again after its end.
    fn image_begins(&mut self, id: &str) -> bool {
        let begins = self.images.remove(id).is_none();
        if begins {
            self.images.insert(json!({"id": id}));
        }
        begins
    }
}
