//! What models answer: chats, texts, vectors, speech, and what they hear.

use aws_lc_rs::digest;
use azure_emulator::Plane;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bench::{Bench, CHAT, HALLO};

#[tokio::test]
async fn chat_repeats_what_was_said() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-ms-deployment-name"), Some("gpt-4o"));
    assert_eq!(reply.header("content-encoding"), None);
    let body = reply.json();
    assert_eq!(body["choices"][0]["message"]["content"], "You said “Hallo” to gpt-4o. ✓ Zürich");
    assert_eq!(body["usage"]["prompt_tokens"], 1);

    let entry = bench.entry(|entry| entry.plane == Plane::OpenAi && entry.ended).await;
    assert_eq!(entry.operation, Some("chat-completions"));
    assert_eq!(entry.subject.as_deref(), Some("gpt-4o"));
    assert_eq!(entry.principal, Some(bench.emulator.app().object_id));
    assert_eq!(entry.status, Some(200));
    assert!(entry.completed && entry.body_whole && !entry.cancelled);
    assert_eq!(entry.violation, None);
}

#[tokio::test]
async fn the_v1_and_foundry_paths_take_the_model_from_the_body() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}"#;
    for target in [
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions?api-version=preview",
        "/models/chat/completions?api-version=2024-05-01-preview",
        "//openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
    ] {
        let reply = bench.openai("POST", target).bearer(&token).body(body).send().await;
        assert_eq!(reply.status, 200, "{target}");
    }
}

#[tokio::test]
async fn a_chat_stream_has_azures_frames() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let mut body: Value = serde_json::from_str(HALLO).expect("JSON");
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let reply = bench.openai("POST", CHAT).bearer(&token).body(body.to_string()).send().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let frames = reply.events();
    let (done, frames) = frames.split_last().expect("frames");
    assert_eq!(*done, "[DONE]");
    let frames: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(frame).expect("JSON")).collect();
    assert_eq!(frames[0]["choices"], json!([]));
    assert!(frames[0]["prompt_filter_results"].is_array());
    let content: String = frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "You said “Hallo” to gpt-4o. ✓ Zürich");
    let last = frames.last().expect("the usage frame");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 1);
}

#[tokio::test]
async fn completions_whole_and_streamed() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let target = "/openai/deployments/gpt-35-turbo-instruct/completions?api-version=2023-05-15";
    let ask = |body: &'static str| bench.openai("POST", target).bearer(&token).body(body).send();
    let whole = ask(r#"{"prompt":"Once"}"#).await.json();
    let text = "You said “Once” to gpt-35-turbo-instruct. ✓ Zürich";
    assert_eq!(whole["choices"][0]["text"], text);
    let streamed = ask(r#"{"prompt":["Once"],"stream":true}"#).await;
    let pieces = streamed.events().into_iter().filter_map(|frame| {
        let frame: Value = serde_json::from_str(frame).ok()?;
        frame["choices"][0]["text"].as_str().map(str::to_owned)
    });
    assert_eq!(pieces.collect::<String>(), text);
}

#[tokio::test]
async fn embeddings_are_the_same_in_both_encodings() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let target = "/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21";
    let ask = |body: Value| bench.openai("POST", target).bearer(&token).body(body.to_string()).send();
    let floats = ask(json!({"input": ["a", "b"], "dimensions": 8})).await.json();
    assert_eq!(floats["data"].as_array().map(Vec::len), Some(2));
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
    let coded = ask(json!({"input": "a", "dimensions": 8, "encoding_format": "base64"}));
    let coded = coded.await.json();
    let bytes = coded["data"][0]["embedding"].as_str().expect("a text");
    let bytes = BASE64_STANDARD.decode(bytes).expect("base64");
    let decoded: Vec<f32> =
        bytes.chunks_exact(4).map(|part| f32::from_le_bytes(part.try_into().expect("four bytes"))).collect();
    let plain: Vec<f32> = serde_json::from_value(floats["data"][0]["embedding"].clone()).expect("numbers");
    assert_eq!(decoded, plain);
    let whole = ask(json!({"input": "a"})).await.json();
    assert_eq!(whole["data"][0]["embedding"].as_array().map(Vec::len), Some(1536));
}

#[tokio::test]
async fn a_transcript_tells_what_arrived() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let audio = vec![0x55; 300_000];
    let hash: String =
        digest::digest(&digest::SHA256, &audio).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let form = |format: &str| {
        let mut form = format!(
            "--XX\r\nContent-Disposition: form-data; name=\"response_format\"\r\n\r\n{format}\r\n\
             --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        )
        .into_bytes();
        form.extend(&audio);
        form.extend(b"\r\n--XX--\r\n");
        form
    };
    let ask = |path: &str, body: Vec<u8>| {
        let target = format!("/openai/deployments/whisper/audio/{path}?api-version=2024-10-21");
        bench
            .openai("POST", &target)
            .bearer(&token)
            .header("content-type", "multipart/form-data; boundary=XX")
            .body(body)
            .send()
    };
    let text = format!("Transcript of a.wav: 300000 bytes, sha256 {hash}.");
    assert_eq!(ask("transcriptions", form("json")).await.json()["text"], text);
    let plain = ask("transcriptions", form("text")).await;
    assert_eq!(plain.text(), format!("{text}\n"));
    let srt = ask("transcriptions", form("srt")).await;
    assert_eq!(srt.text(), format!("1\n00:00:00,000 --> 00:00:03,000\n{text}\n\n\n"));
    let translation = ask("translations", form("verbose_json")).await.json();
    assert_eq!(translation["task"], "translate");
    let cut = form("json")[..200_000].to_vec();
    assert_eq!(ask("transcriptions", cut).await.status, 400);
}

#[tokio::test]
async fn speech_depends_on_the_text() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let target = "/openai/deployments/tts/audio/speech?api-version=2024-10-21";
    let ask = |text: &str| {
        let body = json!({"input": text, "voice": "alloy"}).to_string();
        bench.openai("POST", target).bearer(&token).body(body).send()
    };
    let (hello, hallo) = (ask("Hello").await, ask("Hallo").await);
    assert_eq!(hello.header("content-type"), Some("audio/mpeg"));
    assert_eq!(hello.body.len(), 500);
    assert_ne!(hello.body, hallo.body);
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let ask = |target: &'static str| bench.openai("GET", target).bearer(&token).send();
    let list = ask("/openai/models?api-version=2024-10-21").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(7));
    let one = ask("/openai/v1/models/gpt-4o").await.json();
    assert_eq!(one["id"], "gpt-4o-2024-11-20");
    assert_eq!(ask("/openai/v1/models/gpt-9").await.status, 404);
}
