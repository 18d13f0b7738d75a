//! Errors by name: every row of A1, with its variants, and what else was seen (H2, H3). Those that also happen by themselves
//! are in `refusal`.

use hyper::StatusCode;
use serde_json::json;

use crate::answer::{Answer, indented, nested_error};
use crate::exchange::Call;
use crate::openai::operations::OPERATIONS;
use crate::openai::refusal::{self, model_error, openai_body};
use crate::openai::reply::{self, RATE_LIMITS};
use crate::options::UnknownDeployment;

const UNAUTHORIZED: &str = r#"{"error":{"code":"Unauthorized","message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
const ROLE_MISSING_OLD: &str =
    r#"{"error":{"code":"PermissionDenied","message": "Principal does not have access to API/Operation."}}"#;
const NO_KEY_REGIONAL: &str = r#"{"error":{"code":"BadRequest","message": "Please provide an authentication key."}}"#;
const FIREWALL: &str = r#"{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}"#;
const NO_PUBLIC_ACCESS: &str =
    r#"{"error":{"code":"AccessDenied","message": "Public access is disabled. Please configure private endpoint."}}"#;
const RATE_LIMIT: &str = "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current AIServices S0 pricing tier. Please retry after 2 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.";
const RATE_LIMIT_SHORT: &str =
    r#"{"error":{"code":"429","message": "Rate limit is exceeded. Try again in 2 seconds."}}"#;
const CONTENT_FILTER: &str = r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":true,"severity":"medium"}}}}}"#;
const INVALID_PROMPT: &str = "Sorry! We've encountered an issue with repetitive patterns in your prompt. Please try again with a different prompt.";
const SEARCH_REFUSED: &str = "Invalid AzureCognitiveSearch configuration detected: Call to get ACS index failed. Check you are using correct index, instance and api_key.\nAzure Search Error: 403, message='Server responded with status 403. Error message: {\"error\":{\"code\":\"\",\"message\":\"Authorization failed.\"}}'";
const TROUBLESHOOT: &str = "Please check this guide to understand why this error code might have been returned \nhttps://docs.microsoft.com/en-us/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes\n";

/// What a customer's own API Management says, in front of Azure OpenAI.
const APIM_MISSING: &str = "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API.";
const APIM_INVALID: &str =
    "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.";
const APIM_AI_GATEWAY: &str = "Access denied due to a missing application credentials or subscription key. Make sure to include an application token or a subscription key when making requests to the API.";
const APIM_CHALLENGE: &str = r#"AzureApiManagementKey realm="https://contoso.azure-api.net/openai",name="Ocp-Apim-Subscription-Key",type="header""#;

type Row = (&'static str, fn(&Call<'_>) -> Answer);

/// Every error that can be asked for.
const TABLE: &[Row] = &[
    ("A1.1", refusal::wrong_key),
    ("A1.1-unauthorized", |call| refusal::key_refused(call, UNAUTHORIZED)),
    ("A1.2", refusal::bad_token),
    ("A1.2b", |call| refusal::bad_token_for(call, " (https://cognitiveservices.azure.com/)")),
    ("A1.2b-foundry", |call| refusal::bad_token_for(call, " (https://ai.azure.com/)")),
    ("A1.2b-bing", |call| refusal::bad_token_for(call, " (https://bing.azure.com)")),
    ("A1.2b-urn", |call| refusal::bad_token_for(call, " (urn:ms.scopedToken or urn:ms.faceSessionToken)")),
    ("A1.2b-none", |call| refusal::bad_token_for(call, "")),
    ("A1.3", refusal::bad_token),
    ("A1.4", refusal::keys_disabled),
    ("A1.5", |call| refusal::permission_denied(call, ROLE_MISSING_OLD.to_owned())),
    ("A1.5b", role_missing),
    ("A1.6", |call| refusal::unknown_deployment(call, UnknownDeployment::Current)),
    ("A1.6-2024", |call| refusal::unknown_deployment(call, UnknownDeployment::Until2024)),
    ("A1.7", refusal::not_found),
    ("A1.8", refusal::version_not_supported),
    ("A1.9", no_subdomain),
    ("A1.9-old", |call| reply::bare(call, StatusCode::BAD_REQUEST).json(NO_KEY_REGIONAL)),
    ("A1.10", unknown_subdomain),
    ("A1.11", |call| forbidden(call, FIREWALL).header("policy-id", "ThrowExceptionDueToTrafficDenied")),
    ("A1.11b", |call| forbidden(call, NO_PUBLIC_ACCESS)),
    ("A1.11b-403", |call| forbidden(call, &NO_PUBLIC_ACCESS.replace("AccessDenied", "403"))),
    ("A1.11c", virtual_network),
    ("A1.11c-private", |call| {
        forbidden(call, &nested_error("403", "Traffic is not from an approved private endpoint"))
    }),
    ("A1.12", |call| rate_limited(call).json(nested_error("429", RATE_LIMIT))),
    ("A1.12-short", |call| rate_limited(call).json(RATE_LIMIT_SHORT)),
    ("A1.12-foundry", rate_limited_by_foundry),
    ("A1.13", |call| model_error(call).json(CONTENT_FILTER)),
    ("A1.14", search_refused),
    ("400-missed-model", refusal::missed_model),
    ("400-invalid-prompt", invalid_prompt),
    ("408", upstream_timeout),
    ("413", too_large),
    ("500", no_answer),
    ("503", |call| {
        let body = nested_error("503", "The service is temporarily unavailable.");
        reply::api(call, StatusCode::SERVICE_UNAVAILABLE).json(body)
    }),
    ("503-html", |_| {
        let body = "<html><body><h1>503 Service Unavailable</h1></body></html>";
        Answer::new(StatusCode::SERVICE_UNAVAILABLE).body("text/html", body)
    }),
    ("apim-missing-key", |_| api_management(APIM_MISSING)),
    ("apim-invalid-key", |_| api_management(APIM_INVALID)),
    ("apim-ai-gateway", |_| api_management(APIM_AI_GATEWAY)),
];

/// The names of the table.
pub(crate) const NAMES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut place = 0;
    while place < TABLE.len() {
        names[place] = TABLE[place].0;
        place += 1;
    }
    names
};

/// The error of this name, if there is one.
pub(crate) fn on_demand(name: &str, call: &Call<'_>) -> Option<Answer> {
    TABLE.iter().find_map(|(known, answer)| (*known == name).then(|| answer(call)))
}

fn forbidden(call: &Call<'_>, body: &str) -> Answer {
    reply::bare(call, StatusCode::FORBIDDEN).json(body.to_owned())
}

/// A1.5b, as nobody asks for a chat.
fn role_missing(call: &Call<'_>) -> Answer {
    let operation = &OPERATIONS[0];
    refusal::role_missing(call, "00000000-0000-0000-0000-000000000000", operation, operation.roots[0])
}

/// A1.9.
fn no_subdomain(call: &Call<'_>) -> Answer {
    let message = "Please provide a custom subdomain for token authentication, otherwise API key is required. \
                   (Please see https://aka.ms/cogsvc-authenticatewithtoken)";
    reply::bare(call, StatusCode::BAD_REQUEST).json(nested_error("BadRequest", message))
}

/// A1.10.
fn unknown_subdomain(call: &Call<'_>) -> Answer {
    let body = nested_error("ResourceNotFound", "Subdomain does not map to a resource");
    reply::bare(call, StatusCode::NOT_FOUND).json(body)
}

/// A1.11c.
fn virtual_network(call: &Call<'_>) -> Answer {
    let message = "A Virtual Network is configured for this resource. Please use the correct endpoint for making requests. \
                   Check https://aka.ms/cogsvc-vnet for more details.";
    forbidden(call, &nested_error("403", message))
}

/// A1.12, with all its headers.
fn rate_limited(call: &Call<'_>) -> Answer {
    reply::api(call, StatusCode::TOO_MANY_REQUESTS).headers([
        ("retry-after", "2"),
        ("retry-after-ms", "2000"),
        ("x-ratelimit-limit-requests", "120"),
        ("x-ratelimit-limit-tokens", "120000"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-requests", "2"),
        ("x-ratelimit-reset-tokens", "2"),
    ])
}

/// H3: Foundry's own, which says two things about when to come back (foundry-error-rubyllm-02).
fn rate_limited_by_foundry(call: &Call<'_>) -> Answer {
    let message = "Your requests to gpt-4o for gpt-4o in eastus2 have exceeded rate limit.";
    let body = json!({"error": {"code": "RateLimitReached", "message": message, "details": message}});
    reply::api(call, StatusCode::TOO_MANY_REQUESTS)
        .headers(TIERS)
        .headers([
            ("azureai-fe-is-streaming", "False"),
            ("azureai-fe-offer-type", "paygo"),
            ("content-type", "application/json; charset=utf-8"),
            ("retry-after", "1"),
            ("retry-after-ms", "0"),
        ])
        .chunked(body.to_string())
}

/// A1.14: the search service behind "On Your Data" refuses; `code` is a number.
fn search_refused(call: &Call<'_>) -> Answer {
    let body = json!({"error": {"requestid": call.id, "code": 400, "message": SEARCH_REFUSED}});
    reply::api(call, StatusCode::BAD_REQUEST).json(body.to_string())
}

/// H3 (oai-error-invalidprompt-gptfn-01).
fn invalid_prompt(call: &Call<'_>) -> Answer {
    let body = openai_body(INVALID_PROMPT, &json!("prompt"), &json!("invalid_prompt"));
    model_error(call).header("access-control-allow-origin", "*").json(indented(&body) + "\n")
}

const TIERS: [(&str, &str); 2] = [("azureai-processed-tier", "default"), ("azureai-requested-tier", "default")];

/// H3: the layer that runs models gives up (foundry-error-rubyllm-05).
fn upstream_timeout(call: &Call<'_>) -> Answer {
    reply::api(call, StatusCode::REQUEST_TIMEOUT)
        .headers([
            ("request-context", "appId="),
            ("skip-error-remapping", "true"),
            ("x-ratelimit-limit-requests", "20"),
            ("x-ratelimit-limit-tokens", "20000"),
            ("x-ratelimit-remaining-requests", "19"),
            ("x-ratelimit-remaining-tokens", "19984"),
        ])
        .body("text/plain", format!("upstream request timeout\n{TROUBLESHOOT}"))
}

/// H3: the same layer takes no more (foundry-error-rubyllm-04).
fn too_large(call: &Call<'_>) -> Answer {
    let text = format!("Failed to buffer the request body: length limit exceeded\n{TROUBLESHOOT}");
    reply::api(call, StatusCode::PAYLOAD_TOO_LARGE)
        .set_header("x-ms-client-request-id", reply::client_id(call))
        .headers(TIERS)
        .headers(RATE_LIMITS)
        .headers([
            ("azureml-model-session", "d-a3423142-ae3e-4fb1-be62-1eecd5f54116"),
            ("request-context", "appId="),
            ("skip-error-remapping", "true"),
            ("x-ms-deployment-name", "gpt-4o"),
            ("x-ms-is-spilled-over", "false"),
        ])
        .body("text/plain; charset=utf-8", text)
}

/// H3: no code, but details (foundry-error-rubyllm-03).
fn no_answer(call: &Call<'_>) -> Answer {
    let body = json!({"error": {
        "message": "An error occurred while getting the response from the model.",
        "details": "Failed to reconstruct non-streaming response",
    }});
    reply::api(call, StatusCode::INTERNAL_SERVER_ERROR)
        .set_header("x-ms-client-request-id", reply::client_id(call))
        .headers(TIERS)
        .headers(RATE_LIMITS)
        .headers([
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "*"),
            ("azureml-model-session", "d20260429222844-bf683bdf"),
            ("cache-control", "no-cache"),
            ("content-type", "application/json"),
            ("request-context", "appId="),
            ("traceparent", "00-7335eeb2ff1d4da0b453c7d3b63f7964-dd74c0ef000013ff-00"),
            ("vary", "access-control-request-headers"),
            ("x-ms-deployment-name", "gpt-4o"),
            ("x-ms-is-spilled-over", "false"),
            ("x-ms-rai-invoked", "true"),
            ("x-ratelimit-key", "gpt-4o"),
        ])
        .chunked(body.to_string())
}

/// The customer's own layer: the flat body, another reason phrase, and the only challenge of this plane.
fn api_management(message: &str) -> Answer {
    Answer::new(StatusCode::UNAUTHORIZED)
        .reason("Access Denied")
        .header("www-authenticate", APIM_CHALLENGE)
        .json(format!(r#"{{ "statusCode": 401, "message": "{message}" }}"#))
}
