//! An emulator, a gateway in front of it, and a client: what most tests need.
//!
//! When a world ends, it asks the journal whether a client credential ever arrived behind keyswap. So every test that
//! has a world proves that none does.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use azure_emulator::{App, Door, Emulator, Entry, Options, Plane};
use http::Method;
use keyswap::keys::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Call, Client};
use crate::gateway::{Gateway, KEYSWAP, LIMIT, directory};

/// A chat on the legacy surface.
pub(crate) const CHAT: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";

/// A search of the hotels.
pub(crate) const SEARCH: &str = "/indexes('hotels')/docs/search.post.search?api-version=2024-07-01";

/// An emulator, a gateway, a client.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
}

/// Turns the usual text of a file into another.
type Edit = Box<dyn FnOnce(String, &Emulator) -> String + Send>;

/// Variables and what they are set to.
type Environment = Vec<(&'static str, String)>;

/// What a world is made of, where it is not the usual.
pub(crate) struct Plan {
    /// The gateway's binary.
    pub(crate) binary: PathBuf,
    /// What the emulator is told at its start.
    pub(crate) options: Options,
    /// The doors that the gateway forwards to.
    pub(crate) door: Door,
    /// Turns the usual settings into others.
    pub(crate) settings: Edit,
    /// Turns the usual keys into others.
    pub(crate) keys: Edit,
    /// The gateway's environment.
    pub(crate) environment: Environment,
    /// The rest of that environment, where it depends on the emulator.
    pub(crate) environment_of: Box<dyn FnOnce(&Emulator) -> Environment + Send>,
    /// What happens between the emulator's start and the gateway's.
    pub(crate) before: Box<dyn FnOnce(&Emulator) + Send>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            binary: KEYSWAP.into(),
            options: Options::default(),
            door: Door::Behind,
            settings: Box::new(|text, _| text),
            keys: Box::new(|text, _| text),
            environment: Vec::new(),
            environment_of: Box::new(|_| Vec::new()),
            before: Box::new(|_| ()),
        }
    }
}

impl Plan {
    pub(crate) async fn start(self) -> World {
        let emulator = Emulator::start(self.options).await.unwrap();
        (self.before)(&emulator);
        let settings = (self.settings)(settings(&emulator, self.door), &emulator);
        let keys = (self.keys)(keys(&emulator), &emulator);
        let directory = files(&emulator, &settings, &keys);
        let client = Client::trusting(&directory.path().join("ca.pem"));
        let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
        let environment = [self.environment, (self.environment_of)(&emulator)].concat();
        let gateway = Gateway::start_of(&self.binary, directory, &arguments, &environment).await;
        World { emulator, gateway, client }
    }
}

impl World {
    /// The usual world.
    pub(crate) async fn start() -> Self {
        Plan::default().start().await
    }

    /// A call through the gateway, over plain HTTP.
    pub(crate) fn call(&self, method: Method, target: &str) -> Call {
        self.client.call(method, &format!("http://{}{target}", self.gateway.http))
    }

    pub(crate) fn get(&self, target: &str) -> Call {
        self.call(Method::GET, target)
    }

    pub(crate) fn post(&self, target: &str) -> Call {
        self.call(Method::POST, target)
    }

    /// A page of the admin address, and its status.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.gateway.admin);
        let answer = self.client.call(Method::GET, &url).send().await;
        (answer.status.as_u16(), answer.text())
    }

    /// Waits until the gateway has its token for Azure OpenAI: a test of what comes after that need not count with how long
    /// it takes on a busy machine.
    pub(crate) async fn has_token(&self) {
        let scope = "https://cognitiveservices.azure.com/.default";
        self.gateway.logged(|line| line["message"] == "token fetched" && line["scope"] == scope).await;
    }

    /// Waits until the gateway is ready; gives the page that says so.
    pub(crate) async fn becomes_ready(&self) -> String {
        let ready = async {
            loop {
                match self.admin("/health/ready").await {
                    (200, page) => return page,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(LIMIT, ready).await.expect("it becomes ready")
    }

    /// One of the gateway's files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.gateway.directory.path().join(name)
    }

    /// Writes it anew.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The same, as a change of what it was.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(String) -> String) {
        self.write(name, &change(fs::read_to_string(self.path(name)).unwrap()));
    }

    /// Waits until this generation is in effect.
    pub(crate) async fn generation(&self, number: u64) -> Value {
        let taken = |line: &Value| line["message"] == "new settings are in effect" && line["generation"] == number;
        let line = self.gateway.logged(taken).await;
        let (_, page) = self.admin("/health/ready").await;
        assert!(page.contains(&format!("\nsettings: generation {number}\n")), "{page}");
        line
    }

    /// The requests for tokens that Entra got.
    pub(crate) fn token_calls(&self) -> usize {
        self.emulator.journal().entries().iter().filter(|entry| entry.plane == Plane::Entra).count()
    }

    /// What arrived at a plane's doors.
    pub(crate) fn arrived(&self) -> Vec<Entry> {
        self.emulator.journal().entries().into_iter().filter(|entry| entry.door.is_some()).collect()
    }

    /// The one request that arrived at a plane's doors.
    pub(crate) fn only_arrival(&self) -> Entry {
        let mut arrived = self.arrived();
        assert_eq!(arrived.len(), 1, "{arrived:#?}");
        arrived.remove(0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let violations = self.emulator.journal().violations();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "client credentials arrived behind keyswap: {violations:#?}");
        }
    }
}

/// A chat that says this.
pub(crate) fn saying(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

/// A `[clients.NAME]` with one key of the same id.
pub(crate) fn client(name: &str, key: &str, grants: &str) -> String {
    let digest = Digest::of(key.as_bytes());
    format!("[clients.{name}]\nkeys = [{{ id = \"{name}\", sha256 = \"{digest}\" }}]\ngrants = [{grants}]\n")
}

/// An identity with the secret of an app.
pub(crate) fn app_identity(name: &str, app: &App, authority: &str) -> String {
    let App { tenant, client_id, .. } = app;
    format!(
        "[identities.{name}]\nkind = \"client-secret\"\nauthority = \"{authority}\"\ntenant = \"{tenant}\"\n\
         client_id = \"{client_id}\"\nsecret_file = \"{name}.secret\"\n"
    )
}

/// The usual settings: both planes, one identity that may do everything.
pub(crate) fn settings(emulator: &Emulator, door: Door) -> String {
    let resource = |name: &str, plane: &str, endpoint: String| {
        format!("[resources.{name}]\nplane = \"{plane}\"\nendpoint = \"{endpoint}\"\nidentity = \"app\"\n")
    };
    [
        "keys = \"keys.toml\"\nworkers = 2\n".to_owned(),
        "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nunix = \"keyswap.sock\"\n".to_owned(),
        "[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n".to_owned(),
        "[admin]\naddress = \"127.0.0.1:0\"\n[egress]\nca = \"ca.pem\"\n[drain]\ndelay = \"0s\"\n".to_owned(),
        // Tests try more wrong keys than anybody who is honest.
        "[guessing]\nfree = 1000000\n".to_owned(),
        app_identity("app", &emulator.app(), &emulator.entra()),
        resource("ai", "openai", emulator.openai(door)),
        resource("search", "search", emulator.search(door)),
    ]
    .concat()
}

/// Settings without TLS: keyswap calls nobody who shows its own certificate, and an upstream of a test may have to.
pub(crate) fn without_tls(settings: &str) -> String {
    settings.replace("https = \"127.0.0.1:0\"\n", "").replace("[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n", "")
}

/// The usual keys: what Azure had, as far as grants go by default.
pub(crate) fn keys(emulator: &Emulator) -> String {
    let keys = emulator.keys();
    [
        client("chat", &keys.openai, "{ resource = \"ai\" }"),
        client("admin", &keys.search_admin, "{ resource = \"search\", allow = [\"search-admin\"] }"),
        client("query", &keys.search_query, "{ resource = \"search\", allow = [\"search-query\"] }"),
    ]
    .concat()
}

/// The files of a gateway, in a directory of their own.
pub(crate) fn files(emulator: &Emulator, settings: &str, keys: &str) -> Arc<TempDir> {
    let certificate = emulator.gateway_certificate();
    directory(&[
        ("keyswap.toml", settings),
        ("keys.toml", keys),
        ("app.secret", &emulator.app().secret),
        ("reader.secret", &emulator.reader_app().secret),
        ("ca.pem", emulator.ca_pem()),
        ("cert.pem", &certificate.cert_pem),
        ("key.pem", &certificate.key_pem),
    ])
}
