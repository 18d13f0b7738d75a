//! No secret leaves the process: client keys wherever they can stand, whatever proves our identities, the proxy's
//! password, our tokens. All are looked for in all that comes out, at trace level, after requests that succeed,
//! are refused and fail.

mod listener;
mod outputs;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use ::base64::prelude::{BASE64_STANDARD, Engine};
use azure_emulator::{Door, Emulator, Fault, Options, Plane};
use http::Method;
use http_body_util::BodyExt;
use listener::Listener;
use serde_json::{Value, json};

use crate::certificate_files::Made;
use crate::client::{Answer, Client, http2};
use crate::gateway::{Gateway, directory, run};
use crate::identities::application;
use crate::proxy::{Proxy, Way};
use crate::websocket::{REALTIME, Talk};
use crate::world::{self, CHAT, SEARCH, World, saying};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

const DOCS: &str = "/indexes/hotels/docs?search=*&$top=1&api-version=2024-07-01";

/// A client's own token, which is no business of ours.
const CLIENTS_TOKEN: &str =
    "eyJhbGciOiJub25lIn0.eyJub25jZSI6IkNBTkFSWXh5emFiYzEyMzQ1In0.c2lnbmF0dXJlLW9mLXRoZS1jbGllbnQ";

/// What the proxy between us and Azure wants of us.
pub(crate) const PROXY_PASSWORD: &str = "CANARYpr0xyPassw0rdOfTheHouse7Gh2";

/// What the admin address wants of whoever asks.
pub(crate) const ADMIN_SECRET: &str = "CANARYsecretOfTheAdminAddress5Tq8";

/// What a cluster's token for us looks like; Entra does not take this one.
const SERVICE_ACCOUNTS_TOKEN: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDQU5BUlk6c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJlLW9mLXRoZS1jbHVzdGVy";

/// Where only the proxy leads to.
const SEARCH_SERVICE: &str = "contoso.search.windows.net";

/// A key that was never ours, or no longer is.
const WRONG_KEY: &str = "CANARYwrongKEYq7Zk1vXw93mBt5Lr0PsNd";

/// A key that becomes one of ours.
const NEW_KEY: &str = "CANARYnewK3yw8Zr2Hq6Vt9Jx4Bn7Mc1Ld";

#[tokio::test]
async fn no_secret_is_in_anything_that_comes_out() {
    let (mut world, proxy, listener, environment, mut seen) = start().await;
    let keys = world.emulator.keys();
    let mut sent = 1;

    // The proxy leads nowhere at first, which is told at length.
    let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({"search": "*"})).await;
    assert_eq!(answer.reason(), "upstream-unreachable");
    seen.add("the answer without a tunnel", &shown(&answer));
    let service = world.emulator.search(Door::Behind).rsplit('/').next().unwrap().parse().unwrap();
    proxy.lead(&format!("{SEARCH_SERVICE}:443"), Way::To(service));

    for key in [&keys.openai, &keys.search_admin, &keys.search_query, WRONG_KEY, CLIENTS_TOKEN] {
        for (name, answer) in in_every_place(&world, key).await {
            sent += 1;
            seen.add(&format!("the answer to a key in {name}"), &shown(&answer));
        }
    }
    // The same over HTTP/2, whose crate has a log of its own.
    let mut h2 = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
    for (name, value) in [("api-key", keys.openai.clone()), ("authorization", format!("Bearer {WRONG_KEY}"))] {
        let url = format!("https://localhost{MODELS}&api-key={}", keys.search_query);
        let request = http::Request::get(url).header(name, value).body(http_body_util::Full::default()).unwrap();
        let (head, body) = h2.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        sent += 1;
        seen.add("an answer over HTTP/2", &format!("{:?} {}", head.headers, String::from_utf8_lossy(&body)));
    }
    // A realtime websocket, by the key that a browser offers as a subprotocol.
    let offered = |key: &str| format!("realtime, openai-insecure-api-key.{key}");
    let talk = Talk::open(&world, REALTIME, &[("sec-websocket-protocol", &offered(&keys.openai))]).await.unwrap();
    seen.add("what opened a websocket", &format!("{:?}", talk.answer.headers()));
    let refused = Talk::refused(&world, REALTIME, &[("sec-websocket-protocol", &offered(WRONG_KEY))]).await;
    seen.add("what opened no websocket", &format!("{:?} {}", refused.headers(), refused.body()));
    // The identity with the certificate has a token that goes out, too.
    let answer = world.post(CHAT).key(&riders_key("cert")).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    sent += 2;
    // What breaks is told at length: bad tokens, missing roles, lost and unreadable answers.
    for (plane, target, key) in [(Plane::OpenAi, CHAT, &keys.openai), (Plane::Search, SEARCH, &keys.search_admin)] {
        let own = match plane {
            Plane::OpenAi => ["A1.2", "A1.3", "A1.4", "A1.5"],
            _ => ["B1.4", "B1.5", "B1.7", "B1.8"],
        };
        for fault in own.into_iter().chain(["close", "reset"]) {
            world.emulator.next(plane, Fault::named(fault), 1).unwrap();
            let answer = world.post(target).key(key).json(&saying("hello")).await;
            sent += 1;
            seen.add(&format!("the answer after {fault}"), &shown(&answer));
        }
    }

    let wrong = every_trouble(&world, sent).await;
    let accounts: Vec<_> = wrong.iter().map(|id| format!("/why/{id}")).collect();
    let pages = ["/metrics", "/health/ready", "/health/live", "/keys/use", "/nothing", "/why"];
    for page in pages.into_iter().chain(accounts.iter().map(|page| &**page)) {
        let call = || world.client.call(Method::GET, &format!("http://{}{page}", world.gateway.admin));
        let bearer = format!("Bearer {ADMIN_SECRET}");
        seen.add(page, &shown(&call().header("authorization", &bearer).send().await));
        seen.add(&format!("{page} without the secret"), &shown(&call().send().await));
    }
    for id in [None].into_iter().chain(wrong.iter().map(Some)) {
        for json in [None, Some("--json")] {
            let arguments = ["--admin-secret-file", "admin.secret"].into_iter().chain(json);
            let arguments: Vec<_> = arguments.chain(id.map(|id| &**id)).collect();
            let (code, out, error) = world.why(&arguments);
            assert_eq!(code, Some(0), "{error}");
            seen.add("keyswap why", &format!("{out}{error}"));
        }
    }
    seen.add("keyswap why without the secret", &world.why(&[]).2);
    seen.add("keyswap health", &world.gateway.health().1);
    seen.add_commands(&world);
    drop((h2, talk));
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    seen.add_files(&world);
    seen.add_text(&world, &environment).await;

    assert!(proxy.asked().len() >= 2 && proxy.asked().iter().all(|asked| asked.credentials.is_some()));

    let (log, requests) = (world.gateway.log(), world.gateway.requests());
    assert!(log.iter().any(|line| line["level"] == "TRACE"), "nothing was traced");
    let went_well = requests.iter().filter(|line| line["upstream_status"] == 200).count();
    let of_ours = requests.iter().filter(|line| line["reason"].is_string()).count();
    assert!(went_well >= 10 && of_ours > 40, "{went_well} went well, {of_ours} did not: {requests:#?}");
    is_a_panic_without_words(&log);
    log.iter().for_each(|line| seen.add("standard error", &line.to_string()));
    requests.iter().for_each(|line| seen.add("standard output", &line.to_string()));

    assert_eq!(seen.found(&secrets(&world, &listener)), Vec::<String>::new());
}

/// Something panicked, and nothing was said of it but where: what a panic says may hold anything.
fn is_a_panic_without_words(log: &[Value]) {
    // Whoever panics in the usual way writes lines of another kind.
    assert_eq!(log.iter().filter(|line| !line.is_object()).collect::<Vec<_>>(), Vec::<&Value>::new());
    let panics: Vec<_> = log.iter().filter(|line| line["message"] == "a part of keyswap panicked").collect();
    let [panic] = panics[..] else { panic!("absurd-expiry was answered once: {panics:#?}") };
    let keys: BTreeSet<_> = panic.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["timestamp", "level", "message", "place", "thread"]), "{panic}");
    assert_eq!((&panic["level"], &panic["thread"]), (&json!("ERROR"), &json!("main")));
    // A file of somebody's, a line, a column, and nothing behind them.
    let place = panic["place"].as_str().unwrap();
    let [column, line, file] = place.rsplitn(3, ':').collect::<Vec<_>>()[..] else { panic!("{place}") };
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    assert!(is_number(column) && is_number(line), "{place}");
    assert!(file.ends_with(".rs") && !file.contains([' ', ':', '\n']), "{place}");
}

/// Whoever writes a key where it does not belong makes a mistake that is told, and the key is not.
#[test]
fn no_mistake_quotes_a_key() {
    let key = "CANARYk3yTh4tStandsWhereADigestShould";
    let settings = "keys = \"keys.toml\"\n[identities.m]\nkind = \"managed-identity\"\n[resources.r]\n\
                    endpoint = \"https://contoso.openai.azure.com\"\nidentity = \"m\"\n";
    let mut seen = Seen::default();
    for entry in [
        format!("{{ id = \"a\", sha256 = \"{key}\" }}"),
        format!("\"{key}\""),
        format!("{{ id = \"a\", sha256 = {key} }}"),
        format!("{{ id = \"a\", key = \"{key}\" }}"),
    ] {
        let keys = format!("[clients.c]\nkeys = [{entry}]\ngrants = [{{ resource = \"r\" }}]\n");
        let directory = directory(&[("keyswap.toml", settings), ("keys.toml", &keys)]);
        let (code, out, error) = run(directory.path(), &["check"], &[]);
        assert_eq!(code, Some(2), "{entry}");
        seen.add(&format!("check of {entry}"), &format!("{out}{error}"));
    }
    let directory = directory(&[("keys", &format!("{key}\n{key}\nshort\n"))]);
    fs::set_permissions(directory.path().join("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    let upstream = "https://contoso.openai.azure.com";
    let flags = ["check", "--upstream", upstream, "--identity", "managed-identity", "--key-file", "keys"];
    let (code, out, error) = run(directory.path(), &flags, &[]);
    assert_eq!(code, Some(2));
    seen.add("check of plain keys", &format!("{out}{error}"));
    assert_eq!(seen.found(&[("the key".to_owned(), key.to_owned())]), Vec::<String>::new());
}

/// A finder that finds nothing proves nothing: a piece of a secret is planted in each disguise.
#[test]
fn a_planted_secret_is_found_in_each_disguise() {
    let secret = "CANARY+ab/cd~ef=0123456789";
    let secrets = [("planted".to_owned(), secret.to_owned())];
    let piece = &secret[7..7 + PIECE];
    let percent = |piece: &str| piece.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let mut disguises = vec![piece.to_owned(), percent(piece), percent(piece).to_uppercase()];
    for alignment in 0..3 {
        let text = [&vec![b'.'; alignment][..], secret.as_bytes()].concat();
        disguises.push(base64(&text, STANDARD));
        disguises.push(base64(&text, URL_SAFE));
    }
    for disguise in disguises {
        let mut seen = Seen::default();
        seen.add("here", &format!("before {disguise} after"));
        assert_eq!(seen.found(&secrets).len(), 1, "{disguise}");
    }
    let mut seen = Seen::default();
    seen.add("here", &secret[..PIECE - 1]);
    assert_eq!(seen.found(&secrets), Vec::<String>::new());
}

/// The variables of a process.
type Environment = Vec<(&'static str, String)>;

/// The usual world, but with all kinds of identity that a server has, the search service behind a proxy, and everything
/// traced; and what `keyswap check` says of it.
async fn start() -> (World, Proxy, Listener, Environment, Seen) {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    // What Entra refuses is logged, and tried again; at what is absurd azure_identity panics.
    for fault in ["wrong-secret", "absurd-expiry"] {
        emulator.next(Plane::Entra, Fault::named(fault), 1).unwrap();
    }
    let endpoint = emulator.identity_endpoint();
    let environment = vec![
        ("RUST_LOG", "trace".to_owned()),
        ("IDENTITY_ENDPOINT", endpoint.url),
        ("IDENTITY_HEADER", endpoint.header),
    ];
    let proxy = Proxy::start().await;
    proxy.demand(&format!("Basic {}", BASE64_STANDARD.encode(format!("keyswap:{PROXY_PASSWORD}"))));
    let egress = format!("[egress]\nproxy = \"http://{}\"\nproxy_credentials_file = \"proxy.secret\"\n", proxy.address);
    let settings = world::settings(&emulator, Door::Behind)
        .replace("[egress]\n", &egress)
        .replace(&emulator.search(Door::Behind), &format!("https://{SEARCH_SERVICE}"));
    let settings = settings.replace("[admin]\n", "[admin]\nsecret_file = \"admin.secret\"\n");
    let (openai, search) = settings.split_once("[resources.search]").unwrap();
    let search = search.replace("\"app\"", "\"machine\"");
    // It shows another authority's certificate: keyswap calls nobody who shows its own.
    let another = Emulator::start(Options::default()).await.unwrap();
    let listener = Listener::start(another.gateway_certificate()).await;
    let machine = "[identities.machine]\nkind = \"managed-identity\"\n";
    let pod = format!("[identities.pod]\n{}token_file = \"token\"\n", application("workload-identity", &emulator));
    let certified =
        format!("[identities.cert]\n{}certificate_file = \"app.pem\"\n", application("client-certificate", &emulator));
    let overheard = certified.replace("cert]", "overheard]").replace(&emulator.entra(), &listener.url);
    // They ride along for the tokens that they ask for.
    let grants = ["pod", "cert", "overheard"]
        .map(|name| world::client(name, &riders_key(name), &format!("{{ resource = \"ai\", identity = \"{name}\" }}")));
    let directory = world::files(
        &emulator,
        &format!(
            "{openai}{machine}{pod}{certified}{overheard}[usage]\nfile = \"usage.json\"\n[resources.search]{search}"
        ),
        &format!(
            "{}{}",
            world::keys(&emulator).replacen("{ resource = \"ai\" }", "{ resource = \"ai\", allow = [\"openai\"] }", 1),
            grants.concat()
        ),
    );
    fs::write(directory.path().join("ca.pem"), format!("{}{}", emulator.ca_pem(), another.ca_pem())).unwrap();
    fs::write(directory.path().join("proxy.secret"), format!("keyswap:{PROXY_PASSWORD}\n")).unwrap();
    fs::write(directory.path().join("token"), SERVICE_ACCOUNTS_TOKEN).unwrap();
    fs::write(directory.path().join("admin.secret"), ADMIN_SECRET).unwrap();
    let made = Made::rsa();
    emulator.upload_certificate(&emulator.app(), &made.cert).unwrap();
    fs::write(directory.path().join("app.pem"), format!("{}{}", made.cert, made.key)).unwrap();
    let mut seen = Seen::default();
    let (code, out, error) = run(directory.path(), &["check"], &environment);
    assert_eq!(code, Some(0), "{error}");
    seen.add("keyswap check", &format!("{out}{error}"));
    let client = Client::trusting(&directory.path().join("ca.pem"));
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let gateway = Gateway::start(directory, &arguments, &environment).await;
    for fetched in ["app", "cert"] {
        gateway.logged(|line| line["message"] == "token fetched" && line["identity"] == fetched).await;
    }
    let unread = "HTTP 401, AADSTS50027: what proves the identity is no token that Entra can read";
    gateway.logged(|line| line["why"] == unread && line["identity"] == "pod").await;
    gateway.logged(|line| line["why"].as_str().is_some_and(|why| why.ends_with(": the answer is absurd"))).await;
    gateway.logged(|line| line["identity"] == "overheard" && line["why"].is_string()).await;
    (World { emulator, gateway, client }, proxy, listener, environment, seen)
}

/// The key of the client that rides this identity.
fn riders_key(identity: &str) -> String {
    format!("CANARYkeyOfTheRider-{identity}-8Jd2Lq")
}

/// Requests that bring a key in each of the places where some client puts one.
async fn in_every_place(world: &World, key: &str) -> Vec<(&'static str, Answer)> {
    let bearer = format!("Bearer {key}");
    let subprotocol = format!("realtime, openai-insecure-api-key.{key}");
    let body = saying("hello");
    vec![
        ("api-key", world.post(CHAT).key(key).json(&body).await),
        ("a bearer", world.post(CHAT).header("authorization", &bearer).json(&body).await),
        ("another scheme", world.post(CHAT).header("authorization", &format!("Basic {key}")).json(&body).await),
        ("Ocp-Apim", world.post(CHAT).header("Ocp-Apim-Subscription-Key", key).json(&body).await),
        ("x-api-key", world.post(CHAT).header("x-api-key", key).json(&body).await),
        ("a subprotocol", world.get(MODELS).header("sec-websocket-protocol", &subprotocol).send().await),
        ("the query of a search", world.get(&format!("{DOCS}&api-key={key}")).send().await),
        ("the query of a chat", world.post(&format!("{CHAT}&api-key={key}")).json(&body).await),
        ("a query that nobody knows", world.get(&format!("/nowhere?Authorization=Bearer%20{key}")).send().await),
        ("a query of its own sign", world.get(&format!("{DOCS};api-key={key}")).key(key).send().await),
        ("a query encoded twice", world.get(&format!("{DOCS}&api%252Dkey={key}")).key(key).send().await),
        ("an encoded ?", world.get(&format!("/indexes%3Fapi-key={key}")).key(key).send().await),
        ("a ? encoded twice", world.get(&format!("/indexes%253fapi-key={key}")).key(key).send().await),
        ("a ? in wide letters", world.get(&format!("/indexes%ef%bc%9fapi-key={key}")).key(key).send().await),
        ("an encoded #", world.get(&format!("/indexes%23{key}")).key(key).send().await),
        ("a matrix parameter", world.get(&format!("/openai/models;api-key={key}")).key(key).send().await),
        ("a & for a ?", world.get(&format!("/openai/models&api-key={key}")).key(key).send().await),
        ("a search", world.post(SEARCH).key(key).json(&json!({"search": "*"})).await),
        ("two places", world.post(SEARCH).key("other").header("authorization", &bearer).json(&json!({})).await),
    ]
}

/// The ids of all requests that were refused or failed, of so many that have ended.
async fn every_trouble(world: &World, sent: usize) -> Vec<String> {
    let requests = world.gateway.all_told(sent).await;
    let wrong = requests.iter().filter(|line| line["reason"].is_string());
    let ids: Vec<_> = wrong.map(|line| line["request"].as_str().unwrap().to_owned()).collect();
    assert!(ids.len() > 40, "{requests:#?}");
    ids
}

/// All that a client sees of an answer.
fn shown(answer: &Answer) -> String {
    format!("{} {:?} {:?} {}", answer.status, answer.phrase, answer.headers, String::from_utf8_lossy(&answer.body))
}

/// Everything that must not be seen, by name.
fn secrets(world: &World, listener: &Listener) -> Vec<(String, String)> {
    let keys = world.emulator.keys();
    let tokens: BTreeSet<_> = world
        .arrived()
        .iter()
        .filter_map(|entry| entry.header("authorization")?.strip_prefix("Bearer ").map(str::to_owned))
        .collect();
    assert!(tokens.len() >= 3, "a token for each plane, and the rider's: {tokens:?}");
    let fixed = [
        ("the key of OpenAI", keys.openai),
        ("the admin key", keys.search_admin),
        ("the query key", keys.search_query),
        ("a key that is not listed", WRONG_KEY.to_owned()),
        ("a key that is imported", NEW_KEY.to_owned()),
        ("a client's own token", CLIENTS_TOKEN.to_owned()),
        ("the proxy's password", PROXY_PASSWORD.to_owned()),
        ("the secret of the admin address", ADMIN_SECRET.to_owned()),
        ("the app's secret", world.emulator.app().secret),
        ("a service account's token", SERVICE_ACCOUNTS_TOKEN.to_owned()),
        ("the key of a certificate", private_key(world, "app.pem")),
        ("the key of our own certificate", private_key(world, "key.pem")),
        ("a rider's key", riders_key("cert")),
        ("the identity endpoint's header", world.emulator.identity_endpoint().header),
    ];
    let tokens = tokens.into_iter().map(|token| ("a token of ours", token));
    // The other identity with this certificate sends the same header, and most of the claims.
    let assertions = listener.assertions();
    assert!(!assertions.is_empty(), "nothing was overheard");
    let assertions = assertions.into_iter().map(|assertion| ("an assertion", assertion));
    fixed.into_iter().chain(tokens).chain(assertions).map(|(name, text)| (name.to_owned(), text)).collect()
}

/// What is between the first and the last line of the key that stands in this file.
fn private_key(world: &World, file: &str) -> String {
    let pem = fs::read_to_string(world.path(file)).unwrap();
    let (_, key) = pem.split_once("PRIVATE KEY-----").unwrap();
    key.split_once("-----END").unwrap().0.split_whitespace().collect()
}

// === The finder ===

/// The shortest piece of a secret that counts, in bytes.
const PIECE: usize = 12;

/// The letters of base64 that twelve bytes surely fill, however they are aligned.
const LETTERS: usize = 14;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What has come out of the process, by where it did.
#[derive(Default)]
pub(crate) struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    pub(crate) fn add(&mut self, place: &str, text: &str) {
        self.0.push((place.to_owned(), text.as_bytes().to_vec()));
    }

    /// Where a piece of a secret was seen: raw, percent-encoded or in base64.
    pub(crate) fn found(&self, secrets: &[(String, String)]) -> Vec<String> {
        let plain = pieces(PIECE, secrets.iter().map(|(name, secret)| (&**name, secret.as_bytes().to_vec())));
        let encoded = secrets.iter().flat_map(|(name, secret)| {
            [STANDARD, URL_SAFE].into_iter().flat_map(move |alphabet| {
                (0..3).map(move |skipped| (&**name, base64(&secret.as_bytes()[skipped..], alphabet)))
            })
        });
        let encoded = pieces(LETTERS, encoded.map(|(name, text)| (name, text.into_bytes())));
        let mut found = Vec::new();
        for (place, text) in &self.0 {
            let decoded = percent_decoded(text);
            let raw = decoded.windows(PIECE).chain(text.windows(PIECE)).find_map(|window| plain.get(window));
            let disguised = text.windows(LETTERS).find_map(|window| encoded.get(window));
            if let Some(name) = raw.or(disguised) {
                found.push(format!("{name} in {place}: {}", String::from_utf8_lossy(text)));
            }
        }
        found
    }
}

/// Every piece of this length of these texts, with the name of its text.
fn pieces<'n>(length: usize, texts: impl Iterator<Item = (&'n str, Vec<u8>)>) -> HashMap<Vec<u8>, &'n str> {
    let pieces = |(name, text): (&'n str, Vec<u8>)| -> Vec<_> {
        text.windows(length).map(|piece| (piece.to_vec(), name)).collect()
    };
    texts.flat_map(pieces).collect()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for letter in 0..=group.len() {
            text.push(alphabet[bits >> (18 - 6 * letter) & 63].into());
        }
    }
    text
}
