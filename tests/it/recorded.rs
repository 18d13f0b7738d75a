//! 200 recorded exchanges of the real services, through the gateway: status, headers and bytes as recorded.
//!
//! The recordings lie beside the repository, in `../shared/recorded`; where they do not, there is nothing to replay.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use azure_emulator::{Emulator, FixedTokens, Options};

use crate::client::Client;
use crate::gateway::{Gateway, directory};
use crate::world::{World, app_identity, client};

/// The replayed upstream.
struct Replay {
    child: Child,
    url: String,
}

#[tokio::test]
async fn the_recorded_exchanges_pass_as_recorded() {
    let Some(script) = script() else {
        return;
    };
    let tokens = FixedTokens { openai: "openai-token".to_owned(), search: "search-token".to_owned() };
    let upstream = Replay::start(&script, &tokens);
    let emulator = Emulator::start(Options { fixed_tokens: Some(tokens), ..Options::default() }).await.unwrap();
    let key = emulator.keys().openai;
    let resource = |name: &str, plane: &str| {
        format!("[resources.{name}]\nplane = \"{plane}\"\nendpoint = \"{}\"\nidentity = \"app\"\n", upstream.url)
    };
    let settings = [
        "keys = \"keys.toml\"\n[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n".to_owned(),
        "[egress]\nca = \"ca.pem\"\n[drain]\ndelay = \"0s\"\n".to_owned(),
        app_identity("app", &emulator.app(), &emulator.entra()),
        resource("ai", "openai"),
        resource("search", "search"),
    ]
    .concat();
    let everything = "{ resource = \"ai\", allow = [\"openai\", \"realtime-secrets\"] }, \
                      { resource = \"search\", allow = [\"search-admin\"] }";
    let files = directory(&[
        ("keyswap.toml", &settings),
        ("keys.toml", &client("all", &key, everything)),
        ("app.secret", &emulator.app().secret),
        ("ca.pem", emulator.ca_pem()),
    ]);
    let client = Client::trusting(&files.path().join("ca.pem"));
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let gateway = Gateway::start(files, &arguments, &[]).await;
    let world = World { emulator, gateway, client };

    let base = format!("http://{}", world.gateway.http);
    let mut check = Command::new("python3");
    check
        .arg(&script)
        .args(["check", "--base", &base, "--search-base", &base, "--key", &key, "--stats", &upstream.url])
        .args(["--upstream-base", &upstream.url, "--require-rewrite"])
        .args(["--expect-stream", "--exact-target", "--strict-encoding", "--check-reason"])
        // The three recorded 401s say that the upstream saw a wrong key: we map that to a 502 on purpose (section F).
        .args(["--skip", "auth-error"])
        .stdin(Stdio::null());
    // The emulator lives on this test's runtime, which must not be blocked.
    let output = tokio::task::spawn_blocking(move || check.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}{:#?}", String::from_utf8_lossy(&output.stderr), world.gateway.log());
    assert!(told.contains("197 exchanges, 197 as recorded, 0 not, 0 mismatches"), "{told}");
}

fn script() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recorded/replay.py");
    script.exists().then_some(script)
}

impl Replay {
    /// It names itself in its answers, as Azure does, and so it has to be told where it is before it is there: on an
    /// address of this machine that nobody else uses, at a port that was free a moment ago.
    fn start(script: &Path, tokens: &FixedTokens) -> Self {
        const HOST: &str = "127.0.77.1";
        let port = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port().to_string();
        let url = format!("http://{HOST}:{port}");
        let mut child = Command::new("python3")
            .arg("-u")
            .arg(script)
            .args(["serve", "--bind", HOST, "--port", &port, "--self-url", &url, "--delay-ms", "50"])
            .args(["--bearer", &tokens.openai, "--search-bearer", &tokens.search])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.trim().ends_with(&url), "{line}");
        Self { url, child }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
