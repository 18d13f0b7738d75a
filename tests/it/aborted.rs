//! What our own stop cuts off: nobody takes the beginning of an answer for a whole one.

use azure_emulator::{Fault, Plane};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::secure;
use crate::gateway::LIMIT;
use crate::wire::{End, begun_over_http2, chat, read_all};
use crate::world::{Plan, World, saying};

/// How a stop comes to cut off what runs.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Deadline,
    SecondSignal,
}

impl Stop {
    async fn world(self) -> World {
        let drain = match self {
            Self::Deadline => "delay = \"0s\"\ndeadline = \"200ms\"",
            Self::SecondSignal => "delay = \"1h\"",
        };
        let settings = move |text: String, _: &_| text.replace("delay = \"0s\"", drain);
        Plan { settings: Box::new(settings), ..Plan::default() }.start().await
    }

    async fn of(self, world: &mut World) {
        world.gateway.signal("TERM");
        if matches!(self, Self::SecondSignal) {
            world.gateway.logged(|line| line["message"] == "stopping").await;
            world.gateway.signal("TERM");
        }
        assert!(world.gateway.ended().await.success());
    }
}

/// A stream that has begun and goes no further. Over TLS too, its connection is asked how it ends, since TLS would be
/// broken by either end.
async fn running(world: &World, version: &str, secured: bool) -> TcpStream {
    world.emulator.next(Plane::OpenAi, Fault::named("stall-mid-body").at_byte(700), 1).unwrap();
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let chat = chat(world, version, &streamed);
    let mut begin = [0; 400];
    if secured {
        let mut stream = secure(world.gateway.https.unwrap(), world.emulator.ca_pem(), b"http/1.1").await;
        stream.write_all(&chat).await.unwrap();
        stream.read_exact(&mut begin).await.unwrap();
        stream.into_inner().0
    } else {
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        stream.write_all(&chat).await.unwrap();
        stream.read_exact(&mut begin).await.unwrap();
        stream
    }
}

/// A connection that has had its answer, and is kept.
async fn kept(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(b"GET /openai/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let whole = async {
        while !answer.ends_with(b"}}") {
            answer.push(stream.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(LIMIT, whole).await.expect("an answer");
    stream
}

/// For a client of HTTP/1.0 the end of the connection is the end of the answer, unless it is a reset.
#[tokio::test]
async fn an_answer_that_our_stop_cuts_off_ends_in_a_reset() {
    for stop in [Stop::Deadline, Stop::SecondSignal] {
        let mut world = stop.world().await;
        let mut streams = Vec::new();
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            for secured in [false, true] {
                streams.push((version, secured, running(&world, version, secured).await));
            }
        }
        stop.of(&mut world).await;
        for (version, secured, stream) in streams {
            let (_, end) = read_all(stream).await;
            assert_eq!(end, End::Broken, "{stop:?}, {version}, secured: {secured}");
        }
    }
}

/// Over HTTP/2 each answer has an end of its own, and this one has not come.
#[tokio::test]
async fn an_answer_of_http_2_that_our_stop_cuts_off_has_no_end() {
    for stop in [Stop::Deadline, Stop::SecondSignal] {
        let mut world = stop.world().await;
        world.emulator.next(Plane::OpenAi, Fault::named("stall-mid-body").at_byte(700), 1).unwrap();
        let answer = begun_over_http2(&world).await;
        stop.of(&mut world).await;
        answer.collect().await.expect_err("an end");
    }
}

/// Who has what it asked for is not told that something broke.
#[tokio::test]
async fn a_kept_connection_ends_as_ever_when_we_stop() {
    let mut world = Stop::SecondSignal.world().await;
    let stream = kept(&world).await;
    let silent = TcpStream::connect(world.gateway.http).await.unwrap();
    Stop::SecondSignal.of(&mut world).await;
    assert_eq!(read_all(stream).await, (Vec::new(), End::Clean));
    assert_eq!(read_all(silent).await, (Vec::new(), End::Clean));
}
