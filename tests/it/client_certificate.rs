//! A certificate that proves nothing to Entra ends the start, and says which file, whose setting, and what to do.

use azure_emulator::Door;

use crate::certificate_files::Made;
use crate::gateway::{directory, run};
use crate::world::{CHAT, Plan, client, saying};

const SETTINGS: &str = r#"keys = "keys.toml"
[identities.app]
kind = "client-certificate"
tenant = "t"
client_id = "c"
certificate_file = "app.pem"
certificate_key_file = "app.key"
authority = "https://127.0.0.1:1"
[resources.contoso]
endpoint = "https://contoso.openai.azure.com"
identity = "app"
"#;

#[test]
fn a_certificate_that_proves_nothing_ends_the_start() {
    let [good, other] = [Made::rsa(), Made::rsa()];
    let (ended, curve) = (Made::ended(), Made::of_a_curve());
    for (cert, key, expected) in [
        (
            "",
            &*good.key,
            "app.pem: identities.app.certificate_file: holds no certificate: it must have the chain in PEM, leaf first",
        ),
        (
            &*good.cert,
            "",
            "app.key: identities.app.certificate_key_file: cannot be read as a PEM private key: no items found",
        ),
        (
            &good.cert,
            &other.key,
            "app.pem: identities.app.certificate_file: does not go with the private key app.key: keys may not be consistent: KeyMismatch",
        ),
        (
            &curve.cert,
            &curve.key,
            "app.pem: identities.app.certificate_file: has a key that is not of RSA, and Entra takes no other: make one of RSA, 2048 bits or more",
        ),
        (
            &ended.cert,
            &ended.key,
            "app.pem: identities.app.certificate_file: has ended, and Entra refuses it: upload another to the application, and put it here",
        ),
    ] {
        let files = directory(&[("keyswap.toml", SETTINGS), ("keys.toml", ""), ("app.pem", cert), ("app.key", key)]);
        // What ends by itself does not keep others from a start: see below.
        let commands: &[&str] = if cert == ended.cert { &["check"] } else { &["check", "serve"] };
        for subcommand in commands {
            let told = run(files.path(), &[subcommand], &[]);
            assert_eq!(told, (Some(2), String::new(), format!("{expected}\n")), "{subcommand}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_has_ended_costs_its_own_clients_alone() {
    const KEY: &str = "5f0c31e89ab244d7a1c6de0287f4b39e";
    let ended = Made::ended();
    let files = directory(&[("team.pem", &ended.cert), ("team.key", &ended.key)]);
    let folder = files.path().display().to_string();
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            let team =
                SETTINGS.split_once('\n').unwrap().1.split_once("[resources").unwrap().0.replace(".app]", ".team]");
            let team =
                team.replace("https://127.0.0.1:1", &emulator.entra()).replace("\"app.", &format!("\"{folder}/team."));
            let resource = format!(
                "[resources.theirs]\nplane = \"openai\"\nendpoint = \"{}\"\nidentity = \"team\"\n",
                emulator.openai(Door::Behind)
            );
            text + &team + &resource
        }),
        keys: Box::new(|keys, _| keys + &client("theirs", KEY, "{ resource = \"theirs\" }")),
        ..Plan::default()
    };
    let world = plan.start().await;
    let note = world.gateway.logged(|line| line["identity"] == "team" && line["level"] == "WARN").await;
    assert_eq!(note["message"], "its certificate has ended: Entra refuses it");
    world.becomes_ready().await;
    let ours = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(ours.status, 200);
    let theirs = world.post(CHAT).key(KEY).json(&saying("hello")).await;
    assert_eq!((theirs.status.as_u16(), theirs.reason()), (500, "token-refused"));
}

/// Of several, all are told at once.
#[test]
fn every_bad_certificate_is_told() {
    let second = SETTINGS.replace("app", "two");
    let (_, second) = second.split_once('\n').unwrap();
    let (second, _) = second.split_once("[resources").unwrap();
    let files = directory(&[("keyswap.toml", &format!("{SETTINGS}{second}")), ("keys.toml", "")]);
    let (code, _, told) = run(files.path(), &["check"], &[]);
    assert_eq!(code, Some(2));
    assert!(
        told.contains("app.pem: identities.app.certificate_file: ")
            && told.contains("two.pem: identities.two.certificate_file: "),
        "{told}"
    );
}
