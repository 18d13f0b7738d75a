//! The program.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn the_program_says_when_it_is_ready_and_ends_on_sigterm() {
    let file = std::env::temp_dir().join(format!("azure-emulator-ca-{}.pem", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_azure-emulator"))
        .args(["--json", "--token-life", "6", "--ca-out"])
        .arg(&file)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(ready["ca"], file.display().to_string());
    let written = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(ready["ca_pem"], written);
    for name in ["behind", "direct", "keys_enabled", "lenient"] {
        let url = ready["search"][name].as_str().expect("a URL");
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    }
    let process = child.id().expect("a process").to_string();
    let killed = Command::new("kill").arg(process).status().await;
    assert!(killed.expect("kill").success());
    assert!(child.wait().await.expect("its end").success());
    std::fs::remove_file(file).expect("removed");
}
