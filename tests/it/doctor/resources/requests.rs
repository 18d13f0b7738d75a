//! What a look at a resource sends: harmless, the same each time, and never a key of ours.

use azure_emulator::{Entry, Fault, Plane};

use super::Patient;
use crate::world::client;

/// The requests that came to a plane.
fn arrived(patient: &Patient, plane: Plane) -> Vec<Entry> {
    let entries = patient.emulator().journal().entries();
    entries.into_iter().filter(|entry| entry.plane == plane).collect()
}

fn line(entry: &Entry) -> String {
    let credential = match (entry.header("api-key"), entry.header("authorization")) {
        (Some(_), None) => "a key",
        (None, Some(_)) => "a token",
        other => panic!("{other:?}: one credential, and one alone"),
    };
    format!("{} {} with {credential}", entry.method, entry.target)
}

#[tokio::test]
async fn a_look_sends_these_requests_and_no_others() {
    let mut patient = Patient::new().await;
    let grants = "{ resource = \"ai\", allow = [\"openai\", \"realtime-secrets\"], deployments = [\"gpt-*\", \"gpt-4o\"] }, \
                  { resource = \"ai\", allow = [\"openai\", \"realtime-secrets\"] }, \
                  { resource = \"search\", allow = [\"search-admin\"], indexes = [\"hot*\", \"hotels\"] }";
    patient.keys = client("all", &patient.emulator().keys().openai, grants);
    let (exit, told) = patient.told(&["--only", "resources.ai", "--only", "resources.search"]).await;
    assert_eq!(exit, Some(0), "{told}");

    let openai = arrived(&patient, Plane::OpenAi);
    let mut sent: Vec<_> = openai.iter().map(line).collect();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [
            "GET /openai/assistants?api-version=2024-05-01-preview&limit=1 with a token",
            "GET /openai/batches?api-version=2024-10-21&limit=1 with a token",
            "GET /openai/files?api-version=2024-10-21 with a token",
            "GET /openai/fine_tuning/jobs?api-version=2024-10-21&limit=1 with a token",
            "GET /openai/models?api-version=2024-10-21 with a key",
            "GET /openai/v1/evals?limit=1 with a token",
            "GET /openai/v1/responses/keyswap-doctor with a token",
            "POST /openai/assistants?api-version=2024-05-01-preview with a token",
            "POST /openai/batches?api-version=2024-10-21 with a token",
            "POST /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21 with a token",
            "POST /openai/files?api-version=2024-10-21 with a token",
            "POST /openai/fine_tuning/jobs?api-version=2024-10-21 with a token",
            "POST /openai/v1/evals with a token",
            "POST /openai/v1/responses with a token",
        ]
    );
    let search = arrived(&patient, Plane::Search);
    let mut sent: Vec<_> = search.iter().map(line).collect();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [
            "GET /indexes('hotels')/docs/$count?api-version=2024-07-01 with a token",
            "GET /servicestats?api-version=2024-07-01 with a key",
            "GET /servicestats?api-version=2024-07-01 with a token",
            "POST /indexes('hotels')/docs/search.index?api-version=2024-07-01 with a token",
        ]
    );
    for entry in openai.iter().chain(&search) {
        assert_eq!(entry.header("user-agent"), Some("keyswap-doctor"));
        // Nothing was done but looking, and what wanted something done said nothing.
        assert!(!entry.completed || entry.method == "GET", "{entry:#?}");
        assert_eq!(entry.body_length, if entry.method == "POST" { 2 } else { 0 });
    }
}

/// A random key is drawn anew each time, looks like the plane's, and is none that anybody has.
#[tokio::test]
async fn the_key_that_is_sent_is_nobodys() {
    let mut patient = Patient::new().await;
    let keys = patient.emulator().keys();
    patient.keys += &client("other", &keys.search_admin, "{ resource = \"search\" }");
    for _ in 0..2 {
        patient.told(&[]).await;
    }
    for (plane, length) in [(Plane::OpenAi, 84), (Plane::Search, 52)] {
        let entries = arrived(&patient, plane);
        let sent: Vec<_> = entries.iter().filter_map(|entry| entry.header("api-key")).collect();
        assert_eq!(sent.len(), 2);
        assert_ne!(sent[0], sent[1]);
        for key in sent {
            assert!(key.len() == length && key.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
            assert!(![&keys.openai, &keys.search_admin, &keys.search_query].contains(&&key.to_owned()));
        }
    }
}

/// The tokens, the key that was sent, what the application proves itself with, and clients' keys: nothing of them is told,
/// whatever is told of all else.
#[tokio::test]
async fn no_secret_is_told_however_much_is() {
    let mut patient = Patient::new().await;
    patient.emulator().next(Plane::OpenAi, Fault::named("A1.5b").on("chat"), 1).unwrap();
    patient.practice.environment.push(("RUST_LOG", "trace".to_owned()));
    let mut told = String::new();
    for how in ["--json", "--strict"] {
        let told_so = patient.doctor(&[how]).await;
        told += &format!("{}{}", told_so.out, told_so.err);
    }
    assert!(told.contains("\"level\":\"TRACE\""), "everything is traced");
    let keys = patient.emulator().keys();
    let mut secrets = vec![patient.emulator().app().secret, keys.openai, keys.search_query];
    for entry in patient.emulator().journal().entries() {
        secrets.extend(entry.header("api-key").map(str::to_owned));
        let token = entry.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        secrets.extend(token.into_iter().flat_map(|token| token.split('.')).map(str::to_owned));
    }
    assert!(secrets.len() > 12, "{}", secrets.len());
    for secret in &secrets {
        let piece = &secret[secret.len().saturating_sub(24)..];
        assert!(!told.contains(piece), "{piece}");
    }
}
