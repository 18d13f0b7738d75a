//! Two replicas that share one directory, at addresses of their own, and what they say of themselves.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use azure_emulator::{Door as To, Emulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::request_text;
use crate::endurance::caller::Place;
use crate::gateway::{Gateway, LIMIT, address};
use crate::world;

/// A replica, through all its lives.
pub(super) struct Replica {
    gateway: Gateway,
    name: &'static str,
    runs: bool,
    /// What it said in the lives that have ended, in its log and of its requests.
    said: Vec<Value>,
}

/// Where clients find a replica, and whether it wants them.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) place: Place,
    ready: Arc<AtomicBool>,
}

/// Both of them: the names of their settings, and of their addresses.
pub(super) const NAMES: [(&str, u8); 2] = [("a", 21), ("b", 22)];

/// How long a replica that stops takes new connections: long enough for everybody to see that it is not ready, also on a
/// machine with other work.
const DELAY: &str = "3s";

/// How often it is asked whether it is ready.
const ASKED: Duration = Duration::from_millis(100);

/// The settings of both.
pub(super) fn write_settings(directory: &Path, emulator: &Emulator) {
    for (name, last) in NAMES {
        let address = address(last);
        let listen = format!("[listen]\nhttp = \"{address}:8080\"\nhttps = \"{address}:8443\"\n");
        let usual = "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nunix = \"keyswap.sock\"\n";
        let text = world::settings(emulator, To::Behind)
            .replace(usual, &listen)
            .replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{address}:9090\""))
            .replace("delay = \"0s\"", &format!("delay = \"{DELAY}\""))
            + &format!("[usage]\nfile = \"{name}-usage.json\"\n");
        fs::write(directory.join(format!("{name}.toml")), text).unwrap();
    }
}

// === impl Replica ===

impl Replica {
    pub(super) async fn start(name: &'static str, directory: &Arc<TempDir>) -> Self {
        Self { gateway: start(name, directory).await, name, runs: true, said: Vec::new() }
    }

    /// Where it is, and whether it is ready from now on; who asks does so as long as the tasks live.
    pub(super) fn door(&self, ca_pem: &str, tasks: &mut JoinSet<()>) -> Door {
        let place = Place { http: self.gateway.http, https: self.gateway.https.unwrap(), ca_pem: ca_pem.into() };
        let ready = Arc::<AtomicBool>::default();
        let (admin, told) = (self.gateway.admin, ready.clone());
        tasks.spawn(async move {
            loop {
                let is_ready = page(admin, "/health/ready").await.is_ok_and(|page| page.starts_with("HTTP/1.1 200 "));
                told.store(is_ready, Ordering::Relaxed);
                tokio::time::sleep(ASKED).await;
            }
        });
        Door { place, ready }
    }

    /// Where operators ask it.
    pub(super) fn admin(&self) -> SocketAddr {
        self.gateway.admin
    }

    /// The generation of its settings, if it runs.
    pub(super) async fn generation(&self) -> Option<u64> {
        if !self.runs {
            return None;
        }
        let page = page(self.gateway.admin, "/health/ready").await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix("settings: generation "));
        let number = line.and_then(|number| number.parse().ok());
        Some(number.unwrap_or_else(|| panic!("no generation in {page}")))
    }

    /// Waits until a later generation is in effect, and shown. A replica that does not run will begin with it.
    pub(super) async fn taken_after(&self, before: Option<u64>) {
        if self.runs {
            let taken = |line: &Value| line["message"] == "new settings are in effect";
            self.gateway.logged(|line| taken(line) && line["generation"].as_u64() > before).await;
            assert!(self.generation().await > before);
        }
    }

    /// Waits until it has refused this mistake, and shows that what was before stays in effect.
    pub(super) async fn refused(&self, mistake: &str) {
        let is_it = |line: &Value| line["mistake"].as_str().is_some_and(|told| told.starts_with(mistake));
        self.gateway.logged(is_it).await;
        let page = page(self.gateway.admin, "/health/ready").await.unwrap();
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("\nsettings: newer ones are refused"), "{page}");
    }

    /// Stops it as an operator does.
    pub(super) async fn stop(&mut self) {
        self.runs = false;
        self.gateway.signal("TERM");
        assert!(self.gateway.ended().await.success());
        self.said.extend(self.gateway.log());
        self.said.extend(self.gateway.requests());
        let last = self.gateway.log().pop().unwrap();
        assert_eq!(last["message"], "stopped: every request was answered");
    }

    /// Starts it again, where it was.
    pub(super) async fn start_again(&mut self) {
        self.gateway = start(self.name, &self.gateway.directory.clone()).await;
        self.runs = true;
    }

    /// Waits until it has served a request in this life.
    pub(super) async fn serves(&self) {
        self.gateway.told(|line| line["status"] == 200).await;
    }

    /// All that it has said in the lives that have ended.
    pub(super) fn said(&self) -> &[Value] {
        &self.said
    }
}

async fn start(name: &str, directory: &Arc<TempDir>) -> Gateway {
    let gateway = Gateway::start(directory.clone(), &["--config".to_owned(), format!("{name}.toml")], &[]).await;
    // Each purpose has its token.
    let ready = async {
        while page(gateway.admin, "/health/ready").await.unwrap().contains("no token yet") {
            tokio::time::sleep(ASKED).await;
        }
    };
    tokio::time::timeout(LIMIT, ready).await.expect("it is ready");
    gateway
}

/// A page of the admin address, head and all.
async fn page(admin: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(&request_text("GET", path, &[])).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

// === impl Door ===

impl Door {
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Waits until it is.
    pub(super) async fn opens(&self) {
        let ready = async {
            while !self.is_ready() {
                tokio::time::sleep(ASKED).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.expect("it is ready");
    }
}
