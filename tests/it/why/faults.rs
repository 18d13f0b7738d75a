//! What Azure finds wrong with our credentials.

use azure_emulator::{Options, Plane, SearchBearerRefusal};
use serde_json::json;

use crate::world::{CHAT, Plan, SEARCH, saying};

/// Those that keyswap answers in its own words.
const ON_OPENAI: [(&str, &str); 5] = [
    (
        "A1.1",
        "\
answered:  502, upstream-authentication
step:      upstream
why:       the upstream answers as to a wrong key: Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.
cure:      Azure answered as to a wrong key on the resource 'ai' (127.0.0.1), though keyswap sent a Microsoft Entra token. The gateway's owner should see that the endpoint is the resource's own, and that nothing on the way to it adds a key.
",
    ),
    (
        "A1.2",
        "\
answered:  502, upstream-authentication
step:      upstream
why:       the upstream does not take our token: Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.
cure:      Azure did not accept the Microsoft Entra token of keyswap's identity on the resource 'ai' (127.0.0.1). The gateway's owner should see that the identity is of the resource's tenant, and that the token's scope (https://cognitiveservices.azure.com/.default) is for the audience that Azure wants.
",
    ),
    (
        "A1.4",
        "\
answered:  502, upstream-saw-key
step:      upstream
why:       the upstream says that a key reached it: Key based authentication is disabled for this resource.
cure:      Azure refused a key on the resource 'ai' (127.0.0.1), and keyswap sent none. If the request's body holds a key, put a managed identity in its place; if it holds none, something on the way to the resource adds one.
",
    ),
    (
        "A1.5",
        "\
answered:  403, upstream-permission
step:      upstream
why:       our identity lacks a role: Principal does not have access to API/Operation.
cure:      keyswap's identity lacks a role on the resource 'ai' (127.0.0.1). Its owner should assign 'Cognitive Services OpenAI User' to that identity there. It takes effect after some minutes.
",
    ),
    (
        "A1.9-old",
        "\
answered:  502, no-custom-subdomain
step:      upstream
why:       the resource has no custom subdomain: Please provide an authentication key.
cure:      Azure takes no Microsoft Entra token on the resource 'ai' (127.0.0.1): it has no custom subdomain. Its owner should give it one, and the gateway's endpoint should be that name: a regional endpoint takes keys alone.
",
    ),
];

const ON_SEARCH: [(&str, &str); 4] = [
    (
        "B1.4",
        "\
answered:  502, upstream-authentication
step:      upstream
why:       the upstream does not take our token: Bearer realm=\"Azure Cognitive Search\" error=\"invalid_token\" error_description=\"Authentication token failed validation.\"
cure:      Azure did not accept the Microsoft Entra token of keyswap's identity on the resource 'search' (127.0.0.1). The gateway's owner should see that the identity is of the resource's tenant, and that the token's scope (https://search.azure.com/.default) is for the audience that Azure wants.
",
    ),
    (
        "B1.1",
        "\
answered:  502, upstream-saw-key
step:      upstream
why:       the upstream says that a key reached it: The given API key doesn't match service's internal, primary or secondary keys.
cure:      Azure refused a key on the resource 'search' (127.0.0.1), and keyswap sent none. If the request's body holds a key, put a managed identity in its place; if it holds none, something on the way to the resource adds one.
",
    ),
    (
        "B1.6",
        "\
answered:  403, upstream-permission
step:      upstream
why:       our identity lacks a role
cure:      keyswap's identity lacks a role on the resource 'search' (127.0.0.1). Its owner should assign 'Search Index Data Reader' to that identity there, and see that the service takes role-based access control at all. It takes effect after some minutes.
",
    ),
    (
        "B1.7",
        "\
answered:  403, upstream-permission
step:      upstream
why:       our identity lacks a role: Authorization failed.
cure:      keyswap's identity lacks a role on the resource 'search' (127.0.0.1). Its owner should assign 'Search Index Data Reader' to that identity there, and see that the service takes role-based access control at all. It takes effect after some minutes.
",
    ),
];

/// A firewall's answer passes as it is: its client reads Azure's words, and whoever is on call what cures it.
const PASSED: &str = "\
answered:  403, upstream-forbidden
step:      upstream
why:       the upstream forbids: Access denied due to Virtual Network/Firewall rules.
cure:      Azure refused keyswap's request on the resource 'ai' (127.0.0.1), and not for want of a role. Its owner should let the gateway's network through its firewall, or have the gateway reach it by its private endpoint.
";

#[tokio::test]
async fn each_fault_of_azure_is_told_with_its_cure() {
    let options = Options { bearer_refusal: SearchBearerRefusal::Challenge401, ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    let keys = world.emulator.keys();
    let passed = [("A1.11", PASSED)];
    for (fault, expected) in ON_OPENAI.into_iter().chain(passed) {
        world.azure_answers(Plane::OpenAi, fault);
        let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
        let whose = "client:    chat, key chat\nresource:  ai, identity app\n";
        let asked = "asked for: POST /openai/deployments/gpt-4o/chat/completions\n";
        world.says_why(&answer, &format!("{asked}{expected}{whose}")).await;
    }
    for (fault, expected) in ON_SEARCH {
        world.azure_answers(Plane::Search, fault);
        let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({"search": "*"})).await;
        let whose = "client:    query, key query\nresource:  search, identity app\n";
        let asked = "asked for: POST /indexes('hotels')/docs/search.post.search\n";
        world.says_why(&answer, &format!("{asked}{expected}{whose}")).await;
    }
    world.emulator.clear_faults();
    // What goes well, and what Azure alone has to say, leaves nothing.
    let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
    let nothing = world.post(&CHAT.replace("gpt-4o", "nothing")).key(&keys.openai).json(&saying("hello")).await;
    assert_eq!((answer.status.as_u16(), nothing.status.as_u16()), (200, 404));
    for answer in [answer, nothing] {
        let (code, _, told) = world.why(&[answer.header("x-keyswap-request-id").unwrap()]);
        assert_eq!(code, Some(1), "{told}");
    }
}
