//! Nobody reads the log: whoever writes to it waits for nothing, not even when something panics or the process ends.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};
use std::time::Duration;

use azure_emulator::{Door, Emulator, Fault, Options, Plane};
use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, raw, request_text};
use crate::gateway::{LIMIT, command, directory};
use crate::world::{files, keys, settings};

const DROPPED: &str = "keyswap_log_lines_dropped_total ";

const FAILED: &str =
    "keyswap_token_failed_total{identity=\"app\",scope=\"https://cognitiveservices.azure.com/.default\"} ";

/// A keyswap whose log is read up to its start, and no further.
struct Unheard {
    child: Child,
    /// Kept open: a pipe that is closed is an error, and no wait.
    _log: BufReader<ChildStderr>,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Unheard {
    fn start(directory: &TempDir) -> Self {
        let mut child = command(directory.path(), &[])
            .args(["serve", "--log", "json", "--requests", "off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let serving = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "keyswap ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "serving" {
                break line;
            }
        };
        let address = |key: &str| serving[key].as_str().unwrap().parse().unwrap();
        Self { child, _log: log, http: address("http"), admin: address("admin") }
    }

    /// A page of its admin address, from a connection of its own.
    async fn admin(&self, path: &str) -> String {
        within(raw(self.admin, &request_text("GET", path, &[]))).await
    }

    /// What a metric counts.
    async fn count(&self, metric: &str) -> u64 {
        let page = self.admin("/metrics").await;
        let value = page.lines().find_map(|line| line.strip_prefix(metric)).unwrap_or_else(|| panic!("{page}"));
        value.parse().unwrap()
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn within<T>(done: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, done).await.expect("nobody waits for the log's reader")
}

async fn ended(child: &mut Child) -> ExitStatus {
    within(async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nobody_even_when_something_panics() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    emulator.next(Plane::Entra, Fault::named("503"), 9999).unwrap();
    let directory = files(&emulator, &settings(&emulator, Door::Behind), &keys(&emulator));
    let client = Client::trusting(&directory.path().join("ca.pem"));
    let mut keyswap = Unheard::start(&directory);
    let url = format!("http://{}/openai/models?api-version=2024-10-21", keyswap.http);
    // Without a token, each request is a warning.
    let refused = async || {
        let answer = within(client.call(Method::GET, &url).key(&emulator.keys().openai).send()).await;
        assert_eq!(answer.reason(), "token-unavailable");
    };
    for _ in 0..10_000 {
        refused().await;
    }
    assert!(keyswap.count(DROPPED).await > 0, "lines that nobody reads are kept without end");

    // A library panics over this answer. One that is told in few words may find room where a longer line did not.
    emulator.clear_faults();
    emulator.next(Plane::Entra, Fault::named("absurd-expiry"), 9999).unwrap();
    let before = keyswap.count(FAILED).await;
    within(async {
        while keyswap.count(FAILED).await < before + 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(keyswap.admin("/health/live").await.ends_with("alive\n"));
    let answer = within(raw(keyswap.http, &request_text("GET", "/openai/models", &[]))).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    rustix::process::kill_process(rustix::process::Pid::from_child(&keyswap.child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(ended(&mut keyswap.child).await.success());
}

#[tokio::test]
async fn a_complaint_that_nobody_hears_keeps_no_process() {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    writer.set_nonblocking(false).unwrap();
    let directory = directory(&[]);
    let mut child = command(directory.path(), &[]).arg("serve").stderr(OwnedFd::from(writer)).spawn().unwrap();
    let code = ended(&mut child).await.code();
    assert_eq!(code, Some(2), "there are no settings");
    drop(reader);
}
