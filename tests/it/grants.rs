//! What a key may do, and whose token its requests ride.

use azure_emulator::Emulator;
use serde_json::json;

use crate::closing_table::SEARCH_WRONG_KEY;
use crate::world::{CHAT, Plan, SEARCH, app_identity, client, saying};

fn granting(grants: &'static str) -> Plan {
    Plan {
        keys: Box::new(move |_, emulator: &Emulator| client("app", &emulator.keys().openai, grants)),
        ..Plan::default()
    }
}

#[tokio::test]
async fn without_a_word_a_grant_is_inference_or_documents() {
    let world = granting("{ resource = \"ai\" }, { resource = \"search\" }").start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.post(CHAT).key(&key).json(&saying("hello")).await.status, 200);
    assert_eq!(world.post(SEARCH).key(&key).json(&json!({"search": "*"})).await.status, 200);
    let upload = "/indexes('hotels')/docs/search.index?api-version=2024-07-01";
    let document = json!({"value": [{"@search.action": "upload", "HotelId": "new"}]});
    assert_eq!(world.post(upload).key(&key).json(&document).await.status, 200);

    for (target, family) in [
        ("/openai/responses?api-version=2025-04-01-preview", "responses"),
        ("/openai/v1/files", "files"),
        ("/openai/batches?api-version=2024-10-21", "batches"),
        ("/openai/deployments/gpt-4o/batches?api-version=2024-10-21", "batches"),
        ("/openai/threads?api-version=2024-05-01-preview", "assistants"),
        ("/openai/fine_tuning/jobs?api-version=2024-10-21", "fine-tuning"),
        ("/openai/v1/evals", "evaluations"),
        ("/openai/v1/realtime/client_secrets", "realtime-secrets"),
        ("GET /openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview", "realtime"),
        ("GET /openai/v1/chat/completions", "responses"),
    ] {
        let answer = match target.strip_prefix("GET ") {
            Some(target) => world.get(target).key(&key).send().await,
            None => world.post(target).key(&key).json(&json!({})).await,
        };
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "family-not-granted"), "{target}");
        let text = format!("This key may not use {family} operations. Ask the gateway's owner to grant '{family}'.");
        let error =
            json!({"code": "PermissionDenied", "message": text, "type": "invalid_request_error", "param": null});
        assert_eq!(answer.json(), json!({ "error": error }));
    }
    let answer = world.get("/openai/v1/something-new").key(&key).send().await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "no-family"));
    let answer = world.get("/servicestats?api-version=2024-07-01").key(&key).send().await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "family-not-granted"));
    assert_eq!(world.arrived().len(), 3);
}

#[tokio::test]
async fn deployments_are_granted_by_name_and_glob() {
    let world = granting("{ resource = \"ai\", deployments = [\"gpt-4o\", \"text-*\"] }").start().await;
    let key = world.emulator.keys().openai;
    let embeddings = "/openai/deployments/Text-embedding-3-small/embeddings?api-version=2024-10-21";
    assert_eq!(world.post(CHAT).key(&key).json(&saying("hello")).await.status, 200);
    // Whether the name exists is Azure's affair, case and all; whether it is granted is not a question of case.
    assert_ne!(world.post(embeddings).key(&key).json(&json!({"input": "x"})).await.status, 403);
    assert_eq!(world.get("/openai/models?api-version=2024-10-21").key(&key).send().await.status, 200);

    let other = "/openai/deployments/gpt-35-turbo-instruct/completions?api-version=2024-10-21";
    let answer = world.post(other).key(&key).json(&json!({"prompt": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "target-not-granted"));
    let text = "This key may not use the deployment 'gpt-35-turbo-instruct'. Ask the gateway's owner to grant it.";
    assert_eq!(answer.json()["error"]["message"], text);

    // Where the path names none the body does, if anything does: see `model_grant`.
    let submit = "/openai/images/generations:submit?api-version=2023-06-01-preview";
    let answer = world.post(submit).key(&key).json(&json!({"prompt": "x"})).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "target-not-granted"));
    let text = "This key may use some deployments only, and this operation cannot be limited to them. Ask the \
                gateway's owner for a key that is granted every one.";
    assert_eq!(answer.json()["error"]["message"], text);
    assert_eq!(world.arrived().len(), 3);
}

#[tokio::test]
async fn indexes_are_granted_by_name_and_what_is_no_index_is_not_among_them() {
    let grants = "{ resource = \"search\", allow = [\"search-admin\"], indexes = [\"hot*\"] }";
    let world = granting(grants).start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.post(SEARCH).key(&key).json(&json!({"search": "*"})).await.status, 200);
    assert_eq!(world.get("/indexes/hotels?api-version=2024-07-01").key(&key).send().await.status, 200);
    for target in ["/indexes/other?", "/indexes('other')/docs?", "/indexes?", "/servicestats?", "/indexers?"] {
        let answer = world.get(&format!("{target}api-version=2024-07-01")).key(&key).send().await;
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "target-not-granted"), "{target}");
    }
    assert_eq!(world.arrived().len(), 2);
}

/// A query key rides an identity that can only read: a hole in our own path check would be harmless.
#[tokio::test]
async fn the_identity_follows_from_client_resource_and_access() {
    let plan = Plan {
        settings: Box::new(|text, emulator| {
            let text = text.replace(
                "plane = \"search\"",
                "plane = \"search\"\nidentity = { read = \"reader\", write = \"app\", manage = \"app\" }",
            );
            let (head, search) = text.split_once("[resources.search]").unwrap();
            let search = search.replace("\nidentity = \"app\"\n", "\n");
            format!(
                "{head}{}[resources.search]{search}",
                app_identity("reader", &emulator.reader_app(), &emulator.entra())
            )
        }),
        keys: Box::new(|text, emulator| {
            let always = "{ resource = \"search\", allow = [\"search-admin\"], identity = \"reader\" }";
            text + &client("special", &format!("{}-special", emulator.keys().openai), always)
        }),
        ..Plan::default()
    };
    let world = plan.start().await;
    let keys = world.emulator.keys();
    let special = format!("{}-special", keys.openai);
    let stats = "/indexes/hotels/stats?api-version=2024-07-01";
    let (app, reader) = (world.emulator.app().object_id, world.emulator.reader_app().object_id);

    assert_eq!(world.post(SEARCH).key(&keys.search_query).json(&json!({})).await.status, 200);
    assert_eq!(world.post(SEARCH).key(&keys.search_admin).json(&json!({})).await.status, 200);
    assert_eq!(world.get(stats).key(&keys.search_admin).send().await.status, 200);
    let denied = world.get(stats).key(&special).send().await;
    assert_eq!((denied.status.as_u16(), denied.reason()), (403, "upstream-permission"));

    let principals: Vec<_> = world.arrived().into_iter().map(|entry| entry.principal.unwrap_or_default()).collect();
    // A query reads, whoever asks; statistics are managing; the third client rides the reader always.
    assert_eq!(principals, [reader.clone(), reader.clone(), app, reader]);
}

/// Whoever may only look at what is stored is told so, and rides the identity for reading.
#[tokio::test]
async fn a_grant_can_be_narrowed_by_access() {
    let grants = "{ resource = \"ai\", allow = [\"openai\"], access = [\"read\"] }, \
                  { resource = \"search\", allow = [\"search-admin\"], access = [\"read\", \"write\"] }";
    let world = granting(grants).start().await;
    let key = world.emulator.keys().openai;
    assert_eq!(world.post(CHAT).key(&key).json(&saying("hello")).await.status, 200);
    assert_eq!(world.get("/openai/v1/files").key(&key).send().await.status, 200);
    assert_eq!(world.arrived().len(), 2);
    let answer = world.post("/openai/v1/files").key(&key).json(&json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (403, "access-not-granted"));
    let text = "This key may use files operations, but none that write. Ask the gateway's owner to grant 'write'.";
    assert_eq!(answer.json()["error"]["message"], text);

    assert_eq!(world.post(SEARCH).key(&key).json(&json!({})).await.status, 200);
    let answer = world.get("/indexes/hotels?api-version=2024-07-01").key(&key).send().await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (403, SEARCH_WRONG_KEY));
    assert_eq!(world.arrived().len(), 3);
}
