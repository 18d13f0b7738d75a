//! Heads that cannot be read, where more than a head is on the connection: the answer in our words arrives whole.

use azure_emulator::Plane;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{exchange, raw, secure};
use crate::early_refusal::{TRIES, UPLOAD, http_client, upload, urls};
use crate::world::World;

const NOT_HTTP: &str = r#"{"error":{"code":"BadRequest","message":"The request is not valid HTTP.","type":"invalid_request_error","param":null}}"#;

/// A head with two lengths, and then all of the body.
const TWO_LENGTHS: &str = r#"
    connection.putrequest("POST", f"{url.path}?{url.query}")
    connection.putheader("content-length", str(len(upload)))
    connection.putheader("content-length", str(len(upload) + 1))
    connection.endheaders()
    connection.send(upload)
"#;

#[tokio::test]
async fn a_client_that_still_uploads_reads_that_its_head_cannot_be_read() {
    let world = World::start().await;
    let script = http_client(TWO_LENGTHS.trim());
    for url in urls(&world) {
        let arguments = ["-c", &script, &url, &UPLOAD.to_string(), &TRIES.to_string()];
        let answers = upload(&world, "python3", &arguments).await;
        assert_eq!(answers, vec![json!([400, NOT_HTTP]); TRIES], "{url}");
    }
    assert!(world.arrived().iter().all(|entry| entry.plane != Plane::OpenAi));
}

/// hyper answers in the version of the request before.
#[tokio::test]
async fn nonsense_after_a_request_of_http_1_0_is_answered_in_words_too() {
    let world = World::start().await;
    let two = b"GET /openai/models HTTP/1.0\r\nconnection: keep-alive\r\n\r\nnonsense\r\n\r\n";
    let mut secured = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"http/1.1").await;
    secured.flush().await.unwrap();
    for answers in [raw(world.gateway.http, two).await, exchange(secured, two).await] {
        assert!(answers.starts_with("HTTP/1.0 401 "), "{answers}");
        assert!(answers.contains(" 400 Bad Request\r\n") && answers.ends_with(NOT_HTTP), "{answers}");
    }
    assert_eq!(world.gateway.told(|line| line["reason"] == "not-http").await["status"], 400);
}
