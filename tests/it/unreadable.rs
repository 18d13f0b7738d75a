//! Heads that cannot be read, where more than a head is on the connection: the answer in our words arrives whole.

use std::process::Stdio;

use azure_emulator::Plane;
use tokio::io::AsyncWriteExt;

use crate::client::{exchange, raw, secure};
use crate::gateway::LIMIT;
use crate::world::{CHAT, World};

/// What is uploaded, in bytes: more than all buffers between can hold.
const UPLOAD: usize = 50_000_000;

/// A client that gets its answer by luck would not get it this often.
const TRIES: usize = 5;

const NOT_HTTP: &str = r#"{"error":{"code":"BadRequest","message":"The request is not valid HTTP.","type":"invalid_request_error","param":null}}"#;

/// A head with two lengths, and then all of the body, before the answer is looked at.
const TWO_LENGTHS: &str = r#"
import http.client, ssl, sys, urllib.parse
url, upload, tries = urllib.parse.urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for _ in range(tries):
    if url.scheme == "https":
        trusted = ssl.create_default_context(cafile="ca.pem")
        connection = http.client.HTTPSConnection(url.netloc, context=trusted)
    else:
        connection = http.client.HTTPConnection(url.netloc)
    connection.putrequest("POST", f"{url.path}?{url.query}")
    connection.putheader("content-length", str(upload))
    connection.putheader("content-length", str(upload + 1))
    connection.endheaders()
    connection.send(bytes(upload))
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"#;

#[tokio::test]
async fn a_client_that_still_uploads_reads_that_its_head_cannot_be_read() {
    let world = World::start().await;
    let port = world.gateway.https.unwrap().port();
    for url in [format!("http://{}{CHAT}", world.gateway.http), format!("https://localhost:{port}{CHAT}")] {
        let running = tokio::process::Command::new("python3")
            .args(["-c", TWO_LENGTHS, &url, &UPLOAD.to_string(), &TRIES.to_string()])
            .current_dir(world.gateway.directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, running).await.expect("an end").unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            vec![format!("400 {NOT_HTTP}"); TRIES],
            "{url}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
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
