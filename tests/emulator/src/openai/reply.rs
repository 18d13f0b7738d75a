//! The headers of good answers, as recorded in 2025 and 2026 (H7, H8).

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;

use crate::answer::Answer;
use crate::entropy;
use crate::exchange::Call;
use crate::hostile;
use crate::openai::deployments::Deployment;

pub(crate) const STRICT_TRANSPORT: (&str, &str) =
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload");
pub(crate) const NO_SNIFF: (&str, &str) = ("x-content-type-options", "nosniff");
pub(crate) const REGION: (&str, &str) = ("x-ms-region", "East US 2");
const VERSIONS: &str = "2022-12-01,2023-03-15-preview,2023-05-15,2023-06-01-preview,2023-07-01-preview,2023-08-01-preview,2023-09-01-preview,2023-10-01-preview,2023-12-01-preview,2024-02-01,2024-02-15-preview,2024-03-01-preview,2024-04-01-preview,2024-04-15-preview,2024-05-01-preview,2024-06-01,2024-07-01-preview,2024-08-01-preview,2024-09-01-preview,2024-10-01-preview,2024-10-21,2024-11-01-preview,2024-12-01-preview,2025-01-01-preview,2025-02-01-preview,2025-03-01-preview";

pub(crate) const RATE_LIMITS: [(&str, &str); 9] = [
    ("x-ratelimit-abusepenalty-active", "False"),
    ("x-ratelimit-limit-requests", "120"),
    ("x-ratelimit-limit-tokens", "120000"),
    ("x-ratelimit-remaining-requests", "119"),
    ("x-ratelimit-remaining-tokens", "119986"),
    ("x-ratelimit-renewalperiod-requests", "60"),
    ("x-ratelimit-renewalperiod-tokens", "60"),
    ("x-ratelimit-reset-requests", "500"),
    ("x-ratelimit-reset-tokens", "7"),
];

/// An answer of the front layer: it has an id and no more.
pub(crate) fn bare(call: &Call<'_>, status: StatusCode) -> Answer {
    let answer = Answer::new(status).header("apim-request-id", call.id.as_str());
    match call.header("x-ms-client-request-id") {
        Some(id) => answer.header("x-ms-client-request-id", id),
        None => answer,
    }
}

/// What the client calls its request, or else what we call it (H7).
pub(crate) fn client_id<'c>(call: &'c Call<'_>) -> &'c str {
    call.header("x-ms-client-request-id").unwrap_or(&call.id)
}

/// An answer of the API layer.
pub(crate) fn api(call: &Call<'_>, status: StatusCode) -> Answer {
    bare(call, status).headers([STRICT_TRANSPORT, NO_SNIFF, REGION])
}

/// An answer of a model, without its body.
pub(crate) fn model(call: &Call<'_>, deployment: &Deployment) -> Answer {
    api(call, StatusCode::OK)
        .header("x-ms-deployment-name", deployment.name)
        .header("x-request-id", entropy::uuid())
        .headers(RATE_LIMITS)
        .headers(hostile::HEADERS)
        .headers([
            ("azureml-model-session", "d20260330170902-0e618f323d34"),
            ("skip-error-remapping", "true"),
            ("x-accel-buffering", "no"),
            ("x-ms-is-spilled-over", "false"),
            ("x-ms-rai-invoked", "true"),
        ])
}

/// Pictures, without their body (oai-images-net-04).
pub(crate) fn image(call: &Call<'_>) -> Answer {
    api(call, StatusCode::OK)
        .headers(hostile::HEADERS)
        .headers([("x-envoy-upstream-service-time", "8264"), ("x-ratelimit-remaining-requests", "2")])
}

/// An operation that is polled (oai-images-net-01 to -03), without its body.
pub(crate) fn operation(call: &Call<'_>, status: StatusCode) -> Answer {
    api(call, status)
        .header("x-ms-request-id", call.id.as_str())
        .headers([("openai-processing-ms", "28.2422"), ("x-envoy-upstream-service-time", "18")])
}

/// The layer that keeps files, uploads and fine-tuning jobs: compact, chunked, with all api-versions that it knows (H6).
pub(crate) fn authoring(call: &Call<'_>, status: StatusCode, body: &Value) -> Answer {
    authoring_head(call, status).header("content-type", "application/json; charset=utf-8").chunked(body.to_string())
}

/// The same, of something else than JSON.
pub(crate) fn authoring_head(call: &Call<'_>, status: StatusCode) -> Answer {
    api(call, status).header("api-supported-versions", VERSIONS)
}

/// What OpenAI itself keeps, behind a layer of Azure's: assistants, threads, vector stores, and their files.
pub(crate) fn middleware(call: &Call<'_>, status: StatusCode) -> Answer {
    api(call, status).header("x-ms-middleware-request-id", entropy::uuid()).header("x-request-id", entropy::uuid())
}

/// The layer of batches, without its body.
pub(crate) fn batch(call: &Call<'_>) -> Answer {
    api(call, StatusCode::OK).header("mise-correlation-id", entropy::uuid()).headers([
        ("request-context", "appId="),
        ("vary", "Accept-Encoding"),
        ("x-aml-cluster", "vienna-eastus2-01"),
        ("x-ms-response-type", "standard"),
        ("x-request-time", "0.024"),
    ])
}

/// A new response, without its body; `streaming` is `True` or `False`.
pub(crate) fn response(call: &Call<'_>, deployment: &Deployment, streaming: &str) -> Answer {
    api(call, StatusCode::OK).headers(RATE_LIMITS).headers(hostile::HEADERS).headers([
        ("azureai-fe-is-streaming", streaming),
        ("azureai-fe-offer-type", "paygo"),
        ("skip-error-remapping", "true"),
        ("x-ms-aoai-configured-data-retention-days", "30"),
        ("x-ms-is-spilled-over", "false"),
        ("x-ms-served-model", deployment.model),
        ("x-ratelimit-key", deployment.name),
    ])
}

/// What is said of a stored response, without its body.
pub(crate) fn stored(call: &Call<'_>, status: StatusCode) -> Answer {
    middleware(call, status).headers([
        ("openai-organization", "redacted"),
        ("openai-processing-ms", "62"),
        ("openai-version", "2020-10-01"),
    ])
}

/// One frame of a stream that names its events (H9).
pub(crate) fn frame(event: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {event}\ndata: {data}\n\n"))
}

/// A model's event stream: each of `events`, then `[DONE]` (H9).
pub(crate) fn event_stream(call: &Call<'_>, deployment: &Deployment, events: &[serde_json::Value]) -> Answer {
    let frames = events
        .iter()
        .map(|event| Bytes::from(format!("data: {event}\n\n")))
        .chain([Bytes::from_static(b"data: [DONE]\n\n")])
        .collect();
    model(call, deployment)
        .header("content-type", "text/event-stream; charset=utf-8")
        .header("azureai-fe-is-streaming", "True")
        .events(frames)
}
