//! A key that is limited to some deployments, where the body says which one it wants: what is granted passes as it is, and
//! nothing else is ever whole upstream.

mod early_answers;

use azure_emulator::{Door, Emulator, Entry, Plane};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Channel, Full};
use keyswap::keys::Digest;
use serde_json::{Value, json};

use crate::client::{http2, raw, request_text};
use crate::gateway::{LIMIT, directory, run};
use crate::upstream::Upstream;
use crate::world::{Plan, World, app_identity, client, settings};

const CHAT: &str = "/openai/v1/chat/completions";
const TRANSCRIPTIONS: &str = "/openai/v1/audio/transcriptions";
const JSON: &str = "application/json";

/// Two deployments of the emulator's, out of seven.
const GRANTS: &str = "{ resource = \"ai\", allow = [\"openai\"], deployments = [\"gpt-4o\", \"whis*\"] }";

/// How a body comes to the gateway.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// HTTP/1.1, with its length.
    Length,
    /// HTTP/1.1, in chunks.
    Chunks,
    /// HTTP/2, without its length, in frames.
    Http2,
}

const WAYS: [Way; 3] = [Way::Length, Way::Chunks, Way::Http2];

/// A body, its content type and other headers, and where it goes.
#[derive(Clone, Debug)]
struct Ask<'a> {
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Vec<u8>,
}

impl<'a> Ask<'a> {
    fn chat(body: impl Into<Vec<u8>>) -> Self {
        Self { target: CHAT, headers: vec![("content-type", JSON)], body: body.into() }
    }

    fn transcription(content_type: &'a str, body: impl Into<Vec<u8>>) -> Self {
        Self { target: TRANSCRIPTIONS, headers: vec![("content-type", content_type)], body: body.into() }
    }

    fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Asks in a way; the answer's status, the reason that keyswap gives, and the body.
    async fn answer(&self, world: &World, way: Way) -> (u16, String, String) {
        let key = world.emulator.keys().openai;
        match way {
            Way::Length => {
                let call = self
                    .headers
                    .iter()
                    .fold(world.post(self.target).key(&key), |call, (name, value)| call.header(name, value));
                let answer = call.body(self.body.clone().into()).await;
                (answer.status.as_u16(), answer.reason().to_owned(), String::from_utf8_lossy(&answer.body).into_owned())
            }
            Way::Chunks => {
                let headers = [&[("api-key", &*key), ("transfer-encoding", "chunked")], &self.headers[..]].concat();
                let mut request = request_text("POST", self.target, &headers);
                for piece in self.body.chunks(4099) {
                    request.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                    request.extend(piece);
                    request.extend(b"\r\n");
                }
                request.extend(b"0\r\n\r\n");
                let answer = raw(world.gateway.http, &request).await;
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                let reason = head.lines().find_map(|line| line.strip_prefix("x-keyswap-reason: "));
                (status, reason.unwrap_or("none").to_owned(), body.to_owned())
            }
            Way::Http2 => {
                let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
                let (mut body, channel) = Channel::<Bytes>::new(1);
                let mut request = Request::post(format!("https://localhost{}", self.target)).header("api-key", key);
                for (name, value) in &self.headers {
                    request = request.header(*name, *value);
                }
                let pieces: Vec<_> = self.body.chunks(4099).map(Bytes::copy_from_slice).collect();
                let sending = tokio::spawn(async move {
                    for piece in pieces {
                        // Whoever is refused is not read to the end.
                        if body.send_data(piece).await.is_err() {
                            break;
                        }
                    }
                });
                let answer = send.send_request(request.body(channel).unwrap()).await.unwrap();
                let (head, body) = answer.into_parts();
                let reason = head.headers.get("x-keyswap-reason").map_or("none", |reason| reason.to_str().unwrap());
                let body = body.collect().await.unwrap().to_bytes();
                sending.abort();
                (head.status.as_u16(), reason.to_owned(), String::from_utf8(body.to_vec()).unwrap())
            }
        }
    }
}

fn plan() -> Plan {
    Plan { keys: Box::new(|_, emulator: &Emulator| client("app", &emulator.keys().openai, GRANTS)), ..Plan::default() }
}

/// The usual world, and a gateway in front of this endpoint in place of Azure OpenAI.
fn plan_before(endpoint: String) -> Plan {
    let here = move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &endpoint);
    Plan { settings: Box::new(here), ..plan() }
}

/// More than is kept for sending it once more.
fn long() -> String {
    json!([{"role": "user", "content": "x".repeat(200_000)}]).to_string()
}

/// What arrived at Azure OpenAI since the last time, each to its end.
async fn ended(world: &World, since: &mut u64) -> Vec<Entry> {
    let journal = world.emulator.journal();
    let arrived: Vec<_> =
        journal.entries_after(*since).into_iter().filter(|entry| entry.plane == Plane::OpenAi).collect();
    let mut all = Vec::new();
    for Entry { sequence, .. } in arrived {
        all.push(journal.wait_for(|entry| entry.sequence == sequence && entry.ended, LIMIT).await.expect("an end"));
        *since = sequence;
    }
    all
}

/// Every way: it passes, and is upstream what it was here.
async fn passes(world: &World, ask: &Ask<'_>, deployment: &str, since: &mut u64) {
    for way in WAYS {
        let (status, reason, body) = ask.answer(world, way).await;
        assert_eq!(status, 200, "{way:?} {reason} {body}");
        // What was refused before may have come late.
        let whole: Vec<_> = ended(world, since).await.into_iter().filter(|arrived| arrived.body_whole).collect();
        let [arrived] = &whole[..] else { panic!("{way:?} {whole:#?}") };
        assert!(arrived.completed, "{way:?} {arrived:#?}");
        assert_eq!(arrived.body_sha256, Some(Digest::of(&ask.body).to_string()));
        assert_eq!(arrived.subject.as_deref(), Some(deployment));
    }
}

/// Every way: it is refused so, and whatever arrived upstream was never whole.
async fn is_refused(world: &World, ask: &Ask<'_>, expected: (u16, &str), since: &mut u64) {
    for way in WAYS {
        let (status, reason, body) = ask.answer(world, way).await;
        let shown = String::from_utf8_lossy(&ask.body[..ask.body.len().min(300)]);
        assert_eq!((status, reason.as_str()), expected, "{way:?} {shown} {body}");
        for arrived in ended(world, since).await {
            assert!(!arrived.body_whole && !arrived.completed && arrived.cancelled, "{way:?} {shown} {arrived:#?}");
        }
    }
}

const NOT_GRANTED: (u16, &str) = (403, "target-not-granted");
const UNCLEAR: (u16, &str) = (400, "model-unclear");

#[tokio::test]
async fn a_granted_model_passes_wherever_it_stands() {
    let world = plan().start().await;
    let long = long();
    let mut since = 0;
    for body in [
        r#"{"model":"gpt-4o","messages":[]}"#.to_owned(),
        format!(r#"{{"model":"gpt-4o","messages":{long}}}"#),
        format!("{{\"messages\":{long},\n \"model\" : \"gpt-4o\"\n}}\n"),
        format!(r#"{{"messages":{long},"mod\u0065l":"gpt\u002d4o"}}"#),
        r#"{"messages":[{"role":"user","content":"\"model\":\"tts\""}],"tools":[{"model":"tts"}],"model":"gpt-4o"}"#
            .to_owned(),
    ] {
        passes(&world, &Ask::chat(body), "gpt-4o", &mut since).await;
    }
    let stream = json!({"messages": [{"role": "user", "content": "hello"}], "stream": true, "model": "gpt-4o"});
    for way in [Way::Length, Way::Http2] {
        let (status, _, body) = Ask::chat(stream.to_string()).answer(&world, way).await;
        assert!(status == 200 && body.contains("data: [DONE]"), "{way:?} {body}");
    }
    // Without a body there is nothing to be limited by.
    assert_eq!(world.get("/openai/v1/models").key(&world.emulator.keys().openai).send().await.status, 200);
    let told = world.gateway.told(|line| line["path"] == CHAT && line["target"] == "gpt-4o").await;
    assert_eq!(told["status"], 200);
}

#[tokio::test]
async fn nothing_else_is_ever_whole_upstream() {
    let world = plan().start().await;
    let long = long();
    let mut since = 0;
    for (body, expected) in [
        (r#"{"model":"tts","messages":[]}"#.to_owned(), NOT_GRANTED),
        (format!(r#"{{"model":"tts","messages":{long}}}"#), NOT_GRANTED),
        (format!(r#"{{"messages":{long},"model":"tts"}}"#), NOT_GRANTED),
        (format!(r#"{{"messages":{long},"mod\u0065l":"tts"}}"#), NOT_GRANTED),
        (format!(r#"{{"model":"gpt-4o","messages":{long},"model":"tts"}}"#), UNCLEAR),
        (format!(r#"{{"model":"gpt-4o","messages":{long},"\u006dodel":"gpt-4o"}}"#), UNCLEAR),
        (format!(r#"{{"model":"gpt-4o","messages":{long},"Model":"tts"}}"#), UNCLEAR),
        (format!(r#"{{"model":"gpt-4o","messages":{long}}}{{"model":"tts"}}"#), UNCLEAR),
        (format!(r#"{{"model":"gpt-4o","messages":{long}"#), UNCLEAR),
        (format!(r#"{{"model":["gpt-4o"],"messages":{long}}}"#), UNCLEAR),
        (format!(r#"{{"messages":{long}}}"#), UNCLEAR),
        ("\u{feff}{\"model\":\"gpt-4o\",\"messages\":[]}".to_owned(), UNCLEAR),
        (String::new(), UNCLEAR),
    ] {
        is_refused(&world, &Ask::chat(body), expected, &mut since).await;
    }
    let utf16: Vec<u8> = r#"{"model":"gpt-4o","messages":[]}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_refused(&world, &Ask::chat(utf16), UNCLEAR, &mut since).await;

    let good = r#"{"model":"gpt-4o","messages":[]}"#;
    let before = world.arrived().len();
    for ask in [
        Ask::chat(good).header("content-encoding", "gzip"),
        Ask { headers: vec![("content-type", "text/plain")], ..Ask::chat(good) },
        Ask { headers: vec![("content-type", "application/json; charset=utf-16")], ..Ask::chat(good) },
        Ask { headers: vec![], ..Ask::chat(good) },
        Ask::chat(good).header("content-type", JSON),
    ] {
        is_refused(&world, &ask, UNCLEAR, &mut since).await;
    }
    // Such a header would not go upstream.
    let hidden = Ask::chat(good).header("connection", "content-type");
    assert_eq!(hidden.answer(&world, Way::Chunks).await.0, 400);
    let image = Ask::chat(good).header("x-ms-oai-image-generation-deployment", "dall-e-3");
    is_refused(&world, &image, NOT_GRANTED, &mut since).await;
    assert_eq!(world.arrived().len(), before, "what can be told by the head is never sent");
}

#[tokio::test]
async fn a_refusal_by_the_body_says_what_one_by_the_path_says() {
    let world = plan().start().await;
    let body = format!(r#"{{"messages":{},"model":"tts"}}"#, long());
    let (_, _, by_body) = Ask::chat(body).answer(&world, Way::Length).await;
    let by_path = Ask { target: "/openai/deployments/tts/audio/speech?api-version=2024-10-21", ..Ask::chat("{}") };
    let (_, _, by_path) = by_path.answer(&world, Way::Length).await;
    assert_eq!(by_body, by_path);
    let text = "This key may not use the deployment 'tts'. Ask the gateway's owner to grant it.";
    let error = json!({"code": "PermissionDenied", "message": text, "type": "invalid_request_error", "param": null});
    assert_eq!(serde_json::from_str::<Value>(&by_body).unwrap(), json!({ "error": error }));
    let line = world.gateway.told(|line| line["path"] == CHAT).await;
    assert_eq!((&line["reason"], &line["why"]), (&json!("target-not-granted"), &json!("tts is not granted")));

    let (_, _, unclear) = Ask::chat(r#"{"messages":[]}"#).answer(&world, Way::Length).await;
    let text = "This key may use some deployments only, and keyswap cannot tell which one this request wants: it names \
                no 'model'.";
    let error = json!({"code": "BadRequest", "message": text, "type": "invalid_request_error", "param": null});
    assert_eq!(serde_json::from_str::<Value>(&unclear).unwrap(), json!({ "error": error }));
}

/// A part of a form, with its delimiter.
fn part(boundary: &str, disposition: &str, content: &str) -> String {
    format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

#[tokio::test]
async fn a_form_passes_or_not_by_its_model() {
    let world = plan().start().await;
    let mut since = 0;
    let sound = "RIFF\r\n--\r\n\"model\"=tts".repeat(15_000);
    let boundaries = [
        ("multipart/form-data; boundary=----WebKitFormBoundary7MA4", "----WebKitFormBoundary7MA4"),
        ("multipart/form-data; boundary=\"a b=c\"", "a b=c"),
    ];
    for (content_type, boundary) in boundaries {
        let file = part(boundary, "name=\"file\"; filename=\"a.wav\"", &sound);
        let model = |disposition: &str, model: &str| part(boundary, disposition, model);
        let end = format!("--{boundary}--\r\n");
        for (parts, expected) in [
            ([model("name=\"model\"", "whisper"), file.clone()], None),
            ([file.clone(), model("name=model", "whisper")], None),
            ([model("name=\"model\"", "tts"), file.clone()], Some(NOT_GRANTED)),
            ([file.clone(), model("name=model", "tts")], Some(NOT_GRANTED)),
            ([file.clone(), model("name=\"model\"", "whisper") + &model("name=model", "tts")], Some(UNCLEAR)),
            ([file.clone(), model("name=\"model\"; name=\"x\"", "whisper")], Some(UNCLEAR)),
            ([file.clone(), model("name=\"model\"", "whisper") + &model("name=MODEL", "tts")], Some(UNCLEAR)),
            ([file.clone(), String::new()], Some(UNCLEAR)),
        ] {
            let ask = Ask::transcription(content_type, parts.concat() + &end);
            match expected {
                None => passes(&world, &ask, "whisper", &mut since).await,
                Some(expected) => is_refused(&world, &ask, expected, &mut since).await,
            }
        }
    }
}

/// A model that is not granted, in front of 50 MB: nobody waits for the rest.
#[tokio::test]
async fn a_client_that_is_still_sending_is_refused_at_once() {
    let world = plan().start().await;
    let begin = r#"{"model":"tts","messages":[{"role":"user","content":"begin"#;
    let key = world.emulator.keys().openai;
    let headers = [("api-key", key.as_str()), ("content-type", JSON), ("content-length", "50000000")];
    let request = [request_text("POST", CHAT, &headers), begin.into()].concat();
    // It sends nothing more, and it does not close.
    let answer = raw(world.gateway.http, &request).await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.contains("target-not-granted"), "{answer}");

    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let whole = [begin.as_bytes(), &vec![b'x'; 50_000_000]].concat();
    for _ in 0..3 {
        let request = Request::post(format!("https://localhost{CHAT}")).header("content-type", JSON);
        let request = request.header("api-key", &key).body(Full::<Bytes>::from(whole.clone())).unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 403);
        assert!(answer.into_body().collect().await.unwrap().to_bytes().ends_with(b"}}"));
    }
    for arrived in ended(&world, &mut 0).await {
        assert!(!arrived.body_whole && !arrived.completed, "{arrived:#?}");
    }
}

#[tokio::test]
async fn what_is_sent_once_more_goes_through_the_guard_again() {
    let world = plan().start().await;
    let good = Ask::chat(r#"{"messages":[],"model":"gpt-4o"}"#);
    assert_eq!(good.answer(&world, Way::Length).await.0, 200);
    world.emulator.revoke_tokens();
    assert_eq!(good.answer(&world, Way::Length).await.0, 200);
    let statuses: Vec<_> = world.arrived().iter().map(|entry| (entry.status, entry.body_whole)).collect();
    assert_eq!(statuses, [(Some(200), true), (Some(401), true), (Some(200), true)]);
}

/// The table of `route/openai/model.rs`, from outside.
#[tokio::test]
async fn what_names_no_deployment_is_granted_with_its_family_or_not_at_all() {
    let upstream = Upstream::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let world = Plan { keys: plan().keys, ..upstream.plan() }.start().await;
    let key = world.emulator.keys().openai;
    let model = json!({"model": "gpt-4o", "input": "x"});
    let ambiguous = (400, "ambiguous");
    let passed = (200, "none: the answer is the upstream's");
    for (method, target, expected) in [
        (Method::POST, "/openai/v1/responses", passed),
        (Method::POST, "/openai/responses?api-version=2025-04-01-preview", passed),
        (Method::POST, "/models/embeddings?api-version=2024-05-01-preview", passed),
        (Method::POST, "/anthropic/v1/messages", passed),
        (Method::POST, "/api/projects/p/openai/v1/chat/completions", passed),
        (Method::POST, "/openai/v1/files", passed),
        (Method::GET, "/openai/v1/vector_stores", passed),
        (Method::GET, "/openai/v1/models", passed),
        (Method::GET, "/openai/v1/realtime?model=gpt-4o", passed),
        (Method::GET, "/openai/v1/realtime?model=tts", NOT_GRANTED),
        (Method::GET, "/openai/v1/realtime?model=gpt-4o&deployment=tts", ambiguous),
        (Method::GET, "/openai/v1/realtime", NOT_GRANTED),
        (Method::GET, "/openai/v1/responses/resp_1", NOT_GRANTED),
        (Method::POST, "/openai/v1/responses/resp_1/cancel", NOT_GRANTED),
        (Method::POST, "/openai/v1/conversations", NOT_GRANTED),
        (Method::POST, "/api/projects/p/openai/v1/responses", NOT_GRANTED),
        (Method::GET, "/openai/v1/chat/completions", NOT_GRANTED),
        (Method::POST, "/openai/v1/batches", NOT_GRANTED),
        (Method::POST, "/openai/deployments/gpt-4o/batches", NOT_GRANTED),
        (Method::POST, "/openai/v1/assistants", NOT_GRANTED),
        (Method::POST, "/openai/threads/runs?api-version=2024-05-01-preview", NOT_GRANTED),
        (Method::POST, "/openai/v1/fine_tuning/jobs", NOT_GRANTED),
        (Method::POST, "/openai/v1/evals", NOT_GRANTED),
        (Method::POST, "/openai/images/generations:submit?api-version=2023-06-01-preview", NOT_GRANTED),
    ] {
        let answer = world.call(method.clone(), target).key(&key).json(&model).await;
        assert_eq!((answer.status.as_u16(), answer.reason()), expected, "{method} {target}");
        if expected == passed {
            assert_eq!(upstream.only_asked().body, model.to_string());
        }
    }
}

/// The token goes along before the body is read: what is granted to another identity is not granted with this one.
#[tokio::test]
async fn several_limited_grants_count_together_if_they_ride_one_identity() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let text = text.replacen("[resources.ai]", "[identities.second]\n[resources.ai]", 1);
            let secret = app_identity("second", &emulator.app(), &emulator.entra());
            text.replace("[identities.second]\n", &secret.replace("second.secret", "app.secret"))
        }),
        keys: Box::new(|_, emulator| {
            let grant = |deployment: &str, identity: &str| {
                format!("{{ resource = \"ai\", deployments = [\"{deployment}\"], identity = \"{identity}\" }}")
            };
            let grants = [grant("gpt-4o", "app"), grant("text-*", "app"), grant("tts", "second")].join(", ");
            client("app", &emulator.keys().openai, &grants)
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let embeddings =
        Ask { target: "/openai/v1/embeddings", ..Ask::chat(r#"{"model":"text-embedding-3-small","input":"x"}"#) };
    assert_eq!(embeddings.answer(&world, Way::Length).await.0, 200);
    let speech = Ask { target: "/openai/v1/audio/speech", ..Ask::chat(r#"{"model":"tts","input":"x","voice":"x"}"#) };
    assert_eq!(speech.answer(&world, Way::Length).await.0, 403);
    // By its path it rides the identity of its own grant.
    let by_path = Ask {
        target: "/openai/deployments/tts/audio/speech?api-version=2024-10-21",
        ..Ask::chat(r#"{"input":"x","voice":"alloy"}"#)
    };
    assert_eq!(by_path.answer(&world, Way::Length).await.0, 200);
    let line = world.gateway.told(|line| line["target"] == "tts" && line["status"] == 200).await;
    assert_eq!(line["identity"], "second");
}

#[tokio::test]
async fn check_tells_what_a_limited_grant_cannot_do() {
    let emulator = Emulator::start(azure_emulator::Options::default()).await.unwrap();
    let certificate = emulator.gateway_certificate();
    let files = directory(&[
        ("keyswap.toml", &settings(&emulator, Door::Behind)),
        ("keys.toml", &client("app", &emulator.keys().openai, GRANTS)),
        ("app.secret", "secret"),
        ("ca.pem", emulator.ca_pem()),
        ("cert.pem", &certificate.cert_pem),
        ("key.pem", &certificate.key_pem),
    ]);
    let (code, told, _) = run(files.path(), &["check"], &[]);
    assert_eq!(code, Some(0));
    let note = "  note: batches, assistants, fine-tuning, evaluations cannot be limited to some deployments: refused to \
                this client\n";
    assert!(told.contains(note), "{told}");
}
