//! Who may come in, and what is said to who may not.

use azure_emulator::{Cloud, Door, Fault, FixedTokens, Options, Plane, Role, UnknownDeployment};

use crate::bench::{Bench, CHAT, HALLO, OPENAI_SCOPE, SEARCH_SCOPE};

const WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
const FLAT: &str = r#"{ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired." }"#;
const KEYS_DISABLED: &str = r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#;
const NOT_FOUND: &str = r#"{"error":{"code":"404","message": "Resource not found"}}"#;

#[tokio::test]
async fn keys_are_refused_wherever_they_stand() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let key = bench.emulator.keys().openai;
    let by_query = format!("{CHAT}&api-key={key}");
    for ask in [
        bench.openai("POST", CHAT).header("api-key", &key),
        bench.openai("POST", CHAT).header("api-key", &key).bearer(&token),
        bench.openai("POST", CHAT).header("Ocp-Apim-Subscription-Key", &key),
        bench.openai("POST", &by_query),
    ] {
        let reply = ask.body(HALLO).send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (403, KEYS_DISABLED));
        assert_eq!(reply.body.len(), 116);
    }
}

#[tokio::test]
async fn a_bad_token_gets_the_flat_body_and_six_headers() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let good = bench.openai_token().await;
    let for_search = bench.token(&app, SEARCH_SCOPE).await;
    let next = |name| bench.emulator.next(Plane::Entra, Fault::named(name), 1);
    next("expired-token").expect("known");
    let expired = bench.openai_token().await;
    next("wrong-audience").expect("known");
    let elsewhere = bench.openai_token().await;
    let reply = bench.openai("POST", CHAT).bearer(&good).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    bench.emulator.revoke_tokens();
    for token in [&good, &for_search, &expired, &elsewhere, "garbage"] {
        let reply = bench.openai("POST", CHAT).bearer(token).body(HALLO).send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, FLAT));
        assert_eq!(reply.body.len(), 161);
        assert_eq!(reply.reason, None);
        assert_eq!(reply.header("x-ms-client-request-id"), Some("Not-Set"));
        assert_eq!(
            reply.names(),
            [
                "apim-request-id",
                "content-length",
                "content-type",
                "date",
                "strict-transport-security",
                "x-content-type-options",
                "x-ms-client-request-id"
            ]
        );
    }
    let reply = bench.openai("POST", CHAT).body(HALLO).send().await;
    assert_eq!(reply.text(), FLAT);
    // Of these only "garbage" was a violation: the others were issued here.
    assert_eq!(bench.emulator.journal().violations().len(), 1);
}

#[tokio::test]
async fn a_missing_role_is_a_401() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let token = bench.openai_token().await;
    bench.emulator.set_role(&app.object_id, Role::OpenAiUser, false);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"error":{{"code":"PermissionDenied","message":"The principal `{}` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to perform `POST /openai/deployments/{{deployment-id}}/chat/completions` operation."}}}}"#,
            app.object_id
        )
    );
    bench.emulator.set_role(&app.object_id, Role::OpenAiUser, true);
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_unknown_deployment_has_two_forms() {
    let target = CHAT.replace("gpt-4o", "nope");
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", &target).bearer(&token).body(HALLO).send().await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (404, 254));
    assert_eq!(reply.header("content-type"), None);
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.json()["error"]["code"], "DeploymentNotFound");

    let bench = Bench::with(Options { unknown_deployment: UnknownDeployment::Until2024, ..Options::default() }).await;
    let token = bench.openai_token().await;
    let reply = bench.openai("POST", &target).bearer(&token).body(HALLO).send().await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (404, 198));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn paths_and_versions_are_checked() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let ask = |target: &'static str| bench.openai("POST", target).bearer(&token).body(HALLO).send();
    for target in [
        "/openai/deployments/gpt-4o/chat/completions",
        "/openai/deployments/gpt-4o/chat/completions?api-version=yesterday",
        "/openai/deployments/gpt-4o/chat?api-version=2024-10-21",
        "/openai/Deployments/gpt-4o/chat/completions?api-version=2024-10-21",
    ] {
        let reply = ask(target).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (404, NOT_FOUND), "{target}");
    }
    let reply = ask("/openai/v1/chat/completions?api-version=2024-10-21").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["message"], "API version not supported");
    let reply = ask("/openai/deployments/whisper/chat/completions?api-version=2024-10-21").await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["code"], "OperationNotSupported");
}

#[tokio::test]
async fn with_keys_enabled_a_legacy_client_works() {
    let bench = Bench::start().await;
    let base = bench.emulator.openai(Door::KeysEnabled);
    let key = bench.emulator.keys().openai;
    let token = bench.openai_token().await;
    let v1 = "/openai/v1/chat/completions";
    let body = r#"{"model":"gpt-4o","messages":[]}"#;
    let ask = |target| bench.ask("POST", &base, target).body(body);

    assert_eq!(ask(CHAT).header("api-key", &key).send().await.status, 200);
    assert_eq!(ask(CHAT).bearer(&token).send().await.status, 200);
    assert_eq!(ask(v1).bearer(&key).send().await.status, 200);
    // The key wins over the token (A2).
    let both = ask(CHAT).header("api-key", &key).bearer(&key).send().await;
    assert_eq!(both.status, 200);

    for ask in [
        ask(CHAT).header("api-key", "wrong"),
        ask(CHAT).header("api-key", ""),
        ask(CHAT).header("api-key", "wrong").bearer(&token),
        ask(v1).bearer("wrong"),
    ] {
        let reply = ask.send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, WRONG_KEY));
        assert_eq!(reply.reason.as_deref(), Some("PermissionDenied"));
        assert_eq!(reply.body.len(), 224);
        assert_eq!(reply.names(), ["apim-request-id", "content-length", "content-type", "date"]);
    }
    for ask in [ask(CHAT), ask(CHAT).bearer(&key)] {
        let reply = ask.send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, FLAT));
    }
    assert!(bench.emulator.journal().violations().is_empty());
}

#[tokio::test]
async fn fixed_tokens_are_the_only_ones() {
    let bench = Bench::with(Options {
        fixed_tokens: Some(FixedTokens { openai: "OPENAI".to_owned(), search: "SEARCH".to_owned() }),
        ..Options::default()
    })
    .await;
    assert_eq!(bench.openai_token().await, "OPENAI");
    assert_eq!(bench.search_token().await, "SEARCH");
    for (token, status) in [("OPENAI", 200), ("SEARCH", 401), ("OTHER", 401)] {
        let reply = bench.openai("POST", CHAT).bearer(token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{token}");
    }
    assert_eq!(bench.emulator.journal().violations().len(), 1);
}

#[tokio::test]
async fn each_cloud_has_its_own_audience() {
    let bench = Bench::with(Options { cloud: Cloud::Government, ..Options::default() }).await;
    let app = bench.emulator.app();
    let government = "https://cognitiveservices.azure.us/.default";
    for (scope, status) in [(government, 200), (OPENAI_SCOPE, 401)] {
        let token = bench.token(&app, scope).await;
        let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{scope}");
    }
}

#[tokio::test]
async fn stored_objects_are_nobodys_without_the_role() {
    let bench = Bench::start().await;
    let reader = bench.emulator.reader_app();
    let token = bench.token(&reader, OPENAI_SCOPE).await;
    for (method, path, action, template) in [
        ("GET", "files", "files/read", "files"),
        ("DELETE", "files/file-1", "files/delete", "files/{file}"),
        ("POST", "threads/t/runs", "assistants/threads/runs/write", "threads/{thread}/runs"),
        ("POST", "responses", "responses/write", "responses"),
    ] {
        let reply = bench.openai(method, &format!("/openai/v1/{path}")).bearer(&token).send().await;
        assert_eq!(reply.status, 401, "{path}");
        let message = format!(
            "The principal `{}` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/{action}` \
             to perform `{method} /openai/v1/{template}` operation.",
            reader.object_id
        );
        assert_eq!(reply.json()["error"]["message"], message);
    }
}

#[tokio::test]
async fn the_lenient_door_takes_for_done_whatever_is_asked_of_stored_objects() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let lenient = bench.emulator.openai(Door::Lenient);
    for (method, path, operation, subject) in [
        ("POST", "/openai/files?api-version=2024-10-21", "files-create", None),
        ("DELETE", "/OpenAI/v1/files/Nobody", "files-delete", Some("Nobody")),
        ("POST", "/openai/v1/evals", "evals-create", None),
    ] {
        let reply = bench.ask(method, &lenient, path).bearer(&token).body("{}").send().await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "{}"), "{path}");
        let entry = bench.entry(|entry| entry.target == path && entry.ended).await;
        assert!(entry.completed);
        assert_eq!((entry.operation, entry.subject.as_deref()), (Some(operation), subject));
    }
}
