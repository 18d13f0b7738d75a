//! Starting, being asked, stopping.

use std::time::Duration;

use azure_emulator::{Door, Fault, Options, Plane};
use http::{Method, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{raw, request_text, secure};
use crate::gateway::LIMIT;
use crate::wire::{End, read_all};
use crate::world::{CHAT, Plan, World, saying};

fn draining(delay: &'static str, deadline: &'static str) -> Plan {
    Plan {
        settings: Box::new(move |text, _| {
            text.replace("delay = \"0s\"", &format!("delay = \"{delay}\"\ndeadline = \"{deadline}\""))
        }),
        ..Plan::default()
    }
}

#[tokio::test]
async fn it_is_ready_once_every_token_was_tried_for_and_one_was_had() {
    let plan = Plan {
        // One of the two scopes is refused; which one comes first does not matter.
        before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::named("wrong-secret"), 1).unwrap()),
        ..Plan::default()
    };
    let world = plan.start().await;
    assert_eq!(world.admin("/health/live").await, (200, "alive\n".to_owned()));
    world.gateway.logged(|line| line["message"] == "token fetched").await;
    world.gateway.logged(|line| line["message"] == "no token: requests that need it fail").await;
    let (status, page) = world.admin("/health/ready").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.starts_with("ready\napp https://cognitiveservices.azure.com/.default: "), "{page}");
    let (code, shown) = world.gateway.health();
    assert_eq!(code, Some(0));
    assert!(shown.starts_with("ready\n"), "{shown}");
}

#[tokio::test]
async fn it_is_not_ready_before_its_first_token() {
    let plan = Plan {
        before: Box::new(|emulator| emulator.next(Plane::Entra, Fault::named("stall"), 2).unwrap()),
        ..Plan::default()
    };
    let world = plan.start().await;
    let page = "not ready\napp https://cognitiveservices.azure.com/.default: no token yet\n\
                app https://search.azure.com/.default: no token yet\nsettings: generation 1\n";
    assert_eq!(world.admin("/health/ready").await, (503, page.to_owned()));
    assert_eq!(world.gateway.health(), (Some(1), page.to_owned()));
}

#[tokio::test]
async fn metrics_count_requests_and_tell_of_tokens() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    world.post(CHAT).key(&key).json(&saying("hello")).await;
    world.post(CHAT).key(&key).json(&saying("hello")).await;
    world.post(CHAT).key("wrong").json(&saying("hello")).await;
    let (status, page) = world.admin("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "keyswap_requests_total{plane=\"openai\",by=\"upstream\",status=\"200\"} 2\n",
        "keyswap_requests_total{plane=\"openai\",by=\"unknown-key\",status=\"401\"} 1\n",
        "keyswap_token_fetched_total{identity=\"app\",scope=\"https://cognitiveservices.azure.com/.default\"} 1\n",
        "keyswap_token_failed_total{identity=\"app\",scope=\"https://search.azure.com/.default\"} 0\n",
        "keyswap_token_left_seconds{identity=\"app\",scope=\"https://cognitiveservices.azure.com/.default\"} ",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(!page.contains(&key));
}

/// New connections are taken while the balancers learn, and each answer asks the client to go elsewhere; a stream that
/// runs ends whole; then the process ends well.
#[tokio::test]
async fn sigterm_lets_what_runs_end() {
    let options = Options { stream_pause: Duration::from_millis(150), ..Options::default() };
    let mut world = Plan { options, ..draining("5s", "60s") }.start().await;
    let key = world.emulator.keys().openai;
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let stream = tokio::spawn(world.post(CHAT).key(&key).json(&streamed));
    world.emulator.journal().wait_for(|entry| entry.status == Some(200) && entry.target == CHAT, LIMIT).await.unwrap();

    world.gateway.signal("TERM");
    world.gateway.logged(|line| line["message"] == "stopping").await;
    let (status, page) = world.admin("/health/ready").await;
    assert!((status, page.starts_with("draining\n")) == (503, true), "{status} {page}");
    let models = "/openai/models?api-version=2024-10-21";
    let late = world.get(models).key(&key).send().await;
    assert_eq!((late.status.as_u16(), late.header("connection")), (200, Some("close")));

    let answer = stream.await.unwrap();
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    assert!(world.gateway.ended().await.success());
    let last = world.gateway.log().pop().unwrap();
    assert_eq!(last["message"], "stopped: every request was answered");
    assert!(!world.gateway.directory.path().join("keyswap.sock").exists(), "the socket is left behind");
}

/// Nobody new comes in any more, and what has begun still ends whole.
#[tokio::test]
async fn a_stream_that_runs_outlives_the_listeners() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", upstream.local_addr().unwrap());
    let plan = draining("0s", "60s");
    let draining = plan.settings;
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            draining(text, emulator).replace(&emulator.openai(Door::Behind), &endpoint)
        }),
        ..plan
    };
    let mut world = plan.start().await;
    let mut client = TcpStream::connect(world.gateway.http).await.unwrap();
    let models = "/openai/models?api-version=2024-10-21";
    client.write_all(&request_text("GET", models, &[("api-key", &world.emulator.keys().openai)])).await.unwrap();
    let (mut upstream, _) = upstream.accept().await.unwrap();
    // An answer that comes before its request is none.
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        assert!(upstream.read_buf(&mut asked).await.unwrap() > 0, "an end after {asked:?}");
    }
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"one") {
        assert!(client.read_buf(&mut answer).await.unwrap() > 0, "an end after {answer:?}");
    }

    world.gateway.signal("TERM");
    let closed = async {
        while TcpStream::connect(world.gateway.http).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, closed).await.expect("nobody is let in any more");
    upstream.write_all(b"two").await.unwrap();
    let (rest, end) = read_all(client).await;
    assert_eq!((&*rest, end), (&b"two"[..], End::Clean));
    assert!(world.gateway.ended().await.success());
    assert_eq!(world.gateway.log().pop().unwrap()["message"], "stopped: every request was answered");
}

/// Over HTTP/2 a connection is asked to leave, and no answer. One that comes while new ones are still taken has something to
/// ask first: a client that was sent here by a balancer which has not learned yet would get nothing at all.
#[tokio::test]
async fn http_2_that_comes_late_is_served_before_it_is_asked_to_leave() {
    let world = draining("60s", "60s").start().await;
    world.gateway.signal("TERM");
    world.gateway.logged(|line| line["message"] == "stopping").await;
    let stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"h2").await;
    let (send, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    // Whatever it says to a newcomer has arrived then.
    pings.ping(h2::Ping::opaque()).await.unwrap();
    let mut send = send.ready().await.unwrap();
    let models = "https://localhost/openai/models?api-version=2024-10-21";
    let request = Request::get(models).header("api-key", world.emulator.keys().openai).body(()).unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    while let Some(piece) = answer.body_mut().data().await {
        answer.body_mut().flow_control().release_capacity(piece.unwrap().len()).unwrap();
    }
    let end = tokio::time::timeout(LIMIT, connection).await.expect("it is asked to leave").unwrap();
    // What it has to say of its window may find the connection closed already.
    assert!(end.as_ref().map_or_else(h2::Error::is_io, |()| true), "{end:?}");
}

#[tokio::test]
async fn what_outlasts_the_deadline_is_cut() {
    let mut world = draining("0s", "200ms").start().await;
    world.emulator.next(Plane::OpenAi, Fault::named("stall"), 1).unwrap();
    let request =
        request_text("GET", "/openai/models?api-version=2024-10-21", &[("api-key", &world.emulator.keys().openai)]);
    let stalled = tokio::spawn({
        let address = world.gateway.http;
        async move { raw(address, &request).await }
    });
    world.emulator.journal().wait_for(|entry| entry.target.starts_with("/openai/models"), LIMIT).await.unwrap();
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    assert_eq!(
        world.gateway.log().pop().unwrap()["message"],
        "stopped: the deadline has passed, what still ran was cut"
    );
    // Whether the cut is seen as an end or a reset, there was no answer.
    assert_eq!(stalled.await.unwrap_or_default(), "");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut world = draining("1h", "1h").start().await;
    world.gateway.signal("INT");
    world.gateway.logged(|line| line["message"] == "stopping").await;
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    assert_eq!(world.gateway.log().pop().unwrap()["message"], "stopped at once, as asked");
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_taken_over() {
    let world = World::start().await;
    let path = world.gateway.directory.path().join("keyswap.sock");
    assert!(path.exists());
    // Another one cannot have it while the first lives.
    let (code, _, told) =
        crate::gateway::run(world.gateway.directory.path(), &["serve", "--config", "keyswap.toml"], &[]);
    assert_eq!(
        (code, told.ends_with("keyswap.sock: cannot listen here: another process listens\n")),
        (Some(2), true),
        "{told}"
    );
    let directory = world.gateway.directory.clone();
    world.gateway.signal("KILL");
    let mut world = world;
    assert!(!world.gateway.ended().await.success());
    assert!(path.exists(), "a killed process cleans up nothing");
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let second = crate::gateway::Gateway::start(directory, &arguments, &[]).await;
    let socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = crate::client::exchange(socket, &request_text("GET", "/openai/models", &[])).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    drop(second);
}

#[tokio::test]
async fn the_admin_address_and_the_clients_address_share_no_path() {
    let world = World::start().await;
    let url = format!("http://{}/nothing", world.gateway.admin);
    assert_eq!(world.client.call(Method::GET, &url).send().await.status, 404);
    // The clients' address serves none of the admin's paths.
    let answer = world.get("/metrics").send().await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (404, "no-plane"));
}
