//! The emulator and the gateway, on free loopback ports.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use azure_emulator::{ClientKeys, Door, Emulator, Options};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keyswap::egress::{Connector, Egress};
use keyswap::server::{Broken, Server};
use keyswap::sources::Source;
use serde_json::json;
use tokio::sync::mpsc;

/// Where nobody listens: what a resource looks like that is down. Fetch refuses some ports of its own accord, not this.
const NOBODY: &str = "https://127.0.0.1:2";

/// Everything that is up.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    /// Keys that Azure knows nothing of: `openai`'s is granted inference alone, `search_admin`'s has resources that are down.
    others: ClientKeys,
    /// `https://127.0.0.1:P` of the gateway.
    pub(crate) https: String,
    http: String,
    admin: String,
    pub(crate) ca: PathBuf,
    directory: PathBuf,
    client: Client<Connector, Full<Bytes>>,
    stop: mpsc::UnboundedSender<()>,
    gateway: JoinHandle<Result<(), Broken>>,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self, Box<dyn Error>> {
        let emulator = Emulator::start(Options { image_wait: Duration::from_secs(1), ..Options::default() }).await?;
        let others = ClientKeys::default();
        let directory = std::env::temp_dir().join(format!("keyswap-demo-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let file = |name: &str, content: &str| fs::write(directory.join(name), content);
        file("ca.pem", emulator.ca_pem())?;
        file("cert.pem", &emulator.gateway_certificate().cert_pem)?;
        file("key.pem", &emulator.gateway_certificate().key_pem)?;
        file("secret", &emulator.app().secret)?;
        file("keys.toml", &keys(&emulator, &others))?;
        file("keyswap.toml", &settings(&emulator))?;

        let source = Source { file: Some(directory.join("keyswap.toml")), ..Source::default() };
        let settings = source.read()?.settings;
        let ca = directory.join("ca.pem");
        let egress = Egress::new(&settings.egress, settings.timeouts.egress)?;
        let (stop, stops) = mpsc::unbounded_channel();
        // The gateway has runtimes of its own, and one may not be made inside another.
        let (told, addresses) = std::sync::mpsc::channel();
        let gateway = std::thread::spawn(move || {
            let server = Server::follow(source).map_err(|mistakes| mistakes.to_string());
            match server {
                Ok(server) => {
                    drop(told.send(Ok((server.addresses().clone(), server.admin_address()))));
                    server.run(stops)
                }
                Err(mistakes) => {
                    drop(told.send(Err(mistakes)));
                    Ok(())
                }
            }
        });
        let (addresses, admin) = addresses.recv()??;
        let https = addresses.https.ok_or("no https address")?;
        let http = addresses.http.ok_or("no http address")?;
        Ok(Self {
            emulator,
            others,
            https: format!("https://{https}"),
            http: format!("http://{http}"),
            admin: format!("http://{admin}"),
            ca,
            directory,
            client: Client::builder(TokioExecutor::new()).build(egress.connector()),
            stop,
            gateway,
        })
    }

    /// The first request waits for the first token; when it is answered, everything stands.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), Box<dyn Error>> {
        let key = self.emulator.keys().openai;
        let models = format!("{}/openai/models?api-version=2024-10-21", self.https);
        let answer = self.send(Request::get(models).header("api-key", key).body(Full::default())?).await?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("not ready: {}", answer.status()).into()) }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Box<dyn Error>> {
        Ok(self.client.request(request).await?)
    }

    /// One line for programs: the demo's contract.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let keys = self.emulator.keys();
        json!({
            "gateway": self.https,
            "gateway_http": self.http,
            "admin": self.admin,
            "ca": self.ca,
            "keys": {
                "openai": keys.openai,
                "search_admin": keys.search_admin,
                "search_query": keys.search_query,
                "limited": self.others.openai,
                "stranded": self.others.search_admin,
            },
            "nobody": NOBODY,
            "upstream": {
                "openai": self.emulator.openai(Door::Direct),
                "search": self.emulator.search(Door::Direct),
                "entra": self.emulator.entra(),
                "control": self.emulator.control(),
            },
        })
    }

    pub(crate) async fn strike(self) -> Result<(), Box<dyn Error>> {
        // Nobody is sent here any more: end at once.
        self.stop.send(())?;
        self.stop.send(())?;
        let gateway = self.gateway;
        let ended = tokio::task::spawn_blocking(move || gateway.join()).await?;
        ended.map_err(|_| "the gateway's thread panicked")??;
        self.emulator.shutdown().await;
        Ok(fs::remove_dir_all(self.directory)?)
    }
}

fn settings(emulator: &Emulator) -> String {
    let app = emulator.app();
    format!(
        r#"
        keys = "keys.toml"
        [listen]
        http = "127.0.0.1:0"
        https = "127.0.0.1:0"
        [tls]
        cert = "cert.pem"
        key = "key.pem"
        [admin]
        address = "127.0.0.1:0"
        [egress]
        ca = "ca.pem"
        [guessing]
        free = 100000  # the SDKs' suites bring wrong keys on purpose, and would wait for their answers
        [identities.app]
        kind = "client-secret"
        authority = "{}"
        tenant = "{}"
        client_id = "{}"
        secret_file = "secret"
        [resources.contoso]
        plane = "openai"
        endpoint = "{}"
        identity = "app"
        [resources.contoso-search]
        plane = "search"
        endpoint = "{}"
        identity = "app"
        [resources.down]
        plane = "openai"
        endpoint = "{NOBODY}"
        identity = "app"
        [resources.down-search]
        plane = "search"
        endpoint = "{NOBODY}"
        identity = "app"
        "#,
        emulator.entra(),
        app.tenant,
        app.client_id,
        emulator.openai(Door::Behind),
        emulator.search(Door::Behind),
    )
}

fn keys(emulator: &Emulator, others: &ClientKeys) -> String {
    let keys = emulator.keys();
    let client = |name: &str, key: &str, grants: &[(&str, &str)]| {
        let grant = |(resource, allow): &(&str, &str)| format!("{{ resource = \"{resource}\", allow = [{allow}] }}");
        format!(
            "[clients.{name}]\n\
             keys = [{{ id = \"{name}\", sha256 = \"{}\" }}]\n\
             grants = [{}]\n",
            keyswap::keys::Digest::of(key.as_bytes()),
            grants.iter().map(grant).collect::<Vec<_>>().join(", "),
        )
    };
    let (openai, admin, query) = ("\"openai\", \"realtime-secrets\"", "\"search-admin\"", "\"search-query\"");
    [
        client("chat", &keys.openai, &[("contoso", openai)]),
        client("indexer", &keys.search_admin, &[("contoso-search", admin)]),
        client("finder", &keys.search_query, &[("contoso-search", query)]),
        client("limited", &others.openai, &[("contoso", "\"inference\"")]),
        client("stranded", &others.search_admin, &[("down", openai), ("down-search", admin)]),
    ]
    .concat()
}
