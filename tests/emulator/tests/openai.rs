//! Azure OpenAI: what models answer, and refusals; what is stored has a file for each kind.

mod assistants;
mod batches;
mod files;
mod responses;
mod runs;
mod world;

use aws_lc_rs::digest;
use azure_emulator::{Cloud, Door, Fault, FixedTokens, Options, Plane, Role, UnknownDeployment};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bench::{Bench, CHAT, HALLO, OPENAI_SCOPE, SEARCH_SCOPE};

const WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
const FLAT: &str = r#"{ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired." }"#;
const KEYS_DISABLED: &str = r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#;
const NOT_FOUND: &str = r#"{"error":{"code":"404","message": "Resource not found"}}"#;

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
async fn images_come_at_once_or_by_an_operation() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let ask =
        |target: &'static str, body: Value| bench.openai("POST", target).bearer(&token).body(body.to_string()).send();
    let target = "/openai/deployments/dall-e-3/images/generations?api-version=2024-10-21";
    let coded = ask(target, json!({"prompt": "a cat", "response_format": "b64_json"})).await.json();
    let picture = coded["data"][0]["b64_json"].as_str().expect("a text");
    assert!(BASE64_STANDARD.decode(picture).expect("base64").starts_with(b"\x89PNG"));
    assert_eq!(coded["data"][0]["revised_prompt"], "a cat");

    let target = "/openai/images/generations:submit?api-version=2023-06-01-preview";
    let accepted = ask(target, json!({"prompt": "a cat", "n": 2})).await;
    assert_eq!(accepted.status, 202);
    let location = accepted.header("operation-location").expect("a URL");
    let poll = location.strip_prefix(&bench.emulator.openai(Door::Behind)).expect("our own URL");
    let poll = || bench.openai("GET", poll).bearer(&token).send();
    let running = poll().await;
    assert_eq!((&running.json()["status"], running.header("retry-after")), (&json!("running"), Some("5")));
    let done = poll().await;
    assert_eq!(done.header("retry-after"), None);
    let done = done.json();
    assert_eq!((&done["status"], &done["id"]), (&json!("succeeded"), &accepted.json()["id"]));
    assert_eq!(done["result"]["data"].as_array().map(Vec::len), Some(2));
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

#[tokio::test]
async fn keys_are_refused_wherever_they_stand() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let key = bench.emulator.keys().openai;
    let by_query = format!("{CHAT}&api-key={key}");
    for ask in [
        bench.openai("POST", CHAT).header("api-key", &key),
        bench.openai("POST", CHAT).header("api-key", &key).bearer(&token),
        bench.openai("POST", CHAT).header("Ocp-Apim-Subscription-Key", &key),
        bench.openai("POST", &by_query),
    ] {
        let reply = ask.body(HALLO).send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (403, KEYS_DISABLED));
        assert_eq!(reply.body.len(), 116);
    }
}

#[tokio::test]
async fn a_bad_token_gets_the_flat_body_and_six_headers() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let good = bench.openai_token().await;
    let for_search = bench.token(&app, SEARCH_SCOPE).await;
    let next = |name| bench.emulator.next(Plane::Entra, Fault::named(name), 1);
    next("expired-token").expect("known");
    let expired = bench.openai_token().await;
    next("wrong-audience").expect("known");
    let elsewhere = bench.openai_token().await;
    let reply = bench.openai("POST", CHAT).bearer(&good).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    bench.emulator.revoke_tokens();
    for token in [&good, &for_search, &expired, &elsewhere, "garbage"] {
        let reply = bench.openai("POST", CHAT).bearer(token).body(HALLO).send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, FLAT));
        assert_eq!(reply.body.len(), 161);
        assert_eq!(reply.reason, None);
        assert_eq!(reply.header("x-ms-client-request-id"), Some("Not-Set"));
        assert_eq!(
            reply.names(),
            [
                "apim-request-id",
                "content-length",
                "content-type",
                "date",
                "strict-transport-security",
                "x-content-type-options",
                "x-ms-client-request-id"
            ]
        );
    }
    let reply = bench.openai("POST", CHAT).body(HALLO).send().await;
    assert_eq!(reply.text(), FLAT);
    // Of these only "garbage" was a violation: the others were issued here.
    assert_eq!(bench.emulator.journal().violations().len(), 1);
}

#[tokio::test]
async fn a_missing_role_is_a_401() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let token = bench.openai_token().await;
    bench.emulator.set_role(&app.object_id, Role::OpenAiUser, false);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"error":{{"code":"PermissionDenied","message":"The principal `{}` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to perform `POST /openai/deployments/{{deployment-id}}/chat/completions` operation."}}}}"#,
            app.object_id
        )
    );
    bench.emulator.set_role(&app.object_id, Role::OpenAiUser, true);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_unknown_deployment_has_two_forms() {
    let target = CHAT.replace("gpt-4o", "nope");
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", &target).bearer(&token).body(HALLO).send().await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (404, 254));
    assert_eq!(reply.header("content-type"), None);
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.json()["error"]["code"], "DeploymentNotFound");

    let bench = Bench::with(Options { unknown_deployment: UnknownDeployment::Until2024, ..Options::default() }).await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", &target).bearer(&token).body(HALLO).send().await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (404, 198));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn paths_and_versions_are_checked() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let ask = |target: &'static str| bench.openai("POST", target).bearer(&token).body(HALLO).send();
    for target in [
        "/openai/deployments/gpt-4o/chat/completions",
        "/openai/deployments/gpt-4o/chat/completions?api-version=yesterday",
        "/openai/deployments/gpt-4o/chat?api-version=2024-10-21",
        "/openai/Deployments/gpt-4o/chat/completions?api-version=2024-10-21",
    ] {
        let reply = ask(target).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (404, NOT_FOUND), "{target}");
    }
    let reply = ask("/openai/v1/chat/completions?api-version=2024-10-21").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["message"], "API version not supported");
    let reply = ask("/openai/deployments/whisper/chat/completions?api-version=2024-10-21").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["code"], "OperationNotSupported");
}

#[tokio::test]
async fn with_keys_enabled_a_legacy_client_works() {
    let bench = Bench::start().await;
    let base = bench.emulator.openai(Door::KeysEnabled);
    let key = bench.emulator.keys().openai;
    let token = bench.openai_token().await;
    let v1 = "/openai/v1/chat/completions";
    let body = r#"{"model":"gpt-4o","messages":[]}"#;
    let ask = |target| bench.ask("POST", &base, target).body(body);

    assert_eq!(ask(CHAT).header("api-key", &key).send().await.status, 200);
    assert_eq!(ask(CHAT).bearer(&token).send().await.status, 200);
    assert_eq!(ask(v1).bearer(&key).send().await.status, 200);
    // The key wins over the token (A2).
    let both = ask(CHAT).header("api-key", &key).bearer(&key).send().await;
    assert_eq!(both.status, 200);

    for ask in [
        ask(CHAT).header("api-key", "wrong"),
        ask(CHAT).header("api-key", ""),
        ask(CHAT).header("api-key", "wrong").bearer(&token),
        ask(v1).bearer("wrong"),
    ] {
        let reply = ask.send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, WRONG_KEY));
        assert_eq!(reply.reason.as_deref(), Some("PermissionDenied"));
        assert_eq!(reply.body.len(), 224);
        assert_eq!(reply.names(), ["apim-request-id", "content-length", "content-type", "date"]);
    }
    for ask in [ask(CHAT), ask(CHAT).bearer(&key)] {
        let reply = ask.send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, FLAT));
    }
    assert!(bench.emulator.journal().violations().is_empty());
}

#[tokio::test]
async fn rows_of_a1_on_demand() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    // Name, status, length where the page knows it, part of the body.
    let rows = [
        ("A1.1", 401, Some(224), "Access denied"),
        ("A1.2", 401, Some(161), "\"statusCode\": 401"),
        ("A1.3", 401, Some(161), "missing"),
        ("A1.4", 403, Some(116), "AuthenticationTypeDisabled"),
        ("A1.5", 401, Some(99), "Principal does not have access"),
        ("A1.5b", 401, None, "lacks the required data action"),
        ("A1.6", 404, Some(254), "DeploymentNotFound"),
        ("A1.6-2024", 404, Some(198), "DeploymentNotFound"),
        ("A1.7", 404, Some(56), "Resource not found"),
        ("A1.8", 400, None, "API version not supported"),
        ("A1.9", 400, None, "custom subdomain"),
        ("A1.9-old", 400, Some(82), "authentication key"),
        ("A1.10", 404, None, "Subdomain does not map"),
        ("A1.11", 403, Some(90), "Firewall"),
        ("A1.11b", 403, None, "Public access is disabled"),
        ("A1.11c", 403, None, "cogsvc-vnet"),
        ("A1.12", 429, None, "exceeded token rate limit"),
        ("A1.12-foundry", 429, None, "RateLimitReached"),
        ("A1.13", 400, None, "ResponsibleAIPolicyViolation"),
        ("A1.14", 400, None, "Invalid AzureCognitiveSearch configuration"),
        ("408", 408, Some(220), "upstream request timeout"),
        ("413", 413, Some(252), "Failed to buffer"),
        ("500", 500, None, "An error occurred"),
        ("503", 503, None, "unavailable"),
        ("503-html", 503, None, "<html>"),
    ];
    for (name, ..) in rows {
        bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
    }
    for (name, status, length, part) in rows {
        let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.text().contains(part), "{name}: {}", reply.text());
        if let Some(length) = length {
            assert_eq!(reply.body.len(), length, "{name}");
        }
        assert_eq!(reply.header("www-authenticate"), None);
    }
    // All used up.
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    let tested: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let own = azure_emulator::fault_names(Plane::OpenAi);
    assert_eq!(own[..tested.len()], tested);
}

#[tokio::test]
async fn a_rate_limit_has_all_its_headers() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let fault = Fault::named("A1.12").retry_after(7);
    bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.header("retry-after"), Some("7"));
    for name in ["retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests"] {
        assert!(reply.header(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn fixed_tokens_are_the_only_ones() {
    let bench = Bench::with(Options {
        fixed_tokens: Some(FixedTokens { openai: "OPENAI".to_owned(), search: "SEARCH".to_owned() }),
        ..Options::default()
    })
    .await;
    assert_eq!(bench.openai_token().await, "OPENAI");
    assert_eq!(bench.search_token().await, "SEARCH");
    for (token, status) in [("OPENAI", 200), ("SEARCH", 401), ("OTHER", 401)] {
        let reply = bench.openai("POST", CHAT).bearer(token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{token}");
    }
    assert_eq!(bench.emulator.journal().violations().len(), 1);
}

#[tokio::test]
async fn each_cloud_has_its_own_audience() {
    let bench = Bench::with(Options { cloud: Cloud::Government, ..Options::default() }).await;
    let app = bench.emulator.app();
    let government = "https://cognitiveservices.azure.us/.default";
    for (scope, status) in [(government, 200), (OPENAI_SCOPE, 401)] {
        let token = bench.token(&app, scope).await;
        let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{scope}");
    }
}
