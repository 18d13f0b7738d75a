//! Every fault that the planes know (azure-wire, A1 and B1), in the answer to the one probe of a resource: what doctor says
//! of it, what cures it, and with which commands.

use std::collections::BTreeSet;

use azure_emulator::{Fault, Plane, fault_names};
use serde_json::{Value, json};

use super::Patient;

/// What is told of some faults. A text that ends in `…` is the beginning of one.
struct Row {
    faults: &'static [&'static str],
    status: &'static str,
    found: &'static str,
    /// The cure, its notes, then its commands.
    cure: &'static [&'static str],
}

const fn row(
    faults: &'static [&'static str],
    status: &'static str,
    found: &'static str,
    cure: &'static [&'static str],
) -> Row {
    Row { faults, status, found, cure }
}

const OK: &str = "ok";
const CANNOT_TELL: &str = "cannot-tell";
const WRONG: &str = "wrong";

const REFUSED_AS_MEANT_404: &str = "HTTP 404: let in, and refused for what it asked, as was meant";
const REFUSED_AS_MEANT_400: &str = "HTTP 400: let in, and refused for what it asked, as was meant";

const NO_KEY_ADDED: &str = "The gateway's owner should see that the endpoint is the resource's own, and that nothing on the way \
                            to it adds a key.";
const NO_KEY_IN_BODY: &str = "If the request's body holds a key, put a managed identity in its place; if it holds none, something \
                              on the way to the resource adds one.";
const AUDIENCE: &str = "The gateway's owner should see that the identity is of the resource's tenant, and that the token's scope \
                        (https://cognitiveservices.azure.com/.default) is for the audience that Azure wants.";
const SEARCH_AUDIENCE: &str = "The gateway's owner should see that the identity is of the resource's tenant, and that the token's \
                               scope (https://search.azure.com/.default) is for the audience that Azure wants.";
const FILL_IN: &str = "Fill in NAME and GROUP, or set the resource's id in the settings.";
const FILL_IN_SUBDOMAIN: &str = "Fill in NAME and GROUP and SUBDOMAIN, or set the resource's id in the settings.";
const OPENAI_ROLE: &str = "Its owner should assign 'Cognitive Services OpenAI User' to that identity there. It takes effect within \
                           some ten minutes.";
const ASSIGN_OPENAI_ROLE: &str = "az role assignment create --assignee-object-id OBJECT --assignee-principal-type ServicePrincipal \
     --role \"Cognitive Services OpenAI User\" \
     --scope \"$(az cognitiveservices account show --name NAME --resource-group GROUP --query id --output tsv)\"";
const SUBDOMAIN: &str = "Its owner should give it one, and the gateway's endpoint should be that name: a regional endpoint takes \
                         keys alone.";
const GIVE_SUBDOMAIN: &str =
    "az cognitiveservices account update --name NAME --resource-group GROUP --custom-domain SUBDOMAIN";
const NETWORK: &str = "Its owner should let the gateway's network through its firewall, or have the gateway reach it by its \
                       private endpoint.";
const SHOW_NETWORK: &str = "az resource show --ids \"$(az cognitiveservices account show --name NAME --resource-group GROUP --query id --output tsv)\" \
     --query \"properties.[publicNetworkAccess, networkAcls, networkRuleSet]\"";
const VERSION: &str = "See that the endpoint is the resource's own. If clients' requests pass, nothing is wrong: not every kind of \
                       resource has everything.";
const NO_RESOURCE: &str =
    "Compare the endpoint with what the portal shows: no resource has this name, or none has it yet.";
const LATER: &str = "Try again later.";
const OTHERS: &str =
    "No probe asks for that: see whether something on the way to the resource changes requests or answers them.";
const SILENCE: &str = "The way there was good a moment ago: see what lies on it that reads requests, and try again.";
const SEARCH_ROLE: &str = "Its owner should assign 'Search Index Data Reader' to that identity there, and see that the service \
                           takes role-based access control at all. It takes effect within some ten minutes.";
const ASSIGN_SEARCH_ROLE: &str = "az role assignment create --assignee-object-id OBJECT --assignee-principal-type ServicePrincipal \
     --role \"Search Index Data Reader\" \
     --scope \"$(az search service show --name NAME --resource-group GROUP --query id --output tsv)\"";
const TAKE_TOKENS: &str = "az search service update --name NAME --resource-group GROUP --auth-options aadOrApiKey \
                           --aad-auth-failure-mode http401WithBearerChallenge";
const INDEXES: &str = "Compare the indexes of the grants with those of the service.";

#[rustfmt::skip]
const OPENAI: &[Row] = &[
    row(&["A1.1", "A1.1-unauthorized", "apim-invalid-key"], WRONG, "HTTP 401: the upstream answers as to a wrong key: Access denied due to invalid subscription key…", &[NO_KEY_ADDED]),
    row(&["apim-missing-key"], WRONG, "HTTP 401: the upstream answers as to a wrong key: Access denied due to missing subscription key…", &[NO_KEY_ADDED]),
    row(&["apim-ai-gateway"], WRONG, "HTTP 401: the upstream answers as to a wrong key: Access denied due to a missing application credentials or subscription key…", &[NO_KEY_ADDED]),
    row(&["A1.2", "A1.2b", "A1.2b-foundry", "A1.2b-bing", "A1.2b-urn", "A1.2b-none", "A1.3"], WRONG, "HTTP 401: the upstream does not take our token: Unauthorized. Access token is missing, invalid, audience is incorrect…", &[AUDIENCE]),
    row(&["A1.4"], WRONG, "HTTP 403: the upstream says that a key reached it: Key based authentication is disabled for this resource.", &[NO_KEY_IN_BODY]),
    row(&["A1.5"], WRONG, "HTTP 401: our identity lacks a role: Principal does not have access to API/Operation.", &[OPENAI_ROLE, FILL_IN, ASSIGN_OPENAI_ROLE]),
    row(&["A1.5b"], WRONG, "HTTP 401: our identity lacks a role: The principal `00000000-0000-0000-0000-000000000000` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action`…", &[OPENAI_ROLE, FILL_IN, ASSIGN_OPENAI_ROLE]),
    row(&["A1.6", "A1.6-2024"], OK, REFUSED_AS_MEANT_404, &[]),
    row(&["A1.7"], CANNOT_TELL, "HTTP 404: the path or its api-version is not known there: Resource not found", &[VERSION]),
    row(&["A1.8"], CANNOT_TELL, "HTTP 400: the api-version is not known there: API version not supported", &[VERSION]),
    row(&["A1.9"], WRONG, "HTTP 400: the resource has no custom subdomain: Please provide a custom subdomain for token authentication, otherwise API key is required…", &[SUBDOMAIN, FILL_IN_SUBDOMAIN, GIVE_SUBDOMAIN]),
    row(&["A1.9-old"], WRONG, "HTTP 400: the resource has no custom subdomain: Please provide an authentication key.", &[SUBDOMAIN, FILL_IN_SUBDOMAIN, GIVE_SUBDOMAIN]),
    row(&["A1.10"], WRONG, "HTTP 404: no resource has this name: Subdomain does not map to a resource", &[NO_RESOURCE]),
    row(&["A1.11"], WRONG, "HTTP 403: the upstream forbids: Access denied due to Virtual Network/Firewall rules.", &[NETWORK, FILL_IN, SHOW_NETWORK]),
    row(&["A1.11b", "A1.11b-403"], WRONG, "HTTP 403: the upstream forbids: Public access is disabled. Please configure private endpoint.", &[NETWORK, FILL_IN, SHOW_NETWORK]),
    row(&["A1.11c"], WRONG, "HTTP 403: the upstream forbids: A Virtual Network is configured for this resource. Please use the correct endpoint for making requests…", &[NETWORK, FILL_IN, SHOW_NETWORK]),
    row(&["A1.11c-private"], WRONG, "HTTP 403: the upstream forbids: Traffic is not from an approved private endpoint", &[NETWORK, FILL_IN, SHOW_NETWORK]),
    row(&["A1.12"], CANNOT_TELL, "HTTP 429: throttled, which says nothing of roles: Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit…", &[LATER]),
    row(&["A1.12-short"], CANNOT_TELL, "HTTP 429: throttled, which says nothing of roles: Rate limit is exceeded. Try again in 2 seconds.", &[LATER]),
    row(&["A1.12-foundry"], CANNOT_TELL, "HTTP 429: throttled, which says nothing of roles: Your requests to gpt-4o for gpt-4o in eastus2 have exceeded rate limit.", &[LATER]),
    row(&["A1.13", "A1.14", "400-missed-model", "400-invalid-prompt"], OK, REFUSED_AS_MEANT_400, &[]),
    row(&["408"], CANNOT_TELL, "HTTP 408: Azure has trouble of its own: upstream request timeout…", &[LATER]),
    row(&["413"], CANNOT_TELL, "HTTP 413: an answer that says nothing of roles: Failed to buffer the request body: length limit exceeded…", &[OTHERS]),
    row(&["500"], CANNOT_TELL, "HTTP 500: Azure has trouble of its own: An error occurred while getting the response from the model.", &[LATER]),
    row(&["503"], CANNOT_TELL, "HTTP 503: Azure has trouble of its own: The service is temporarily unavailable.", &[LATER]),
    row(&["503-html"], CANNOT_TELL, "HTTP 503: Azure has trouble of its own: <html><body><h1>503 Service Unavailable</h1></body></html>", &[LATER]),
    row(&["hang-up", "slow", "clock", "close-frame"], OK, REFUSED_AS_MEANT_404, &[]),
];

#[rustfmt::skip]
const SEARCH: &[Row] = &[
    row(&["B1.1", "B1.5-text"], WRONG, "HTTP 403: the upstream says that a key reached it: The given API key doesn't match service's internal, primary or secondary keys.", &[NO_KEY_IN_BODY]),
    row(&["B1.2"], WRONG, "HTTP 403: the upstream says that a key reached it: The given API key is not permitted in the URI query string.", &[NO_KEY_IN_BODY]),
    row(&["B1.3", "B1.5", "B1.6"], WRONG, "HTTP 403: our identity lacks a role", &[SEARCH_ROLE, FILL_IN, ASSIGN_SEARCH_ROLE, TAKE_TOKENS]),
    row(&["B1.3-401"], WRONG, "HTTP 401: the upstream does not take our token", &[SEARCH_AUDIENCE]),
    row(&["B1.4", "B1.5-challenge"], WRONG, "HTTP 401: the upstream does not take our token: Bearer realm=\"Azure Cognitive Search\" error=\"invalid_token\" error_description=\"Authentication token failed validation.\"", &[SEARCH_AUDIENCE]),
    row(&["B1.4-http403", "B1.7"], WRONG, "HTTP 403: our identity lacks a role: Authorization failed.", &[SEARCH_ROLE, FILL_IN, ASSIGN_SEARCH_ROLE]),
    row(&["B1.8"], WRONG, "HTTP 403: our identity lacks a role: CheckAccess API call with non successful response. StatusCode: Forbidden…", &[SEARCH_ROLE, FILL_IN, ASSIGN_SEARCH_ROLE]),
    row(&["B1.9", "B1.9-old"], CANNOT_TELL, "HTTP 404: there is no such index: No index with the name 'hotels' was found in the service 'azure-emulator'.", &[INDEXES]),
    row(&["B1.9-documents"], CANNOT_TELL, "HTTP 404: there is no such index: The index 'hotels' for service 'azure-emulator' was not found.", &[INDEXES]),
    row(&["document-missing"], CANNOT_TELL, "HTTP 404: there is no such index", &[INDEXES]),
    row(&["B1.10"], CANNOT_TELL, "HTTP 400: an answer that says nothing of roles: Invalid expression: Syntax error at position 7…", &[OTHERS]),
    row(&["B1.11"], CANNOT_TELL, "HTTP 400: the api-version is not known there: Invalid or missing api-version query string parameter", &[VERSION]),
    row(&["B1.12"], CANNOT_TELL, "HTTP 400: an answer that says nothing of roles: Invalid header: 'x-ms-query-source-authorization'", &[OTHERS]),
    row(&["B1.12-audience"], CANNOT_TELL, "HTTP 400: an answer that says nothing of roles: Audience claim is invalid in the JWT token.", &[OTHERS]),
    row(&["B1.13"], CANNOT_TELL, "HTTP 412: an answer that says nothing of roles: The precondition given in one of the request headers evaluated to false…", &[OTHERS]),
    row(&["B1.14"], CANNOT_TELL, "HTTP 503: Azure has trouble of its own: Failed to execute request. Reduce the rate of requests…", &[LATER]),
    row(&["B1.14-429"], CANNOT_TELL, "HTTP 429: throttled, which says nothing of roles: Failed to execute request. Reduce the rate of requests…", &[LATER]),
    row(&["B1.15"], CANNOT_TELL, "HTTP 429: throttled, which says nothing of roles: Skillset quota of 3 has been exceeded for this service…", &[LATER]),
    row(&["B1.16"], WRONG, "HTTP 400: the service is switched off: The search service 'azure-emulator' is disabled.", &["Whoever owns the service has to see to it in the portal."]),
    row(&["206"], OK, "HTTP 206: let in", &[]),
    row(&["207"], OK, "HTTP 207: let in", &[]),
    row(&["402"], CANNOT_TELL, "HTTP 402: an answer that says nothing of roles: The free monthly quota of semantic queries is used up.", &[OTHERS]),
    row(&["413"], CANNOT_TELL, "HTTP 413: an answer that says nothing of roles", &[OTHERS]),
    row(&["415"], CANNOT_TELL, "HTTP 415: an answer that says nothing of roles: The content type of the request is not supported.", &[OTHERS]),
    row(&["500"], CANNOT_TELL, "HTTP 500: Azure has trouble of its own: An error has occurred.", &[LATER]),
    row(&["502"], CANNOT_TELL, "HTTP 502: Azure has trouble of its own: <html><body><h1>502 Bad Gateway</h1></body></html>", &[LATER]),
    row(&["hang-up", "slow", "clock", "close-frame"], OK, "HTTP 200: let in", &[]),
];

/// How a connection ends on either plane, whatever was asked.
const ENDS: &[Row] = &[
    row(&["stall", "stall-mid-body"], WRONG, "no answer within 2s", &[SILENCE]),
    row(&["cut", "reset"], WRONG, "the connection broke: Connection reset by peer (os error 104)", &[SILENCE]),
    row(
        &["close", "truncate"],
        WRONG,
        "the connection broke: peer closed connection without sending TLS close_notify…",
        &[SILENCE],
    ),
];

#[tokio::test]
async fn each_fault_of_azure_openai_is_told_with_its_cure() {
    every_row(Plane::OpenAi, "ai", "chat/completions", OPENAI).await;
}

#[tokio::test]
async fn each_fault_of_azure_ai_search_is_told_with_its_cure() {
    every_row(Plane::Search, "search", "$count", SEARCH).await;
}

/// Sets each fault in turn, and none that the plane knows is without a row.
async fn every_row(plane: Plane, resource: &str, path: &str, rows: &[Row]) {
    let mut patient = Patient::new().await;
    patient.settings.push_str("[timeouts]\nanswer = \"2s\"\n");
    let rows = || rows.iter().chain(ENDS);
    let known: BTreeSet<_> = fault_names(plane).into_iter().collect();
    assert_eq!(rows().flat_map(|row| row.faults).copied().collect::<BTreeSet<_>>(), known);
    for Row { faults, status, found, cure } in rows() {
        for fault in *faults {
            patient.emulator().next(plane, Fault::named(fault).on(path), 1).unwrap();
            let findings = patient.findings(resource).await;
            let access = findings.iter().find(|finding| finding["check"] == "access").unwrap();
            assert_eq!(access["status"], *status, "{fault}: {access:#}");
            let text = access["found"].as_str().unwrap();
            match found.strip_suffix('…') {
                Some(beginning) => assert!(text.starts_with(beginning), "{fault}: {text}"),
                None => assert_eq!(text, *found, "{fault}"),
            }
            let (commands, words): (Vec<&str>, Vec<&str>) = cure.iter().partition(|line| line.starts_with("az "));
            assert_eq!(access["cure"], if words.is_empty() { Value::Null } else { words.join(" ").into() }, "{fault}");
            assert_eq!(access["commands"], json!(commands), "{fault}");
            // It is about this request alone: what was looked at before is as it was.
            let before = findings.iter().take_while(|finding| finding["check"] != "keys");
            assert!(before.into_iter().all(|finding| finding["status"] == "ok"), "{fault}: {findings:#?}");
        }
    }
}
