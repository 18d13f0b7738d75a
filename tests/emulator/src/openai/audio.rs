//! Transcriptions and translations. Nobody listens: the text tells the upload's name, size and
//! digest, so that a test sees a file that was cut or changed on its way.

use serde_json::json;

use crate::answer::Answer;
use crate::openai::deployments::Deployment;
use crate::openai::{Body, Request, refusal, reply};

pub(super) fn transcribe(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    hear(request, deployment, "transcribe", "Transcript")
}

pub(super) fn translate(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    hear(request, deployment, "translate", "Translation")
}

fn hear(request: &Request<'_>, deployment: &Deployment, task: &str, title: &str) -> Result<Answer, Answer> {
    let Body::Form(form) = &request.body else {
        let text = "The request must be multipart/form-data.";
        return Err(refusal::bad_request(request.call, text));
    };
    let Some(file) = form.part("file") else {
        let text = "Missing required parameter: 'file'.";
        return Err(refusal::bad_request(request.call, text));
    };
    let text = format!("{title} of {}.", file.described());
    let answer =
        reply::model(request.call, deployment).header("csp-billing-usage", "CognitiveServices.OpenAI.Whisper=4");
    let plain = "text/plain; charset=utf-8";
    Ok(match form.text("response_format").unwrap_or("json") {
        "json" => answer.json(json!({"text": text}).to_string()),
        "verbose_json" => answer.json(
            json!({
                "task": task,
                "language": "english",
                "duration": 3.0,
                "text": text,
                "segments": [{
                    "id": 0, "seek": 0, "start": 0.0, "end": 3.0, "text": text, "tokens": [],
                    "temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0,
                    "no_speech_prob": 0.01,
                }],
            })
            .to_string(),
        ),
        "text" => answer.body(plain, format!("{text}\n")),
        "srt" => answer.body(plain, format!("1\n00:00:00,000 --> 00:00:03,000\n{text}\n\n\n")),
        "vtt" => answer.body(plain, format!("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\n{text}\n\n")),
        other => {
            let text = format!("'{other}' is not one of the supported response formats.");
            return Err(refusal::bad_request(request.call, &text));
        }
    })
}
