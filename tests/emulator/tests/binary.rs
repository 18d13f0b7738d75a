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

/// The program, told this; it ends with the test.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azure-emulator"));
    command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_person_sees_where_everything_is() {
    let mut child = program(&[]).spawn().expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut summary = String::new();
    while !summary.ends_with("Ready; Ctrl-C ends it.\n") {
        summary += &lines.next_line().await.expect("readable").expect("a line");
        summary.push('\n');
    }
    for part in [
        "Azure OpenAI ",
        "api-key ",
        "Azure AI Search ",
        "query key ",
        "Entra ",
        "tenant ",
        "secret ",
        "App Service ",
        "/msi/token  X-IDENTITY-HEADER ",
        "IMDS ",
        "Control ",
        "--ca-out FILE",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    child.kill().await.expect("killed");
}

#[tokio::test]
async fn a_shell_is_told_what_it_needs() {
    let directory = std::env::temp_dir().join(format!("azure-emulator-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (ca, env) = (directory.join("ca.pem"), directory.join("env"));
    let (ca, env) = (ca.to_str().expect("a path"), env.to_str().expect("a path"));
    let mut child = program(&["--json", "--ca-out", ca, "--env-out", env]).spawn().expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let ready: Value =
        serde_json::from_str(&lines.next_line().await.expect("readable").expect("a line")).expect("JSON");
    let shown = "printf '%s\\n' \"$IDENTITY_ENDPOINT\" \"$IDENTITY_HEADER\" \"$AZURE_OPENAI_ENDPOINT\" \
                 \"$AZURE_SEARCH_ENDPOINT\" \"$AZURE_EMULATOR_CONTROL\" \"$SSL_CERT_FILE\" \"$NODE_EXTRA_CA_CERTS\"";
    let output = Command::new("sh").args(["-ec", &format!(". {env}; {shown}")]).output().await.expect("a shell");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let wanted = [
        text(&ready["identity"]["url"]),
        text(&ready["identity"]["header"]),
        text(&ready["openai"]["direct"]),
        text(&ready["search"]["direct"]),
        text(&ready["control"]),
        ca.to_owned(),
        ca.to_owned(),
    ];
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().collect::<Vec<_>>(), wanted);
    child.kill().await.expect("killed");
    std::fs::remove_dir_all(directory).expect("removed");
    // Without the authority, what it names would be missing.
    let alone = program(&["--env-out", env]).stderr(Stdio::null()).status().await.expect("an end");
    assert_eq!(alone.code(), Some(2));
}

#[tokio::test]
async fn every_option_says_what_it_is_for() {
    let output = program(&["--help"]).output().await.expect("the program");
    let help = String::from_utf8(output.stdout).expect("a text");
    let lines: Vec<&str> = help.lines().collect();
    let options =
        lines.iter().enumerate().filter(|(_, line)| line.trim_start().starts_with('-') && line.contains("--"));
    let mut count = 0;
    for (place, option) in options {
        let said = lines.get(place + 1).map_or("", |line| line.trim());
        assert!(said.len() > 8, "{option}: {said}");
        count += 1;
    }
    assert!(count > 20, "{help}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let port = address.port().to_string();
    let output = program(&["--port", &port]).output().await.expect("an end");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("a text");
    assert!(told.starts_with(&format!("azure-emulator: {address}: ")), "{told}");
}
