//! What is said about identities in settings, flags and environment, and what is said back.

use std::fs;

use tempfile::TempDir;

use crate::certificate_files::Made;
use crate::gateway::{directory, run};

#[test]
fn mistakes_in_identities_are_told_at_once() {
    let settings = r#"keys = "keys.toml"
[identities.pod]
kind = "workload-identity"
tenant = "a/b"
[identities.cert]
kind = "client-certificate"
tenant = "t"
client_id = "c"
send_chain = "yes"
[identities.me]
kind = "azure-cli"
[identities.machine]
kind = "managed-identity"
secret_file = "s"
[resources.contoso]
endpoint = "https://eastus.api.cognitive.microsoft.com"
identity = "pod"
[resources.gov]
endpoint = "https://contoso.openai.azure.us"
identity = "pod"
"#;
    let files = directory(&[("keyswap.toml", settings), ("keys.toml", "")]);
    let expected = "\
keyswap.toml:2:1: identities.pod: has a tenant that must be the tenant's id or domain
keyswap.toml:2:1: identities.pod.client_id: is missing: set it, or run keyswap where AKS's webhook sets AZURE_CLIENT_ID
keyswap.toml:2:1: identities.pod.token_file: is missing: set it, or run keyswap where AKS's webhook sets AZURE_FEDERATED_TOKEN_FILE
keyswap.toml:5:1: identities.cert.certificate_file: is missing: the application's certificate, PEM; its key may stand in the same file
keyswap.toml:9:14: identities.cert.send_chain: must be true or false, not a value of type string
keyswap.toml:11:8: identities.me.kind: is for development alone, since its tokens are those of whoever is logged in: write development = true at the top, or name another kind
keyswap.toml:14:1: identities.machine.secret_file: unknown key; known here: client_id, kind, object_id
keyswap.toml:16:12: resources.contoso.endpoint: is a regional endpoint, which takes keys alone: give the resource a custom subdomain (az cognitiveservices account update --custom-domain NAME, which cannot be undone), and write https://NAME.openai.azure.com or what the portal then shows
keyswap.toml:18:1: resources.gov: has an endpoint in another cloud: set cloud to \"us-government\" (it is \"public\"), or scope to what its tokens are for
";
    assert_eq!(run(files.path(), &["check"], &[]), (Some(2), String::new(), expected.to_owned()));
}

/// `keyswap check` names each identity, and how it gets its tokens.
#[test]
fn check_tells_who_gets_tokens_and_how() {
    let settings = r#"development = true
cloud = "us-government"
keys = "keys.toml"
[identities.a-machine]
kind = "managed-identity"
[identities.b-machine]
kind = "managed-identity"
object_id = "o"
[identities.c-pod]
kind = "workload-identity"
token_file = "token"
[identities.d-secret]
kind = "client-secret"
tenant = "t"
client_id = "c"
secret_file = "secret"
[identities.e-certificate]
kind = "client-certificate"
tenant = "t"
client_id = "c"
authority = "https://login.example"
certificate_file = "app.pem"
[identities.f-me]
kind = "azure-cli"
tenant = "t"
[resources.contoso]
endpoint = "https://contoso.openai.azure.us"
identity = "a-machine"
"#;
    let made = Made::rsa();
    let app = format!("{}{}", made.cert, made.key);
    let files = directory(&[("keyswap.toml", settings), ("keys.toml", ""), ("app.pem", &app), ("secret", "s")]);
    let environment = [("AZURE_TENANT_ID", "aks".to_owned()), ("AZURE_CLIENT_ID", "pod".to_owned())];
    let expected = "\
identity a-machine: the machine's own managed identity
identity b-machine: the managed identity with object id o
identity c-pod: application pod of tenant aks at https://login.microsoftonline.us, proven by the service account's token in token
  note: the service account's token in token cannot be read: No such file or directory (os error 2)
identity d-secret: application c of tenant t at https://login.microsoftonline.us, proven by the secret in secret
identity e-certificate: application c of tenant t at https://login.example, proven by the certificate in app.pem
identity f-me: whoever is logged in to the Azure CLI, in tenant t
  note: for development alone: never in production
resource contoso: openai at https://contoso.openai.azure.us, scope https://cognitiveservices.azure.us/.default
ok: 0 keys
";
    assert_eq!(run(files.path(), &["check"], &environment), (Some(0), expected.to_owned(), String::new()));
}

/// The flags of a sidecar lead to the same identities.
#[test]
fn flags_name_the_same_identities() {
    let made = Made::rsa();
    let app = format!("{}{}", made.cert, made.key);
    let files = directory(&[("keys", "9f86d081884c7d659a2feaa0c55ad015\n"), ("app.pem", &app), ("token", "a.b.c")]);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(files.path().join("keys"), private).unwrap();
    let aks = [
        ("AZURE_TENANT_ID", "aks".to_owned()),
        ("AZURE_CLIENT_ID", "pod".to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", "token".to_owned()),
        ("AZURE_AUTHORITY_HOST", "https://login.example/".to_owned()),
    ];
    let login = "https://login.microsoftonline.com";
    for (flags, environment, expected) in [
        (
            "--identity workload-identity",
            &aks[..],
            "application pod of tenant aks at https://login.example, proven by the service account's token in token"
                .to_owned(),
        ),
        (
            "--identity workload-identity --tenant t --client-id c --token-file token",
            &[],
            format!("application c of tenant t at {login}, proven by the service account's token in token"),
        ),
        (
            "--identity client-certificate --tenant t --client-id c --certificate-file app.pem --send-chain",
            &[],
            format!("application c of tenant t at {login}, proven by the certificate in app.pem"),
        ),
        ("--identity azure-cli --development", &[], "whoever is logged in to the Azure CLI".to_owned()),
    ] {
        let told = check_flags(&files, flags, environment);
        assert_eq!(told.2, "", "{flags}");
        assert_eq!(told.1.lines().next(), Some(format!("identity identity: {expected}").as_str()), "{flags}");
    }
    for (flags, expected) in [
        (
            "--identity azure-cli",
            "--identity: is for development alone, since its tokens are those of whoever is logged in: add --development, or \
             name another kind\n",
        ),
        (
            "--identity client-certificate --tenant a/b",
            "--tenant: must be the tenant's id or domain\n\
             command line: --client-id: is missing: this kind of identity needs it\n\
             command line: --certificate-file: is missing: this kind of identity needs it\n",
        ),
    ] {
        let told = check_flags(&files, flags, &[]);
        assert_eq!(told, (Some(2), String::new(), format!("command line: {expected}")), "{flags}");
    }
}

fn check_flags(files: &TempDir, flags: &str, environment: &[(&str, String)]) -> (Option<i32>, String, String) {
    let upstream = "check --upstream https://contoso.openai.azure.com --key-file keys";
    let arguments: Vec<_> = upstream.split(' ').chain(flags.split(' ')).collect();
    run(files.path(), &arguments, environment)
}
