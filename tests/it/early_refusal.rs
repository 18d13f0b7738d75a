//! A wrong key in front of 50 MB: the refusal comes at once, and every client reads all of it, although it is still
//! sending. Each client is the real one, in a program that does nothing else.

use std::future::poll_fn;
use std::process::Stdio;

use azure_emulator::Plane;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::client::{http2, secure};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::gateway::LIMIT;
use crate::world::{CHAT, World, saying};

/// What is uploaded, in bytes: more than all buffers between can hold.
pub(crate) const UPLOAD: usize = 50_000_000;

/// A client that gets its answer by luck would not get it this often.
pub(crate) const TRIES: usize = 5;

/// A program in Python that makes a connection of its own for each request, as a reset would be, and then does this with it
/// before it looks at the answer.
pub(crate) fn http_client(request: &str) -> String {
    HTTP_CLIENT.replace("REQUEST", request)
}

const HTTP_CLIENT: &str = r#"
import http.client, json, ssl, sys, urllib.parse
url, upload, tries = urllib.parse.urlsplit(sys.argv[1]), bytes(int(sys.argv[2])), int(sys.argv[3])
for _ in range(tries):
    if url.scheme == "https":
        trusted = ssl.create_default_context(cafile="ca.pem")
        connection = http.client.HTTPSConnection(url.netloc, context=trusted)
    else:
        connection = http.client.HTTPConnection(url.netloc)
    REQUEST
    answer = connection.getresponse()
    print(json.dumps([answer.status, answer.read().decode()]))
"#;

const URLLIB: &str = r#"
import json, ssl, sys, urllib.error, urllib.request
url, upload, tries = sys.argv[1], bytes(int(sys.argv[2])), int(sys.argv[3])
trusted = ssl.create_default_context(cafile="ca.pem")
for _ in range(tries):
    try:
        urllib.request.urlopen(urllib.request.Request(url, upload, {"api-key": "wrong"}), context=trusted)
    except urllib.error.HTTPError as answer:
        print(json.dumps([answer.code, answer.read().decode()]))
"#;

const FETCH: &str = r#"
const [url, upload, tries] = [process.argv[1], Buffer.alloc(+process.argv[2]), +process.argv[3]];
for (let n = 0; n < tries; n++) {
    const answer = await fetch(url, { method: "POST", headers: { "api-key": "wrong" }, body: upload });
    console.log(JSON.stringify([answer.status, await answer.text()]));
}
"#;

/// A program that uploads, in the gateway's directory; each line that it writes is a status and a body.
pub(crate) async fn upload(world: &World, program: &str, arguments: &[&str]) -> Vec<Value> {
    let directory = world.gateway.directory.path();
    let running = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("NODE_EXTRA_CA_CERTS", directory.join("ca.pem"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, running).await.expect("an end").unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {said}{complained}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An upload in one piece, with these headers.
fn post(headers: &str) -> String {
    format!(r#"connection.request("POST", f"{{url.path}}?{{url.query}}", upload, {headers})"#)
}

fn is_refusal_each_time(answers: &[Value], client: &str) {
    assert_eq!(answers, vec![json!([401, OPENAI_WRONG_KEY]); TRIES], "{client}");
}

pub(crate) fn urls(world: &World) -> [String; 2] {
    let port = world.gateway.https.unwrap().port();
    [format!("http://{}{CHAT}", world.gateway.http), format!("https://localhost:{port}{CHAT}")]
}

/// hyper leaves the end of a connection to us whose client asked for another protocol (Java's does), and that lingers, too.
#[tokio::test]
async fn a_wish_for_another_protocol_costs_nobody_its_refusal() {
    let world = World::start().await;
    let wishing = r#"{"api-key": "wrong", "Connection": "Upgrade", "Upgrade": "h2c"}"#;
    let script = http_client(&post(wishing));
    for url in urls(&world) {
        let arguments = ["-c", &script, &url, &UPLOAD.to_string(), &TRIES.to_string()];
        is_refusal_each_time(&upload(&world, "python3", &arguments).await, &format!("{url}{script}"));
    }
}

#[tokio::test]
async fn python_reads_its_refusal() {
    let world = World::start().await;
    for url in urls(&world) {
        for script in [&http_client(&post(r#"{"api-key": "wrong"}"#)), URLLIB] {
            let arguments = ["-c", script, &url, &UPLOAD.to_string(), &TRIES.to_string()];
            is_refusal_each_time(&upload(&world, "python3", &arguments).await, &format!("{url}{script}"));
        }
    }
    assert_eq!(world.arrived().len(), 0);
}

#[tokio::test]
async fn node_reads_its_refusal() {
    let world = World::start().await;
    for url in urls(&world) {
        let arguments = ["--input-type=module", "-e", FETCH, &url, &UPLOAD.to_string(), &TRIES.to_string()];
        is_refusal_each_time(&upload(&world, "node", &arguments).await, &url);
    }
    assert_eq!(world.arrived().len(), 0);
}

/// curl asks first whether it may upload, unless it is told not to; it sends with a length, and in chunks.
async fn curl_reads_its_refusal(version: &str) {
    let world = World::start().await;
    let file = std::fs::File::create(world.gateway.directory.path().join("upload")).unwrap();
    file.set_len(UPLOAD as u64).unwrap();
    let asks = "expect: 100-continue";
    for url in urls(&world) {
        for header in [asks, "expect:", "transfer-encoding: chunked"] {
            let mut answers = Vec::new();
            for _ in 0..TRIES {
                let arguments = [
                    &["-sS", "--cacert", "ca.pem", version, "-H", header, "-H", "api-key: wrong"][..],
                    &["--data-binary", "@upload", "-o", "answer", "-w", "%{http_code}\n", &url],
                ];
                let mut status = upload(&world, "curl", &arguments.concat()).await;
                let body = std::fs::read_to_string(world.gateway.directory.path().join("answer")).unwrap();
                answers.push(json!([status.remove(0), body]));
            }
            is_refusal_each_time(&answers, &format!("{url} {version} {header}"));
        }
    }
    assert_eq!(world.arrived().len(), 0);
}

#[tokio::test]
async fn curl_reads_its_refusal_over_http_1() {
    curl_reads_its_refusal("--http1.1").await;
}

/// Here curl needs the reset to come after the answer, not with it.
#[tokio::test]
async fn curl_reads_its_refusal_over_http_2() {
    curl_reads_its_refusal("--http2").await;
}

/// Over HTTP/2 the answer is whole, then the upload alone is told to stop, for no fault of its own, and the connection
/// serves on.
#[tokio::test]
async fn http_2_stops_the_upload_and_keeps_the_connection() {
    let world = World::start().await;
    let url = format!("https://localhost{CHAT}");
    let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for _ in 0..TRIES {
        let request = Request::post(&url).header("api-key", "wrong").body(Full::from(vec![b'x'; UPLOAD])).unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 401);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, OPENAI_WRONG_KEY);
    }
    let good = Request::post(&url).header("api-key", world.emulator.keys().openai);
    let good = good.body(Full::<Bytes>::from(saying("still here").to_string())).unwrap();
    assert_eq!(send.send_request(good).await.unwrap().status(), 200);
    assert_eq!(world.arrived().iter().filter(|entry| entry.plane == Plane::OpenAi).count(), 1);

    // hyper does not tell what ended an upload; h2 does.
    let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(&url).header("api-key", "wrong").body(()).unwrap();
    let (answer, mut upload) = send.send_request(request, false).unwrap();
    upload.send_data(Bytes::from_static(b"{\"messages\": ["), false).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let mut read = Vec::new();
    while let Some(piece) = body.data().await {
        read.extend(piece.expect("no reset before the end of the answer"));
    }
    assert_eq!(String::from_utf8(read).unwrap(), OPENAI_WRONG_KEY);
    let reason = tokio::time::timeout(LIMIT, poll_fn(|cx| upload.poll_reset(cx))).await.expect("an end");
    assert_eq!(reason.unwrap(), h2::Reason::NO_ERROR);
    connection.abort();
}
