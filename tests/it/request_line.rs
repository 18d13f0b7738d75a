//! The request line: what it says of each kind of request, and that nobody waits for whoever reads it.

use std::path::Path;
use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use http::{Method, Request};
use http_body_util::Full;
use keyswap::request_line::fields;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::client::{Answer, exchange, http2, request_text};
use crate::gateway::{Gateway, LIMIT};
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// Fields whose values are another each time.
const VARYING: [&str; 6] = ["time", "request", "from", "upstream_request", "upstream_ms", "duration_ms"];

/// The line of an answer.
async fn line_of(world: &World, answer: &Answer) -> Value {
    let id = answer.header("x-keyswap-request-id").expect("an id");
    world.gateway.told(|line| line["request"] == id).await
}

/// A line without the fields that vary.
fn steady(line: &Value) -> Value {
    let mut line = line.clone();
    for name in VARYING {
        line.as_object_mut().unwrap().remove(name);
    }
    line
}

fn names(line: &Value) -> Vec<&str> {
    let mut names: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_chat_is_told_in_full() {
    let world = World::start().await;
    let body = saying("hello").to_string();
    let call = world.post(CHAT).key(&world.emulator.keys().openai).header("user-agent", "OpenAI/v1 PythonBindings");
    let answer = call.header("content-type", "application/json").body(body.clone().into()).await;
    let line = line_of(&world, &answer).await;
    let mut all = fields();
    all.retain(|name| !["tls", "reason", "why"].contains(name));
    all.sort_unstable();
    assert_eq!(names(&line), all);
    assert_eq!(
        steady(&line),
        json!({
            "listener": "http",
            "http": "1.1",
            "method": "POST",
            "path": "/openai/deployments/gpt-4o/chat/completions",
            "user_agent": "OpenAI/v1 PythonBindings",
            "plane": "openai",
            "family": "inference",
            "target": "gpt-4o",
            "client": "chat",
            "key": "chat",
            "resource": "ai",
            "identity": "app",
            "status": 200,
            "outcome": "complete",
            "upstream_status": 200,
            "bytes_in": body.len(),
            "bytes_out": answer.body.len(),
            "replays": 0,
        })
    );
    assert_eq!(line["upstream_request"].as_str(), answer.header("apim-request-id"));
    assert!(line["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    assert!(line["upstream_ms"].as_f64() <= line["duration_ms"].as_f64(), "{line}");
}

#[tokio::test]
async fn a_stream_is_told_when_it_has_ended() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall-mid-body"), 1).unwrap();
    let key = world.emulator.keys().openai;
    let mut streamed = saying("a story");
    streamed["stream"] = json!(true);

    // One that has begun and does not end: it is told when its client has gone, and not before.
    let body = streamed.to_string();
    let length = body.len().to_string();
    let mut request = request_text("POST", CHAT, &[("api-key", &key), ("content-length", &length)]);
    request.extend_from_slice(body.as_bytes());
    let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
    client.write_all(&request).await.unwrap();
    let mut head = [0; 15];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    let answer = world.post(CHAT).key(&key).json(&streamed).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let line = line_of(&world, &answer).await;
    assert_eq!((&line["outcome"], &line["bytes_out"]), (&json!("complete"), &json!(answer.body.len())));
    assert_eq!(world.gateway.requests().len(), 1, "the other one has not ended");

    drop(client);
    let line = world.gateway.told(|line| line["outcome"] == "client-gone").await;
    assert_eq!((&line["status"], &line["upstream_status"]), (&json!(200), &json!(200)), "{line}");
    assert!(line["bytes_out"].as_u64() > Some(0) && line["bytes_out"].as_u64() < Some(answer.body.len() as u64));
    assert_eq!(line["bytes_in"], body.len());
}

#[tokio::test]
async fn a_client_that_goes_before_the_head_is_told_without_a_status() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let call = tokio::spawn(world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("never mind")));
    let journal = world.emulator.journal();
    journal.wait_for(|entry| entry.target == CHAT && entry.body_whole, LIMIT).await.expect("the request upstream");
    call.abort();
    let line = world.gateway.told(|line| line["outcome"] == "client-gone").await;
    assert_eq!((line.get("status"), line.get("upstream_status"), &line["client"]), (None, None, &json!("chat")));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_exact_cause() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let wrong = world.post(CHAT).key("wrong").json(&saying("hello")).await;
    let line = line_of(&world, &wrong).await;
    assert_eq!(
        steady(&line),
        json!({
            "listener": "http",
            "http": "1.1",
            "method": "POST",
            "path": "/openai/deployments/gpt-4o/chat/completions",
            "plane": "openai",
            "family": "inference",
            "target": "gpt-4o",
            "status": 401,
            "reason": "unknown-key",
            "why": "the key is not listed",
            "outcome": "complete",
            "bytes_in": 0,
            "bytes_out": 224,
            "replays": 0,
        })
    );
    let secret = "/nowhere?api-key=0123456789abcdef&x=y";
    for (target, key, reason, why) in [
        (SEARCH, &keys.openai, "no-resource", "the client has no grant on a resource of this plane"),
        ("/openai/files?api-version=1", &keys.openai, "family-not-granted", "files is not granted"),
        (secret, &keys.openai, "no-plane", "the path belongs to no plane"),
    ] {
        let answer = world.post(target).key(key).json(&json!({})).await;
        let line = line_of(&world, &answer).await;
        assert_eq!((line["reason"].as_str(), line["why"].as_str()), (Some(reason), Some(why)), "{line}");
        assert_eq!(line["path"].as_str(), target.split('?').next());
    }
    // A refusal is the client's affair: the log is silent about it.
    let logged = world.gateway.log();
    assert!(logged.iter().all(|line| line.get("reason").is_none()), "{logged:#?}");
}

#[tokio::test]
async fn a_failure_is_told_and_warned_of() {
    let world = World::start().await;
    world.emulator.next(Plane::Search, Fault::named("B1.7"), 1).unwrap();
    let call = world.post(SEARCH).key(&world.emulator.keys().search_query);
    let answer = call.json(&json!({"search": "*"})).await;
    let line = line_of(&world, &answer).await;
    let why = "our identity lacks a role: Authorization failed.";
    let told = (&line["reason"], &line["why"], &line["status"], &line["upstream_status"], &line["resource"]);
    let expected = json!(["upstream-permission", why, 403, 403, "search"]);
    assert_eq!(json!([told.0, told.1, told.2, told.3, told.4]), expected);
    assert!(line["upstream_request"].is_string(), "{line}");
    let warning = world.gateway.logged(|line| line["reason"] == "upstream-permission").await;
    assert_eq!((&warning["request"], &warning["level"]), (&line["request"], &json!("ERROR")));
    assert_eq!(warning["message"], format!("upstream authentication fault: {why}"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_so() {
    let world = World::start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("cut"), 1).unwrap();
    let body = saying("hello").to_string();
    let head = [("api-key", &*world.emulator.keys().openai), ("content-length", &body.len().to_string())];
    let mut request = request_text("POST", CHAT, &head);
    request.extend_from_slice(body.as_bytes());
    let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
    client.write_all(&request).await.unwrap();
    // Whether the break is seen as an end or a reset is not this test's affair.
    client.read_to_end(&mut Vec::new()).await.ok();
    let line = world.gateway.told(|line| line["outcome"] == "upstream-broke").await;
    assert_eq!((&line["status"], line.get("reason")), (&json!(200), None), "{line}");
    world
        .says_why_of(
            line["request"].as_str().unwrap(),
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  200, upstream-broke
step:      upstream
why:       the upstream broke its answer off
cure:      Azure, or something on the way, ended the connection, or Azure was silent for longer than stream in [timeouts]. If it happens again and again, see what on the way ends connections, and what Azure says of its own health.
client:    chat, key chat
resource:  ai, identity app
",
        )
        .await;
}

#[tokio::test]
async fn a_token_that_was_replaced_is_told_as_a_replay() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    world.emulator.next(Plane::OpenAi, Fault::named("A1.2"), 1).unwrap();
    let answer = world.post(CHAT).key(&key).json(&saying("again")).await;
    let line = line_of(&world, &answer).await;
    assert_eq!((&line["status"], &line["replays"], &line["upstream_status"]), (&json!(200), &json!(1), &json!(200)));
    assert_eq!(line["bytes_in"], saying("again").to_string().len());
}

#[tokio::test]
async fn uploads_heads_http_2_and_unix_sockets_are_told() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let filler = "x".repeat(300_000);
    let upload = json!({"value": [{"@search.action": "upload", "HotelId": "9", "Description": filler}]}).to_string();
    let call = world.post("/indexes/hotels/docs/index?api-version=2024-07-01").key(&keys.search_admin);
    let answer = call.header("content-type", "application/json").body(upload.clone().into()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let line = line_of(&world, &answer).await;
    let told = json!([line["family"], line["target"], line["bytes_in"], line["bytes_out"]]);
    assert_eq!(told, json!(["documents-write", "hotels", upload.len(), answer.body.len()]));
    assert_eq!(line["upstream_request"].as_str(), answer.header("request-id"));

    // An answer to HEAD has no body, and is whole without one.
    let answer = world.call(Method::HEAD, "/openai/models").send().await;
    let line = line_of(&world, &answer).await;
    assert_eq!((&line["outcome"], &line["bytes_out"]), (&json!("complete"), &json!(0)));

    let mut h2 = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let request = Request::get("https://localhost/two?x=y").body(Full::default()).unwrap();
    h2.send_request(request).await.unwrap();
    let line = world.gateway.told(|line| line["path"] == "/two").await;
    let told = json!([line["http"], line["method"], line["listener"], line["tls"]]);
    assert_eq!(told, json!(["2", "GET", "https", "1.3"]));

    let socket = UnixStream::connect(world.gateway.directory.path().join("keyswap.sock")).await.unwrap();
    exchange(socket, &request_text("GET", "/unix", &[])).await;
    let line = world.gateway.told(|line| line["path"] == "/unix").await;
    assert_eq!((line.get("from"), &line["listener"], line.get("tls")), (None, &json!("unix"), None));
}

/// A stop cuts off what outlasts its deadline, and everything at its second signal: neither is the client's doing.
#[tokio::test]
async fn what_a_stop_cuts_off_is_told_so_before_the_end() {
    for (deadline, signals) in [("100ms", 1), ("1h", 2)] {
        let plan = Plan {
            settings: Box::new(move |text, _| {
                text.replace("delay = \"0s\"", &format!("delay = \"0s\"\ndeadline = \"{deadline}\""))
            }),
            ..Plan::default()
        };
        let mut world = plan.start().await;
        let key = world.emulator.keys().openai;
        // One waits for its head, one for the rest of its body.
        let mut streamed = saying("a story");
        streamed["stream"] = json!(true);
        let mut clients = Vec::new();
        for (fault, body) in [("stall", saying("hello")), ("stall-mid-body", streamed)] {
            let newest = world.arrived().last().map_or(0, |entry| entry.sequence);
            world.emulator.next(Plane::OpenAi, Fault::named(fault), 1).unwrap();
            let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
            let body = body.to_string();
            let mut request =
                request_text("POST", CHAT, &[("api-key", &key), ("content-length", &body.len().to_string())]);
            request.extend_from_slice(body.as_bytes());
            client.write_all(&request).await.unwrap();
            let arrived =
                |entry: &azure_emulator::Entry| entry.sequence > newest && entry.target == CHAT && entry.body_whole;
            world.emulator.journal().wait_for(arrived, LIMIT).await.unwrap();
            clients.push(client);
        }
        clients[1].read_exact(&mut [0; 15]).await.unwrap();
        for signal in 0..signals {
            world.gateway.signal("TERM");
            if signal == 0 {
                world.gateway.logged(|line| line["message"] == "stopping").await;
            }
        }
        assert!(world.gateway.ended().await.success());
        let lines = world.gateway.requests();
        let told: Vec<_> = lines.iter().map(|line| (&line["client"], &line["outcome"])).collect();
        assert_eq!(told, [(&json!("chat"), &json!("stopped")); 2], "{deadline}");
        let mut statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [None, Some(200)]);
    }
}

#[tokio::test]
async fn lines_can_be_text_or_off() {
    for (format, told) in [("text", 1), ("off", 0)] {
        let environment = vec![("KEYSWAP_REQUESTS", format.to_owned())];
        let mut world = Plan { environment, ..Plan::default() }.start().await;
        world.get("/nowhere?x=y").header("user-agent", "two words").send().await;
        world.gateway.signal("TERM");
        assert!(world.gateway.ended().await.success());
        let lines = world.gateway.requests();
        assert_eq!(lines.len(), told, "{format}: {lines:?}");
        for line in lines {
            let line = line.as_str().expect("no JSON").to_owned();
            let parts = [
                " listener=http http=1.1 method=GET path=/nowhere user_agent=\"two words\" status=404 reason=no-plane why=\"the path ",
            ];
            assert!(line.starts_with("time=2"), "{line}");
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
    }
}

/// A page of the admin address.
async fn metrics(world: &World) -> String {
    world.client.call(Method::GET, &format!("http://{}/metrics", world.gateway.admin)).send().await.text()
}

/// The value of a metric that has no labels.
fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

const DROPPED: &str = "keyswap_request_lines_dropped_total";

/// A world whose lines nobody reads.
async fn unread() -> World {
    let settings = |text: String| text.replace("workers = 2", "workers = 1");
    let mut world = Plan { settings: Box::new(move |text, _| settings(text)), ..Plan::default() }.start().await;
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    world.gateway.signal("KILL");
    world.gateway.ended().await;
    world.gateway = Gateway::start_unread(world.gateway.directory.clone(), &arguments, &[]).await;
    world
}

#[tokio::test]
async fn an_output_that_nobody_reads_costs_lines_and_no_request() {
    let mut world = unread().await;
    // More than the pipe, the writer's hands and the worker's buffer hold together, in the longest lines there are.
    let agent = "x".repeat(500);
    let target = format!("/{}", "y".repeat(500));
    let mut sent = 0;
    while value(&metrics(&world).await, DROPPED) == 0 {
        for _ in 0..100 {
            assert_eq!(world.get(&target).header("user-agent", &agent).send().await.status, 404);
        }
        sent += 100;
        assert!(sent <= 5_000, "lines that nobody reads are kept without end");
    }
    world.gateway.logged(|line| line["message"] == "request lines are dropped").await;

    // As soon as somebody reads, nothing more is lost; what was kept is whole.
    world.gateway.read_requests();
    world.gateway.told(|line| line["status"] == 404).await;
    let last = loop {
        let dropped = value(&metrics(&world).await, DROPPED);
        let answer = world.get("/last").send().await;
        let id = answer.header("x-keyswap-request-id").unwrap().to_owned();
        sent += 1;
        if value(&metrics(&world).await, DROPPED) == dropped {
            break id;
        }
        assert!(sent <= 10_000, "lines are dropped although somebody reads them");
    };
    world.gateway.told(|line| line["request"] == last).await;
    let lines = world.gateway.requests();
    assert!(lines.iter().all(Value::is_object), "a line was cut");
    let dropped = value(&metrics(&world).await, DROPPED);
    assert_eq!(lines.len() as u64 + dropped, sent, "each request is told or counted");
}

#[tokio::test]
async fn an_output_that_is_closed_is_noted_once() {
    let mut world = unread().await;
    world.gateway.close_requests();
    let message = "request lines are dropped from now on: nobody reads them any more";
    for n in 1..=3 {
        assert_eq!(world.get("/nowhere").send().await.status, 404);
        world.gateway.logged(|line| line["message"] == message).await;
        // The writer counts in its own time.
        let counted = async {
            while value(&metrics(&world).await, DROPPED) < n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, counted).await.expect("it is counted");
    }
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    let noted = world.gateway.log().iter().filter(|line| line["message"] == message).count();
    assert_eq!(noted, 1);
}

#[tokio::test]
async fn metrics_tell_what_runs_and_what_has_ended() {
    let options = Options { stream_pause: Duration::from_millis(1), ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let key = world.emulator.keys().openai;
    let answer = world.post(CHAT).key(&key).json(&saying("hello")).await;
    world.gateway.told(|line| line["status"] == 200).await;
    let before = world.emulator.journal().entries().last().unwrap().sequence;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let stalled = tokio::spawn(world.post(CHAT).key(&key).json(&saying("never mind")));
    world.emulator.journal().wait_for(|entry| entry.target == CHAT && entry.sequence > before, LIMIT).await.unwrap();
    let sent = answer.body.len();
    let received = saying("hello").to_string().len();
    let page = metrics(&world).await;
    for line in [
        "keyswap_requests_in_flight 1\n",
        &format!("keyswap_sent_bytes_total{{plane=\"openai\"}} {sent}\n"),
        &format!("keyswap_received_bytes_total{{plane=\"openai\"}} {received}\n"),
        "keyswap_request_duration_seconds_count{plane=\"openai\"} 1\n",
        "keyswap_request_lines_dropped_total 0\n",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    stalled.abort();
    world.gateway.told(|line| line["outcome"] == "client-gone").await;
    let page = metrics(&world).await;
    let line = "keyswap_requests_unfinished_total{plane=\"openai\",outcome=\"client-gone\"} 1\n";
    assert!(page.contains(line) && page.contains("keyswap_requests_in_flight 0\n"), "{page}");
}

/// One table in the README has the fields, in the order of the line.
#[test]
fn the_readme_lists_every_field() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, table) = readme.split_once("\n| field | |\n|---|---|\n").expect("the table of fields");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let first = rows.map(|row| row.split('|').nth(1).unwrap());
    let listed: Vec<_> = first.flat_map(|cell| cell.split(", ")).map(|name| name.trim().trim_matches('`')).collect();
    assert_eq!(listed, fields());
}

/// What a line costs is compared with nginx, which has to write the same fields: those of a request that was served.
#[test]
fn nginx_tells_the_same_fields_in_the_benchmark() {
    let nginx = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/nginx.conf")).unwrap();
    let (_, format) = nginx.split_once("log_format line").unwrap();
    let (format, _) = format.split_once(';').unwrap();
    let told = format.split("\":").filter_map(|before| before.rsplit_once('"').map(|(_, name)| name));
    let mut wanted = fields();
    wanted.retain(|name| !["reason", "why"].contains(name));
    assert_eq!(told.collect::<Vec<_>>(), wanted);
}
