//! Each kind of identity, with the unmodified `azure_identity`, as the journal saw its token call: who asked, and what
//! proved it. The Azure CLI and certificates have files of their own for what can be wrong with them.

use std::fs;

use azure_emulator::{App, Cloud, Emulator, Entry, Fault, Options, Plane, ServiceAccountToken};
use serde_json::{Value, json};

use crate::certificate_files::Made;
use crate::gateway::LIMIT;
use crate::namespace::was_run_inside;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// The two scopes that the usual keys lead to, without their ending.
const AUDIENCES: [&str; 2] = ["https://cognitiveservices.azure.com", "https://search.azure.com"];

/// The usual world, with another identity of the same name, which may depend on the emulator.
pub(crate) fn with_identity(identity: impl FnOnce(&Emulator) -> String + Send + 'static) -> Plan {
    let settings = |text: String, emulator: &Emulator| {
        let (head, rest) = text.split_once("[identities.app]").unwrap();
        let (_, resources) = rest.split_once("[resources.").unwrap();
        format!("{head}[identities.app]\n{}\n[resources.{resources}", identity(emulator))
    };
    Plan { settings: Box::new(settings), ..Plan::default() }
}

/// The settings of an identity that Entra is asked about.
pub(crate) fn application(kind: &str, emulator: &Emulator) -> String {
    let App { tenant, client_id, .. } = emulator.app();
    format!(
        "kind = \"{kind}\"\ntenant = \"{tenant}\"\nclient_id = \"{client_id}\"\nauthority = \"{}\"\n",
        emulator.entra()
    )
}

async fn both_planes_answer(world: &World) {
    let keys = world.emulator.keys();
    let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The token calls that a plane has seen, by what they asked for.
fn token_calls(world: &World, plane: Plane) -> Vec<Entry> {
    let mut calls = world.emulator.journal().entries();
    calls.retain(|entry| entry.plane == plane);
    calls.sort_by(|a, b| (&a.subject, &a.target).cmp(&(&b.subject, &b.target)));
    calls
}

/// One call for each scope, by an application that was proven so.
async fn is_proven_by(world: &World, credential: &'static str) {
    both_planes_answer(world).await;
    let app = world.emulator.app();
    let calls = token_calls(world, Plane::Entra);
    let seen: Vec<_> = calls.iter().map(|call| call.subject.as_deref()).collect();
    assert_eq!(seen, AUDIENCES.map(Some));
    for call in &calls {
        // The emulator takes no other grant than client_credentials.
        assert_eq!((call.method.as_str(), call.status, call.completed), ("POST", Some(200), true), "{call:#?}");
        assert_eq!(call.target, format!("/{}/oauth2/v2.0/token", app.tenant));
        assert_eq!((call.credential, call.principal.as_ref()), (Some(credential), Some(&app.object_id)));
    }
}

/// One call for each scope, to a place that gives tokens to machines, for this identity.
async fn is_asked_of_the_machine(world: &World, plane: Plane, path: &str, chosen: &str, object_id: &str) {
    both_planes_answer(world).await;
    let calls = token_calls(world, plane);
    let seen: Vec<_> = calls.iter().map(|call| call.target.clone()).collect();
    let target = |audience: &str| {
        let audience = audience.replace(':', "%3A").replace('/', "%2F");
        format!("{path}?api-version=2019-08-01&resource={audience}{chosen}")
    };
    assert_eq!(seen, AUDIENCES.map(target));
    assert!(calls.iter().all(|call| call.principal.as_deref() == Some(object_id)), "{calls:#?}");
}

// === The table ===

#[tokio::test]
async fn a_client_secret() {
    is_proven_by(&World::start().await, "secret").await;
}

/// The identity endpoint is asked as App Service wants it, and named by the environment of the process.
#[tokio::test]
async fn a_managed_identity_of_app_service() {
    for (named, parameter) in [("", ""), ("client_id", "client_id"), ("object_id", "object_id")] {
        let identity = move |emulator: &Emulator| {
            let App { client_id, object_id, .. } = emulator.app();
            let id = if named == "client_id" { client_id } else { object_id };
            let chosen = if named.is_empty() { String::new() } else { format!("{named} = \"{id}\"") };
            format!("kind = \"managed-identity\"\n{chosen}")
        };
        let header = "the-header-of-the-endpoint".to_owned();
        let plan = Plan {
            options: Options { identity_header: header.clone(), ..Options::default() },
            environment_of: Box::new(move |emulator| {
                vec![("IDENTITY_ENDPOINT", emulator.identity_endpoint().url), ("IDENTITY_HEADER", header)]
            }),
            ..with_identity(identity)
        };
        let world = plan.start().await;
        let app = world.emulator.app();
        let (chosen, whose) = match named {
            "" => (String::new(), world.emulator.system_identity().object_id),
            "client_id" => (format!("&{parameter}={}", app.client_id), app.object_id),
            _ => (format!("&{parameter}={}", app.object_id), app.object_id),
        };
        is_asked_of_the_machine(&world, Plane::Identity, "/msi/token", &chosen, &whose).await;
    }
}

const IMDS: &str = "/metadata/identity/oauth2/token";

/// A world with IMDS at its own address, and an identity of the machine.
fn on_a_machine(chosen: impl FnOnce(&Emulator) -> String + Send + 'static) -> Plan {
    Plan {
        options: Options { imds: Some(([169, 254, 169, 254], 80).into()), ..Options::default() },
        ..with_identity(|emulator| format!("kind = \"managed-identity\"\n{}", chosen(emulator)))
    }
}

/// Whether the caller, the test of this name, is outside of such a machine.
fn was_run_on_a_machine(test: &str) -> bool {
    was_run_inside(&format!("identities::{test}"), "", "ip addr add 169.254.169.254/32 dev lo")
}

#[tokio::test]
async fn a_managed_identity_of_a_machine() {
    if was_run_on_a_machine("a_managed_identity_of_a_machine") {
        return;
    }
    let world = on_a_machine(|_| String::new()).start().await;
    let system = world.emulator.system_identity().object_id;
    is_asked_of_the_machine(&world, Plane::Imds, IMDS, "", &system).await;
}

/// `azure_identity` would ask again and again by itself, silently; how often is for the control task to say.
#[tokio::test]
async fn a_machine_that_fails_is_asked_again_in_our_own_time() {
    if was_run_on_a_machine("a_machine_that_fails_is_asked_again_in_our_own_time") {
        return;
    }
    let before = |emulator: &Emulator| emulator.next(Plane::Imds, Fault::named("410"), 2).unwrap();
    let world = Plan { before: Box::new(before), ..on_a_machine(|_| String::new()) }.start().await;
    assert_eq!(why(&world, "HTTP").await, "HTTP 410");
    world.gateway.logged(|line| line["message"] == "token fetched").await;
}

#[tokio::test]
async fn a_user_assigned_identity_of_a_machine() {
    if was_run_on_a_machine("a_user_assigned_identity_of_a_machine") {
        return;
    }
    let world = on_a_machine(|emulator| format!("object_id = \"{}\"", emulator.app().object_id)).start().await;
    let own = world.emulator.app().object_id;
    is_asked_of_the_machine(&world, Plane::Imds, IMDS, &format!("&object_id={own}"), &own).await;
}

#[tokio::test]
async fn an_identity_that_the_machine_does_not_have_is_told_at_once() {
    if was_run_on_a_machine("an_identity_that_the_machine_does_not_have_is_told_at_once") {
        return;
    }
    let world = on_a_machine(|_| "client_id = \"another\"".to_owned()).start().await;
    let (told, cure) = why_and_cure(&world, "HTTP").await;
    assert_eq!(told, "HTTP 400");
    assert_eq!(cure, "assign the identity to this machine, or mend client_id or object_id");
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (500, "token-refused"));
}

#[tokio::test]
async fn a_workload_identity_by_its_settings() {
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    let identity = move |emulator: &Emulator| {
        fs::write(&token, service_account(emulator, 3600)).unwrap();
        format!("{}token_file = \"{}\"", application("workload-identity", emulator), token.display())
    };
    is_proven_by(&with_identity(identity).start().await, "federated-token").await;
}

/// As AKS writes it into a pod's environment.
#[tokio::test]
async fn a_workload_identity_by_the_environment() {
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    let plan = Plan {
        environment_of: Box::new(move |emulator| {
            fs::write(&token, service_account(emulator, 3600)).unwrap();
            vec![
                ("AZURE_TENANT_ID", emulator.app().tenant),
                ("AZURE_CLIENT_ID", emulator.app().client_id),
                ("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string()),
                ("AZURE_AUTHORITY_HOST", format!("{}/", emulator.entra())),
            ]
        }),
        ..with_identity(|_| "kind = \"workload-identity\"".to_owned())
    };
    is_proven_by(&plan.start().await, "federated-token").await;
}

#[tokio::test]
async fn a_client_certificate() {
    let files = tempfile::tempdir().unwrap();
    let made = Made::rsa();
    let (cert, key, both) = (files.path().join("app.pem"), files.path().join("app.key"), files.path().join("both.pem"));
    fs::write(&cert, &made.cert).unwrap();
    fs::write(&key, &made.key).unwrap();
    // In one file, and the key in the form that older tools write.
    fs::write(&both, format!("{}{}", made.key_as_pkcs1(), made.cert)).unwrap();
    for text in [
        format!("certificate_file = \"{}\"\ncertificate_key_file = \"{}\"", cert.display(), key.display()),
        format!("certificate_file = \"{}\"\nsend_chain = true", both.display()),
    ] {
        let pem = made.cert.clone();
        let identity = move |emulator: &Emulator| {
            emulator.upload_certificate(&emulator.app(), &pem).unwrap();
            format!("{}{text}", application("client-certificate", emulator))
        };
        is_proven_by(&with_identity(identity).start().await, "certificate").await;
    }
}

/// The scope follows the cloud, and so does the token's audience.
#[tokio::test]
async fn the_cloud_decides_the_audience() {
    for (cloud, name) in [(Cloud::Government, "us-government"), (Cloud::China, "china")] {
        let plan = Plan {
            options: Options { cloud, ..Options::default() },
            settings: Box::new(move |text, _| format!("cloud = \"{name}\"\n{text}")),
            ..Plan::default()
        };
        both_planes_answer(&plan.start().await).await;
    }
}

// === What is rotated ===

/// A rotated secret is picked up at the next fetch, without a restart.
#[tokio::test]
async fn a_secret_can_be_rotated() {
    // The file does not exist yet.
    let settings = |text: String, _: &Emulator| text.replace("app.secret", "rotated.secret");
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    why(&world, "rotated.secret cannot be read").await;
    fs::write(world.gateway.directory.path().join("rotated.secret"), world.emulator.app().secret).unwrap();
    world.gateway.logged(|line| line["message"] == "token fetched").await;
}

#[tokio::test]
async fn a_service_accounts_token_can_be_rotated() {
    let files = tempfile::tempdir().unwrap();
    let token = files.path().join("token");
    let path = token.clone();
    let identity = move |emulator: &Emulator| {
        fs::write(&path, service_account(emulator, -1)).unwrap();
        format!("{}token_file = \"{}\"", application("workload-identity", emulator), path.display())
    };
    let world = with_identity(identity).start().await;
    let (_, cure) = why_and_cure(&world, "HTTP 401, AADSTS700024").await;
    assert!(cure.contains("a service account's token must be one that the cluster renews"), "{cure}");
    // What is no token is not sent.
    fs::write(&token, "hunter2").unwrap();
    let told = why(&world, "must hold a JWT and nothing else").await;
    assert!(!told.contains("hunter2"), "{told}");
    fs::write(&token, format!("{}\n", service_account(&world.emulator, 3600))).unwrap();
    for audience in AUDIENCES {
        let fetched = |line: &Value| line["scope"] == format!("{audience}/.default") && line["life_s"].is_number();
        world.gateway.logged(fetched).await;
    }
    // What has an hour to live is replaced at once by what the next one brings.
    let last = world.emulator.journal().entries().last().unwrap().sequence;
    fs::write(&token, service_account(&world.emulator, 3601)).unwrap();
    for audience in AUDIENCES {
        let anew =
            |entry: &Entry| entry.sequence > last && entry.subject.as_deref() == Some(audience) && entry.completed;
        world.emulator.journal().wait_for(anew, LIMIT).await.expect("it asks at once");
    }
}

#[tokio::test]
async fn a_certificate_can_be_rotated() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("app.pem");
    let [old, new] = [Made::rsa(), Made::rsa()];
    fs::write(&file, format!("{}{}", old.cert, old.key)).unwrap();
    let (path, uploaded) = (file.clone(), new.cert.clone());
    let identity = move |emulator: &Emulator| {
        emulator.upload_certificate(&emulator.app(), &uploaded).unwrap();
        format!("{}certificate_file = \"{}\"", application("client-certificate", emulator), path.display())
    };
    let world = with_identity(identity).start().await;
    let (_, cure) = why_and_cure(&world, "HTTP 401, AADSTS700027").await;
    assert!(cure.starts_with("upload the identity's certificate"), "{cure}");
    // Whoever writes a file in place may be met half way.
    fs::write(&file, "").unwrap();
    why(&world, "app.pem: holds no certificate").await;
    fs::write(&file, format!("{}{}", new.cert, new.key)).unwrap();
    world.gateway.logged(|line| line["message"] == "token fetched").await;
}

/// It ends while nobody looks, and no change is to wait for another: somebody may be revoking a key.
#[tokio::test]
async fn a_certificate_that_has_ended_holds_no_change_up() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("app.pem");
    let [good, ended] = [Made::rsa(), Made::ended()];
    fs::write(&file, format!("{}{}", good.cert, good.key)).unwrap();
    let path = file.clone();
    let identity = move |emulator: &Emulator| {
        emulator.upload_certificate(&emulator.app(), &good.cert).unwrap();
        format!("{}certificate_file = \"{}\"", application("client-certificate", emulator), path.display())
    };
    let world = with_identity(identity).start().await;
    both_planes_answer(&world).await;
    fs::write(&file, format!("{}{}", ended.cert, ended.key)).unwrap();
    world.gateway.logged(|line| line["message"] == "its certificate has ended: Entra refuses it").await;
    world.gateway.logged(|line| line["message"] == "new settings are in effect").await;
    why(&world, "app.pem: has ended, and Entra refuses it").await;
    // The token that it brought before is as good as ever.
    both_planes_answer(&world).await;
}

// === A machine that is not Azure's ===

/// Nobody is at IMDS's address, and whoever sends there hears nothing, ever.
#[tokio::test]
async fn a_machine_without_imds_is_told_in_seconds_what_to_do() {
    let nowhere = "ip route add 169.254.169.254/32 dev lo";
    if was_run_inside("identities::a_machine_without_imds_is_told_in_seconds_what_to_do", "", nowhere) {
        return;
    }
    let world = with_identity(|_| "kind = \"managed-identity\"".to_owned()).start().await;
    let (told, cure) = why_and_cure(&world, "169.254.169.254").await;
    assert!(told.ends_with("no connection to 169.254.169.254:80: no answer within 1s"), "{told}");
    assert_eq!(
        cure,
        "on a machine of Azure's, let keyswap reach 169.254.169.254, which containers, network policies and firewalls may \
         not; elsewhere there is no managed identity: name another kind"
    );
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (503, "token-unavailable"));
}

/// Places whose managed identities `azure_identity` does not know are named, and nobody is asked.
#[tokio::test]
async fn a_place_that_is_not_known_is_told_what_to_do() {
    let plan = Plan {
        environment: vec![("IDENTITY_ENDPOINT", "http://127.0.0.1:1".to_owned()), ("IMDS_ENDPOINT", "x".to_owned())],
        ..with_identity(|_| "kind = \"managed-identity\"".to_owned())
    };
    let (_, cure) = why_and_cure(&plan.start().await, "is that of Azure Arc").await;
    assert_eq!(cure, "name another kind of identity");
}

// === Helpers ===

/// What the log says of a token that could not be had, where it says this.
pub(crate) async fn why(world: &World, part: &str) -> String {
    why_and_cure(world, part).await.0
}

/// The same, and what it says is to be done.
pub(crate) async fn why_and_cure(world: &World, part: &str) -> (String, String) {
    let says = |line: &Value| line["why"].as_str().is_some_and(|why| why.contains(part));
    let line = world.gateway.logged(says).await;
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    (text("why"), text("cure"))
}

/// A token of the service account that the app trusts, for so many seconds.
fn service_account(emulator: &Emulator, seconds: i64) -> String {
    let token = ServiceAccountToken { seconds, ..ServiceAccountToken::default() };
    emulator.federate(&emulator.app(), &token.subject);
    emulator.service_account_token(&token).unwrap()
}
