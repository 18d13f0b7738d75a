//! The command line: what a newcomer types, and what a supervisor sees.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use azure_emulator::{Door, Emulator, Options};

use crate::client::Client;
use crate::gateway::{Gateway, directory, run};
use crate::world::{CHAT, saying};

/// Whatever a test does with them, nobody outside of this machine is asked for anything.
const SETTINGS: &str = r#"
keys = "keys.toml"
[identities.app]
kind = "client-secret"
tenant = "contoso"
client_id = "app"
secret_env = "SECRET"
authority = "https://127.0.0.1:1"
[resources.contoso]
endpoint = "https://contoso.openai.azure.com"
identity = "app"
"#;

#[test]
fn check_tells_what_the_settings_come_to() {
    let digest = "6f40cf141630466a3783a2147da4b80bba2f8e93cff3ed9c8ec9fa60c95f3ab2";
    let keys = format!(
        "[clients.app]\nkeys = [{{ id = \"one\", sha256 = \"{digest}\" }}]\n\
         grants = [{{ resource = \"contoso\", allow = [\"inference\", \"files\"] }},\n\
         {{ resource = \"contoso\", allow = [\"openai\"], access = [\"read\"], deployments = [\"x\"] }},\n\
         {{ resource = \"contoso\", allow = [\"realtime-secrets\"] }}]\n"
    );
    let settings = format!("{SETTINGS}hosts = [\"ai.example\", \"AI.corp\"]\n");
    let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", &keys)]);
    assert_eq!(
        run(directory.path(), &["check"], &[]),
        (
            Some(0),
            "\
identity app: application app of tenant contoso at https://127.0.0.1:1, proven by the secret in $SECRET
  note: the environment has no SECRET to hold the secret
resource contoso: openai at https://contoso.openai.azure.com, scope https://cognitiveservices.azure.com/.default, called as ai.example, ai.corp
client app: inference, files on contoso
  note: files share one upstream identity: clients can see what others stored there
client app: inference, responses, files, batches, assistants, fine-tuning, evaluations, realtime (to read) on contoso
  note: responses, files, batches, assistants, fine-tuning, evaluations share one upstream identity: clients can see what others stored there
  note: batches, assistants, fine-tuning, evaluations cannot be limited to some deployments: refused to this client
client app: realtime-secrets on contoso
  note: realtime-secrets let a client go past keyswap
ok: 1 keys
"
            .to_owned(),
            String::new()
        )
    );
}

#[test]
fn mistakes_are_told_all_at_once_and_exit_with_2() {
    let keys = "[clients.app]\nkey = []\n";
    let settings = SETTINGS.replace("\"client-secret\"", "\"magic\"");
    let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", keys)]);
    for subcommand in ["check", "serve"] {
        assert_eq!(
            run(directory.path(), &[subcommand], &[]),
            (
                Some(2),
                String::new(),
                "keyswap.toml:4:8: identities.app.kind: must be one of: managed-identity, workload-identity, client-secret, client-certificate, azure-cli\n".to_owned()
            )
        );
    }
    fs::write(directory.path().join("keyswap.toml"), SETTINGS).unwrap();
    assert_eq!(
        run(directory.path(), &["check"], &[]),
        (
            Some(2),
            String::new(),
            "\
keys.toml:1:1: clients.app.grants: is missing: say what its keys may do, as tables like [[clients.NAME.grants]]
keys.toml:1:1: clients.app.keys: is missing: list its keys, as tables like [[clients.NAME.keys]]
keys.toml:2:1: clients.app.key: unknown key; known here: announce_expiry, grants, keys
"
            .to_owned()
        )
    );
}

#[test]
fn without_settings_it_says_what_to_do() {
    let directory = directory(&[]);
    let (code, _, told) = run(directory.path(), &["serve"], &[]);
    assert_eq!(code, Some(2));
    assert!(told.starts_with("keyswap.toml: not found, and no --upstream given."), "{told}");
    assert!(told.contains("keyswap serve --upstream https://"), "{told}");
}

#[test]
fn a_certificate_that_does_not_fit_ends_the_start() {
    let settings = format!("{SETTINGS}[listen]\nhttps = \"127.0.0.1:0\"\n[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\n");
    let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", ""), ("c.pem", "no pem"), ("k.pem", "")]);
    for subcommand in ["check", "serve"] {
        let (code, _, told) = run(directory.path(), &[subcommand], &[]);
        assert_eq!(
            (code, told.as_str()),
            (Some(2), "c.pem: holds no certificate: it must have the chain in PEM, leaf first\n")
        );
    }
}

#[test]
fn an_address_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!("{SETTINGS}[listen]\nhttp = \"{address}\"\n");
    let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", "")]);
    let (code, _, told) = run(directory.path(), &["serve"], &[("SECRET", "secret".to_owned())]);
    let expected = format!("listen: cannot listen on {address}: Address already in use (os error 98)\n");
    assert_eq!((code, told), (Some(2), expected));
}

/// The sidecar of the README: no file but the keys'.
#[tokio::test]
async fn a_sidecar_needs_no_file_of_settings() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let key = emulator.keys().openai;
    let keys = format!("# the key that the old program has\n{key}\n");
    let directory = directory(&[("ca.pem", emulator.ca_pem()), ("keys", &keys)]);
    fs::set_permissions(directory.path().join("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    let endpoint = emulator.identity_endpoint();
    let identity = [("IDENTITY_ENDPOINT", endpoint.url), ("IDENTITY_HEADER", endpoint.header)];
    let ca = directory.path().join("ca.pem");

    let upstream = emulator.openai(Door::Behind);
    let flags = [
        "--upstream",
        &upstream,
        "--plane",
        "openai",
        "--identity",
        "managed-identity",
        "--key-file",
        "keys",
        "--ca",
        "ca.pem",
        "--http",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let by_flags = Gateway::start(directory.clone(), &flags.map(str::to_owned), &identity).await;
    let variables = [
        ("KEYSWAP_UPSTREAM", upstream.clone()),
        ("KEYSWAP_PLANE", "openai".to_owned()),
        ("KEYSWAP_IDENTITY", "managed-identity".to_owned()),
        ("KEYSWAP_KEY_FILE", "keys".to_owned()),
        ("KEYSWAP_CA", "ca.pem".to_owned()),
        ("KEYSWAP_HTTP", "127.0.0.1:0".to_owned()),
        ("KEYSWAP_ADMIN", "127.0.0.1:0".to_owned()),
    ];
    let environment: Vec<_> = identity.into_iter().chain(variables).collect();
    let by_environment = Gateway::start(directory.clone(), &[], &environment).await;

    for gateway in [by_flags, by_environment] {
        let url = format!("http://{}{CHAT}", gateway.http);
        let client = Client::trusting(&ca);
        let answer = client.call(http::Method::POST, &url).key(&key).json(&saying("hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // The default grant: inference, and nothing that stores.
        let files = format!("http://{}/openai/files?api-version=2024-10-21", gateway.http);
        let answer = client.call(http::Method::GET, &files).key(&key).send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "family-not-granted"));
    }
    assert!(emulator.journal().violations().is_empty());
}

#[test]
fn a_key_file_that_others_can_read_or_that_holds_a_weak_key_is_refused() {
    let weak = "9f86d081884c7d659a2feaa0c55ad015\n0123456789abcdef0123456789abcdef\nmonday7\n<the-key-of-contoso>\n\
                aaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaabbbb\nmy-very-long-secret-api-key-for-azure-search\n";
    let directory = directory(&[("keys", weak)]);
    let flags = [
        "check",
        "--upstream",
        "https://contoso.openai.azure.com",
        "--identity",
        "managed-identity",
        "--key-file",
        "keys",
    ];
    let keys = directory.path().join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let told = run(directory.path(), &flags, &[]);
    assert_eq!(told, (Some(2), String::new(), "keys: is open to every user (mode 644): chmod 600 it\n".to_owned()));
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let told = run(directory.path(), &flags, &[]);
    let weak = "\
keys:2:1: a sample that everybody knows is no key: make a random one: openssl rand -hex 32
keys:3:1: a key of fewer than 32 characters can be guessed: make a random one: openssl rand -hex 32
keys:4:1: a placeholder, and nobody put the key in its place: write the key itself
keys:5:1: a key of fewer than 8 different characters can be guessed: make a random one: openssl rand -hex 32
keys:6:1: a key that is made of words can be guessed: make a random one: openssl rand -hex 32
";
    assert_eq!(told, (Some(2), String::new(), weak.to_owned()));
}

#[test]
fn shells_are_told_of_every_command() {
    let directory = directory(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(directory.path(), &["completions", shell], &[]);
        assert_eq!(code, Some(0));
        assert!(["serve", "rotate", "keep"].iter().all(|word| script.contains(word)), "{shell}");
    }
}

/// jemalloc finds its options by a name, and says nothing where there are none.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_allocator_has_its_options() {
    let asked = [("_RJEM_MALLOC_CONF", "confirm_conf:true".to_owned())];
    let (code, _, told) = run(directory(&[]).path(), &["--version"], &asked);
    assert_eq!(code, Some(0));
    let found = "-- Set conf value: tcache_gc_incr_bytes:4194304";
    assert!(told.lines().any(|line| line.ends_with(found)), "{told}");
}
