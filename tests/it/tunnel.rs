//! What goes through a websocket is nobody's business but its ends': bytes as they came, ends as they were, no more held
//! than a little, and no longer than it should be.

mod http2;

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::LIMIT;
use crate::upstream::{Then, Upstream};
use crate::websocket::{ACCEPT, Far, KEY, Near, REALTIME, exactly, noise, opening, to_the_end, write_oddly};
use crate::world::{CHAT, saying};

/// The head of both sides is as the other wrote it, but for what is between two neighbours and for credentials; extensions
/// are negotiated between the two.
#[tokio::test]
async fn the_opening_is_negotiated_between_the_two() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let deflate = "permessage-deflate; client_max_window_bits; server_max_window_bits=10";
    let offered = [
        ("sec-websocket-extensions", deflate),
        ("sec-websocket-extensions", "x-other"),
        ("sec-websocket-protocol", "realtime, openai-beta.realtime-v1"),
        ("origin", "https://app.example"),
        ("openai-beta", "realtime=v1"),
        ("x-hop", "1"),
        ("connection", "x-hop"),
    ];
    stream.write_all(&opening(&world, &offered)).await.unwrap();
    let asked = far.asked().await;
    let token = asked.header("authorization").unwrap().to_owned();
    assert!(token.starts_with("Bearer eyJ"));
    let mut lines: Vec<_> = asked.head.trim_end().lines().collect();
    lines[1..].sort_unstable();
    let mut wanted = vec![
        format!("authorization: {token}"),
        "connection: Upgrade".to_owned(),
        format!("host: {}", asked.stream.local_addr().unwrap()),
        "openai-beta: realtime=v1".to_owned(),
        "origin: https://app.example".to_owned(),
        format!("sec-websocket-extensions: {deflate}"),
        "sec-websocket-extensions: x-other".to_owned(),
        format!("sec-websocket-key: {KEY}"),
        "sec-websocket-protocol: realtime, openai-beta.realtime-v1".to_owned(),
        "sec-websocket-version: 13".to_owned(),
        "upgrade: websocket".to_owned(),
    ];
    wanted.insert(0, format!("GET {REALTIME} HTTP/1.1"));
    assert_eq!(lines, wanted);

    let chosen = "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10\r\n\
                  sec-websocket-protocol: realtime\r\nx-ms-region: East US\r\nkeep-alive: 1\r\ncontent-length: 0\r\n";
    // The service may speak at once, in the same breath.
    let far = asked.open(&format!("{chosen}\r\none")).await;
    let mut near = Near::opened(stream).await;
    let mut lines: Vec<_> = near.head.trim_end().lines().skip(1).collect();
    lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("x-keyswap-request-id: "));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "connection: Upgrade",
            &format!("sec-websocket-accept: {ACCEPT}"),
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10",
            "sec-websocket-protocol: realtime",
            "upgrade: websocket",
            "x-ms-region: East US",
        ]
    );
    assert_eq!(exactly(&mut near.stream, 3).await, b"one");
    drop(far);
}

/// The client is told nothing before the upstream has said yes; what it says meanwhile is not lost.
#[tokio::test]
async fn nothing_is_open_before_it_is_open_upstream() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let early = [opening(&world, &[]), b"too early".to_vec()].concat();
    stream.write_all(&early).await.unwrap();
    let asked = far.asked().await;
    let told = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(told.is_err(), "the client was told: {told:?}");
    let mut far = asked.open("").await;
    Near::opened(stream).await;
    assert_eq!(exactly(&mut far, 9).await, b"too early");
}

/// An upstream may choose what was offered to it, and no key ever is.
#[tokio::test]
async fn what_was_not_offered_upstream_is_not_chosen() {
    for (offered, chosen, told) in [
        ("realtime, openai-insecure-api-key.KEY", "realtime", Some("realtime")),
        ("realtime, openai-insecure-api-key.KEY", "openai-insecure-api-key.KEY", None),
        ("realtime", "other", None),
    ] {
        let far = Far::start().await;
        let world = far.plan("", "").start().await;
        let key = world.emulator.keys().openai;
        let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
        let offered = offered.replace("KEY", &key);
        stream.write_all(&opening(&world, &[("sec-websocket-protocol", &offered)])).await.unwrap();
        let asked = far.asked().await;
        assert!(!asked.head.contains(&key));
        let _far = asked.open(&format!("sec-websocket-protocol: {}\r\n", chosen.replace("KEY", &key))).await;
        let near = Near::opened(stream).await;
        let line = near.head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(line, told);
        assert!(!near.head.contains(&key));
    }
}

/// A megabyte of noise each way at once, in pieces of any size; frames that no parser would like, among it.
#[tokio::test]
async fn bytes_arrive_as_they_were_both_ways() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (near, mut far) = far.open(&world).await;
    // Reserved bits, a ping of 126 bytes and more, a close of one byte, something that hyper would say.
    let odd = [&b"\xff\x00"[..], b"\x89\x7e\xff\xff", b"\x88\x01x", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x08\x80"]
        .concat();
    let (up, down) = ([odd.clone(), noise(1_000_003)].concat(), [noise(1_100_009), odd].concat());
    let (mut near_read, mut near_write) = near.stream.into_split();
    let (mut far_read, mut far_write) = far.split();
    let ((), (), came_up, came_down) = tokio::join!(
        write_oddly(&mut near_write, &up),
        write_oddly(&mut far_write, &down),
        exactly(&mut far_read, up.len()),
        exactly(&mut near_read, down.len()),
    );
    assert!(came_up == up, "the client's bytes are others");
    assert!(came_down == down, "the upstream's bytes are others");
}

/// What reads as hyper's own refusal, alone in its segment, is the upstream's all the same.
#[tokio::test]
async fn bytes_that_look_like_ours_are_not() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (mut near, mut far) = far.open(&world).await;
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert_eq!(exactly(&mut near.stream, 28).await, b"HTTP/1.1 400 Bad Request\r\n\r\n");
}

/// An end is an end, and the other side still says its last words.
#[tokio::test]
async fn one_side_ends_and_the_other_has_the_last_word() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    near.stream.write_all(b"bye").await.unwrap();
    near.stream.shutdown().await.unwrap();
    assert_eq!(to_the_end(&mut upstream).await, b"bye");
    upstream.write_all(b"farewell").await.unwrap();
    drop(upstream);
    assert_eq!(to_the_end(&mut near.stream).await, b"farewell");
    world.gateway.told(|line| line["outcome"] == "complete" && line["bytes_out"] == 8).await;

    let (mut near, mut upstream) = far.open(&world).await;
    upstream.shutdown().await.unwrap();
    assert_eq!(to_the_end(&mut near.stream).await, b"");
    near.stream.write_all(b"so be it").await.unwrap();
    drop(near);
    assert_eq!(to_the_end(&mut upstream).await, b"so be it");
    world.gateway.told(|line| line["outcome"] == "complete" && line["bytes_in"] == 8).await;
}

/// A loss is an end without a close, after everything that came before it. No reset: a client that writes into one does not
/// read what came before.
#[tokio::test]
async fn an_upstream_that_is_lost_ends_its_client() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    upstream.write_all(b"last").await.unwrap();
    // It has arrived, and nobody has read it when the loss comes.
    let mut seen = [0; 4];
    while near.stream.peek(&mut seen).await.unwrap() < 4 {}
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    assert_eq!(to_the_end(&mut near.stream).await, b"last");
    near.stream.write_all(b"pong").await.unwrap();
    near.stream.shutdown().await.unwrap();
    world.gateway.told(|line| line["outcome"] == "upstream-broke" && line["bytes_out"] == 4).await;
    let reset = near.stream.take_error().unwrap();
    assert!(reset.is_none(), "what it still said was answered by {reset:?}");
    let (_, page) = world.admin("/metrics").await;
    assert!(
        page.contains("keyswap_requests_unfinished_total{plane=\"openai\",outcome=\"upstream-broke\"} 1\n"),
        "{page}"
    );
}

#[tokio::test]
async fn a_client_that_is_lost_ends_its_upstream() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (near, mut upstream) = far.open(&world).await;
    near.stream.set_zero_linger().unwrap();
    drop(near);
    assert_eq!(to_the_end(&mut upstream).await, b"");
    world.gateway.told(|line| line["outcome"] == "client-gone").await;

    // Before it was told that it is open.
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&opening(&world, &[])).await.unwrap();
    let mut asked = far.asked().await;
    drop(stream);
    assert_eq!(to_the_end(&mut asked.stream).await, b"");
    world.gateway.told(|line| line["outcome"] == "client-gone" && line["status"].is_null()).await;
}

/// A side that ended and is not answered does not keep the other for long.
#[tokio::test]
async fn nobody_waits_long_for_last_words() {
    let far = Far::start().await;
    let world = far.plan("", "[timeouts]\nwebsocket = \"2s\"\n").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    near.stream.shutdown().await.unwrap();
    assert_eq!(to_the_end(&mut upstream).await, b"");
    assert_eq!(to_the_end(&mut near.stream).await, b"");
    world.gateway.told(|line| line["outcome"] == "client-gone").await;
}

/// Silence of both is the limit, not silence of one.
#[tokio::test]
async fn silence_ends_it_and_a_word_of_one_side_does_not() {
    let far = Far::start().await;
    let world = far.plan("", "[timeouts]\nwebsocket = \"2s\"\n").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        upstream.write_all(b"x").await.unwrap();
        exactly(&mut near.stream, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(to_the_end(&mut near.stream).await, b"");
    drop(near);
    assert_eq!(to_the_end(&mut upstream).await, b"");
    let line = world.gateway.told(|line| line["outcome"] == "idle").await;
    assert!(line["duration_ms"].as_f64().unwrap() >= 5900.0, "{line}");
    let (_, told, _) = world.why(&[line["request"].as_str().unwrap()]);
    let expected = "
answered:  101, idle
step:      forward
why:       neither side said anything over the websocket for too long
cure:      Raise websocket in [timeouts], or have the client send a ping now and then.
";
    assert!(told.contains(expected), "{told}");
}

/// The time-outs of requests and answers are not those of a websocket.
#[tokio::test]
async fn no_other_time_out_ends_it() {
    let far = Far::start().await;
    let short = "[timeouts]\nfirst_byte = \"1s\"\nhead = \"1s\"\nkeep_alive = \"1s\"\nanswer = \"1s\"\n\
                 stream = \"1s\"\nidle = \"1s\"\nage = \"1s\"\nwrite = \"1s\"\n";
    let world = far.plan("", short).start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        near.stream.write_all(b"up").await.unwrap();
        assert_eq!(exactly(&mut upstream, 2).await, b"up");
        upstream.write_all(b"down").await.unwrap();
        assert_eq!(exactly(&mut near.stream, 4).await, b"down");
    }
}

/// Whoever does not read stops the other, and no more than a little is held for it.
#[tokio::test]
async fn a_slow_reader_slows_the_other_side() {
    let far = Far::start().await;
    let world = far.plan("", "").start().await;
    let (near, upstream) = far.open(&world).await;
    let before = world.gateway.peak_memory();
    for (reader, mut writer) in [(near.stream, upstream)] {
        let piece = vec![7; 64 * 1024];
        let mut taken: u64 = 0;
        // The buffers of the system fill up, and then nothing is taken any more.
        while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), writer.write(&piece)).await {
            taken += written.unwrap() as u64;
            assert!(taken < 64 << 20, "somebody holds it all");
        }
        let grown = world.gateway.peak_memory() - before;
        assert!(grown < 2048, "{grown} KiB for a tunnel whose reader is slow");
        let mut reader = reader.take(taken);
        let mut read = 0;
        let mut buffer = vec![0; 64 * 1024];
        while read < taken {
            let count = tokio::time::timeout(LIMIT, reader.read(&mut buffer)).await.expect("more").unwrap();
            read += count as u64;
        }
    }
}

/// An open websocket is one of the connections that its resource may have, until it has ended.
#[tokio::test]
async fn it_counts_among_its_resources_connections() {
    let far = Far::start().await;
    let world = far.plan("connections = 1", "[timeouts]\nwait = \"300ms\"\n").start().await;
    let (near, mut upstream) = far.open(&world).await;
    let key = world.emulator.keys().openai;
    let answer = world.post(CHAT).key(&key).json(&saying("hello")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "overloaded"));
    drop(near);
    assert_eq!(to_the_end(&mut upstream).await, b"");
    drop(upstream);
    world.gateway.told(|line| line["family"] == "realtime").await;
    far.open(&world).await;
}

/// It counts among the connections of clients, too.
#[tokio::test]
async fn it_counts_among_our_own_connections() {
    let far = Far::start().await;
    let mut plan = far.plan("", "");
    let usual = plan.settings;
    plan.settings =
        Box::new(|text, emulator| usual(text, emulator).replace("[listen]\n", "[listen]\nconnections = 1\n"));
    let world = plan.start().await;
    let (near, mut upstream) = far.open(&world).await;
    let mut second = TcpStream::connect(world.gateway.http).await.unwrap();
    second.write_all(&opening(&world, &[])).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), far.asked()).await.is_err());
    drop(near);
    to_the_end(&mut upstream).await;
    drop(upstream);
    far.asked().await.open("").await;
    Near::opened(second).await;
}

/// A stop lets what is open go on, until it has waited for long enough.
#[tokio::test]
async fn a_stop_waits_for_it_until_its_deadline() {
    let far = Far::start().await;
    let settings = |deadline: &'static str| {
        let mut plan = far.plan("", "");
        let usual = plan.settings;
        plan.settings = Box::new(move |text, emulator| {
            usual(text, emulator).replace("delay = \"0s\"", &format!("delay = \"0s\"\ndeadline = \"{deadline}\""))
        });
        plan
    };
    let mut world = settings("1h").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    world.gateway.signal("TERM");
    world.gateway.logged(|line| line["message"] == "stopping").await;
    upstream.write_all(b"still here").await.unwrap();
    assert_eq!(exactly(&mut near.stream, 10).await, b"still here");
    drop(upstream);
    assert_eq!(to_the_end(&mut near.stream).await, b"");
    drop(near);
    assert!(world.gateway.ended().await.success());
    world.gateway.told(|line| line["outcome"] == "complete").await;
    world.gateway.logged(|line| line["message"] == "stopped: every request was answered").await;

    let mut world = settings("300ms").start().await;
    let (mut near, mut upstream) = far.open(&world).await;
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    assert_eq!(to_the_end(&mut upstream).await, b"");
    // Without a close: every client of websockets calls that abnormal, 1006.
    assert_eq!(to_the_end(&mut near.stream).await, b"");
    world.gateway.told(|line| line["outcome"] == "stopped" && line["status"] == 101).await;
    world.gateway.logged(|line| line["message"] == "stopped: the deadline has passed, what still ran was cut").await;
}

/// A 101 that nobody asked for opens nothing.
#[tokio::test]
async fn an_upstream_that_switches_unasked_is_lost() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upstream = Upstream::answering_in_turn(&[(answer, Then::Stay)]).await;
    let world = upstream.plan().start().await;
    let key = world.emulator.keys().openai;
    for wish in ["", "websocket", "h2c"] {
        let call = world.get("/openai/models?api-version=2024-10-21").key(&key);
        let answer = call.header("upgrade", wish).header("connection", "upgrade").send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-lost"), "{wish}");
    }
}
