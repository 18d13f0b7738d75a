//! `keyswap doctor`: each fault that can be, looked at by the real binary, told with what it means and what cures it.

mod identities;
mod proofs;
mod resources;
mod ways;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_emulator::{App, Door, Emulator, Fault, Plane};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::run;
use crate::world::{self, Plan};

/// An Azure, and the files of a keyswap that is not running.
struct Practice {
    emulator: Emulator,
    directory: Arc<TempDir>,
    environment: Vec<(&'static str, String)>,
}

/// What the command came to.
struct Told {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Practice {
    async fn open(plan: Plan) -> Self {
        let emulator = Emulator::start(plan.options).await.unwrap();
        (plan.before)(&emulator);
        let settings = (plan.settings)(world::settings(&emulator, plan.door), &emulator);
        let keys = (plan.keys)(world::keys(&emulator), &emulator);
        let directory = world::files(&emulator, &settings, &keys);
        let environment = [plan.environment, (plan.environment_of)(&emulator)].concat();
        Self { emulator, directory, environment }
    }

    fn write(&self, file: &str, content: &str) {
        fs::write(self.directory.path().join(file), content).unwrap();
    }

    /// What the next token calls are answered with.
    fn entra_answers(&self, fault: Fault) {
        self.emulator.next(Plane::Entra, fault, 99).unwrap();
    }

    async fn doctor(&self, arguments: &[&str]) -> Told {
        let (directory, environment) = (self.directory.clone(), self.environment.clone());
        let arguments: Vec<_> = [&["doctor"], arguments].concat().into_iter().map(str::to_owned).collect();
        // The emulator answers on this thread meanwhile.
        let ran = tokio::task::spawn_blocking(move || {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            run(directory.path(), &arguments, &environment)
        });
        let (status, out, err) = ran.await.unwrap();
        Told { status, out, err }
    }

    /// The same with names.
    async fn doctor_by_name(&self, arguments: &[&str]) -> Told {
        let told = self.doctor(arguments).await;
        Told { out: self.with_names(&told.out), ..told }
    }

    /// A text with names in place of ports and ids, which differ from one time to the next.
    fn with_names(&self, text: &str) -> String {
        let App { tenant, client_id, object_id, .. } = self.emulator.app();
        let bare = |url: String| url.rsplit('/').next().unwrap().to_owned();
        text.replace(&tenant, "TENANT")
            .replace(&client_id, "CLIENT")
            .replace(&object_id, "OBJECT")
            .replace(&self.emulator.system_identity().object_id, "SYSTEM")
            .replace(&bare(self.emulator.entra()), "ENTRA")
            .replace(self.directory.path().to_str().unwrap(), "DIR")
    }

    /// What is found of one part, as programs read it; and the exit status.
    async fn findings(&self, part: &str) -> (Vec<Value>, Option<i32>) {
        let told = self.doctor_by_name(&["--json", "--only", part]).await;
        // azure_identity panics at an answer that is absurd, and has company from nobody else.
        assert!(told.err.is_empty() || told.err.contains("azure_identity"), "{}", told.err);
        let report: Value = serde_json::from_str(&told.out).unwrap();
        (report["sections"][0]["findings"].as_array().unwrap().clone(), told.status)
    }

    /// What is found by one check of the identity `app`, first.
    async fn finding(&self, check: &str) -> Value {
        let (findings, _) = self.findings("identities.app").await;
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.cloned().unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
    }
}

/// What is wrong with the first token, what that means, what cures it and how: a row of a table.
async fn is_told(practice: &Practice, found: &str, means: &str, cure: &str, commands: &[&str]) {
    let finding = practice.finding("token").await;
    let told = json!([finding["status"], finding["found"], finding["means"], finding["cure"], finding["commands"]]);
    assert_eq!(told, json!(["wrong", found, means, cure, commands]), "{found}");
}

const OPENAI: &str = "https://cognitiveservices.azure.com/.default";
const SEARCH: &str = "https://search.azure.com/.default";

#[tokio::test]
async fn what_is_found_is_told_to_people() {
    let practice = Practice::open(Plan::default()).await;
    practice.entra_answers(Fault::named("expired-secret"));
    let told = practice.doctor_by_name(&["--only", "identities.app"]).await;
    let expected = "\
identity app: application CLIENT of tenant TENANT at https://ENTRA, proven by the secret in app.secret
  ok           use: ridden by admin, chat, query
               kind client-secret
  WRONG        token https://cognitiveservices.azure.com/.default: HTTP 401, AADSTS7000222
               The application's secret has expired.
               to do: Make a new one, and put it where the identity's secret is.
                   az ad app credential list --id CLIENT --query '[].{name:displayName,hint:hint,ends:endDateTime}' --output table
                   az ad app credential reset --id CLIENT --append --display-name keyswap --query password --output tsv > app.secret
  WRONG        token https://search.azure.com/.default: HTTP 401, AADSTS7000222
               to do: as for token https://cognitiveservices.azure.com/.default
  ok           clock: in step with Entra's

2 WRONG, 2 ok
";
    assert_eq!((told.status, &*told.out, &*told.err), (Some(1), expected, ""));

    practice.emulator.clear_faults();
    let told = practice.doctor_by_name(&["--only", "identities.app"]).await;
    let expected = "\
identity app: application CLIENT of tenant TENANT at https://ENTRA, proven by the secret in app.secret
  ok           use: ridden by admin, chat, query
               kind client-secret
  ok           token https://cognitiveservices.azure.com/.default: good for 59 min
               audience https://cognitiveservices.azure.com, issuer https://sts.windows.net/TENANT/, version 1.0
  ok           token https://search.azure.com/.default: good for 59 min
               audience https://search.azure.com, issuer https://sts.windows.net/TENANT/, version 1.0
  ok           principal: to whose object id roles are assigned, as the token says, unverified
               object id OBJECT, tenant TENANT, application CLIENT
  ok           clock: in step with Entra's

5 ok
";
    assert_eq!((told.status, &*told.out, &*told.err), (Some(0), expected, ""));
}

/// The names in it are what programs depend on.
#[tokio::test]
async fn what_is_found_is_told_to_programs() {
    let practice = Practice::open(Plan::default()).await;
    practice.entra_answers(Fault::named("unknown-tenant"));
    let told = practice.doctor_by_name(&["--json", "--only", "identities.app"]).await;
    let token = |scope: &str| {
        json!({
            "check": "token", "of": scope, "status": "wrong",
            "found": "HTTP 400, AADSTS90002",
            "means": "No such tenant in this cloud.",
            "cure": "Compare the identity's tenant, and the cloud or its authority.",
            "commands": ["az account list --all --query '[].{subscription:name,tenant:tenantId}' --output table"],
            "facts": {},
        })
    };
    let plain = |check: &str, found: &str, facts: Value| {
        json!({
            "check": check, "of": null, "status": "ok", "found": found, "means": null, "cure": null, "commands": [],
            "facts": facts,
        })
    };
    let expected = json!({ "sections": [{
        "section": "identities.app",
        "what": "application CLIENT of tenant TENANT at https://ENTRA, proven by the secret in app.secret",
        "findings": [
            plain("use", "ridden by admin, chat, query", json!({"kind": "client-secret"})),
            token(OPENAI),
            token(SEARCH),
            plain("clock", "in step with Entra's", json!({})),
        ],
    }]});
    assert_eq!(serde_json::from_str::<Value>(&told.out).unwrap(), expected);
    assert_eq!((told.status, &*told.err), (Some(1), ""));
    // Facts keep their order.
    practice.emulator.clear_faults();
    let told = practice.doctor_by_name(&["--json", "--only", "identities.app"]).await;
    let at = |name: &str| told.out.find(name).unwrap();
    assert!(at("\"object_id\": \"OBJECT\"") < at("\"tenant\": \"TENANT\""), "{}", told.out);
    assert!(at("\"tenant\"") < at("\"application\": \"CLIENT\""), "{}", told.out);
}

#[tokio::test]
async fn the_exit_status_says_whether_something_is_wrong() {
    let practice = Practice::open(Plan::default()).await;
    let exit = async |arguments: &[&str]| {
        let told = practice.doctor(arguments).await;
        (told.status, told.err)
    };
    let nothing = String::new;
    assert_eq!(exit(&["--only", "identities.app"]).await, (Some(0), nothing()));
    assert_eq!(exit(&["--only", "identities.app", "--strict"]).await, (Some(0), nothing()));

    // A token that nobody can read.
    practice.entra_answers(Fault::named("opaque-token"));
    assert_eq!(exit(&["--only", "identities.app"]).await, (Some(0), nothing()));
    assert_eq!(exit(&["--only", "identities.app", "--strict"]).await, (Some(1), nothing()));
    assert_eq!(exit(&["--only", "identities.app", "--strict", "--json"]).await, (Some(1), nothing()));

    practice.emulator.clear_faults();
    practice.entra_answers(Fault::named("wrong-secret"));
    assert_eq!(exit(&["--only", "identities.app"]).await, (Some(1), nothing()));
    // What is not looked at is not wrong.
    assert_eq!(exit(&["--only", "egress"]).await, (Some(0), nothing()));

    let unknown = "--only: identities.apt is no part of the settings, which have egress, identities.app, resources.ai, \
                   resources.search\n";
    assert_eq!(exit(&["--only", "identities.apt"]).await, (Some(2), unknown.to_owned()));
    let (status, told) = exit(&["--only", "app"]).await;
    assert!(status == Some(2) && told.contains("egress, identities.NAME or resources.NAME"), "{told}");
    practice.write("keys.toml", "[clients.app]\n");
    let (status, told) = exit(&[]).await;
    assert!(status == Some(2) && told.starts_with("keys.toml:1:1: clients.app.grants: is missing"), "{told}");
}

/// A sidecar has no file of settings, and is looked at by its flags.
#[tokio::test]
async fn a_sidecar_is_looked_at_by_its_flags() {
    let practice = Practice::open(Plan::default()).await;
    practice.write("key", &practice.emulator.keys().openai);
    fs::set_permissions(practice.directory.path().join("key"), Permissions::from_mode(0o600)).unwrap();
    let App { tenant, client_id, .. } = practice.emulator.app();
    let (upstream, authority) = (practice.emulator.openai(Door::Direct), practice.emulator.entra());
    let flags = [
        "--upstream",
        &upstream,
        "--plane",
        "openai",
        "--identity",
        "client-secret",
        "--tenant",
        &tenant,
        "--client-id",
        &client_id,
        "--secret-file",
        "app.secret",
        "--authority",
        &authority,
        "--ca",
        "ca.pem",
        "--key-file",
        "key",
        "--json",
    ];
    let told = practice.doctor(&flags).await;
    let report: Value = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{}{}", told.out, told.err));
    let identity = &report["sections"][1];
    assert!(identity["section"].as_str().unwrap().starts_with("identities."), "{report:#}");
    assert_eq!(identity["findings"][1]["found"], "good for 59 min", "{report:#}");
}

/// Whoever hangs is told of in bounded time, and everybody else, too.
#[tokio::test]
async fn an_entra_that_hangs_keeps_no_other_from_its_word() {
    let plan = Plan {
        settings: Box::new(|text, _| format!("{text}[identities.machine]\nkind = \"managed-identity\"\n")),
        environment_of: Box::new(|emulator| {
            let endpoint = emulator.identity_endpoint();
            vec![("IDENTITY_ENDPOINT", endpoint.url), ("IDENTITY_HEADER", endpoint.header)]
        }),
        ..Plan::default()
    };
    let practice = Practice::open(plan).await;
    practice.entra_answers(Fault::named("stall"));
    let begun = Instant::now();
    let told = practice.doctor_by_name(&["--only", "identities.app", "--only", "identities.machine"]).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "after {:?}", begun.elapsed());
    let hangs = "\
  WRONG        token https://cognitiveservices.azure.com/.default: no token within 10s, the last that was seen: no answer
               The host 127.0.0.1 can be reached, and gives no whole answer in time.
               to do: Try again; if it stays so, see what stands on the way.
                   curl -sv --max-time 10 --output /dev/null https://ENTRA/
";
    assert!(told.out.contains(hangs), "{}", told.out);
    let machine = "  ok           token https://cognitiveservices.azure.com/.default: good for 59 min\n";
    assert!(told.out.contains(machine), "{}", told.out);
    assert_eq!(told.status, Some(1));
}

/// It serves nobody, so it stands in nobody's way: a keyswap that runs keeps its addresses.
#[tokio::test]
async fn it_listens_nowhere() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http = \"{}\"", taken.local_addr().unwrap());
    let settings = move |text: String, _: &Emulator| text.replace("http = \"127.0.0.1:0\"", &address);
    let practice = Practice::open(Plan { settings: Box::new(settings), ..Plan::default() }).await;
    assert_eq!(practice.doctor(&["--only", "identities.app"]).await.status, Some(0));
}
