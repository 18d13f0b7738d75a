//! The headers of good answers, as recorded in 2025 and 2026 (H7, H8).

use bytes::Bytes;
use hyper::StatusCode;

use crate::answer::Answer;
use crate::entropy;
use crate::exchange::Call;
use crate::hostile;
use crate::openai::deployments::Deployment;

pub(crate) const STRICT_TRANSPORT: (&str, &str) =
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload");
pub(crate) const NO_SNIFF: (&str, &str) = ("x-content-type-options", "nosniff");
pub(crate) const REGION: (&str, &str) = ("x-ms-region", "East US 2");

/// An answer of the front layer: it has an id and no more.
pub(crate) fn bare(call: &Call<'_>, status: StatusCode) -> Answer {
    let answer = Answer::new(status).header("apim-request-id", call.id.as_str());
    match call.header("x-ms-client-request-id") {
        Some(id) => answer.header("x-ms-client-request-id", id),
        None => answer,
    }
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
        .headers(hostile::HEADERS)
        .headers([
            ("azureml-model-session", "d20260330170902-0e618f323d34"),
            ("skip-error-remapping", "true"),
            ("x-accel-buffering", "no"),
            ("x-ms-is-spilled-over", "false"),
            ("x-ms-rai-invoked", "true"),
            ("x-ratelimit-abusepenalty-active", "False"),
            ("x-ratelimit-limit-requests", "120"),
            ("x-ratelimit-limit-tokens", "120000"),
            ("x-ratelimit-remaining-requests", "119"),
            ("x-ratelimit-remaining-tokens", "119986"),
            ("x-ratelimit-renewalperiod-requests", "60"),
            ("x-ratelimit-renewalperiod-tokens", "60"),
            ("x-ratelimit-reset-requests", "500"),
            ("x-ratelimit-reset-tokens", "7"),
        ])
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
