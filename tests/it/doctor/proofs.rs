//! What identities prove themselves with: secrets, certificates, service accounts, whoever is logged in; and that no piece
//! of it, nor of a token, stands in anything that is said.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use azure_emulator::{Door, Emulator, Fault, ServiceAccountToken};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use super::{OPENAI, Practice, is_told};
use crate::canary::{ADMIN_SECRET, PROXY_PASSWORD, Seen};
use crate::certificate_files::Made;
use crate::gateway::run;
use crate::identities::{application, with_identity};
use crate::proxy::{Proxy, Way};
use crate::world::Plan;

// === Secrets ===

const NOTHING: &str = "There is nothing that proves the identity, and Entra was not asked.";

async fn is_told_that_the_proof_has_expired(practice: &Practice) {
    is_told(
        practice,
        "HTTP 401, AADSTS700024",
        "What proves the identity has expired, or a clock is wrong.",
        "Compare the clocks; a service account's token must be one that the cluster renews.",
        &["date -u", "curl -sI https://ENTRA | grep -i ^date"],
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_with_the_command_that_makes_one() {
    let new = "az ad app credential reset --id CLIENT --append --display-name keyswap --query password --output tsv";
    let cure = "Put the application's secret there, for whoever runs keyswap to read.";
    let with =
        |line: &'static str| with_identity(move |emulator| format!("{}{line}", application("client-secret", emulator)));
    let practice = Practice::open(with("secret_file = \"it is gone\"")).await;
    let found = "the secret file it is gone cannot be read: No such file or directory (os error 2)";
    is_told(&practice, found, NOTHING, cure, &[&format!("{new} > 'it is gone'")]).await;
    let practice = Practice::open(with("secret_env = \"NO_SECRET\"")).await;
    is_told(&practice, "the environment has no NO_SECRET to hold the secret", NOTHING, cure, &[new]).await;
    let practice = Practice::open(with("secret_file = \"empty.secret\"")).await;
    practice.write("empty.secret", "\n");
    is_told(&practice, "the secret is empty", NOTHING, cure, &[&format!("{new} > empty.secret")]).await;
}

// === Certificates ===

const CERTIFICATE: &str = "certificate_file = \"app.pem\"\ncertificate_key_file = \"app.key\"";

/// A practice whose identity is proven by this certificate; and it, uploaded if that is wanted.
async fn certified(made: &Made, uploaded: bool) -> Practice {
    let pem = made.cert.clone();
    let identity = move |emulator: &Emulator| {
        if uploaded {
            emulator.upload_certificate(&emulator.app(), &pem).unwrap();
        }
        format!("{}{CERTIFICATE}", application("client-certificate", emulator))
    };
    let practice = Practice::open(with_identity(identity)).await;
    practice.write("app.pem", &made.cert);
    practice.write("app.key", &made.key);
    practice
}

const UPLOAD: &str = "az ad app credential reset --id CLIENT --append --cert \"$(openssl x509 -in app.pem)\"";

#[tokio::test]
async fn a_certificate_is_told_with_its_thumbprint_and_its_end() {
    let practice = certified(&Made::rsa(), true).await;
    let (findings, exit) = practice.findings("identities.app").await;
    assert_eq!(exit, Some(0), "{findings:#?}");
    let proof = practice.finding("proof").await;
    assert_eq!((&proof["status"], &proof["found"]), (&json!("ok"), &json!("the certificate is good until 2096-01-01")));
    let thumbprint = proof["facts"]["thumbprint"].as_str().unwrap();
    assert!(thumbprint.len() == 40 && thumbprint.bytes().all(|byte| byte.is_ascii_hexdigit()), "{thumbprint}");
    assert_eq!(practice.finding("principal").await["facts"]["object_id"], "OBJECT");
}

#[tokio::test]
async fn a_certificate_that_entra_does_not_take_is_told_with_its_cure() {
    let list = "az ad app credential list --id CLIENT --cert --query '[].{name:displayName,thumbprint:customKeyIdentifier,ends:endDateTime}' --output table";
    is_told(
        &certified(&Made::rsa(), false).await,
        "HTTP 401, AADSTS700027",
        "The certificate is none of the application's.",
        "Upload the identity's certificate to its application, or put the uploaded one where it is.",
        &[list, UPLOAD],
    )
    .await;
    // Of another tenant than the settings'.
    let practice = certified(&Made::rsa(), true).await;
    let settings = fs::read_to_string(practice.directory.path().join("keyswap.toml")).unwrap();
    practice.write("keyswap.toml", &settings.replace(&practice.emulator.app().tenant, "another.example"));
    assert_eq!(practice.finding("token").await["means"], "No such tenant in this cloud.");
    let new = "openssl req -x509 -newkey rsa:2048 -noenc -days 365 -subj /CN=keyswap -keyout app.key -out app.pem";
    is_told(
        &certified(&Made::ended(), true).await,
        "app.pem: has ended, and Entra refuses it: upload another to the application, and put it here",
        NOTHING,
        "Make another, upload it to the application, and put it there.",
        &[new, UPLOAD],
    )
    .await;
    let practice = certified(&Made::rsa(), true).await;
    practice.entra_answers(Fault::named("expired-assertion"));
    is_told_that_the_proof_has_expired(&practice).await;
    // What we sign with a clock like that is refused: here it is not only worth a note.
    practice.emulator.clear_faults();
    practice.entra_answers(Fault::clock(3600));
    let (findings, exit) = practice.findings("identities.app").await;
    let clock = findings.iter().find(|finding| finding["check"] == "clock").unwrap();
    assert_eq!((&clock["status"], exit), (&json!("wrong"), Some(1)), "{clock:#}");
}

/// No setting of a server's, and so none to look at.
#[tokio::test]
async fn a_certificate_that_can_never_do_is_a_mistake_in_the_settings() {
    let practice = certified(&Made::of_a_curve(), true).await;
    let told = practice.doctor(&[]).await;
    let fix = "app.pem: identities.app.certificate_file: has a key that is not of RSA, and Entra takes no other: make one of \
               RSA, 2048 bits or more\n";
    assert_eq!((told.status, &*told.out, &*told.err), (Some(2), "", fix));
}

// === Service accounts ===

/// A practice in a pod with this token.
async fn in_a_pod(token: ServiceAccountToken, federated: &'static str) -> Practice {
    let identity = |emulator: &Emulator| {
        if !federated.is_empty() {
            emulator.federate(&emulator.app(), federated);
        }
        format!("{}token_file = \"token\"", application("workload-identity", emulator))
    };
    let practice = Practice::open(with_identity(identity)).await;
    practice.write("token", &practice.emulator.service_account_token(&token).unwrap());
    practice
}

const SUBJECT: &str = "system:serviceaccount:default:keyswap";

#[tokio::test]
async fn a_service_accounts_token_is_told_by_what_a_federated_credential_must_fit() {
    let practice = in_a_pod(ServiceAccountToken::default(), SUBJECT).await;
    let (findings, exit) = practice.findings("identities.app").await;
    assert_eq!(exit, Some(0), "{findings:#?}");
    let proof = practice.finding("proof").await;
    assert_eq!(proof["found"], "the service account's token is good for 59 min");
    let facts = json!({
        "subject": SUBJECT, "issuer": "https://cluster.example/issuer/", "audience": "api://AzureADTokenExchange",
    });
    assert_eq!(proof["facts"], facts);
}

#[tokio::test]
async fn a_service_account_that_entra_does_not_take_is_told_with_the_commands_that_make_it() {
    let commands = |subject: &str, issuer: &str, audience: &str| {
        [
            format!(
                "az identity federated-credential create --name keyswap $(az identity list --query \
                 '[?clientId=='\\''CLIENT'\\''].join('\\'' '\\'',['\\''--identity-name'\\'',name,'\\''--resource-group'\\'',resourceGroup])' \
                 --output tsv) --issuer {issuer} --subject {subject} --audiences {audience}"
            ),
            format!(
                "az ad app federated-credential create --id CLIENT --parameters '{{\"name\":\"keyswap\",\
                 \"issuer\":\"{issuer}\",\"subject\":\"{subject}\",\"audiences\":[\"{audience}\"]}}'"
            ),
        ]
    };
    let usual = ServiceAccountToken::default;
    let cluster = usual().issuer;
    let entra = "api://AzureADTokenExchange";
    for (token, federated, code, subject, issuer) in [
        (usual(), "system:serviceaccount:default:another", "AADSTS700213", SUBJECT, &*cluster),
        (usual(), "", "AADSTS700213", SUBJECT, &cluster),
        (
            ServiceAccountToken { issuer: "https://another.example/".to_owned(), ..usual() },
            SUBJECT,
            "AADSTS700211",
            SUBJECT,
            "https://another.example/",
        ),
        (
            ServiceAccountToken { audience: "https://kubernetes.default.svc".to_owned(), ..usual() },
            SUBJECT,
            "AADSTS700212",
            SUBJECT,
            &cluster,
        ),
    ] {
        let practice = in_a_pod(token, federated).await;
        let commands = commands(subject, issuer, entra);
        is_told(
            &practice,
            &format!("HTTP 401, {code}"),
            "No federated credential of the application fits the service account's token.",
            "Compare the federated credential's issuer, subject and audience with those of the service account's token.",
            &[&commands[0], &commands[1]],
        )
        .await;
    }
    let practice = in_a_pod(usual(), SUBJECT).await;
    practice.entra_answers(Fault::named("unknown-assertion"));
    assert_eq!(practice.finding("token").await["commands"], json!(commands(SUBJECT, &cluster, entra)), "AADSTS70021");

    let token = ServiceAccountToken { audience: "https://kubernetes.default.svc".to_owned(), ..usual() };
    let proof = in_a_pod(token, SUBJECT).await.finding("proof").await;
    assert_eq!(
        (&proof["status"], &proof["found"]),
        (&json!("note"), &json!("the service account's token is not for Entra"))
    );

    let practice = in_a_pod(ServiceAccountToken { seconds: -7200, ..usual() }, SUBJECT).await;
    let proof = practice.finding("proof").await;
    assert_eq!(
        (&proof["status"], &proof["found"]),
        (&json!("wrong"), &json!("the service account's token ended 2 h ago"))
    );
    is_told_that_the_proof_has_expired(&practice).await;
}

#[tokio::test]
async fn a_service_accounts_token_that_is_not_there_is_told() {
    let practice = in_a_pod(ServiceAccountToken::default(), SUBJECT).await;
    let cure = "Run keyswap in a pod with the label azure.workload.identity/use: \"true\" and with a service account that is \
                annotated with the client id; or name as token_file where its token is.";
    let pod = "kubectl get pod \"$HOSTNAME\" --output jsonpath='{.metadata.labels.azure\\.workload\\.identity/use} {.spec.serviceAccountName}'";
    practice.write("token", "hunter2");
    let found = "the service account's token in token is none: the file must hold a JWT and nothing else";
    is_told(&practice, found, NOTHING, cure, &[pod]).await;
    practice.write("token", "aHVudGVyMg.aHVudGVyMg.aHVudGVyMg");
    let means = "What proves the identity is no token that Entra can read.";
    let name_another = "Name as token_file what the cluster keeps for Entra.";
    is_told(&practice, "HTTP 401, AADSTS50027", means, name_another, &[]).await;
    fs::remove_file(practice.directory.path().join("token")).unwrap();
    let found = "the service account's token in token cannot be read: No such file or directory (os error 2)";
    is_told(&practice, found, NOTHING, cure, &[pod]).await;
}

// === The Azure CLI ===

#[tokio::test]
async fn the_azure_cli_is_told_by_what_it_lacks() {
    let cli = |line: &'static str| {
        let plan = with_identity(move |_| format!("kind = \"azure-cli\"\n{line}"));
        let settings = plan.settings;
        let settings = move |text, emulator: &Emulator| format!("development = true\n{}", settings(text, emulator));
        Plan { settings: Box::new(settings), ..plan }
    };
    let none = "Whoever runs keyswap has no token there.";
    let ask = format!("az account get-access-token --scope {OPENAI} --query expiresOn --output tsv");
    let practice = Practice::open(cli("")).await;
    let missing = "there is no Azure CLI on the PATH";
    is_told(&practice, missing, none, "Install it, or name another kind of identity.", &["az login", &ask]).await;

    for (script, found, cure) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "nobody is logged in to the Azure CLI",
            "Run az login.",
        ),
        ("echo \"ERROR: AADSTS70043: expired\" >&2; exit 1", "the Azure CLI fails, AADSTS70043", "Run az login."),
        ("exit 3", "the Azure CLI fails with status 3", "See what az account get-access-token says."),
        ("echo {", "what the Azure CLI has printed", "It must be 2.54.0 or newer."),
    ] {
        let mut practice = Practice::open(cli("tenant = \"contoso.example\"")).await;
        let bin = practice.directory.path().join("az");
        fs::write(&bin, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&bin, Permissions::from_mode(0o755)).unwrap();
        practice.environment = vec![("PATH", format!("{}:/usr/bin:/bin", practice.directory.path().display()))];
        let ask = format!(
            "az account get-access-token --scope {OPENAI} --tenant contoso.example --query expiresOn --output tsv"
        );
        is_told(&practice, found, none, cure, &["az login --tenant contoso.example", &ask]).await;
    }
    // All is well; nobody's clock is seen.
    let mut practice = Practice::open(cli("")).await;
    practice.write("token.json", &practice.emulator.azure_cli_output("https://cognitiveservices.azure.com"));
    let bin = practice.directory.path().join("az");
    fs::write(&bin, format!("#!/bin/sh\ncat {}/token.json", practice.directory.path().display())).unwrap();
    fs::set_permissions(&bin, Permissions::from_mode(0o755)).unwrap();
    practice.environment = vec![("PATH", format!("{}:/usr/bin:/bin", practice.directory.path().display()))];
    assert_eq!(practice.finding("token").await["found"], "good for 59 min");
    assert_eq!(practice.finding("principal").await["facts"]["object_id"], "OBJECT");
}

// === The canary ===

/// Everything that proves an identity, and every token, is looked for in everything that is said, of success and of failure,
/// with everything traced.
#[tokio::test]
async fn no_piece_of_a_secret_is_in_anything_that_is_said() {
    let made = Made::rsa();
    let pem = made.cert.clone();
    let proxy = Proxy::start().await;
    proxy.demand(&format!("Basic {}", BASE64_STANDARD.encode(format!("keyswap:{PROXY_PASSWORD}"))));
    let (through, ways) = (proxy.address, proxy.clone());
    let plan = Plan {
        settings: Box::new(move |text, emulator| {
            emulator.upload_certificate(&emulator.app(), &pem).unwrap();
            emulator.federate(&emulator.app(), SUBJECT);
            let pod = application("workload-identity", emulator);
            let certified = application("client-certificate", emulator);
            // The proxy alone leads to the search service.
            let service = emulator.search(Door::Behind);
            ways.lead("contoso.search.windows.net:443", Way::To(service.rsplit('/').next().unwrap().parse().unwrap()));
            let text = text.replace(&service, "https://contoso.search.windows.net");
            let text = text.replace("[admin]\n", "[admin]\nsecret_file = \"admin.secret\"\n");
            let lines = format!("proxy = \"http://{through}\"\nproxy_credentials_file = \"proxy.secret\"\n");
            let text = text.replace("[egress]\n", &format!("[egress]\n{lines}"));
            format!(
                "{text}[identities.pod]\n{pod}token_file = \"token\"\n[identities.cert]\n{certified}{CERTIFICATE}\n\
                 [identities.machine]\nkind = \"managed-identity\"\n"
            )
        }),
        environment_of: Box::new(|emulator| {
            let endpoint = emulator.identity_endpoint();
            vec![
                ("RUST_LOG", "trace".to_owned()),
                ("IDENTITY_ENDPOINT", endpoint.url),
                ("IDENTITY_HEADER", endpoint.header),
            ]
        }),
        ..Plan::default()
    };
    let practice = Practice::open(plan).await;
    practice.write("app.pem", &made.cert);
    practice.write("app.key", &made.key);
    practice.write("proxy.secret", &format!("keyswap:{PROXY_PASSWORD}\n"));
    practice.write("admin.secret", ADMIN_SECRET);
    let token = practice.emulator.service_account_token(&ServiceAccountToken::default()).unwrap();
    practice.write("token", &token);

    let mut seen = Seen::default();
    let faults = [None, Some("wrong-secret"), Some("blank-token"), Some("wrong-audience"), Some("close")];
    for fault in faults {
        practice.emulator.clear_faults();
        if let Some(fault) = fault {
            practice.entra_answers(Fault::named(fault));
        }
        for arguments in [&["doctor"][..], &["doctor", "--json"]] {
            let (directory, environment) = (practice.directory.clone(), practice.environment.clone());
            let arguments: Vec<_> = arguments.to_vec();
            let ran = tokio::task::spawn_blocking(move || run(directory.path(), &arguments, &environment));
            let (_, out, err) = ran.await.unwrap();
            assert!(err.contains("TRACE"), "nothing was traced: {err}");
            assert!(out.contains("identities.pod") || out.contains("identity pod"), "{out}");
            seen.add("standard output", &out);
            err.lines().for_each(|line| seen.add("standard error", line));
        }
    }
    assert!(proxy.asked().iter().any(|asked| asked.credentials.is_some()), "nobody went through the proxy");
    let emulator = &practice.emulator;
    let keys = emulator.keys();
    let (_, key) = made.key.split_once("PRIVATE KEY-----").unwrap();
    let key = key.split_once("-----END").unwrap().0.split_whitespace().collect();
    let mut secrets = vec![
        ("the app's secret".to_owned(), emulator.app().secret),
        ("the service account's token".to_owned(), token),
        ("the certificate's key".to_owned(), key),
        ("the proxy's password".to_owned(), PROXY_PASSWORD.to_owned()),
        ("the secret of the admin address".to_owned(), ADMIN_SECRET.to_owned()),
        // How every assertion that we sign begins.
        ("an assertion".to_owned(), "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIs".to_owned()),
        ("the identity endpoint's header".to_owned(), emulator.identity_endpoint().header),
        ("a client's key".to_owned(), keys.openai),
        ("a client's key".to_owned(), keys.search_admin),
    ];
    let arrived = emulator.journal().entries();
    let tokens = arrived.iter().filter_map(|entry| entry.header("authorization")?.strip_prefix("Bearer "));
    let before = secrets.len();
    secrets.extend(tokens.map(|token| ("a token of ours".to_owned(), token.to_owned())));
    assert!(secrets.len() > before, "no probe brought a token");
    assert_eq!(seen.found(&secrets), Vec::<String>::new());
}
