//! What Azure finds wrong with our credentials: never the client's fault, and never in words that would have its owner
//! change a key. The client reads what cures it; the operator, besides, whose token it was and how Azure calls the request.

use azure_emulator::{Fault, Options, Plane, Role, SearchBearerRefusal};
use http::Method;
use serde_json::{Value, json};

use super::answer::{Expected, Ours};
use super::row::{Ask, Row, Wire, hold};
use crate::upstream::Upstream;
use crate::world::{CHAT, Plan, World};

const FORBIDDEN: &str = "403 Forbidden";
const BAD_GATEWAY: &str = "502 Bad Gateway";

/// Where the resources are.
const AI: &str = "the resource 'ai' (127.0.0.1)";
const SEARCH: &str = "the resource 'search' (127.0.0.1)";

fn not_taken(at: &str, scope: &str, said: &str) -> Ours {
    let message = format!(
        "Azure did not accept the Microsoft Entra token of keyswap's identity on {at}. The gateway's owner should see that \
         the identity is of the resource's tenant, and that the token's scope ({scope}) is for the audience that Azure \
         wants. Azure said: {said}"
    );
    Ours::for_azures(BAD_GATEWAY, "upstream-authentication", "UpstreamAuthenticationFailed", &message)
}

fn lacks_a_role(at: &str, role: &str, more: &str, said: &str) -> Ours {
    let message = format!(
        "keyswap's identity lacks a role on {at}. Its owner should assign '{role}' to that identity there{more}. It takes \
         effect within some ten minutes. {said}"
    );
    Ours::for_azures(FORBIDDEN, "upstream-permission", "UpstreamPermissionDenied", &message)
}

fn no_subdomain(said: &str) -> Ours {
    let message = format!(
        "Azure takes no Microsoft Entra token on {AI}: it has no custom subdomain. Its owner should give it one, and the \
         gateway's endpoint should be that name: a regional endpoint takes keys alone. Azure said: {said}"
    );
    Ours::for_azures(BAD_GATEWAY, "no-custom-subdomain", "UpstreamConfiguration", &message)
}

fn saw_a_key(at: &str, said: &str) -> Ours {
    let message = format!(
        "Azure refused a key on {at}, and keyswap sent none. If the request's body holds a key, put a managed identity in \
         its place; if it holds none, something on the way to the resource adds one. Azure said: {said}"
    );
    Ours::for_azures(BAD_GATEWAY, "upstream-saw-key", "UpstreamKeyRejected", &message)
}

#[tokio::test]
async fn on_azure_openai() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let user = |said| lacks_a_role(AI, "Cognitive Services OpenAI User", "", said);
    let token = || {
        let said = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                    (https://cognitiveservices.azure.com), or have expired.";
        not_taken(AI, "https://cognitiveservices.azure.com/.default", said)
    };
    let wants_a_key = format!(
        "Azure answered as to a wrong key on {AI}, though keyswap sent a Microsoft Entra token. The gateway's owner should \
         see that the endpoint is the resource's own, and that nothing on the way to it adds a key. Azure said: Access \
         denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active \
         subscription and use a correct regional API endpoint for your resource."
    );
    let rows = [
        (
            "Upstream AuthenticationTypeDisabled",
            "A1.4",
            saw_a_key(AI, "Key based authentication is disabled for this resource."),
        ),
        ("Upstream flat 401", "A1.2", token()),
        ("Upstream flat 401, as if there were no token", "A1.3", token()),
        ("Upstream RBAC missing", "A1.5", user("Azure said: Principal does not have access to API/Operation.")),
        (
            "Upstream RBAC missing, newer text",
            "A1.5b",
            user(
                "Azure said: The principal `ID` lacks the required data action \
                 `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to perform `POST \
                 /openai/deployments/{deployment-id}/chat/completions` operation.",
            ),
        ),
        (
            "AOAI no custom subdomain",
            "A1.9",
            no_subdomain(
                "Please provide a custom subdomain for token authentication, otherwise API key is required. (Please see \
                 https://aka.ms/cogsvc-authenticatewithtoken)",
            ),
        ),
        ("AOAI no custom subdomain, older text", "A1.9-old", no_subdomain("Please provide an authentication key.")),
        (
            "Upstream 401 with A1.1's bytes",
            "A1.1",
            Ours::for_azures(BAD_GATEWAY, "upstream-authentication", "UpstreamAuthenticationFailed", &wants_a_key),
        ),
    ];
    let chat = Ask::chat().key(&keys.openai);
    let ours = |(condition, azure, ours)| Row {
        condition,
        ask: chat.clone(),
        azure: Some(azure),
        answer: Expected::Ours(ours),
    };
    hold(&world, rows.map(ours)).await;
    // One for each plane at the start, and one that was asked for when the first token was refused.
    assert_eq!(world.token_calls(), 3, "nothing but A1.2 is a reason for another token");

    let network = [
        ("AOAI firewall", "A1.11"),
        ("AOAI private endpoint", "A1.11b"),
        ("AOAI wrong endpoint of a network", "A1.11c"),
    ];
    let passed =
        |(condition, azure)| Row { condition, ask: chat.clone(), azure: Some(azure), answer: Expected::Passed };
    hold(&world, network.map(passed)).await;
}

#[tokio::test]
async fn on_azure_ai_search() {
    let options = Options { bearer_refusal: SearchBearerRefusal::Challenge401, ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let keys = world.emulator.keys();
    let lacks = |role, said| {
        let more = ", and see that the service takes role-based access control at all";
        lacks_a_role(SEARCH, role, more, said)
    };
    let reader = |said| lacks("Search Index Data Reader", said);
    let challenge = "Bearer realm=\"Azure Cognitive Search\" error=\"invalid_token\" error_description=\"Authentication \
                     token failed validation.\"";
    let said = "Azure said: Authorization failed.";
    let check = "Azure said: CheckAccess API call with non successful response. StatusCode: Forbidden Body:  Correlation \
                 Id: ID";
    let query = Ask::search().key(&keys.search_admin);
    let admin = |method, target, body| Ask::new(Plane::Search, method, target, body).key(&keys.search_admin);
    let upload = admin(Method::POST, "/indexes/hotels/docs/index?api-version=2024-07-01", json!({"value": []}));
    let indexes = admin(Method::GET, "/indexes?api-version=2024-07-01", Value::Null);
    let search_scope = "https://search.azure.com/.default";
    let rows = [
        ("AIS upstream rejects bearer: 401", query.clone(), "B1.4", not_taken(SEARCH, search_scope, challenge)),
        ("AIS upstream rejects bearer: 403, empty", query.clone(), "B1.6", reader("Azure gave no reason.")),
        ("AIS upstream rejects bearer: 403, JSON", query.clone(), "B1.7", reader(said)),
        ("AIS upstream rejects bearer: 403, plain text", query.clone(), "B1.8", reader(check)),
        ("the same for documents", upload, "B1.7", lacks("Search Index Data Contributor", said)),
        ("the same for objects", indexes, "B1.7", lacks("Search Service Contributor", said)),
        (
            "AIS as to a wrong key",
            query.clone(),
            "B1.1",
            saw_a_key(SEARCH, "The given API key doesn't match service's internal, primary or secondary keys."),
        ),
        (
            "AIS as to an admin key in the URL",
            query,
            "B1.2",
            saw_a_key(SEARCH, "The given API key is not permitted in the URI query string."),
        ),
    ];
    let ours = |(condition, ask, azure, ours)| Row { condition, ask, azure: Some(azure), answer: Expected::Ours(ours) };
    hold(&world, rows.map(ours)).await;
    assert_eq!(world.token_calls(), 3, "nothing but B1.4 is a reason for another token");
}

/// The role follows from the operation on OpenAI, too. (The emulator need not know the operation to refuse it.)
#[tokio::test]
async fn the_role_is_the_operations() {
    let grants = "{ resource = \"ai\", allow = [\"openai\"] }";
    let keys =
        move |_, emulator: &azure_emulator::Emulator| crate::world::client("all", &emulator.keys().openai, grants);
    let world = Plan { keys: Box::new(keys), ..Plan::default() }.start().await;
    let ask = |method, target| Ask::new(Plane::OpenAi, method, target, json!({})).key(&world.emulator.keys().openai);
    let (user, contributor) = ("Cognitive Services OpenAI User", "Cognitive Services OpenAI Contributor");
    let rows = [
        ("files are listed", ask(Method::GET, "/openai/v1/files"), user),
        ("a file is deleted", ask(Method::DELETE, "/openai/v1/files/file-1"), contributor),
        ("a thread is made", ask(Method::POST, "/openai/threads?api-version=2024-05-01-preview"), user),
        ("a model is trained", ask(Method::POST, "/openai/v1/fine_tuning/jobs"), contributor),
    ];
    let said = "Azure said: Principal does not have access to API/Operation.";
    let row = |(condition, ask, role)| Row {
        condition,
        ask,
        azure: Some("A1.5"),
        answer: Expected::Ours(lacks_a_role(AI, role, "", said)),
    };
    hold(&world, rows.map(row)).await;
}

/// An answer of Azure's in bytes of its wire.
fn of_azure(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_search_service_that_forbids_for_another_cause_is_quoted() {
    let body = r#"{"error":{"code":"","message":"Access from this network is not allowed."}}"#;
    let id = "request-id: 00000000-0000-4000-8000-00000000000f\r\n";
    let upstream = Upstream::answering(&of_azure("403 Forbidden", id, body)).await;
    let world = upstream.search_plan().start().await;
    let message = format!(
        "Azure refused keyswap's request on {SEARCH}, and not for want of a role. Its owner should let the gateway's network \
         through its firewall, or have the gateway reach it by its private endpoint. Azure said: Access from this network \
         is not allowed."
    );
    let ours = Ours::for_azures(FORBIDDEN, "upstream-forbidden", "UpstreamForbidden", &message);
    let ask = Ask::search().key(&world.emulator.keys().search_query);
    hold(&world, [Row { condition: "AIS 403 for another cause", ask, azure: None, answer: Expected::Ours(ours) }])
        .await;
}

/// Most clients would follow, and take their key along.
#[tokio::test]
async fn no_redirect_is_passed_on() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let headers =
            "apim-request-id: 00000000-0000-4000-8000-00000000000f\r\nlocation: https://elsewhere.example/\r\n";
        let upstream = Upstream::answering(&of_azure(status, headers, "")).await;
        let world = upstream.plan().start().await;
        let message = "Azure sends the client elsewhere, and keyswap does not pass that on: the client would take its key \
                       along. The gateway's owner should see that the endpoint is the resource's own.";
        let ours = Ours::for_azures(BAD_GATEWAY, "upstream-redirect", "UpstreamRedirect", message);
        let ask = Ask::chat().key(&world.emulator.keys().openai);
        hold(&world, [Row { condition: "a redirect", ask, azure: None, answer: Expected::Ours(ours) }]).await;
    }
}

/// Each fault has its line in the log when it begins, with all that whoever mends it wants to know, and not one for each
/// request; the request lines have those.
#[tokio::test]
async fn the_operator_is_told_once_who_lacks_what_where() {
    let world = World::start().await;
    let app = world.emulator.app();
    world.emulator.set_role(&app.object_id, Role::OpenAiUser, false);
    let chat = Ask::chat().key(&world.emulator.keys().openai);
    let mut first = None;
    for _ in 0..5 {
        let answer = chat.send(&world, Wire::Http1).await;
        assert_eq!(answer.reason(), "upstream-permission");
        let azures = answer.header("x-keyswap-upstream-request-id").unwrap().to_owned();
        let line = world.gateway.told(|line| line["upstream_request"] == azures).await;
        assert_eq!(line["reason"], "upstream-permission");
        first = first.or(Some((answer.header("x-keyswap-request-id").unwrap().to_owned(), azures)));
    }
    world.emulator.next(Plane::OpenAi, Fault::named("A1.11"), 1).unwrap();
    assert_eq!(chat.send(&world, Wire::Http1).await.header("x-keyswap-reason"), None);
    world.emulator.next(Plane::OpenAi, Fault::named("A1.4"), 1).unwrap();
    assert_eq!(chat.send(&world, Wire::Http1).await.reason(), "upstream-saw-key");

    let (request, upstream_request) = first.unwrap();
    world.gateway.logged(|line| line["reason"] == "upstream-saw-key").await;
    let line = world.gateway.logged(|line| line["reason"] == "upstream-forbidden").await;
    let cure = "Its owner should let the gateway's network through its firewall, or have the gateway reach it by its private \
                endpoint.";
    assert_eq!(line["cure"], cure);
    let faults = world.gateway.log().into_iter().filter(|line| line["reason"] == "upstream-permission");
    let [line] = &*faults.collect::<Vec<_>>() else { panic!("{:#?}", world.gateway.log()) };
    let told = json!({
        "level": line["level"], "request": line["request"], "upstream_request": line["upstream_request"],
        "resource": line["resource"], "host": line["host"], "identity": line["identity"], "kind": line["kind"],
        "client_id": line["client_id"], "principal": line["principal"], "cure": line["cure"],
    });
    let cure = "Its owner should assign 'Cognitive Services OpenAI User' to that identity there. It takes effect within some \
                ten minutes.";
    let expected = json!({
        "level": "ERROR", "request": request, "upstream_request": upstream_request, "resource": "ai",
        "host": "127.0.0.1", "identity": "app", "kind": "client-secret", "client_id": app.client_id,
        "principal": app.object_id, "cure": cure,
    });
    assert_eq!(told, expected);
    let message = line["message"].as_str().unwrap();
    assert!(
        message.starts_with("upstream authentication fault: our identity lacks a role: The principal `"),
        "{message}"
    );
    assert!(world.arrived().iter().all(|entry| entry.target == CHAT));
}
