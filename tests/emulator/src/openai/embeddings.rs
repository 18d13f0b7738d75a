//! Embeddings: a vector of unit length that depends on the input and nothing else.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::answer::{Answer, indented};
use crate::openai::chat::words;
use crate::openai::deployments::Deployment;
use crate::openai::{Request, refusal, reply};

/// What text-embedding-3-small gives when nobody asks for less.
const DIMENSIONS: usize = 1536;

pub(super) fn run(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let body = request.json()?;
    let Some(inputs) = inputs(&body["input"]) else {
        let text = "Missing required parameter: 'input'.";
        return Err(refusal::bad_request(request.call, text));
    };
    let dimensions = body["dimensions"]
        .as_u64()
        .and_then(|dimensions| usize::try_from(dimensions).ok())
        .map_or(DIMENSIONS, |dimensions| dimensions.clamp(1, DIMENSIONS));
    let base64 = body["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, dimensions);
            let embedding = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|part| part.to_le_bytes()).collect();
                json!(BASE64_STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|input| words(input).max(1)).sum();
    let answer = json!({
        "object": "list",
        "data": data,
        "model": deployment.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    });
    Ok(reply::model(request.call, deployment).json(indented(&answer) + "\n"))
}

/// A text, texts, tokens or lists of tokens; tokens count as the text of their numbers.
fn inputs(input: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match input {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(parts) if parts.first().is_some_and(Value::is_number) => Some(vec![input.to_string()]),
        Value::Array(parts) => Some(parts.iter().map(one).collect()),
        _ => None,
    }
}

/// Numbers from the digest of the text and their position, scaled to length 1.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..)
        .flat_map(|block: u32| {
            let block = format!("{block}:{text}");
            let digest = digest::digest(&digest::SHA256, block.as_bytes());
            digest.as_ref().iter().map(|byte| f32::from(*byte) - 127.5).collect::<Vec<_>>()
        })
        .take(dimensions)
        .collect();
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    for part in &mut vector {
        *part /= length;
    }
    vector
}
