//! The binary as it is shipped. What `cargo test` builds has room and time for who debugs it: what is promised of memory
//! is promised of this one. The image's is the same code with the same options, put in another order by `make guided`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Where it is; built where it is not there yet, or is not of this code.
static SHIPPED: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "keyswap", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut built = messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned()));
    built.next().expect("cargo tells what it has built").into()
});

/// Builds it, which takes minutes where `make test` has not done so before, and tells where it is.
pub(crate) async fn shipped() -> PathBuf {
    tokio::task::spawn_blocking(|| SHIPPED.clone()).await.unwrap()
}
