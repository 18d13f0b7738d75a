//! Speech: bytes that depend on the text and sound like nothing.

use aws_lc_rs::digest;

use crate::answer::Answer;
use crate::openai::deployments::Deployment;
use crate::openai::{Request, refusal, reply};

/// Bytes of "audio" for each byte of text.
const DENSITY: usize = 100;

pub(super) fn speak(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let Some(text) = body["input"].as_str() else {
        return Err(refusal::bad_request(request.call, "Missing required parameter: 'input'."));
    };
    let content_type = match body["response_format"].as_str().unwrap_or("mp3") {
        "mp3" => "audio/mpeg",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        _ => "audio/pcm",
    };
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let noise = digest.as_ref().iter().copied().cycle().take(text.len() * DENSITY);
    let audio: Vec<u8> = noise.collect();
    Ok(reply::model(request.call, deployment).header("content-type", content_type).chunked(audio))
}
