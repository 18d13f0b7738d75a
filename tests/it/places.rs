//! Where a key may stand: every place on every kind of request, every two places with different keys, and keys that are
//! odd. Whatever counted, nothing of it arrives upstream.

use keyswap::keys::Digest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{raw, request_text};
use crate::closing_table::OPENAI_WRONG_KEY;
use crate::world::{CHAT, Plan, World, client, saying};

const SEARCH_WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;

const ADMIN_KEY_IN_URL: &str =
    r#"{"error":{"code":"","message":"The given API key is not permitted in the URI query string."}}"#;

const CLIENTS_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln";

const WRONG: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A kind of request: name, method, target, whether it asks for a websocket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kind<'t>(&'static str, &'static str, &'t str, bool);

const DOCS: &str = "/indexes/hotels/docs?search=*&$top=1&api-version=2024-07-01";

const KINDS: [Kind<'static>; 8] = [
    Kind("chat", "POST", CHAT, false),
    Kind("models", "GET", "/openai/models?api-version=2024-10-21", false),
    Kind("v1", "GET", "/openai/v1/models?after=x", false),
    Kind("realtime", "GET", "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview", true),
    Kind("realtime v1", "GET", "/openai/v1/realtime?model=gpt-4o-realtime-preview", true),
    Kind("realtime without a websocket", "GET", "/openai/v1/realtime?model=gpt-4o-realtime-preview", false),
    Kind("search", "GET", DOCS, false),
    Kind("search by POST", "POST", "/indexes('hotels')/docs/search.post.search?api-version=2024-07-01", false),
];

impl Kind<'_> {
    fn is_search(self) -> bool {
        self.2.starts_with("/indexes")
    }

    /// The refusal of this kind's plane, in Azure's bytes.
    fn wrong_key(self) -> &'static str {
        if self.is_search() { SEARCH_WRONG_KEY } else { OPENAI_WRONG_KEY }
    }
}

/// A place, in the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Header(&'static str),
    Bearer,
    Subprotocol,
    Parameter(&'static str),
    /// `?Authorization=`, where no key is ever taken from.
    AuthorizationParameter,
}

const PLACES: [Place; 7] = [
    Place::Header("api-key"),
    Place::Header("Ocp-Apim-Subscription-Key"),
    Place::Header("x-api-key"),
    Place::Bearer,
    Place::Subprotocol,
    Place::Parameter("api-key"),
    Place::AuthorizationParameter,
];

impl Place {
    /// Whether a key is looked for here.
    fn counts(self, kind: Kind<'_>) -> bool {
        match self {
            Self::Header(_) | Self::Bearer => true,
            Self::Subprotocol => kind.3,
            Self::Parameter(_) => kind.3 || kind.is_search(),
            Self::AuthorizationParameter => false,
        }
    }

    /// Whether a good key that is found here is taken.
    fn takes(self, kind: Kind<'_>) -> bool {
        self.counts(kind) && !(matches!(self, Self::Parameter(_)) && kind.1 == "POST")
    }
}

/// A request of this kind that has keys in these places.
fn request(Kind(_, method, target, websocket): Kind<'_>, keys: &[(Place, &str)]) -> Vec<u8> {
    let mut target = target.to_owned();
    let mut headers = Vec::new();
    if websocket {
        headers.extend([("upgrade", "websocket".to_owned()), ("connection", "Upgrade".to_owned())]);
    }
    for (place, key) in keys {
        match place {
            Place::Header(name) => headers.push((name, (*key).to_owned())),
            Place::Bearer => headers.push(("authorization", format!("Bearer {key}"))),
            Place::Subprotocol => {
                headers.push(("sec-websocket-protocol", format!("realtime, openai-insecure-api-key.{key}")));
            }
            Place::Parameter(name) => target = format!("{target}&{name}={key}"),
            Place::AuthorizationParameter => target = format!("{target}&Authorization=Bearer+{key}"),
        }
    }
    let body = if method == "POST" { saying("hello").to_string() } else { String::new() };
    headers.extend([("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())]);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    [request_text(method, &target, &headers), body.into_bytes()].concat()
}

/// A world whose keys may do what the kinds of request want; and a few odd keys.
async fn world() -> World {
    let plan = Plan {
        keys: Box::new(|text, _| {
            let granted = "allow = [\"inference\", \"realtime\"]";
            let text = text.replace("{ resource = \"ai\" }", &format!("{{ resource = \"ai\", {granted} }}"));
            let odd = [("latin", &b"caf\xe9-0123456789abcdefghijklmnopqrs"[..]), ("long", &[b'k'; 10_000][..])];
            odd.iter().fold(text, |text, (name, key)| {
                let listed = client(name, "", &format!("{{ resource = \"ai\", {granted} }}"));
                text + &listed.replace(&Digest::of(b"").to_string(), &Digest::of(key).to_string())
            })
        }),
        ..Plan::default()
    };
    plan.start().await
}

/// The key that is good for this kind.
fn good(world: &World, kind: Kind<'_>) -> String {
    let keys = world.emulator.keys();
    if kind.is_search() { keys.search_query } else { keys.openai }
}

/// Sends a request; says whether it arrived upstream, and what was answered.
async fn send(world: &World, request: &[u8]) -> (bool, String) {
    let before = world.arrived().len();
    let mut stream = TcpStream::connect(world.gateway.http).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    (world.arrived().len() > before, String::from_utf8_lossy(&answer).into_owned())
}

/// The journal has nothing of these keys; that it has no credential in any place that it knows, every world proves.
fn assert_none_arrived(world: &World, keys: &[&str]) {
    for entry in world.arrived() {
        let shown = format!("{} {:?}", entry.target, entry.headers);
        assert!(keys.iter().all(|key| !shown.contains(key)), "{shown}");
        assert!(!shown.contains("insecure"), "{shown}");
    }
}

fn is_refused(answer: &str, kind: Kind<'_>, reason: &str) -> bool {
    answer.ends_with(&format!("\r\n\r\n{}", kind.wrong_key()))
        && answer.contains(&format!("\r\nx-keyswap-reason: {reason}\r\n"))
}

#[tokio::test]
async fn a_key_is_taken_from_each_place_where_clients_put_it_and_from_no_other() {
    let world = world().await;
    let spelled = [
        Place::Header("API-KEY"),
        Place::Header("OCP-APIM-SUBSCRIPTION-KEY"),
        Place::Header("X-Api-Key"),
        Place::Parameter("API-Key"),
        Place::Parameter("%61pi%2dkey"),
    ];
    for kind in KINDS {
        let key = good(&world, kind);
        for place in PLACES.into_iter().chain(spelled) {
            let (arrived, answer) = send(&world, &request(kind, &[(place, &key)])).await;
            assert_eq!(arrived, place.takes(kind), "{kind:?} {place:?}: {answer}");
            assert!(arrived || is_refused(&answer, kind, "no-credential"), "{kind:?} {place:?}: {answer}");
            if arrived {
                let target = world.arrived().pop().unwrap().target;
                assert_eq!(target, kind.2, "the rest of the query is as it came");
            }
            let (arrived, answer) = send(&world, &request(kind, &[(place, WRONG)])).await;
            let reason = if place.counts(kind) { "unknown-key" } else { "no-credential" };
            assert!(!arrived && is_refused(&answer, kind, reason), "{kind:?} {place:?}: {answer}");
        }
    }
    let keys = world.emulator.keys();
    assert_none_arrived(&world, &[&keys.openai, &keys.search_query, WRONG]);
}

/// Two places with different keys, one good and one not: the first that counts decides.
#[tokio::test]
async fn of_two_places_the_first_decides() {
    let world = world().await;
    for kind in KINDS {
        let key = good(&world, kind);
        for (n, first) in PLACES.iter().enumerate() {
            for second in &PLACES[n + 1..] {
                for (one, other) in [(key.as_str(), WRONG), (WRONG, key.as_str())] {
                    let deciding = [(first, one), (second, other)].into_iter().find(|(place, _)| place.counts(kind));
                    let expected = deciding.is_some_and(|(place, brought)| place.takes(kind) && brought == key);
                    // In the order of the places, and against it.
                    for places in [[(*first, one), (*second, other)], [(*second, other), (*first, one)]] {
                        let (arrived, answer) = send(&world, &request(kind, &places)).await;
                        assert_eq!(arrived, expected, "{kind:?} {places:?}: {answer}");
                    }
                }
                // The same key in both is what openai-python sends.
                let (arrived, answer) = send(&world, &request(kind, &[(*first, &key), (*second, &key)])).await;
                let deciding = [first, second].into_iter().find(|place| place.counts(kind));
                assert_eq!(arrived, deciding.is_some_and(|place| place.takes(kind)), "{kind:?}: {answer}");
            }
        }
    }
    let keys = world.emulator.keys();
    assert_none_arrived(&world, &[&keys.openai, &keys.search_query, WRONG]);
}

/// A key that a `;` or a second encoding hides from us would be found by another server, and is not brought to any.
#[tokio::test]
async fn a_key_in_a_query_that_only_some_servers_see_goes_nowhere() {
    let world = world().await;
    for kind in KINDS {
        let key = good(&world, kind);
        for query in [
            format!("x=1;api-key={key}"),
            format!("x=1;API-Key={key}&y=2"),
            format!("api-key;={key}"),
            format!("x=1;%61pi-key={key}"),
            format!("x=1?api-key={key}"),
            format!("api%252Dkey={key}"),
            format!("api%25252Dkey={key}"),
            format!("x;subscription-key={key}"),
            format!("x=1;Authorization=Bearer+{key}"),
        ] {
            let request = request(Kind(kind.0, kind.1, &format!("{}&{query}", kind.2), kind.3), &[(PLACES[0], &key)]);
            let (arrived, answer) = send(&world, &request).await;
            let why = "its query has a credential where only some servers would look for it";
            assert!(!arrived && answer.starts_with("HTTP/1.1 400 ") && answer.contains(why), "{query}: {answer}");
        }
    }
    // What only looks a little like one is the client's affair.
    let key = world.emulator.keys().search_query;
    for query in ["x=1;y=2", "search=wifi;api-keys", "search=pool?", "x=a%2525"] {
        let target = format!("/indexes/hotels/docs?api-version=2024-07-01&{query}");
        let (arrived, answer) = send(&world, &request_text("GET", &target, &[("api-key", &key)])).await;
        assert!(arrived && world.arrived().pop().unwrap().target == target, "{query}: {answer}");
    }
}

/// All places at once, each with the key: all of them are emptied.
#[tokio::test]
async fn every_place_is_emptied_whichever_counted() {
    let world = world().await;
    for kind in KINDS {
        let key = good(&world, kind);
        let everywhere: Vec<_> = PLACES.iter().map(|place| (*place, key.as_str())).collect();
        let everywhere = [&everywhere[..], &[(Place::Parameter("subscription-key"), key.as_str())]].concat();
        let (arrived, answer) = send(&world, &request(kind, &everywhere)).await;
        assert!(arrived, "{kind:?}: {answer}");
        let entry = world.arrived().pop().unwrap();
        assert_eq!(entry.target, kind.2);
        assert_eq!(entry.header("sec-websocket-protocol"), Some("realtime"));
        assert_none_arrived(&world, &[&key]);
    }
}

#[tokio::test]
async fn what_a_place_says_twice_is_one_key_and_two_keys_are_none() {
    let world = world().await;
    let key = world.emulator.keys().openai;
    let bearer = format!("Bearer {key}");
    let joined = |one: &str, other: &str| format!("{one}, {other}");
    for (name, headers, taken) in [
        ("a line twice", vec![("api-key", key.clone()), ("Api-Key", key.clone())], true),
        ("joined", vec![("api-key", joined(&key, &key))], true),
        ("joined without a blank", vec![("api-key", format!("{key},{key}"))], true),
        ("bearers joined", vec![("authorization", joined(&bearer, &bearer))], true),
        ("both joined", vec![("api-key", joined(&key, &key)), ("authorization", joined(&bearer, &bearer))], true),
        ("an empty line before", vec![("api-key", String::new()), ("api-key", key.clone())], true),
        ("a comma and more", vec![("authorization", format!("{bearer},x"))], false),
        ("a bearer and its own scheme", vec![("authorization", joined(&bearer, "Basic dTpw"))], false),
        ("a proxy's own scheme before", vec![("authorization", joined("Basic dTpw", &bearer))], true),
        ("two lines that differ", vec![("api-key", key.clone()), ("api-key", WRONG.into())], false),
        ("two lines that differ, turned", vec![("api-key", WRONG.into()), ("api-key", key.clone())], false),
        ("joined and different", vec![("api-key", joined(&key, WRONG))], false),
        ("bearers that differ", vec![("authorization", joined(&bearer, "Bearer wrong"))], false),
        ("different, and a good place after", vec![("api-key", joined(&key, "x")), ("x-api-key", key.clone())], false),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (arrived, answer) = send(&world, &request_text("GET", KINDS[1].2, &headers)).await;
        assert_eq!(arrived, taken, "{name}: {answer}");
        assert!(arrived || is_refused(&answer, KINDS[1], "unknown-key"), "{name}: {answer}");
    }
    let told = world.gateway.told(|line| line["why"] == "one place has different keys").await;
    assert_eq!(told["reason"], "unknown-key");

    // In a URL nobody joins anything: there, a comma is a part of the key.
    let docs = KINDS[6];
    let key = good(&world, docs);
    for (query, taken) in [
        (format!("&api-key={key}&api-key={key}"), true),
        (format!("&api-key=&API-KEY={key}"), true),
        (format!("&api-key={key}&api-key={WRONG}"), false),
        (format!("&api-key={key},{key}"), false),
    ] {
        let (arrived, answer) = send(&world, &request_text("GET", &format!("{DOCS}{query}"), &[])).await;
        assert_eq!(arrived, taken, "{query}: {answer}");
        assert!(arrived || is_refused(&answer, docs, "unknown-key"), "{query}: {answer}");
    }
    assert_none_arrived(&world, &[&world.emulator.keys().openai, &key, WRONG]);
}

#[tokio::test]
async fn odd_keys_get_a_plain_answer() {
    let world = world().await;
    let key = world.emulator.keys().openai;
    let models = KINDS[1];
    let latin = b"caf\xe9-0123456789abcdefghijklmnopqrs";
    let long = [b'k'; 10_000];
    for (name, value, refused) in [
        ("empty", vec![], Some("no-credential")),
        ("blank", b" \t ".to_vec(), Some("no-credential")),
        ("commas", b", ,".to_vec(), Some("no-credential")),
        ("blanks around it", format!("  {key}\t").into_bytes(), None),
        ("in quotes", format!("\"{key}\"").into_bytes(), Some("unknown-key")),
        ("in single quotes", format!("'{key}'").into_bytes(), Some("unknown-key")),
        ("in another case", key.to_uppercase().into_bytes(), Some("unknown-key")),
        ("with something after it", format!("{key} {key}").into_bytes(), Some("unknown-key")),
        ("a bearer of its own", format!("Bearer {key}").into_bytes(), Some("unknown-key")),
        ("no UTF-8, not listed", b"\xff\xfe\x80".to_vec(), Some("unknown-key")),
        ("no UTF-8, listed", latin.to_vec(), None),
        ("10 KB, not listed", [b'l'; 10_000].to_vec(), Some("unknown-key")),
        ("10 KB, listed", long.to_vec(), None),
        ("a token", CLIENTS_TOKEN.into(), Some("unknown-key")),
    ] {
        let text = request_text("GET", models.2, &[]);
        let head = text.strip_suffix(b"\r\n").unwrap();
        let (arrived, answer) = send(&world, &[head, b"api-key: ", &value, b"\r\n\r\n"].concat()).await;
        assert_eq!(arrived, refused.is_none(), "{name}: {answer}");
        assert!(refused.is_none_or(|reason| is_refused(&answer, models, reason)), "{name}: {answer}");
    }
    for (name, target, reason) in [
        ("empty", format!("{DOCS}&api-key="), "no-credential"),
        ("without a value", format!("{DOCS}&api-key"), "no-credential"),
        ("no UTF-8", format!("{DOCS}&api-key=%ff%fe"), "unknown-key"),
        ("in quotes", format!("{DOCS}&api-key=%22{}%22", good(&world, KINDS[6])), "unknown-key"),
        ("10 KB", format!("{DOCS}&api-key={}", "l".repeat(10_000)), "unknown-key"),
    ] {
        let (arrived, answer) = send(&world, &request_text("GET", &target, &[])).await;
        assert!(!arrived && is_refused(&answer, KINDS[6], reason), "{name}: {answer}");
    }
    // A head has its limit, and a key is a part of it.
    let huge = "k".repeat(70_000);
    let answer = raw(world.gateway.http, &request_text("GET", models.2, &[("api-key", &huge)])).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// As Azure does: an admin key is refused in a URL whatever it wants, and a query key may stand there on GET alone.
#[tokio::test]
async fn an_admin_key_in_a_url_is_refused_as_azure_does() {
    let world = world().await;
    let keys = world.emulator.keys();
    let indexes = "/indexes?api-version=2024-07-01";
    for (method, target) in [("GET", DOCS), ("GET", indexes), ("POST", indexes), ("DELETE", "/indexes/hotels?x=y")] {
        let request = request_text(method, &format!("{target}&api-key={}", keys.search_admin), &[]);
        let (arrived, answer) = send(&world, &request).await;
        assert!(!arrived && answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{method} {target}: {answer}");
        assert!(answer.ends_with(ADMIN_KEY_IN_URL), "{method} {target}: {answer}");
        assert!(answer.contains("\r\nx-keyswap-reason: admin-key-in-url\r\n"), "{answer}");
    }
    // A key of the other plane is no admin key, nor any other one here.
    let request = request_text("GET", &format!("{DOCS}&api-key={}", keys.openai), &[]);
    let (arrived, answer) = send(&world, &request).await;
    assert!(!arrived && is_refused(&answer, KINDS[6], "no-resource"), "{answer}");
}

#[tokio::test]
async fn a_clients_own_token_is_told_in_each_place_where_clients_put_one() {
    let world = world().await;
    let bearer = format!("Bearer {CLIENTS_TOKEN}");
    for kind in KINDS {
        let joined = format!("{bearer}, {bearer}");
        for (query, headers) in [
            (String::new(), vec![("authorization", bearer.as_str())]),
            (String::new(), vec![("authorization", joined.as_str())]),
            (format!("&Authorization=Bearer+{CLIENTS_TOKEN}"), vec![]),
            (format!("&authorization=bearer%20{CLIENTS_TOKEN}"), vec![]),
        ] {
            let request = request_text(kind.1, &format!("{}{query}", kind.2), &headers);
            let (arrived, answer) = send(&world, &request).await;
            assert!(
                !arrived && answer.contains("\r\nx-keyswap-reason: client-token\r\n"),
                "{kind:?} {query}: {answer}"
            );
        }
        // A key before it decides, and the token goes nowhere.
        let key = good(&world, kind);
        let headers = [("api-key", key.as_str()), ("authorization", bearer.as_str())];
        let target = format!("{}&Authorization=Bearer+{CLIENTS_TOKEN}", kind.2);
        let (arrived, answer) = send(&world, &request_text(kind.1, &target, &headers)).await;
        assert!(arrived, "{kind:?}: {answer}");
        assert_none_arrived(&world, &[&key, CLIENTS_TOKEN]);
    }
}

/// The same over HTTP/2, where a proxy may have made one line of two.
#[tokio::test]
async fn a_key_is_taken_over_http_2_as_well() {
    let world = world().await;
    let key = world.emulator.keys().openai;
    let mut send = crate::client::http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for (name, value, status) in [
        ("api-key", key.clone(), 200),
        ("ocp-apim-subscription-key", key.clone(), 200),
        ("x-api-key", format!("{key},{key}"), 200),
        ("authorization", format!("Bearer {key}"), 200),
        ("api-key", format!("{key},{WRONG}"), 401),
    ] {
        let request = http::Request::get(format!("https://localhost{}", KINDS[1].2)).header(name, &value);
        let request = request.body(http_body_util::Full::<bytes::Bytes>::default()).unwrap();
        assert_eq!(send.send_request(request).await.unwrap().status(), status, "{name}");
    }
    assert_none_arrived(&world, &[&key, WRONG]);
}

/// A document-level token of Search says whose documents may be seen; it is no credential of ours.
#[tokio::test]
async fn what_says_whose_documents_may_be_seen_passes() {
    let world = world().await;
    let key = world.emulator.keys().search_query;
    let search = "/indexes('hotels')/docs/search.post.search?api-version=2025-05-01-preview";
    let call = world.post(search).key(&key).header("x-ms-query-source-authorization", CLIENTS_TOKEN);
    assert_eq!(call.json(&json!({"search": "*"})).await.status, 200);
    assert_eq!(world.only_arrival().header("x-ms-query-source-authorization"), Some(CLIENTS_TOKEN));
}
