//! Absolute URLs in an answer's head: which are turned, and into what, for every way by which a client can reach us.

use std::net::Ipv4Addr;

use azure_emulator::{Door, Options};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::client::{exchange, handshake, http2, request_text};
use crate::upstream::Upstream;
use crate::world::{Plan, World};

/// Something that is answered on the plane of Azure OpenAI; our upstream answers always the same.
const POLL: &str = "/openai/operations/images/1?api-version=2023-06-01-preview";

/// The address of a proxy that is trusted, and of one that is not.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// An upstream that answers with these lines in its head, made of its own URL.
async fn saying(lines: impl FnOnce(&str) -> String) -> Upstream {
    let answer = |url: &str| format!("HTTP/1.1 202 Accepted\r\n{}content-length: 0\r\n\r\n", lines(url)).into_bytes();
    Upstream::naming_itself(answer).await
}

/// An upstream that says where to poll.
async fn with_operation() -> Upstream {
    saying(|url| format!("Operation-Location: {url}{POLL}\r\n")).await
}

/// The value of `operation-location` in the text of an answer.
fn location(answer: &str) -> &str {
    let mut lines = answer.split("\r\n");
    lines.find_map(|line| line.strip_prefix("operation-location: ")).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn every_header_that_holds_a_url_is_turned_if_it_points_at_the_upstream() {
    for name in ["Location", "Operation-Location", "Azure-AsyncOperation", "OData-EntityId"] {
        let path = "/openai/files/file-1?api-version=2024-10-21&a=%2F%20'#x";
        let blob = "https://dalleproduse.blob.core.windows.net/private/1.png?sig=a%2Fb&se=2030-01-01T00%3A00%3A00Z";
        let upstream = saying(|url| {
            format!(
                "{name}: {url}{path}\r\n{name}: {url}?a\r\n{name}: {blob}\r\n{name}: /v1/realtime/calls/rtc_1\r\n\
                 {name}: https://contoso.openai.azure.com/openai/files/file-1\r\n\
                 x-other: {url}{path}\r\ncontent-location: {url}{path}\r\n"
            )
        })
        .await;
        let world = upstream.plan().start().await;
        let answer = world.get(POLL).key(&world.emulator.keys().openai).send().await;
        let (ours, theirs) = (format!("http://{}", world.gateway.http), upstream.url());
        let values: Vec<_> = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        let expected = [
            &*format!("{ours}{path}"),
            &*format!("{ours}?a"),
            blob,
            "/v1/realtime/calls/rtc_1",
            "https://contoso.openai.azure.com/openai/files/file-1",
        ];
        assert_eq!(values, expected, "{name}");
        assert_eq!(answer.header("x-other"), Some(&*format!("{theirs}{path}")));
        assert_eq!(answer.header("content-location"), Some(&*format!("{theirs}{path}")));
    }
}

#[tokio::test]
async fn what_only_looks_like_the_upstream_is_left_alone() {
    let alike = |url: &str| {
        let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
        [
            format!("https://127.0.0.1:{port}/a"),
            format!("http://127.0.0.1:{}/a", port ^ 1),
            "http://127.0.0.1/a".to_owned(),
            format!("http://user@127.0.0.1:{port}/a"),
            format!("http://127.0.0.1:{port}@evil.example/a"),
            format!("http://127.0.0.1.evil.example:{port}/a"),
            format!("//127.0.0.1:{port}/a"),
            format!("127.0.0.1:{port}/a"),
            format!("see http://127.0.0.1:{port}/a"),
        ]
    };
    let upstream = saying(|url| alike(url).map(|value| format!("location: {value}\r\n")).concat()).await;
    let world = upstream.plan().start().await;
    let answer = world.get(POLL).key(&world.emulator.keys().openai).send().await;
    let values = answer.headers.get_all("location").iter().map(|value| value.to_str().unwrap());
    assert!(values.eq(alike(&upstream.url())), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_url_becomes_one_by_which_the_client_came() {
    let upstream = with_operation().await;
    let world = upstream.plan().start().await;
    let (key, ca) = (world.emulator.keys().openai, world.emulator.ca_pem());
    let (http, https) = (world.gateway.http, world.gateway.https.unwrap());
    let asked = |host: &str, target: &str| {
        format!("GET {target} HTTP/1.1\r\nhost: {host}\r\napi-key: {key}\r\nconnection: close\r\n\r\n").into_bytes()
    };

    // By any host, over plain HTTP and over TLS.
    for host in [&http.to_string(), "ai.example", "AI.example:8080", "[::1]:80", "localhost."] {
        let answer = exchange(TcpStream::connect(http).await.unwrap(), &asked(host, POLL)).await;
        assert_eq!(location(&answer), format!("http://{host}{POLL}"));
        let stream = TcpStream::connect(https).await.unwrap();
        let answer = exchange(handshake(stream, ca, b"http/1.1").await.unwrap(), &asked(host, POLL)).await;
        assert_eq!(location(&answer), format!("https://{host}{POLL}"));
    }
    // With the resource's name before the path, as it was written.
    for prefix in ["/ai", "//ai", "/%61i"] {
        let stream = TcpStream::connect(http).await.unwrap();
        let answer = exchange(stream, &asked("keyswap.example", &format!("{prefix}{POLL}"))).await;
        assert_eq!(location(&answer), format!("http://keyswap.example{prefix}{POLL}"));
        // And so a client that follows it is led to the same resource.
        let target = location(&answer).strip_prefix("http://keyswap.example").unwrap();
        let again = exchange(TcpStream::connect(http).await.unwrap(), &asked("keyswap.example", target)).await;
        assert_eq!(location(&again), location(&answer));
    }
    // In absolute form, by a unix socket, and over HTTP/2.
    let absolute = asked("ai.example:1", &format!("http://ai.example:1{POLL}"));
    let answer = exchange(TcpStream::connect(http).await.unwrap(), &absolute).await;
    assert_eq!(location(&answer), format!("http://ai.example:1{POLL}"));
    let socket = UnixStream::connect(world.gateway.directory.path().join("keyswap.sock")).await.unwrap();
    assert_eq!(location(&exchange(socket, &asked("localhost", POLL)).await), format!("http://localhost{POLL}"));
    let mut send = http2::<Full<Bytes>>(https, ca).await;
    let request = Request::get(format!("https://ai.example:8443/ai{POLL}")).header("api-key", &key);
    let answer = send.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["operation-location"], format!("https://ai.example:8443/ai{POLL}"));
    // Nobody knows how a client came that says no host.
    let nameless = format!("GET {POLL} HTTP/1.0\r\napi-key: {key}\r\n\r\n").into_bytes();
    let answer = exchange(TcpStream::connect(http).await.unwrap(), &nameless).await;
    assert_eq!(location(&answer), format!("{}{POLL}", upstream.url()));
    // Whoever calls the resource by its own host has its URLs right already.
    let own = asked(&upstream.address().to_string(), POLL);
    let answer = exchange(TcpStream::connect(http).await.unwrap(), &own).await;
    assert_eq!(location(&answer), format!("{}{POLL}", upstream.url()));
}

/// A connection from one of our addresses to another.
async fn connected(source: Ipv4Addr, world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(world.gateway.http).await.unwrap()
}

/// Where a request leads that comes from this address with these headers.
async fn led(world: &World, source: Ipv4Addr, headers: &[(&str, &str)]) -> String {
    let key = world.emulator.keys().openai;
    let headers = [&[("api-key", &*key)], headers].concat();
    let answer = exchange(connected(source, world).await, &request_text("GET", POLL, &headers)).await;
    location(&answer).strip_suffix(POLL).unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A world behind proxies, whose upstream names itself.
async fn behind(proxies: &'static str) -> (Upstream, World) {
    let upstream = with_operation().await;
    let plan = upstream.plan();
    let settings = move |text: String, emulator: &_| {
        (plan.settings)(text.replace("[listen]\n", &format!("[listen]\n{proxies}\n")), emulator)
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    (upstream, world)
}

#[tokio::test]
async fn what_trusted_proxies_tell_of_the_clients_url_counts() {
    let (_upstream, world) = behind("trusted_proxies = [\"127.0.0.2\", \"10.0.0.0/8\"]").await;
    let (proto, host, prefix) = ("X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix");
    let address = "X-Forwarded-For";
    for (source, headers, base) in [
        (PROXY, &[][..], "http://gateway"),
        (PROXY, &[(proto, "https")], "https://gateway"),
        (PROXY, &[(proto, "https"), (host, "ai.example")], "https://ai.example"),
        (PROXY, &[(proto, "https"), (host, "ai.example:8443"), (prefix, "/azure")], "https://ai.example:8443/azure"),
        // What the client itself wrote stands further left.
        (PROXY, &[(proto, "gopher,https"), (host, "evil.example, ai.example")], "https://ai.example"),
        (PROXY, &[(host, "evil.example"), (host, "ai.example"), (address, "10.0.0.9, 192.0.2.1")], "http://ai.example"),
        // Two proxies, of which each wrote what it saw, or the second passed on what the first wrote.
        (
            PROXY,
            &[(address, "192.0.2.1, 10.0.0.7"), (proto, "https, http"), (host, "evil, ai.example, inner")],
            "https://ai.example",
        ),
        (PROXY, &[(address, "192.0.2.1, 10.0.0.7"), (proto, "https"), (host, "ai.example")], "https://ai.example"),
        // What is no such thing says nothing.
        (PROXY, &[(proto, "ftp"), (host, "a/b\"c"), (prefix, "/../x")], "http://gateway"),
        // The other header is the client's own.
        (PROXY, &[("Forwarded", "proto=https;host=evil.example")], "http://gateway"),
        // Who is no proxy of ours may write what it likes.
        (STRANGER, &[(proto, "https"), (host, "evil.example"), (prefix, "/evil")], "http://gateway"),
    ] {
        assert_eq!(led(&world, source, headers).await, base, "{source} {headers:?}");
    }
}

#[tokio::test]
async fn forwarded_tells_it_where_the_proxies_write_that() {
    let (_upstream, world) =
        behind("trusted_proxies = [\"127.0.0.2\", \"10.0.0.7\"]\nforwarded_header = \"forwarded\"").await;
    let name = "Forwarded";
    for (source, headers, base) in [
        (PROXY, &[(name, "for=192.0.2.1;proto=https;host=ai.example")][..], "https://ai.example"),
        (PROXY, &[(name, "for=_hidden;proto=https;host=\"ai.example:8443\"")], "https://ai.example:8443"),
        (PROXY, &[(name, "for=a;host=evil.example"), (name, "for=192.0.2.1;proto=https")], "https://gateway"),
        (PROXY, &[(name, "for=192.0.2.1;proto=https;host=ai.example, for=10.0.0.7;host=in")], "https://ai.example"),
        (PROXY, &[(name, "for=192.0.2.1;host=\"a;host=b")], "http://gateway"),
        (PROXY, &[("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Prefix", "/evil")], "http://gateway"),
        (STRANGER, &[(name, "for=192.0.2.1;proto=https;host=evil.example")], "http://gateway"),
    ] {
        assert_eq!(led(&world, source, headers).await, base, "{source} {headers:?}");
    }
}

/// As openai 0.28 does it: 202, where to ask, ask, wait, ask. The pictures themselves are on another host.
#[tokio::test]
async fn an_image_is_polled_for_through_us() {
    let plan =
        Plan { options: Options { image_wait: std::time::Duration::ZERO, ..Options::default() }, ..Plan::default() };
    let world = plan.start().await;
    let key = world.emulator.keys().openai;
    let submit = "/openai/images/generations:submit?api-version=2023-06-01-preview";
    let accepted = world.post(submit).key(&key).json(&json!({"prompt": "a cat", "n": 2})).await;
    assert_eq!(accepted.status, 202);
    let operation = accepted.header("operation-location").unwrap().to_owned();
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    let base = format!("http://{}", world.gateway.http);
    assert_eq!(operation, format!("{base}/openai/operations/images/{id}?api-version=2023-06-01-preview"));
    let poll = || world.client.call(Method::GET, &operation).key(&key).send();
    let running = poll().await;
    assert_eq!((&running.json()["status"], running.header("retry-after")), (&json!("running"), Some("0")));
    let done = poll().await;
    assert_eq!((&done.json()["status"], done.header("retry-after")), (&json!("succeeded"), None));
    let picture = &done.json()["result"]["data"][1]["url"];
    let blob = format!("https://dalleproduse.blob.core.windows.net/private/images/{id}/generated_01.png?");
    assert!(picture.as_str().unwrap().starts_with(&blob), "{picture}");
    assert!(world.arrived().iter().all(|entry| entry.door == Some(Door::Behind)));
}
