//! Absolute URLs in the JSON of Azure AI Search, as it streams past: exact bytes, whole indexes, and pages of any size.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use azure_emulator::{Door, Emulator, Plane};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::client::{Answer, http2, raw, request_text};
use crate::memory::MOST_MEMORY;
use crate::shipped::shipped;
use crate::upstream::{Then, Upstream};
use crate::wire::{End, read_all};
use crate::world::{Plan, SEARCH, World};

/// A search whose answer our own upstreams invent.
const DOCS: &str = "/indexes('hotels')/docs?api-version=2024-07-01&search=*";

/// What Azure says of its JSON (H13).
const TYPE: &str = "content-type: application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8\r\n";

/// An answer with this first line and these lines in its head, and this body in chunks of so many bytes.
fn chunked(status: &str, head: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\n{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    answer
}

/// The same with its length.
fn measured(status: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What a search for documents is answered through the gateway.
async fn asked(world: &World) -> Answer {
    world.get(DOCS).key(&world.emulator.keys().search_query).header("accept-encoding", "gzip, br").send().await
}

/// A page as nobody would write it: blanks, numbers and escapes of every kind, documents that have the names of our fields.
fn odd_page(url: &str) -> String {
    let escaped = url.replace('/', "\\/");
    format!(
        "\r\n{{ \"@odata.context\" :\t\"{url}/indexes('hotels')/$metadata#docs(*)\",\"@odata.count\":1.50e+03,\
         \"@search.nextPageParameters\":{{\"search\":\"{url}/\",\"skip\":50}},\"value\":[\
         {{\"@search.score\":1.0,\"Url\":\"{url}/a\",\"@odata.nextLink\":\"{url}/b\",\"Text\":\"\\u00e9\\/ \u{6f22}\\\"\"}},\
         {{\"@odata.context\":\"{url}\",\"n\":[-0,0.10,1E-7,123456789012345678901234567890]}}],\
         \"@odata.next\\u004cink\":\"{escaped}\\/indexes('hotels')\\/docs?a\\u0026$skip=50\",\
         \"@odata.nextlink\":\"{url}/c\",\"other\":\"{url}/d\",\"@odata.nextLink\":null}} \n"
    )
}

/// The same as it is to arrive.
fn odd_page_turned(url: &str, base: &str) -> String {
    let escaped = url.replace('/', "\\/");
    let page = odd_page(url);
    let page = page.replacen(&format!("\"{url}/indexes"), &format!("\"{base}/indexes"), 1);
    page.replacen(&format!("\"{escaped}\\/indexes"), &format!("\"{base}\\/indexes"), 1)
}

#[tokio::test]
async fn a_page_passes_byte_for_byte_but_for_its_own_urls() {
    for size in [1, 2, 7, 64, 1_000_000] {
        let head = format!("{TYPE}etag: \"0x8D\"\r\nvary: Accept-Encoding\r\n");
        let upstream = Upstream::naming_itself(|url| chunked("200 OK", &head, odd_page(url).as_bytes(), size)).await;
        let world = upstream.search_plan().start().await;
        let answer = asked(&world).await;
        let base = format!("http://{}", world.gateway.http);
        assert_eq!(answer.text(), odd_page_turned(&upstream.url(), &base), "in chunks of {size}");
        assert_eq!((answer.header("etag"), answer.header("vary")), (Some("\"0x8D\""), Some("Accept-Encoding")));
        assert_eq!(upstream.only_asked().header("accept-encoding"), Some("identity"));
    }
}

/// How long it will be is known at its end, so it has no length; and it is whole all the same, for clients of HTTP/1.0
/// and of HTTP/2, too.
#[tokio::test]
async fn a_page_that_may_be_turned_has_no_length() {
    let upstream = Upstream::naming_itself(|url| measured("200 OK", TYPE, odd_page(url).as_bytes())).await;
    let world = upstream.search_plan().start().await;
    let answer = asked(&world).await;
    let turned = |base: String| odd_page_turned(&upstream.url(), &base);
    assert_eq!(answer.text(), turned(format!("http://{}", world.gateway.http)));
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, Some("chunked")));

    let key = world.emulator.keys().search_query;
    let old = format!("GET {DOCS} HTTP/1.0\r\nhost: search.example\r\napi-key: {key}\r\n\r\n");
    let answer = raw(world.gateway.http, old.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, turned("http://search.example".to_owned()), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");

    let mut send = http2::<Full<Bytes>>(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    let request = Request::get(format!("https://search.example/search{DOCS}")).header("api-key", &key);
    let answer = send.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.headers().get("content-length"), None);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, turned("https://search.example/search".to_owned()));
}

/// What can hold none of them passes with its length, even if something in it looks like one.
#[tokio::test]
async fn other_answers_keep_their_length() {
    let text = |url: &str| format!("{{\"@odata.context\":\"{url}/$metadata\"}}");
    for (status, head) in [
        ("404 Not Found", TYPE),
        ("200 OK", "content-type: text/plain; charset=utf-8\r\n"),
        ("200 OK", "content-type: application/jsonl\r\n"),
        ("200 OK", "content-type: text/event-stream\r\n"),
        ("200 OK", ""),
    ] {
        let upstream = Upstream::naming_itself(|url| measured(status, head, text(url).as_bytes())).await;
        let world = upstream.search_plan().start().await;
        let answer = asked(&world).await;
        let text = text(&upstream.url());
        assert_eq!(answer.text(), text, "{status}, {head}");
        assert_eq!(answer.header("content-length"), Some(&*text.len().to_string()), "{status}, {head}");
    }
    // To HEAD, too.
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\n{TYPE}content-length: 77\r\n\r\n").as_bytes()).await;
    let world = upstream.search_plan().start().await;
    let head = world.call(Method::HEAD, "/indexes('hotels')?api-version=2024-07-01");
    let answer = head.key(&world.emulator.keys().search_admin).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("77")));
}

/// Its JSON holds no URL of its own, and is not read.
#[tokio::test]
async fn azure_openai_is_asked_as_the_client_asked() {
    let text = |url: &str| format!("{{\"@odata.nextLink\":\"{url}/openai/files\"}}");
    let upstream = Upstream::naming_itself(|url| measured("200 OK", TYPE, text(url).as_bytes())).await;
    let world = upstream.plan().start().await;
    let call = world.get("/openai/models?api-version=2024-10-21").key(&world.emulator.keys().openai);
    let answer = call.header("accept-encoding", "gzip, br").send().await;
    let text = text(&upstream.url());
    assert_eq!((answer.text(), answer.header("content-length")), (text.clone(), Some(&*text.len().to_string())));
    assert_eq!(upstream.only_asked().header("accept-encoding"), Some("gzip, br"));
}

/// Whoever calls the resource by its own host has its URLs right already: nothing is read, and nothing is asked.
#[tokio::test]
async fn a_client_that_calls_the_resource_itself_gets_its_answer_as_it_is() {
    let upstream = Upstream::naming_itself(|url| measured("200 OK", TYPE, odd_page(url).as_bytes())).await;
    let world = upstream.search_plan().start().await;
    let call = world.get(DOCS).key(&world.emulator.keys().search_query).header("accept-encoding", "gzip, br");
    let answer = call.header("host", &upstream.address().to_string()).send().await;
    let page = odd_page(&upstream.url());
    assert_eq!((answer.text(), answer.header("content-length")), (page.clone(), Some(&*page.len().to_string())));
    assert_eq!(upstream.only_asked().header("accept-encoding"), Some("gzip, br"));
}

/// It was asked for otherwise; what cannot be read passes, and an operator can see it.
#[tokio::test]
async fn a_page_that_comes_encoded_passes_and_is_counted() {
    let head = format!("{TYPE}content-encoding: gzip\r\n");
    let upstream = Upstream::naming_itself(|url| measured("200 OK", &head, odd_page(url).as_bytes())).await;
    let world = upstream.search_plan().start().await;
    for _ in 0..2 {
        let answer = asked(&world).await;
        let page = odd_page(&upstream.url());
        assert_eq!((answer.text(), answer.header("content-length")), (page.clone(), Some(&*page.len().to_string())));
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
    }
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains("keyswap_links_hidden_total 2\n"), "{metrics}");
    let told = "an answer came encoded though it was asked for otherwise: its links stay (told once)";
    world.gateway.logged(|line| line["message"] == told && line["resource"] == "search").await;
    let times = world.gateway.log().iter().filter(|line| line["message"] == told).count();
    assert_eq!(times, 1);
}

/// Broken JSON is the upstream's own affair: it passes as it is from where it breaks.
#[tokio::test]
async fn a_broken_page_passes_from_where_it_breaks() {
    let page = |context: &str, link: &str| {
        format!("{{\"@odata.context\":\"{context}/$metadata\",\"value\":[1,],\"@odata.nextLink\":\"{link}/docs\"}}")
    };
    let cut = |link: &str| format!("{{\"@odata.nextLink\":\"{}", &link[..link.len() - 1]);
    for size in [1, 1000] {
        let upstream = Upstream::naming_itself(|url| chunked("200 OK", TYPE, page(url, url).as_bytes(), size)).await;
        let world = upstream.search_plan().start().await;
        let (base, url) = (format!("http://{}", world.gateway.http), upstream.url());
        assert_eq!(asked(&world).await.text(), page(&base, &url));
        // Or ends, in the middle of a URL.
        let upstream = Upstream::naming_itself(|url| chunked("200 OK", TYPE, cut(url).as_bytes(), size)).await;
        let world = upstream.search_plan().start().await;
        assert_eq!(asked(&world).await.text(), cut(&upstream.url()));
    }
}

/// What was held of a URL when the upstream broke off arrives, too, and then the connection breaks.
#[tokio::test]
async fn a_page_that_breaks_off_within_a_url_arrives_as_far_as_it_came() {
    let page = "{\"@odata.nextLink\":\"http://127.0.0.1";
    let answer = chunked("200 OK", TYPE, page.as_bytes(), 1000);
    let upstream = Upstream::answering_in_turn(&[(&answer[..answer.len() - b"0\r\n\r\n".len()], Then::Close)]).await;
    let world = upstream.search_plan().start().await;
    let key = world.emulator.keys().search_query;
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(&request_text("GET", DOCS, &[("api-key", &key)])).await.unwrap();
    let (answer, end) = read_all(stream).await;
    let answer = String::from_utf8(answer).unwrap();
    // In two chunks: what passed at once, and what was held.
    let (passed, held) = page.split_at(page.find("http").unwrap());
    let body = [passed, held].map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).concat();
    assert_eq!((answer.split_once("\r\n\r\n").unwrap().1, end), (&*body, End::Broken));
}

// === A whole index ===

/// A client of its own hand follows every link, by GET, and reads an index of 5,000 documents: through the gateway alone.
#[tokio::test]
async fn every_page_of_an_index_is_reached_through_us() {
    let world = World::start().await;
    let admin = world.emulator.keys().search_admin;
    let field = |name: &str, key: bool| json!({"name": name, "type": "Edm.String", "key": key, "filterable": true});
    let index = json!({"name": "many", "fields": [field("Id", true), field("Link", false)]});
    let base = format!("http://{}", world.gateway.http);
    let created = world.post("/indexes?api-version=2024-07-01").key(&admin).json(&index).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), Some(&*format!("{base}/indexes('many')?api-version=2024-07-01")));
    assert_eq!(created.json()["@odata.context"], format!("{base}/$metadata#indexes/$entity"));

    // Their own fields point at the upstream, and are none of our business.
    let own = format!("{}/indexes('many')", world.emulator.search(Door::Behind));
    for batch in 0..5 {
        let documents = (batch * 1000..(batch + 1) * 1000).map(|n| json!({"Id": format!("{n:04}"), "Link": own}));
        let documents = json!({"value": documents.collect::<Vec<_>>()});
        let target = "/indexes('many')/docs/search.index?api-version=2024-07-01";
        assert_eq!(world.post(target).key(&admin).json(&documents).await.status, 200);
    }

    let query = world.emulator.keys().search_query;
    let prefix = format!("{base}/search");
    let mut next = Some(format!("{prefix}/indexes('many')/docs?api-version=2024-07-01&search=*&$select=Id,Link"));
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(link) = next {
        assert!(link.starts_with(&format!("{prefix}/indexes('many')/docs?")), "{link}");
        let page = world.client.call(Method::GET, &link).key(&query).send().await;
        assert_eq!(page.status, 200, "{link}");
        let page = page.json();
        assert_eq!(page["@odata.context"], format!("{prefix}/indexes('many')/$metadata#docs(*)"));
        for document in page["value"].as_array().unwrap() {
            assert_eq!(document["Link"], own);
            seen.push(document["Id"].as_str().unwrap().to_owned());
        }
        pages += 1;
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    seen.sort_unstable();
    assert!(seen.iter().map(String::as_str).eq((0..5000).map(|n| format!("{n:04}")).collect::<Vec<_>>()));
    assert_eq!(pages, 100);
    // Nobody came by another door than the gateway's.
    let arrived = world.arrived();
    assert_eq!(arrived.len(), 1 + 5 + pages);
    assert!(arrived.iter().all(|entry| entry.door == Some(Door::Behind) && entry.plane == Plane::Search));
}

/// A POST is told a link and what to post there.
#[tokio::test]
async fn a_search_by_post_goes_on_by_its_link() {
    let world = World::start().await;
    let query = world.emulator.keys().search_query;
    let link = format!("http://{}{SEARCH}", world.gateway.http);
    let (mut hotels, mut body) = (0, json!({"search": "*", "select": "HotelId"}));
    loop {
        let page = world.client.call(Method::POST, &link).key(&query).json(&body).await.json();
        hotels += page["value"].as_array().unwrap().len();
        if page["@odata.nextLink"] == Value::Null {
            break;
        }
        assert_eq!(page["@odata.nextLink"], link);
        body = page["@search.nextPageParameters"].clone();
    }
    assert_eq!(hotels, 120);
}

// === A page of any size ===

/// A page of many documents, made as it is sent, and once more as it is compared.
#[derive(Clone, Debug)]
struct Page {
    /// What is left, last first: a text, and how often it comes.
    left: Vec<(Bytes, u64)>,
}

impl Page {
    /// A page whose URLs begin so, with at least so many bytes; its documents name the upstream.
    fn of(base: &str, upstream: &str, length: u64) -> Self {
        let document = format!(
            "{{\"@search.score\":1.0,\"Id\":\"\\u0031\",\"Price\":129.90,\"@odata.nextLink\":\"{upstream}/no\",\"Text\":\
             \"Best hotel in town \u{2014} if you like luxury, with a \\\"view\\\"\",\"Vector\":[0.0017,-2.5e-3,7]}},"
        );
        let documents = document.repeat(100);
        let times = length / documents.len() as u64 + 1;
        let first = format!("{{\"@odata.context\":\"{base}/$metadata#docs(*)\",\"value\":[");
        let last = format!("{{}}],\"@odata.nextLink\":\"{base}/indexes('hotels')/docs?$skip=1\"}}");
        Self { left: vec![(last.into(), 1), (documents.into(), times), (first.into(), 1)] }
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let (text, times) = self.left.last_mut()?;
        let text = text.clone();
        *times -= 1;
        if *times == 0 {
            self.left.pop();
        }
        Some(text)
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Answers every request with a page of its own URLs.
async fn paging(listener: TcpListener, length: u64) {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |_: Request<Incoming>| {
        let answer = Response::builder().header("content-type", "application/json; odata.metadata=minimal");
        let page = answer.body(Page::of(&url, &url, length)).unwrap();
        async move { Ok::<_, Infallible>(page) }
    };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let serving = hyper::server::conn::http1::Builder::new();
        connections.spawn(serving.serve_connection(TokioIo::new(stream), service_fn(answer.clone())));
    }
}

/// Compares an answer with a page as it comes.
async fn compare(mut answer: Incoming, page: Page) {
    let mut expected = page.peekable();
    let mut whole = Bytes::new();
    while let Some(frame) = answer.frame().await {
        let mut piece = frame.unwrap().into_data().unwrap();
        while !piece.is_empty() {
            if whole.is_empty() {
                whole = expected.next().expect("no more than the page");
            }
            let length = whole.len().min(piece.len());
            assert!(whole.split_to(length) == piece.split_to(length), "another byte");
        }
    }
    assert!(whole.is_empty() && expected.peek().is_none(), "less than the page");
}

/// One page of this length through a gateway of its own: the most memory that it ever had, in KiB.
#[expect(clippy::print_stdout, reason = "`make soak` is run for these numbers")]
async fn peak(length: u64) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = upstream.clone();
    let here = move |text: String, emulator: &Emulator| text.replace(&emulator.search(Door::Behind), &endpoint);
    let world = Plan { binary: shipped().await, settings: Box::new(here), ..Plan::default() }.start().await;
    let serving = tokio::spawn(paging(listener, length));
    let before = world.gateway.peak_memory();
    let began = std::time::Instant::now();
    let stream = TcpStream::connect(world.gateway.http).await.unwrap();
    let (mut send, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(DOCS).header("host", "gateway").header("api-key", world.emulator.keys().search_query);
    let answer = send.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    compare(answer.into_body(), Page::of("http://gateway", &upstream, length)).await;
    serving.abort();
    let peak = world.gateway.peak_memory();
    println!("a page of {length} bytes in {:?}: VmHWM {before} KiB before, {peak} KiB after", began.elapsed());
    peak
}

/// Twice the bound: a gateway that held it would be above.
#[tokio::test]
async fn a_long_page_is_not_held() {
    let peak = peak(130_000_000).await;
    assert!(peak <= MOST_MEMORY, "{peak} KiB");
}

/// `make soak`: a gigabyte.
#[tokio::test]
#[ignore = "takes a minute: make soak"]
async fn soak_a_page_of_a_gigabyte_is_not_held() {
    let peak = peak(1_000_000_000).await;
    assert!(peak <= MOST_MEMORY, "{peak} KiB");
}
