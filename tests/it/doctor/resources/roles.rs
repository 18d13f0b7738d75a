//! Roles: what is granted decides what is asked, by whose token; what is missing is told once, as a command.

use azure_emulator::{Plane, Role, SearchRoleRefusal};
use serde_json::Value;

use super::Patient;
use crate::world::{app_identity, client};

fn accesses(findings: &[Value]) -> Vec<(&str, &str)> {
    let of_access = findings.iter().filter(|finding| finding["check"] == "access");
    of_access.map(|finding| (finding["of"].as_str().unwrap_or_default(), finding["status"].as_str().unwrap())).collect()
}

fn find<'f>(findings: &'f [Value], of: &str) -> &'f Value {
    findings.iter().find(|finding| finding["of"] == of).unwrap_or_else(|| panic!("{of}: {findings:#?}"))
}

fn told<'f>(findings: &'f [Value], of: &str) -> (&'f str, Vec<&'f str>) {
    let finding = find(findings, of);
    let commands = finding["commands"].as_array().unwrap().iter().map(|command| command.as_str().unwrap());
    (finding["cure"].as_str().unwrap_or_default(), commands.collect())
}

/// The identity follows from client, resource and access; what is granted to many is asked once.
#[tokio::test]
async fn each_access_is_asked_for_by_the_token_that_it_rides() {
    let mut patient = Patient::new().await;
    let reader = app_identity("reader", &patient.emulator().reader_app(), &patient.emulator().entra());
    patient.settings = patient.settings.replace("[resources.ai]", &format!("{reader}[resources.ai]"));
    patient.settings = patient
        .settings
        .replace("identity = \"app\"\n", "identity = { read = \"reader\", write = \"app\", manage = \"app\" }\n");
    let all = "{ resource = \"search\", allow = [\"search-admin\"], indexes = [\"hotels\"] }";
    let key = |n: u8| format!("oneOfSeveralKeys-{n}-Zk3rT8wQ5xV1mB6n");
    patient.keys = [
        client("one", &key(1), all),
        client("two", &key(2), all),
        client("three", &key(3), "{ resource = \"search\", allow = [\"search-query\"], identity = \"app\" }"),
        client("four", &key(4), "{ resource = \"search\", allow = [\"search-admin\"], access = [\"read\"] }"),
    ]
    .concat();
    let findings = patient.findings("search").await;
    let expected = [
        ("documents-read read as app", "cannot-tell"),
        ("documents-read read as reader", "ok"),
        ("documents-write write as app", "cannot-tell"),
        ("manage manage as app", "ok"),
    ];
    let mut asked = accesses(&findings);
    asked.sort_unstable();
    assert_eq!(asked, expected);
    let no_index = find(&findings, "documents-read read as app");
    assert_eq!(
        no_index["found"],
        "not tried: no grant names an index (indexes = [...]), and there is no request without one"
    );
    let mut principals: Vec<_> = patient
        .emulator()
        .journal()
        .entries()
        .into_iter()
        .filter(|entry| entry.plane == Plane::Search)
        .map(|entry| entry.principal.unwrap_or_default())
        .collect();
    let (app, reader) = (patient.emulator().app().object_id, patient.emulator().reader_app().object_id);
    // One had a key, and so no principal.
    let mut expected = [String::new(), reader, app.clone(), app];
    principals.sort_unstable();
    expected.sort_unstable();
    assert_eq!(principals, expected);
}

/// Real refusals, not answers on demand: the role is taken away, and doctor says how to give it.
#[tokio::test]
async fn a_missing_role_is_told_once_and_as_a_command() {
    let mut patient = Patient::new().await;
    let app = patient.emulator().app().object_id;
    patient.emulator().set_role(&app, Role::OpenAiUser, false);
    patient.keys = client(
        "team",
        &patient.emulator().keys().openai,
        "{ resource = \"ai\", allow = [\"inference\", \"responses\", \"files\", \"batches\"] }",
    );
    let id = "/subscriptions/0-1/resourceGroups/rg-(a)/providers/Microsoft.CognitiveServices/accounts/contoso";
    patient.settings = patient.settings.replace("[resources.ai]\n", &format!("[resources.ai]\nid = \"{id}\"\n"));
    let findings = patient.findings("ai").await;
    let command = |role: &str| {
        format!(
            "az role assignment create --assignee-object-id OBJECT --assignee-principal-type ServicePrincipal --role \"{role}\" \
             --scope \"{id}\""
        )
    };
    let cure = |role: &str| {
        format!("Its owner should assign '{role}' to that identity there. It takes effect within some ten minutes.")
    };
    let (user, contributor) = ("Cognitive Services OpenAI User", "Cognitive Services OpenAI Contributor");
    assert_eq!(told(&findings, "inference read as app"), (&*cure(user), vec![&*command(user)]));
    for alike in ["responses read as app", "responses write as app", "files read as app"] {
        assert_eq!(told(&findings, alike), (&*cure(user), vec![&*command(user)]), "{alike}");
    }
    assert_eq!(told(&findings, "files write as app"), (&*cure(contributor), vec![&*command(contributor)]));
    assert!(accesses(&findings).iter().all(|(_, status)| *status == "wrong"), "{findings:#?}");
    let (exit, told) = patient.told(&["--only", "resources.ai"]).await;
    assert_eq!(exit, Some(1));
    for role in [user, contributor] {
        assert_eq!(told.matches(&command(role)).count(), 1, "{told}");
    }
    for (first, alike) in [("inference read", 4), ("files write", 1)] {
        let line = format!("\n               to do: as for access {first} as app\n");
        assert_eq!(told.matches(&line).count(), alike, "{told}");
    }
}

/// A search service that takes keys alone says as little as one where a role is missing; one that lets a token in takes
/// tokens.
#[tokio::test]
async fn a_silent_refusal_of_a_search_service_may_mean_that_it_takes_keys_alone() {
    let options = azure_emulator::Options { role_refusal: SearchRoleRefusal::Empty403, ..Default::default() };
    let mut patient = Patient::with(options, azure_emulator::Door::Direct).await;
    patient.keys = client(
        "team",
        &patient.emulator().keys().openai,
        "{ resource = \"search\", allow = [\"search-admin\"], indexes = [\"hotels\"] }",
    );
    let app = patient.emulator().app().object_id;
    for role in [Role::SearchIndexDataContributor, Role::SearchIndexDataReader] {
        patient.emulator().set_role(&app, role, false);
    }
    let assign = "az role assignment create";
    let count = |findings: &[Value], of: &str| {
        let (_, commands) = told(findings, of);
        let assigns = commands.iter().filter(|command| command.starts_with(assign)).count();
        (assigns, commands.len() - assigns)
    };
    let findings = patient.findings("search").await;
    assert_eq!(count(&findings, "documents-read read as app"), (1, 0));
    patient.emulator().set_role(&app, Role::SearchServiceContributor, false);
    let findings = patient.findings("search").await;
    assert_eq!(count(&findings, "documents-read read as app"), (1, 1));
    assert_eq!(count(&findings, "documents-write write as app"), (1, 1));
    let (_, commands) = told(&findings, "manage manage as app");
    assert!(commands[0].contains("--role \"Search Service Contributor\""), "{commands:?}");
}

/// What a grant names is looked at, too.
#[tokio::test]
async fn a_deployment_that_is_not_there_is_told() {
    let mut patient = Patient::new().await;
    let grants = "{ resource = \"ai\", deployments = [\"gpt-9\"] }, { resource = \"search\", indexes = [\"motels\"] }";
    patient.keys = client("team", &patient.emulator().keys().openai, grants);
    let findings = patient.findings("ai").await;
    let access = find(&findings, "inference read as app");
    assert_eq!(access["status"], "note");
    assert_eq!(access["found"], "HTTP 404: let in, and there is no deployment 'gpt-9', which a grant names");
    let findings = patient.findings("search").await;
    let found = "HTTP 404: there is no such index: The index 'motels' for service 'azure-emulator' was not found.";
    assert_eq!(find(&findings, "documents-read read as app")["found"], found);
}

#[tokio::test]
async fn without_a_token_or_a_grant_nothing_is_asked() {
    let mut patient = Patient::new().await;
    patient.emulator().next(Plane::Entra, azure_emulator::Fault::named("wrong-secret"), 9).unwrap();
    let findings = patient.findings("ai").await;
    assert_eq!(find(&findings, "inference read as app")["found"], "not tried: app has no token");
    patient.keys = String::new();
    let findings = patient.findings("ai").await;
    let access = findings.iter().find(|finding| finding["check"] == "access").unwrap();
    assert_eq!(access["found"], "no client is granted anything here");
}
