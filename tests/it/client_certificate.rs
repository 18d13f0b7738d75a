//! A certificate that proves nothing to Entra ends the start, and says which file, whose setting, and what to do.

use crate::certificate_files::Made;
use crate::gateway::{directory, run};

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
        for subcommand in ["check", "serve"] {
            let told = run(files.path(), &[subcommand], &[]);
            assert_eq!(told, (Some(2), String::new(), format!("{expected}\n")), "{subcommand}");
        }
    }
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
