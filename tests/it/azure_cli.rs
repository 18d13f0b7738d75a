//! The Azure CLI, in the shape of a script of its name: it prints what the real one prints, or nothing, or too much, or
//! never ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use azure_emulator::{Emulator, Options};
use serde_json::json;
use tempfile::TempDir;

use crate::gateway::{directory, run};
use crate::identities::{why, why_and_cure, with_identity};
use crate::world::{CHAT, Plan, SEARCH, World, saying};

const IDENTITY: &str = "kind = \"azure-cli\"";

/// A secret that `az` knows.
const SECRET: &str = "CANARYrefreshTokenOfWhoeverIsLoggedIn";

/// Notes how it was called, and that it runs alone; then prints the token of the scope that it was asked for.
const TOKEN: &str = r#"
echo "$@" >> calls
mkdir running || echo overlap >> calls
sleep 0.3
rmdir running
case "$*" in
  *https://search.azure.com/.default) cat search ;;
  *) cat openai ;;
esac
"#;

/// A world where this is the Azure CLI, in the directory that comes with it.
async fn world(script: &str, options: Options) -> (World, TempDir) {
    let bin = tempfile::tempdir().unwrap();
    let az = bin.path().join("az");
    // The real one is asked in /bin.
    fs::write(&az, format!("#!/bin/sh\n[ \"$PWD\" = /bin ] || exit 9\ncd {}\n{script}", bin.path().display())).unwrap();
    fs::set_permissions(&az, Permissions::from_mode(0o755)).unwrap();
    let path = bin.path().to_owned();
    let print = move |emulator: &Emulator, file: &str, resource: &str| {
        fs::write(path.join(file), emulator.azure_cli_output(resource)).unwrap();
    };
    let plan = with_identity(|_| IDENTITY.to_owned());
    let settings = plan.settings;
    let plan = Plan {
        options,
        settings: Box::new(move |text, emulator| format!("development = true\n{}", settings(text, emulator))),
        before: Box::new(move |emulator| {
            print(emulator, "openai", "https://cognitiveservices.azure.com");
            print(emulator, "search", "https://search.azure.com");
        }),
        environment: vec![
            ("PATH", format!("{}:/usr/bin:/bin", bin.path().display())),
            ("AZ_SECRET", SECRET.to_owned()),
        ],
        ..plan
    };
    (plan.start().await, bin)
}

fn read(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap_or_default()
}

#[tokio::test]
async fn the_azure_cli_is_asked_by_one_process_at_a_time() {
    let (world, bin) = world(TOKEN, Options::default()).await;
    let keys = world.emulator.keys();
    let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let calls = read(bin.path(), "calls");
    let mut calls: Vec<_> = calls.lines().collect();
    calls.sort_unstable();
    let call = |scope| format!("account get-access-token -o json --scope https://{scope}/.default");
    assert_eq!(calls, ["cognitiveservices.azure.com", "search.azure.com"].map(call));
    let loud = world.gateway.logged(|line| line["message"] == "for development alone: never in production").await;
    assert_eq!((&loud["level"], &loud["identity"]), (&json!("WARN"), &json!("app")));
}

/// What it says may hold anything, so it is told in our words.
#[tokio::test]
async fn a_failing_azure_cli_is_told_without_its_words() {
    const ASK: &str = "see what az account get-access-token says";
    for (script, told, to_do) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account. $AZ_SECRET\" >&2; exit 1",
            "nobody is logged in to the Azure CLI",
            "run az login",
        ),
        (
            "echo \"ERROR: AADSTS700082: The refresh token $AZ_SECRET has expired.\" >&2; exit 1",
            "the Azure CLI fails, AADSTS700082",
            "run az login",
        ),
        ("echo $AZ_SECRET; exit 3", "the Azure CLI fails with status 3", ASK),
        ("echo \"{ $AZ_SECRET\"", "what the Azure CLI has printed", "it must be 2.54.0 or newer"),
        ("while echo $AZ_SECRET; do :; done", "the Azure CLI prints more than a token, and was killed", ASK),
        ("while echo $AZ_SECRET; do :; done >&2", "the Azure CLI prints more than a token, and was killed", ASK),
    ] {
        let (world, _bin) = world(script, Options::default()).await;
        assert_eq!(why_and_cure(&world, "Azure CLI").await, (told.to_owned(), to_do.to_owned()));
        let log = format!("{:?}", world.gateway.log());
        assert!(!log.contains(&SECRET[..12]), "{log}");
    }
}

#[tokio::test]
async fn a_missing_azure_cli_is_told() {
    let plan = with_identity(|_| IDENTITY.to_owned());
    let settings = plan.settings;
    let settings = move |text, emulator: &Emulator| format!("development = true\n{}", settings(text, emulator));
    let world = Plan { settings: Box::new(settings), ..plan }.start().await;
    let told = why_and_cure(&world, "Azure CLI").await;
    let expected = ("there is no Azure CLI on the PATH", "install it, or name another kind of identity");
    assert_eq!(told, (expected.0.to_owned(), expected.1.to_owned()));
}

/// One that hangs is ended with all that it has started, when it is late and when keyswap stops.
#[tokio::test]
async fn a_hanging_azure_cli_is_killed_with_its_children() {
    let (mut world, bin) = world("sleep 60 & echo $! >> children; wait", Options::default()).await;
    let told = why(&world, "Azure CLI").await;
    assert_eq!(told, "no token within 10s, the last that was seen: the Azure CLI had not ended, and was killed");
    is_gone(read(bin.path(), "children").lines().next().unwrap()).await;
    world.gateway.signal("TERM");
    assert!(world.gateway.ended().await.success());
    for child in read(bin.path(), "children").lines() {
        is_gone(child).await;
    }
}

/// Waits until this process has been killed; whoever inherits it may be late to bury it.
async fn is_gone(id: &str) {
    let stat = format!("/proc/{id}/stat");
    let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    let killed = async {
        while lives() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), killed).await.expect("it is killed");
}

/// Nothing but this setting, and the flag of the same name, lets it be used.
#[test]
fn the_azure_cli_is_not_to_be_had_by_accident() {
    let settings = format!(
        "keys = \"keys.toml\"\n[identities.me]\n{IDENTITY}\n[resources.contoso]\n\
         endpoint = \"https://contoso.openai.azure.com\"\nidentity = \"me\"\n"
    );
    let files = directory(&[("keyswap.toml", &settings), ("keys.toml", "")]);
    for environment in [&[][..], &[("KEYSWAP_DEVELOPMENT", "true".to_owned())]] {
        let (code, _, told) = run(files.path(), &["check"], environment);
        assert_eq!(code, Some(2));
        assert!(told.contains("write development = true at the top"), "{told}");
    }
    let allowed = format!("development = true\n{settings}");
    let files = directory(&[("keyswap.toml", &allowed), ("keys.toml", "")]);
    assert_eq!(run(files.path(), &["check"], &[]).0, Some(0));
}
