//! Whole reports: when all is well, and when keys are not known to be disabled.

use azure_emulator::{Door, Fault, Options, Plane, SearchKeyRefusal};
use serde_json::json;

use super::Patient;
use crate::world::client;

/// A client that may do all that there is.
fn everything(patient: &Patient) -> String {
    let grants = "{ resource = \"ai\", allow = [\"openai\", \"realtime-secrets\"] }, \
                  { resource = \"search\", allow = [\"search-admin\"], indexes = [\"hotels\"] }";
    client("all", &patient.emulator().keys().search_admin, grants)
}

const BOTH: [&str; 4] = ["--only", "resources.ai", "--only", "resources.search"];

#[tokio::test]
async fn all_is_well_on_both_planes() {
    let mut patient = Patient::new().await;
    patient.keys = everything(&patient);
    let told = patient.told(&BOTH).await;
    let expected = "\
resource ai: openai at https://127.0.0.1:AI
  ok           endpoint: 127.0.0.1 is no name of Azure's: whose it is, the settings have to know
  ok           dns: not asked: the endpoint is an address (this machine)
  ok           tcp: connected to 127.0.0.1:AI
  ok           tls: trusted
               issued by azure-emulator, a new authority at each start, from 1975-01-01, until 4096-01-01, for *.openai.azure.com, *.search.windows.net, localhost, login.microsoftonline.com
  ok           keys: disabled: a random key was answered HTTP 403 AuthenticationTypeDisabled
  ok           access inference read as app: HTTP 404: let in, and refused for what it asked, as was meant
  ok           access responses read as app: HTTP 404: let in, and refused for what it asked, as was meant
  ok           access responses write as app: HTTP 400: let in, and refused for what it asked, as was meant
  ok           access files read as app: HTTP 200: let in
  ok           access files write as app: HTTP 400: let in, and refused for what it asked, as was meant
  ok           access batches read as app: HTTP 200: let in
  ok           access batches write as app: HTTP 400: let in, and refused for what it asked, as was meant
  ok           access assistants read as app: HTTP 200: let in
  ok           access assistants write as app: HTTP 400: let in, and refused for what it asked, as was meant
  ok           access fine-tuning read as app: HTTP 200: let in
  ok           access fine-tuning manage as app: HTTP 400: let in, and refused for what it asked, as was meant
  cannot tell  access evaluations read as app: HTTP 404: the path or its api-version is not known there: Resource not found
               to do: See that the endpoint is the resource's own. If clients' requests pass, nothing is wrong: not every kind of resource has everything.
  cannot tell  access evaluations manage as app: HTTP 404: the path or its api-version is not known there: Resource not found
               to do: as for access evaluations read as app
  cannot tell  access realtime read as app: not tried: it would open a session. Azure wants the same role for it as for inference
  cannot tell  access realtime-secrets manage as app: not tried: it would make a secret
  ok           clock: in step with Azure's

resource search: search at https://127.0.0.1:SEARCH
  ok           endpoint: 127.0.0.1 is no name of Azure's: whose it is, the settings have to know
  ok           dns: not asked: the endpoint is an address (this machine)
  ok           tcp: connected to 127.0.0.1:SEARCH
  ok           tls: trusted
               issued by azure-emulator, a new authority at each start, from 1975-01-01, until 4096-01-01, for *.openai.azure.com, *.search.windows.net, localhost, login.microsoftonline.com
  cannot tell  keys: a random key was answered HTTP 403, without a text
               No answer proves that keys are disabled: what a search service says to a key then, nobody has written down.
               to do: Ask Azure's management, which says true where they are. Fill in NAME and GROUP, or set the resource's id in the settings.
                   az resource show --ids \"$(az search service show --name NAME --resource-group GROUP --query id --output tsv)\" --query \"properties.disableLocalAuth\"
  ok           access documents-read read as app: HTTP 200: let in
  cannot tell  access documents-write write as app: HTTP 400: refused for what it asked, as was meant
               Whether a missing role would have been told before that, nobody has written down.
  ok           access manage manage as app: HTTP 200: let in, to look
               Whether it may change what is there, nothing harmless shows.
  ok           clock: in step with Azure's

6 cannot tell, 24 ok
";
    assert_eq!(told.1, expected);
    assert_eq!(told.0, Some(0));
    let strict = patient.told(&["--only", "resources.search", "--strict"]).await;
    assert_eq!(strict.0, Some(1));
}

#[tokio::test]
async fn programs_read_the_same() {
    let patient = Patient::new().await;
    let (exit, told) = patient.told(&["--only", "resources.ai", "--json"]).await;
    assert_eq!(exit, Some(0));
    let finding = |check: &str, found: &str| json!({"check": check, "of": null, "status": "ok", "found": found, "means": null, "cure": null, "commands": [], "facts": {}});
    let mut tls = finding("tls", "trusted");
    tls["facts"] = json!({
        "issued_by": "azure-emulator, a new authority at each start",
        "from": "1975-01-01",
        "until": "4096-01-01",
        "for": "*.openai.azure.com, *.search.windows.net, localhost, login.microsoftonline.com",
    });
    let mut access = finding("access", "HTTP 404: let in, and refused for what it asked, as was meant");
    access["of"] = "inference read as app".into();
    let findings = [
        finding("endpoint", "127.0.0.1 is no name of Azure's: whose it is, the settings have to know"),
        finding("dns", "not asked: the endpoint is an address (this machine)"),
        finding("tcp", "connected to 127.0.0.1:AI"),
        tls,
        finding("keys", "disabled: a random key was answered HTTP 403 AuthenticationTypeDisabled"),
        access,
        finding("clock", "in step with Azure's"),
    ];
    let section = json!({"section": "resources.ai", "what": "openai at https://127.0.0.1:AI", "findings": findings});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), json!({"sections": [section]}));
}

/// What is said of keys on a resource.
async fn of_keys(patient: &Patient, resource: &str) -> (String, String, Option<String>) {
    let findings = patient.findings(resource).await;
    let keys = findings.iter().find(|finding| finding["check"] == "keys").unwrap();
    let text = |name: &str| keys[name].as_str().map(str::to_owned);
    (text("status").unwrap(), text("found").unwrap(), text("cure"))
}

/// A resource that takes keys refuses a wrong one; so may one that takes none.
#[tokio::test]
async fn keys_that_still_work_are_never_called_disabled() {
    let patient = Patient::with(Options::default(), Door::KeysEnabled).await;
    let cure = "Ask Azure's management, which says true where they are. \
                Fill in NAME and GROUP, or set the resource's id in the settings.";
    let found = "a random key was answered HTTP 401: Access denied due to invalid subscription key or wrong API endpoint. Make \
                 sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.";
    let expected = ("cannot-tell".to_owned(), found.to_owned(), Some(cure.to_owned()));
    assert_eq!(of_keys(&patient, "ai").await, expected);
    let found = "a random key was answered HTTP 403: The given API key doesn't match service's internal, primary or secondary keys.";
    let expected = ("cannot-tell".to_owned(), found.to_owned(), Some(cure.to_owned()));
    assert_eq!(of_keys(&patient, "search").await, expected);
}

/// Whatever a search service says to a key when it takes none (B1.5), nobody has written it down.
#[tokio::test]
async fn no_answer_of_a_search_service_proves_that_its_keys_are_disabled() {
    for (key_refusal, found) in [
        (SearchKeyRefusal::Empty403, "a random key was answered HTTP 403, without a text"),
        (
            SearchKeyRefusal::Text403,
            "a random key was answered HTTP 403: The given API key doesn't match service's internal, primary or secondary keys.",
        ),
        (SearchKeyRefusal::Challenge401, "a random key was answered HTTP 401, without a text"),
    ] {
        let patient = Patient::with(Options { key_refusal, ..Options::default() }, Door::Direct).await;
        let (status, told, _) = of_keys(&patient, "search").await;
        assert_eq!((&*status, &*told), ("cannot-tell", found));
    }
}

/// What Azure's clock says of ours is worth knowing; nothing of a resource's fails for it.
#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let patient = Patient::new().await;
    patient.emulator().next(Plane::OpenAi, Fault::clock(-1230), 9).unwrap();
    let (exit, told) = patient.told(&["--only", "resources.ai"]).await;
    assert!(told.contains("  note         clock: 20 min ahead of Azure's\n"), "{told}");
    assert_eq!(exit, Some(0));
}
