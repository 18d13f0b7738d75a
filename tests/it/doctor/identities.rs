//! Each kind of identity when all is well, and each fault of whoever gives tokens (azure-wire, C).

use azure_emulator::{App, Emulator, Fault, Options, Plane};
use serde_json::json;

use super::{OPENAI, Practice, SEARCH, is_told};
use crate::identities::{application, with_identity};
use crate::namespace::was_run_inside;
use crate::world::{Plan, client};

// === Entra ===

const LIST: &str =
    "az ad app credential list --id CLIENT --query '[].{name:displayName,hint:hint,ends:endDateTime}' --output table";
const RESET: &str = "az ad app credential reset --id CLIENT --append --display-name keyswap --query password --output tsv \
                     > app.secret";
const IN_TROUBLE: (&str, &str) = (
    "Entra is in trouble, or something on the way to it is.",
    "Try again; a running keyswap goes on with the tokens that it has.",
);
const NO_ENTRA: (&str, &str) = (
    "Whoever answers gives no token as Entra does.",
    "Compare the identity's authority, and see what on the way changes answers.",
);

#[tokio::test]
async fn what_entra_says_is_told_with_its_cure() {
    let practice = Practice::open(Plan::default()).await;
    let row = async |fault: &str, found: &str, (means, cure): (&str, &str), commands: &[&str]| {
        practice.emulator.clear_faults();
        practice.entra_answers(Fault::named(fault));
        is_told(&practice, found, means, cure, commands).await;
    };
    let secret = (
        "The secret is none of the application's.",
        "Put the value of the application's secret, which is not its id, where the identity's secret is.",
    );
    row("wrong-secret", "HTTP 401, AADSTS7000215", secret, &[LIST, RESET]).await;
    let ended = ("The application's secret has expired.", "Make a new one, and put it where the identity's secret is.");
    row("expired-secret", "HTTP 401, AADSTS7000222", ended, &[LIST, RESET]).await;
    let unknown = ("No such application in this tenant.", "Compare the identity's client_id and tenant.");
    let look = [
        "az login --tenant TENANT --allow-no-subscriptions",
        r"az ad sp list --filter 'appId eq '\''CLIENT'\''' --query '[].displayName' --output tsv",
    ];
    row("unknown-app", "HTTP 400, AADSTS700016", unknown, &look).await;
    let disabled =
        ("The application is disabled in this tenant.", "Have it enabled, by an administrator of the tenant.");
    let enable = ["az ad sp update --id CLIENT --set accountEnabled=true"];
    row("disabled-app", "HTTP 400, AADSTS7000112", disabled, &enable).await;
    let audience =
        ("No such audience in this tenant.", "Compare the resource's scope, the cloud and the identity's tenant.");
    let named = [
        r"az ad sp list --filter 'servicePrincipalNames/any(name:name eq '\''https://cognitiveservices.azure.com'\'')' --query '[].displayName' --output tsv",
    ];
    row("unknown-resource", "HTTP 400, AADSTS500011", audience, &named).await;
    let tenant = ("No such tenant in this cloud.", "Compare the identity's tenant, and the cloud or its authority.");
    let tenants = ["az account list --all --query '[].{subscription:name,tenant:tenantId}' --output table"];
    row("unknown-tenant", "HTTP 400, AADSTS90002", tenant, &tenants).await;
    let scope = ("Entra gives no tokens for such a scope.", "Write the resource's scope as an audience and /.default.");
    row("invalid-scope", "HTTP 400, AADSTS70011", scope, &[]).await;
    let busy = (
        "Entra is asked too often, by this application or from this network.",
        "Wait a minute and try again; a running keyswap goes on with the tokens that it has.",
    );
    row("429", "HTTP 429", busy, &[]).await;
    row("500", "HTTP 500, AADSTS90033", IN_TROUBLE, &[]).await;
    row("503", "HTTP 503, AADSTS90033", IN_TROUBLE, &[]).await;
    row("html", "HTTP 503", IN_TROUBLE, &[]).await;
    row("empty-token", "HTTP 200: the answer holds no usable token", NO_ENTRA, &[]).await;
    row("blank-token", "HTTP 200: the answer holds no usable token", NO_ENTRA, &[]).await;
    row("string-expiry", "HTTP 200", NO_ENTRA, &[]).await;
    row("absurd-expiry", "HTTP 200: the answer is absurd", NO_ENTRA, &[]).await;
    let silent = (
        "The host 127.0.0.1 can be reached, and gives no whole answer in time.",
        "Try again; if it stays so, see what stands on the way.",
    );
    let curl = ["curl -sv --max-time 10 --output /dev/null https://ENTRA/"];
    let closed = "the connection broke: peer closed connection without sending TLS close_notify: \
                  https://docs.rs/rustls/latest/rustls/manual/_03_howto/index.html#unexpected-eof";
    row("close", closed, silent, &curl).await;
}

#[tokio::test]
async fn a_token_that_azure_will_not_take_is_told() {
    let practice = Practice::open(Plan::default()).await;
    practice.entra_answers(Fault::named("wrong-audience"));
    is_told(
        &practice,
        "good for 59 min, but for the audience https://management.azure.com",
        "The scope asks for https://cognitiveservices.azure.com, and Azure takes no token for another audience than its own.",
        "See who answers in Entra's place, and compare the resource's scope and the cloud.",
        &[],
    )
    .await;
    practice.emulator.clear_faults();
    practice.entra_answers(Fault::named("expired-token"));
    let finding = practice.finding("token").await;
    let found = finding["found"].as_str().unwrap();
    assert!(found.starts_with("its issuer says good for 59 min; it says itself that it ended "), "{found}");
    assert_eq!(finding["status"], "wrong");
    practice.emulator.clear_faults();
    practice.emulator.set_token_life(std::time::Duration::from_secs(100));
    let finding = practice.finding("token").await;
    assert_eq!(finding["means"], "A token with so little left is fetched anew all the time.", "{finding:#}");
    assert_eq!(finding["status"], "note");
    practice.entra_answers(Fault::named("opaque-token"));
    assert_eq!(practice.finding("token").await["found"], "good for 59 min; it cannot be read here");
    let principal = practice.finding("principal").await;
    assert_eq!(principal["status"], "cannot-tell", "{principal:#}");
}

/// Each clock against Entra's: what stands to be refused is a matter of who dates the proof.
#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let practice = Practice::open(Plan::default()).await;
    for (seconds, status, found) in [
        (-20, "ok", "behind Entra's"),
        (29, "ok", "behind Entra's"),
        (200, "note", "3 min behind Entra's"),
        (-200, "note", "3 min ahead of Entra's"),
        (3700, "note", "61 min behind Entra's"),
        (-86_400 * 3, "note", "2 days ahead of Entra's"),
    ] {
        practice.emulator.clear_faults();
        practice.entra_answers(Fault::clock(seconds));
        let clock = practice.finding("clock").await;
        assert_eq!(clock["status"], status, "{seconds}: {clock:#}");
        if status == "note" {
            assert_eq!(clock["found"], found, "{clock:#}");
            assert_eq!(
                clock["means"],
                "Beyond five minutes Entra refuses what keyswap signs with a certificate; and certificates and keys begin \
                 and end at the wrong time here."
            );
            assert_eq!(clock["commands"], json!(["timedatectl set-ntp true"]));
        }
    }
}

// === Machines ===

/// A machine with an identity endpoint, as App Service and Container Apps have it.
fn on_app_service(identity: &'static str, environment: &[(&'static str, &str)]) -> Plan {
    let more: Vec<_> = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let chosen = move |emulator: &Emulator| {
        let App { client_id, object_id, .. } = emulator.app();
        let chosen = identity.replace("CLIENT", &client_id).replace("OBJECT", &object_id);
        format!("kind = \"managed-identity\"\n{chosen}")
    };
    Plan {
        environment_of: Box::new(|emulator| {
            let endpoint = emulator.identity_endpoint();
            let own = vec![("IDENTITY_ENDPOINT", endpoint.url), ("IDENTITY_HEADER", endpoint.header)];
            [own, more].concat()
        }),
        ..with_identity(chosen)
    }
}

const SITE: [(&str, &str); 1] = [("WEBSITE_SITE_NAME", "contoso-web")];

#[tokio::test]
async fn a_machine_that_gives_no_token_is_told_with_its_cure() {
    let practice = Practice::open(on_app_service("", &SITE)).await;
    let row = async |fault: &str, found: &str, means: &str, cure: &str, commands: &[&str]| {
        practice.emulator.clear_faults();
        practice.emulator.next(Plane::Identity, Fault::named(fault), 9).unwrap();
        is_told(&practice, found, means, cure, commands).await;
    };
    let assign = [
        "az webapp identity assign --name contoso-web --resource-group \"$(az webapp list --query '[?name=='\\''contoso-web'\\''].resourceGroup' --output tsv)\"",
    ];
    let cure = "Assign the identity to this machine, or mend client_id or object_id.";
    row("400", "HTTP 400", "This web app does not have an identity of its own.", cure, &assign).await;
    let trouble = (
        "This web app's identity service is in trouble.",
        "Try again; if it stays so, restart it, and see Azure's service health.",
    );
    row("404", "HTTP 404", trouble.0, trouble.1, &[]).await;
    row("500", "HTTP 500", trouble.0, trouble.1, &[]).await;
    row("503", "HTTP 503", trouble.0, trouble.1, &[]).await;
    row("html", "HTTP 502", trouble.0, trouble.1, &[]).await;
    let again = "Try again in a minute.";
    row("410", "HTTP 410", "The machine's identity service is being renewed.", again, &[]).await;
    row("429", "HTTP 429", "Too many on this machine ask for tokens at once.", again, &[]).await;
    let audience = "Compare the resource's scope, the cloud and the identity's tenant.";
    row("invalid-resource", "HTTP 400, AADSTS500011", "No such audience in this tenant.", audience, &[]).await;
    let odd = (
        "Whoever answers there gives no token as Azure does.",
        "See what stands at that address; no proxy may be between.",
    );
    row("empty-token", "HTTP 200", odd.0, odd.1, &[]).await;
    row("blank-token", "HTTP 200: the answer holds no usable token", odd.0, odd.1, &[]).await;
}

/// The command is for where keyswap runs, and for the identity that the settings name.
#[tokio::test]
async fn an_identity_that_is_not_assigned_is_told_with_the_command_that_assigns_it() {
    let query =
        |field: &str, id: &str| format!("\"$(az identity list --query '[?{field}=='\\''{id}'\\''].id' --output tsv)\"");
    let group = |kind: &str| {
        format!("--resource-group \"$(az {kind} list --query '[?name=='\\''app-1'\\''].resourceGroup' --output tsv)\"")
    };
    for (environment, identity, means, command) in [
        (
            vec![("WEBSITE_SITE_NAME", "app-1"), ("FUNCTIONS_EXTENSION_VERSION", "~4")],
            "client_id = \"another\"",
            "This function app does not have that identity.",
            vec![format!(
                "az functionapp identity assign --name app-1 {} --identities {}",
                group("functionapp"),
                query("clientId", "another")
            )],
        ),
        (
            vec![("CONTAINER_APP_NAME", "app-1")],
            "object_id = \"another\"",
            "This container app does not have that identity.",
            vec![format!(
                "az containerapp identity assign --name app-1 {} --user-assigned {}",
                group("containerapp"),
                query("principalId", "another")
            )],
        ),
        (vec![], "client_id = \"another\"", "This place does not have that identity.", vec![]),
    ] {
        let practice = Practice::open(on_app_service(identity, &environment)).await;
        let cure = "Assign the identity to this machine, or mend client_id or object_id.";
        let commands: Vec<_> = command.iter().map(String::as_str).collect();
        is_told(&practice, "HTTP 400", means, cure, &commands).await;
    }
    // A container app's own is assigned by a flag.
    let practice = Practice::open(on_app_service("", &[("CONTAINER_APP_NAME", "app-1")])).await;
    practice.emulator.next(Plane::Identity, Fault::named("400"), 1).unwrap();
    let command = practice.finding("token").await["commands"][0].as_str().unwrap().to_owned();
    assert!(command.ends_with("--output tsv)\" --system-assigned"), "{command}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_ours_is_told() {
    let plan = Plan {
        environment: vec![("IDENTITY_HEADER", "another".to_owned())],
        environment_of: Box::new(|emulator| vec![("IDENTITY_ENDPOINT", emulator.identity_endpoint().url)]),
        ..with_identity(|_| "kind = \"managed-identity\"".to_owned())
    };
    is_told(
        &Practice::open(plan).await,
        "HTTP 401",
        "The identity endpoint takes no questions from here.",
        "See that IDENTITY_ENDPOINT and IDENTITY_HEADER are those of this very process, and not handed on.",
        &[],
    )
    .await;
    let nobody = |more: &[(&'static str, &str)]| Plan {
        environment: [&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")], more]
            .concat()
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect(),
        ..with_identity(|_| "kind = \"managed-identity\"".to_owned())
    };
    let refused = "no connection to 127.0.0.1:1: Connection refused (os error 111)";
    is_told(
        &Practice::open(nobody(&[("IDENTITY_HEADER", "x")])).await,
        refused,
        "Nobody is at the address that IDENTITY_ENDPOINT names.",
        "See that keyswap has the environment of this very container, and that an identity is assigned to it.",
        &[],
    )
    .await;
    is_told(
        &Practice::open(nobody(&[("IMDS_ENDPOINT", "x")])).await,
        "the environment (IDENTITY_ENDPOINT, MSI_ENDPOINT) is that of Azure Arc, Service Fabric, Cloud Shell or Azure ML, \
         whose managed identities azure_identity does not know",
        "No token for https://cognitiveservices.azure.com/.default can be asked for here.",
        "Name another kind of identity.",
        &[],
    )
    .await;
}

const VM: &str = "az vm identity assign --ids \"$(curl -s --noproxy '*' -H Metadata:true 'http://169.254.169.254/metadata/instance/compute/resourceId?api-version=2021-02-01&format=text')\"";

#[tokio::test]
async fn a_machine_without_the_identity_is_told_with_the_command_that_assigns_it() {
    let own = "doctor::identities::a_machine_without_the_identity_is_told_with_the_command_that_assigns_it";
    if was_run_inside(own, "", "ip addr add 169.254.169.254/32 dev lo") {
        return;
    }
    let plan = Plan {
        options: Options { imds: Some(([169, 254, 169, 254], 80).into()), ..Options::default() },
        ..with_identity(|_| "kind = \"managed-identity\"\nclient_id = \"another\"".to_owned())
    };
    let practice = Practice::open(plan).await;
    let cure = "Assign the identity to this machine, or mend client_id or object_id.";
    let assign =
        format!("{VM} --identities \"$(az identity list --query '[?clientId=='\\''another'\\''].id' --output tsv)\"");
    is_told(&practice, "HTTP 400", "This machine does not have that identity.", cure, &[&assign]).await;
    practice.emulator.next(Plane::Imds, Fault::named("404"), 9).unwrap();
    is_told(
        &practice,
        "HTTP 404",
        "Whoever is at 169.254.169.254 knows no managed identities: this may be no machine of Azure's, or it has none.",
        "If this is no machine of Azure's, name another kind of identity.",
        &[&assign],
    )
    .await;
}

#[tokio::test]
async fn a_machine_that_is_not_azures_is_told() {
    let own = "doctor::identities::a_machine_that_is_not_azures_is_told";
    if was_run_inside(own, "", "ip route add 169.254.169.254/32 dev lo") {
        return;
    }
    let practice = Practice::open(with_identity(|_| "kind = \"managed-identity\"".to_owned())).await;
    is_told(
        &practice,
        "no connection to 169.254.169.254:80: no answer within 1s",
        "Nobody gives tokens to this machine, or keyswap is kept from whoever does.",
        "On a machine of Azure's, let keyswap reach 169.254.169.254, which containers, network policies and firewalls may \
         not; elsewhere there is no managed identity: name another kind.",
        &["curl -sv --noproxy '*' --max-time 3 -H Metadata:true 'http://169.254.169.254/metadata/instance?api-version=2021-02-01' --output /dev/null"],
    )
    .await;
}

/// All is well with each way that a machine's identity is named; and one is told from another.
#[tokio::test]
async fn a_managed_identity_is_told_by_its_token() {
    for (identity, object_id) in
        [("", "SYSTEM"), ("client_id = \"CLIENT\"", "OBJECT"), ("object_id = \"OBJECT\"", "OBJECT")]
    {
        let practice = Practice::open(on_app_service(identity, &SITE)).await;
        let (findings, exit) = practice.findings("identities.app").await;
        assert_eq!(exit, Some(0), "{findings:#?}");
        let tokens: Vec<_> = findings.iter().filter(|finding| finding["check"] == "token").collect();
        assert_eq!(tokens.iter().map(|token| &token["of"]).collect::<Vec<_>>(), [OPENAI, SEARCH]);
        assert!(tokens.iter().all(|token| token["found"] == "good for 59 min"), "{tokens:#?}");
        let principal = practice.finding("principal").await;
        assert_eq!(principal["facts"]["object_id"], object_id, "{principal:#}");
        assert_eq!(practice.finding("clock").await["found"], "in step with that of whoever gives tokens here");
    }
    // Whoever answers in the endpoint's place gives another's.
    let practice = Practice::open(on_app_service("client_id = \"CLIENT\"", &SITE)).await;
    practice.emulator.next(Plane::Identity, Fault::named("anothers-token"), 9).unwrap();
    let principal = practice.finding("principal").await;
    assert_eq!(principal["found"], "the token is another's: the settings have the client id CLIENT", "{principal:#}");
    assert_eq!(principal["status"], "wrong");
}

// === Who rides it ===

#[tokio::test]
async fn an_identity_that_nothing_needs_is_told_and_tried() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let unused = application("client-secret", emulator);
            let lonely =
                "[resources.lonely]\nplane = \"search\"\nendpoint = \"https://127.0.0.1:1\"\nidentity = \"idle\"\n";
            format!(
                "{text}[identities.unused]\n{unused}secret_file = \"missing.secret\"\n[identities.idle]\n{unused}\
                 secret_file = \"app.secret\"\n{lonely}"
            )
        }),
        ..Plan::default()
    };
    let practice = Practice::open(plan).await;
    let (findings, exit) = practice.findings("identities.unused").await;
    assert_eq!(exit, Some(0), "nothing depends on it: {findings:#?}");
    let told = findings.iter().map(|finding| (&finding["check"], &finding["status"], &finding["found"]));
    let missing = "the secret file missing.secret cannot be read: No such file or directory (os error 2)";
    let expected = json!([["use", "note", "unused: no resource and no grant names it"], ["token", "note", missing],]);
    assert_eq!(json!(told.collect::<Vec<_>>()), expected);

    let (findings, exit) = practice.findings("identities.idle").await;
    assert_eq!(exit, Some(0), "{findings:#?}");
    assert_eq!(findings[0]["found"], "named by lonely, and no client has a grant there");
    assert_eq!(findings[1]["of"], SEARCH, "what the resource's scope is");
}

/// A grant may name another identity than its resource does.
#[tokio::test]
async fn an_identity_that_a_grant_names_is_asked_for_the_grants_scope() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let reader = application("client-secret", emulator);
            format!("{text}[identities.reader]\n{reader}secret_file = \"app.secret\"\n")
        }),
        keys: Box::new(|text, _| {
            let grant = "{ resource = \"search\", allow = [\"search-query\"], identity = \"reader\" }";
            format!("{text}{}", client("team", "aKeyThatIsLongEnoughToBeOneOfAzures-1234567890", grant))
        }),
        ..Plan::default()
    };
    let practice = Practice::open(plan).await;
    let (findings, _) = practice.findings("identities.reader").await;
    assert_eq!(findings[0]["found"], "ridden by team");
    let of: Vec<_> = findings.iter().filter(|finding| finding["check"] == "token").map(|token| &token["of"]).collect();
    assert_eq!(of, [SEARCH]);
}
