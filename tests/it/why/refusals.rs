//! What we said no to.

use azure_emulator::{Door, Emulator};
use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Call, raw, request_text};
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

/// Keys of our own, of the lengths that Azure's have.
const BOTH: &str = "00000000000000000000000000000b07";
const OLD: &str = "000000000000000000000000000001d0";
const EARLY: &str = "0000000000000000000000000000ea21";
const GONE: &str = "000000000000000000000000000090e0";
const LIMITED: &str = "00000000000000000000000000011317";

/// A world with a key for each refusal.
async fn world() -> World {
    let settings = |text: String, emulator: &Emulator| {
        let endpoint = emulator.openai(Door::Behind);
        format!("{text}[resources.other]\nplane = \"openai\"\nendpoint = \"{endpoint}\"\nidentity = \"app\"\n")
    };
    let keys = |_, emulator: &Emulator| {
        let keys = emulator.keys();
        let dated = |name: &str, key: &str, more: &str| {
            client(name, key, "{ resource = \"ai\" }").replace(" }]\ngrants", &format!(", {more} }}]\ngrants"))
        };
        [
            client(
                "shop",
                &keys.openai,
                "{ resource = \"ai\", allow = [\"inference\", \"files\"], access = [\"read\"] }",
            ),
            client("limited", LIMITED, "{ resource = \"ai\", deployments = [\"gpt-4o\"] }"),
            client("both", BOTH, "{ resource = \"ai\" }, { resource = \"other\" }"),
            client(
                "query",
                &keys.search_query,
                "{ resource = \"search\", allow = [\"search-query\"], indexes = [\"hotels\"] }",
            ),
            client("admin", &keys.search_admin, "{ resource = \"search\", allow = [\"search-admin\"] }"),
            dated("old", OLD, "expires = 2020-01-01T00:00:00Z"),
            dated("early", EARLY, "not_before = 2090-01-01T00:00:00Z"),
            dated("gone", GONE, "revoked = true"),
        ]
        .concat()
    };
    Plan { settings: Box::new(settings), keys: Box::new(keys), ..Plan::default() }.start().await
}

async fn chat(call: Call) -> Answer {
    call.json(&saying("hello")).await
}

#[tokio::test]
async fn a_request_that_cannot_be_read() {
    let world = world().await;
    let key = world.emulator.keys().openai;
    world
        .says_why(
            &chat(world.post("/v1/chat/completions").key(&key)).await,
            "\
asked for: POST /v1/chat/completions
answered:  404, no-plane
step:      route
why:       the path belongs to no plane
cure:      Mend the endpoint that the client was given. Paths of Azure OpenAI begin with /openai, /models, /anthropic or /api, those of Azure AI Search with /indexes and its kin; before them may stand a resource's name alone. What is /v1 at OpenAI is /openai/v1 here.
",
        )
        .await;
    world
        .says_why(
            &chat(world.post(CHAT).key(&key).header("x-http-method-override", "GET")).await,
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  400, ambiguous
step:      route
why:       ambiguous: it asks for another method than its own
cure:      Have the client, or the proxy before keyswap, send it so that it can be read in one way only.
",
        )
        .await;
    let preflight = world.call(Method::OPTIONS, CHAT).header("origin", "https://a.example");
    world
        .says_why(
            &preflight.header("access-control-request-method", "POST").send().await,
            "\
asked for: OPTIONS /openai/deployments/gpt-4o/chat/completions
answered:  403, origin-not-listed
step:      cors
why:       a preflight of an origin that is not listed
cure:      If the scripts of that page may call, add its origin to origins in [cors].
",
        )
        .await;
    let many: Vec<_> = (0..250).map(|n| format!("x-{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (&**name, "x")).collect();
    let long = format!("/{}", "x".repeat(70_000));
    for (request, expected) in [
        (
            b"no HTTP at all\r\n\r\n".to_vec(),
            "\
answered:  400, not-http
step:      listen
why:       the request is not valid HTTP
cure:      See what connects there: HTTP/2 without TLS, TLS on the address for HTTP, no HTTP at all, or a body whose chunks are none.
",
        ),
        (
            request_text("GET", "/openai/models", &many),
            "\
asked for: GET /openai/models
answered:  431, head-too-large
step:      route
why:       the head is too large
cure:      Have the client send less in its head: 64 KiB and 200 fields are the limit. Cookies, and what proxies add, are the usual cause.
",
        ),
        (
            request_text("GET", &long, &[]),
            "\
answered:  414, head-too-large
step:      listen
why:       the URL is too long
cure:      Have the client send less in its URL. A search fits into a body: POST .../docs/search.post.search.
",
        ),
    ] {
        let answer = raw(world.gateway.http, &request).await;
        let id = answer.lines().find_map(|line| line.strip_prefix("x-keyswap-request-id: ")).unwrap();
        world.says_why_of(id, expected).await;
    }
}

#[tokio::test]
async fn a_key_that_is_none() {
    let world = world().await;
    let keys = world.emulator.keys();
    let wrong = "\
answered:  401, unknown-key
step:      authenticate
";
    let rows = [
        (
            world.post(CHAT),
            "\
answered:  401, no-credential
step:      authenticate
why:       no credential
cure:      See what the client sends: a key in the header api-key, or as Authorization: Bearer. A proxy before keyswap may have taken it off. In a URL a key counts on GET alone, and on Search alone.
"
            .to_owned(),
        ),
        (
            world.post(CHAT).key("wrong"),
            format!(
                "{wrong}\
why:       the key is not listed
cure:      Ask the client's owner to pipe the key into keyswap keys verify. One that Azure gave out is listed with keyswap keys import; in place of a lost one, keyswap keys new makes another.
"
            ),
        ),
        (
            world.post(CHAT).key("wrong").key("another"),
            format!(
                "{wrong}\
why:       one place has different keys
cure:      Have the client, or the proxy that adds one, send one key: it is not said which of them is meant.
"
            ),
        ),
        (
            world.post(CHAT).key(OLD),
            format!(
                "{wrong}\
why:       the key old is expired
cure:      Give the client another key: keyswap keys new --client old. Or let this one live on: keyswap keys expire old --at DATE.
client:    old, key old
"
            ),
        ),
        (
            world.post(CHAT).key(EARLY),
            format!(
                "{wrong}\
why:       the key early is not-yet-valid
cure:      It is good from its not_before on. Until then the client needs another of its keys; or change that date of early where [clients.early] stands in the file of keys.
client:    early, key early
"
            ),
        ),
        (
            world.post(CHAT).key(GONE),
            format!(
                "{wrong}\
why:       the key gone is revoked
cure:      It was taken back. Have the client use another of its keys, or give it one: keyswap keys new --client gone.
client:    gone, key gone
"
            ),
        ),
        (
            world.post(CHAT).header("authorization", "Bearer eyJ0eXAi.e30.c2ln"),
            "\
answered:  401, client-token
step:      authenticate
why:       the client brought a token of its own
cure:      Give the client a key. Or, if its own Entra token shall count, set client_tokens = \"pass\" in [resources.NAME].
"
            .to_owned(),
        ),
    ];
    for (call, expected) in rows {
        let asked = "asked for: POST /openai/deployments/gpt-4o/chat/completions\n";
        world.says_why(&chat(call).await, &format!("{asked}{expected}")).await;
    }
    let in_url = format!("/indexes/hotels/docs?api-version=2024-07-01&api-key={}", keys.search_admin);
    world
        .says_why(
            &world.get(&in_url).send().await,
            "\
asked for: GET /indexes/hotels/docs
answered:  403, admin-key-in-url
step:      authenticate
why:       an admin key in the URL
cure:      Have the client send its key in the header api-key: in a URL Azure takes query keys alone. A client that cannot needs a key with allow = [\"search-query\"].
",
        )
        .await;
}

#[tokio::test]
async fn a_resource_that_is_not_settled() {
    let world = world().await;
    let keys = world.emulator.keys();
    for (target, key, expected) in [
        (
            CHAT,
            &*keys.search_query,
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  401, no-resource
step:      authorize
why:       the client has no grant on a resource of this plane
cure:      Add a grant on a resource of plane openai to [clients.query] in the file of keys: { resource = \"NAME\" }. Or mend the client's endpoint, if it means another service.
client:    query, key query
",
        ),
        (
            &format!("/other{CHAT}"),
            &*keys.openai,
            "\
asked for: POST /other/openai/deployments/gpt-4o/chat/completions
answered:  401, resource-not-granted
step:      authorize
why:       the client has no grant on a resource other
cure:      If \"other\" is a resource that the client may use, add { resource = \"other\" } to the grants of [clients.shop] in the file of keys. Else mend the client's endpoint, which names it by its host or before its path.
client:    shop, key shop
",
        ),
        (
            &format!("/ai{SEARCH}"),
            &*keys.openai,
            "\
asked for: POST /ai/indexes('hotels')/docs/search.post.search
answered:  404, other-plane
step:      authorize
why:       the resource ai is of the other plane
cure:      Mend the client's endpoint: it leads to one service, and the path is one of the other's.
client:    shop, key shop
",
        ),
        (
            CHAT,
            BOTH,
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  400, several-resources
step:      authorize
why:       the request names none of the resources that the client may use: ai, other
cure:      Have the client name one: by its host (hosts in [resources.ai]), or by its name before the path (https://.../ai/...). Or leave [clients.both] the grants on one alone.
client:    both, key both
",
        ),
    ] {
        world.says_why(&chat(world.post(target).key(key)).await, expected).await;
    }
}

#[tokio::test]
async fn an_operation_that_is_not_granted() {
    let world = world().await;
    let keys = world.emulator.keys();
    let other = "/openai/deployments/gpt-35/chat/completions?api-version=2024-10-21";
    let submit = "/openai/images/generations:submit?api-version=2023-06-01-preview";
    for (target, key, expected) in [
        (
            "/openai/v1/something-new",
            &*keys.openai,
            "\
asked for: POST /openai/v1/something-new
answered:  403, no-family
step:      authorize
why:       the operation belongs to no family
cure:      Nobody can be granted it, since keyswap does not know this operation. A newer version may. Until then it is for an Entra token of the client's own.
client:    shop, key shop
resource:  ai
",
        ),
        (
            "/openai/batches?api-version=2024-10-21",
            &keys.openai,
            "\
asked for: POST /openai/batches
answered:  403, family-not-granted
step:      authorize
why:       batches is not granted
cure:      Add to the grants of [clients.shop] in the file of keys: { resource = \"ai\", allow = [\"batches\"] }. For a sidecar: add --allow batches to what it allows already.
client:    shop, key shop
resource:  ai
",
        ),
        (
            "/openai/files?api-version=2024-10-21",
            &keys.openai,
            "\
asked for: POST /openai/files
answered:  403, access-not-granted
step:      authorize
why:       files is granted, but not to write
cure:      Add \"write\" to access where [clients.shop] is granted files on ai, in the file of keys. Or add to its grants: { resource = \"ai\", allow = [\"files\"], access = [\"write\"] }.
client:    shop, key shop
resource:  ai
",
        ),
        (
            other,
            LIMITED,
            "\
asked for: POST /openai/deployments/gpt-35/chat/completions
answered:  403, target-not-granted
step:      authorize
why:       gpt-35 is not granted
cure:      Add \"gpt-35\" to deployments where [clients.limited] has a grant on ai, in the file of keys. Or have the client name one that is granted.
client:    limited, key limited
resource:  ai
",
        ),
        (
            &SEARCH.replace("hotels", "motels"),
            &keys.search_query,
            "\
asked for: POST /indexes('motels')/docs/search.post.search
answered:  403, target-not-granted
step:      authorize
why:       motels is not granted
cure:      Add \"motels\" to indexes where [clients.query] has a grant on search, in the file of keys. Or have the client name one that is granted.
client:    query, key query
resource:  search
",
        ),
        (
            submit,
            LIMITED,
            "\
asked for: POST /openai/images/generations:submit
answered:  403, target-not-granted
step:      authorize
why:       the grant is limited to some names, and the request names none
cure:      The operation is about none or all of them, and each grant of [clients.limited] on ai that allows it is limited to some: it needs one without deployments, in the file of keys.
client:    limited, key limited
resource:  ai
",
        ),
    ] {
        world.says_why(&chat(world.post(target).key(key)).await, expected).await;
    }
}

#[tokio::test]
async fn a_body_that_names_what_is_not_granted() {
    let world = world().await;
    let target = "/openai/v1/chat/completions";
    let mut other = saying("hello");
    other["model"] = Value::from("gpt-35");
    for (body, expected) in [
        (
            other,
            "\
asked for: POST /openai/v1/chat/completions
answered:  403, target-not-granted
step:      guard
why:       gpt-35 is not granted
cure:      Add \"gpt-35\" to deployments where [clients.limited] has a grant on ai, in the file of keys. Or have the client name one that is granted.
client:    limited, key limited
resource:  ai, identity app
",
        ),
        (
            saying("hello"),
            "\
asked for: POST /openai/v1/chat/completions
answered:  400, model-unclear
step:      guard
why:       the grant is limited to some deployments: it names no 'model'
cure:      Have the client name its deployment once, as model at the top of a JSON body that is not compressed. Or grant [clients.limited] every one on ai: leave out deployments, in the file of keys.
client:    limited, key limited
resource:  ai, identity app
",
        ),
    ] {
        world.says_why(&world.post(target).key(LIMITED).json(&body).await, expected).await;
    }
}

/// A token of the client's own, and several resources that take such.
#[tokio::test]
async fn a_clients_own_token_for_nobody_knows_which() {
    let settings = |text: String, emulator: &Emulator| {
        let endpoint = emulator.openai(Door::Behind);
        let other = "[resources.other]\nclient_tokens = \"pass\"\nplane = \"openai\"\nidentity = \"app\"\n";
        let text = text.replace("[resources.ai]\n", "[resources.ai]\nclient_tokens = \"pass\"\n");
        format!("{text}{other}endpoint = \"{endpoint}\"\n")
    };
    let world = Plan { settings: Box::new(settings), ..Plan::default() }.start().await;
    let answer = world.post(CHAT).header("authorization", "Bearer eyJ0eXAi.e30.c2ln").json(&json!({})).await;
    world
        .says_why(
            &answer,
            "\
asked for: POST /openai/deployments/gpt-4o/chat/completions
answered:  400, several-resources
step:      authorize
why:       the request names none of the resources that take clients' own tokens
cure:      Several resources have client_tokens = \"pass\". Have the client name one: by its host, or by its name before the path.
",
        )
        .await;
}
