//! What is said about the way out in settings, flags and environment, and what is said back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::gateway::{directory, run};

const SETTINGS: &str = r#"keys = "keys.toml"
[identities.machine]
kind = "managed-identity"
[resources.contoso]
endpoint = "https://contoso.openai.azure.com"
identity = "machine"
"#;

#[test]
fn mistakes_about_the_proxy_are_told_at_once_and_without_its_secrets() {
    let egress = r#"[egress]
proxy = "http://user:hunter2@proxy.corp:3128"
proxy_credentials_file = "proxy"
proxy_credentials_env = "hunter2"
no_proxy = ["10.0.0.0/hunter2", "hunter2:443", ".fine", 7]
[timeouts]
connect = "0s"
tls = "hunter2"
"#;
    let directory = directory(&[("keyswap.toml", &format!("{SETTINGS}{egress}")), ("keys.toml", "")]);
    let told = run(directory.path(), &["check"], &[]);
    let expected = "\
keyswap.toml:8:9: egress.proxy: must hold no user name or password: put user:password into the file that proxy_credentials_file names, so that no secret stands in settings
keyswap.toml:10:25: egress.proxy_credentials_env: cannot be combined with a file: keep the secret in one place
keyswap.toml:11:13: egress.no_proxy[0]: must be a range like 10.0.0.0/8 or fd00::/8
keyswap.toml:11:33: egress.no_proxy[1]: must be a host name, a glob like *.internal, a suffix like .contoso.net, an address or a range, without scheme and port
keyswap.toml:11:57: egress.no_proxy[3]: must be a text in quotes, not a value of type integer
keyswap.toml:13:11: timeouts.connect: must be longer than nothing: it cannot be switched off
keyswap.toml:14:7: timeouts.tls: must be a whole number and a unit, ms, s, m or h, like \"5s\"
";
    assert_eq!(told, (Some(2), String::new(), expected.to_owned()));

    let alone = format!("{SETTINGS}[egress]\nproxy_credentials_file = \"proxy\"\nno_proxy = [\"a\"]\n");
    fs::write(directory.path().join("keyswap.toml"), alone).unwrap();
    let told = run(directory.path(), &["check"], &[]);
    let expected = "\
keyswap.toml:8:26: egress.proxy_credentials_file: says nothing without proxy: add proxy, or take this away
keyswap.toml:9:12: egress.no_proxy: says nothing without proxy: add proxy, or take this away
";
    assert_eq!(told, (Some(2), String::new(), expected.to_owned()));
}

#[test]
fn credentials_that_are_none_end_the_start() {
    let egress = "[egress]\nproxy = \"http://proxy.corp:3128\"\nproxy_credentials_file = \"proxy\"\n";
    let settings = format!("{SETTINGS}{egress}");
    let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", ""), ("proxy", "hunter2\n")]);
    for subcommand in ["check", "serve"] {
        let told = run(directory.path(), &[subcommand], &[]);
        let expected = "egress: the proxy's credentials: must be written as user:password\n";
        assert_eq!(told, (Some(2), String::new(), expected.to_owned()));
    }
}

/// The same from a file, from flags and from the environment; credentials are read, and never shown.
#[test]
fn check_tells_of_the_proxy() {
    let key = "9f86d081884c7d659a2feaa0c55ad015";
    let egress = "[egress]\nproxy = \"http://proxy.corp:3128\"\nproxy_credentials_file = \"proxy\"\n\
                  no_proxy = [\"*.internal\", \"10.0.0.0/8\"]\n";
    let settings = format!("{SETTINGS}{egress}");
    let directory =
        directory(&[("keyswap.toml", &settings), ("keys.toml", ""), ("proxy", "user:hunter2\n"), ("keys", key)]);
    let keys = directory.path().join("keys");
    fs::set_permissions(keys, Permissions::from_mode(0o600)).unwrap();
    let sidecar =
        "check --upstream https://contoso.openai.azure.com --identity managed-identity --key-file keys".split(' ');
    let flags = "--proxy http://proxy.corp:3128 --proxy-credentials-file proxy --no-proxy *.internal,10.0.0.0/8";
    let by_flags: Vec<_> = sidecar.clone().chain(flags.split(' ')).collect();
    let by_environment: Vec<_> = sidecar.collect();
    let variables = [
        ("KEYSWAP_PROXY", "http://proxy.corp:3128".to_owned()),
        ("KEYSWAP_PROXY_CREDENTIALS_FILE", "proxy".to_owned()),
        ("KEYSWAP_NO_PROXY", "*.internal,10.0.0.0/8".to_owned()),
    ];
    let expected = "proxy proxy.corp:3128: with credentials; reached without it: managed identities, loopback, *.internal, 10.0.0.0/8";
    for (arguments, environment) in [(&["check"][..], &[][..]), (&by_flags, &[]), (&by_environment, &variables)] {
        let (code, told, complaint) = run(directory.path(), arguments, environment);
        assert_eq!((code, complaint.as_str()), (Some(0), ""));
        assert_eq!(told.lines().filter(|line| line.starts_with("proxy")).collect::<Vec<_>>(), [expected]);
        assert!(!told.contains("hunter2"), "{told}");
    }

    let wrong = "--proxy http://user:hunter2@proxy.corp:3128 --no-proxy corp:443";
    let wrong: Vec<_> = by_environment.iter().copied().chain(wrong.split(' ')).collect();
    let expected = "\
command line: --no-proxy: must be a host name, a glob like *.internal, a suffix like .contoso.net, an address or a range, without scheme and port
command line: --proxy: must hold no user name or password: put user:password into the file that proxy_credentials_file names, so that no secret stands in settings
";
    assert_eq!(run(directory.path(), &wrong, &[]), (Some(2), String::new(), expected.to_owned()));
}
