//! Azure OpenAI's errors, in its own bytes (A1; H1 to H3 where they know better).

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented, nested_error};
use crate::exchange::Call;
use crate::openai::deployments::Deployment;
use crate::openai::operations::{OPERATIONS, Operation};
use crate::openai::reply::{self, NO_SNIFF, STRICT_TRANSPORT};
use crate::options::UnknownDeployment;

/// What can be asked for by name: rows of A1, and plain statuses.
pub(crate) const NAMES: &[&str] = &[
    "A1.1",
    "A1.2",
    "A1.3",
    "A1.4",
    "A1.5",
    "A1.5b",
    "A1.6",
    "A1.6-2024",
    "A1.7",
    "A1.8",
    "A1.9",
    "A1.9-old",
    "A1.10",
    "A1.11",
    "A1.11b",
    "A1.11c",
    "A1.12",
    "A1.12-foundry",
    "A1.13",
    "A1.14",
    "408",
    "413",
    "500",
    "503",
    "503-html",
];

const WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
const BAD_TOKEN: &str = r#"{ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired." }"#;
const KEYS_DISABLED: &str = r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#;
const ROLE_MISSING_OLD: &str =
    r#"{"error":{"code":"PermissionDenied","message": "Principal does not have access to API/Operation."}}"#;
const UNKNOWN_DEPLOYMENT_OLD: &str = r#"{"error":{"code":"DeploymentNotFound", "message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}"#;
const UNKNOWN_DEPLOYMENT: &str = r#"{
  "error": {
    "type": "invalid_request_error",
    "code": "DeploymentNotFound",
    "message": "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."
  }
}"#;
const MISSED_MODEL: &str = r#"{
  "error": {
    "message": "Missed model deployment"
  }
}"#;
const NOT_FOUND: &str = r#"{"error":{"code":"404","message": "Resource not found"}}"#;
const NO_KEY_REGIONAL: &str = r#"{"error":{"code":"BadRequest","message": "Please provide an authentication key."}}"#;
const FIREWALL: &str = r#"{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}"#;
const PRIVATE: &str =
    r#"{"error":{"code":"AccessDenied","message": "Public access is disabled. Please configure private endpoint."}}"#;
const CONTENT_FILTER: &str = r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":true,"severity":"medium"}}}}}"#;
const RATE_LIMIT: &str = "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current AIServices S0 pricing tier. Please retry after 2 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.";
const TROUBLESHOOT: &str = "Please check this guide to understand why this error code might have been returned \nhttps://docs.microsoft.com/en-us/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes\n";

/// A1.1: no header but the id.
pub(crate) fn wrong_key(call: &Call<'_>) -> Answer {
    Answer::new(StatusCode::UNAUTHORIZED)
        .reason("PermissionDenied")
        .header("apim-request-id", call.id.as_str())
        .json(WRONG_KEY)
}

/// A1.2 and A1.3: the flat body and its six headers.
pub(crate) fn bad_token(call: &Call<'_>) -> Answer {
    let client_id = call.header("x-ms-client-request-id").unwrap_or("Not-Set");
    Answer::new(StatusCode::UNAUTHORIZED)
        .header("apim-request-id", call.id.as_str())
        .headers([STRICT_TRANSPORT, NO_SNIFF])
        .header("x-ms-client-request-id", client_id)
        .json(BAD_TOKEN)
}

/// A1.4.
pub(crate) fn keys_disabled(call: &Call<'_>) -> Answer {
    reply::bare(call, StatusCode::FORBIDDEN).json(KEYS_DISABLED)
}

/// A1.5b: 401, not 403.
pub(super) fn role_missing(call: &Call<'_>, object_id: &str, operation: &Operation, root: &str) -> Answer {
    let message = format!(
        "The principal `{object_id}` lacks the required data action \
         `Microsoft.CognitiveServices/accounts/OpenAI/{}` to perform `{} /{root}/{}` operation.",
        operation.data_action(),
        operation.method,
        operation.path,
    );
    permission_denied(call, nested_error("PermissionDenied", &message))
}

fn permission_denied(call: &Call<'_>, body: String) -> Answer {
    let client_id = call.header("x-ms-client-request-id").unwrap_or(call.id.as_str());
    Answer::new(StatusCode::UNAUTHORIZED)
        .header("x-ms-client-request-id", client_id)
        .header("apim-request-id", call.id.as_str())
        .headers([STRICT_TRANSPORT, NO_SNIFF])
        .json(body)
}

/// A1.6 in one of its two forms (H2).
pub(crate) fn unknown_deployment(call: &Call<'_>, form: UnknownDeployment) -> Answer {
    let answer = reply::api(call, StatusCode::NOT_FOUND);
    match form {
        UnknownDeployment::Current => answer.chunked(UNKNOWN_DEPLOYMENT),
        UnknownDeployment::Until2024 => answer.json(UNKNOWN_DEPLOYMENT_OLD),
    }
}

/// H2: a body without `model`, where it has to be. No code, no content type.
pub(crate) fn missed_model(call: &Call<'_>) -> Answer {
    reply::api(call, StatusCode::BAD_REQUEST).chunked(MISSED_MODEL)
}

/// A1.7.
pub(crate) fn not_found(call: &Call<'_>) -> Answer {
    reply::bare(call, StatusCode::NOT_FOUND).json(NOT_FOUND)
}

/// A1.8: the text is known, its envelope is not.
pub(crate) fn version_not_supported(call: &Call<'_>) -> Answer {
    let body = nested_error("BadRequest", "API version not supported");
    reply::api(call, StatusCode::BAD_REQUEST).json(body)
}

/// The deployment's model is for something else.
pub(crate) fn not_supported(call: &Call<'_>, operation: &str, deployment: &Deployment) -> Answer {
    let operation = match operation {
        "chat-completions" => "chatCompletion",
        "completions" => "completion",
        other => other,
    };
    let message = format!(
        "The {operation} operation does not work with the specified model, {}. Please choose \
         different model and try again. You can learn more about which models can be used with \
         each operation here: https://go.microsoft.com/fwlink/?linkid=2197993.",
        deployment.name,
    );
    reply::api(call, StatusCode::BAD_REQUEST).json(nested_error("OperationNotSupported", &message))
}

/// A body that cannot be used.
pub(crate) fn bad_request(call: &Call<'_>, message: &str) -> Answer {
    model_error(call).json(indented(&openai_body(message, &Value::Null, &Value::Null)) + "\n")
}

/// A refusal of OpenAI's own, which Azure passes on (H3): for a stored object that is not there, or cannot be so.
pub(crate) fn openai(call: &Call<'_>, status: StatusCode, message: &str, param: &Value, code: &Value) -> Answer {
    reply::middleware(call, status).json(indented(&openai_body(message, param, code)))
}

/// Its body.
pub(crate) fn openai_body(message: &str, param: &Value, code: &Value) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})
}

/// OpenAI's 400: that cannot be done now.
pub(crate) fn refuse(call: &Call<'_>, message: &str) -> Answer {
    openai(call, StatusCode::BAD_REQUEST, message, &Value::Null, &Value::Null)
}

/// OpenAI's 400: a parameter is wrong.
pub(crate) fn invalid(call: &Call<'_>, message: &str, param: &str, code: &str) -> Answer {
    openai(call, StatusCode::BAD_REQUEST, message, &json!(param), &json!(code))
}

/// OpenAI's 400: a parameter is not there.
pub(crate) fn missing(call: &Call<'_>, param: &str) -> Answer {
    invalid(call, &format!("Missing required parameter: '{param}'."), param, "missing_required_parameter")
}

/// OpenAI's 404: nothing has this id.
pub(crate) fn no_such(call: &Call<'_>, message: &str) -> Answer {
    openai(call, StatusCode::NOT_FOUND, message, &Value::Null, &Value::Null)
}

/// The header set of a model that says 400 (A1.13, H3).
fn model_error(call: &Call<'_>) -> Answer {
    reply::api(call, StatusCode::BAD_REQUEST)
        .reason("model_error")
        .header("x-request-id", crate::entropy::uuid())
        .headers([
            ("azureml-model-session", "d20260330170902-0e618f323d34"),
            ("ms-azureml-model-error-reason", "model_error"),
            ("ms-azureml-model-error-statuscode", "400"),
            ("x-ms-rai-invoked", "true"),
            ("x-ratelimit-remaining-requests", "119"),
            ("x-ratelimit-remaining-tokens", "119986"),
        ])
}

/// A1.12, with all its headers.
fn rate_limited(call: &Call<'_>) -> Answer {
    reply::api(call, StatusCode::TOO_MANY_REQUESTS)
        .headers([
            ("retry-after", "2"),
            ("retry-after-ms", "2000"),
            ("x-ratelimit-limit-requests", "120"),
            ("x-ratelimit-limit-tokens", "120000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-requests", "2"),
            ("x-ratelimit-reset-tokens", "2"),
        ])
        .json(nested_error("429", RATE_LIMIT))
}

/// H3: Foundry's own, which says two things about when to come back.
fn rate_limited_by_foundry(call: &Call<'_>) -> Answer {
    let message = "Your requests to gpt-4o for gpt-4o in eastus2 have exceeded rate limit.";
    let body = json!({"error": {
        "code": "RateLimitReached", "message": message, "details": message,
    }});
    reply::api(call, StatusCode::TOO_MANY_REQUESTS)
        .headers([("content-type", "application/json; charset=utf-8"), ("retry-after", "1"), ("retry-after-ms", "0")])
        .chunked(body.to_string())
}

/// A1.14: the search service behind "On Your Data" refuses; `code` is a number.
fn on_your_data(call: &Call<'_>) -> Answer {
    let message = "Invalid AzureCognitiveSearch configuration detected: Call to get ACS index failed. Check you are using correct index, instance and api_key.\nAzure Search Error: 403, message='Server responded with status 403. Error message: {\"error\":{\"code\":\"\",\"message\":\"Authorization failed.\"}}'";
    let body = json!({"error": {"requestid": call.id, "code": 400, "message": message}});
    reply::api(call, StatusCode::BAD_REQUEST).json(body.to_string())
}

/// Answers by name.
pub(crate) fn on_demand(name: &str, call: &Call<'_>) -> Option<Answer> {
    let text = |status, body: String| reply::api(call, status).body("text/plain", body);
    let bad_request = |code, message| reply::bare(call, StatusCode::BAD_REQUEST).json(nested_error(code, message));
    let forbidden = |body: &'static str| reply::bare(call, StatusCode::FORBIDDEN).json(body);
    Some(match name {
        "A1.1" => wrong_key(call),
        "A1.2" | "A1.3" => bad_token(call),
        "A1.4" => keys_disabled(call),
        "A1.5" => permission_denied(call, ROLE_MISSING_OLD.to_owned()),
        "A1.5b" => {
            let operation = &OPERATIONS[0];
            let nobody = "00000000-0000-0000-0000-000000000000";
            role_missing(call, nobody, operation, operation.roots[0])
        }
        "A1.6" => unknown_deployment(call, UnknownDeployment::Current),
        "A1.6-2024" => unknown_deployment(call, UnknownDeployment::Until2024),
        "A1.7" => not_found(call),
        "A1.8" => version_not_supported(call),
        "A1.9" => bad_request(
            "BadRequest",
            "Please provide a custom subdomain for token authentication, otherwise API key is \
             required. (Please see https://aka.ms/cogsvc-authenticatewithtoken)",
        ),
        "A1.9-old" => reply::bare(call, StatusCode::BAD_REQUEST).json(NO_KEY_REGIONAL),
        "A1.10" => reply::bare(call, StatusCode::NOT_FOUND)
            .json(nested_error("ResourceNotFound", "Subdomain does not map to a resource")),
        "A1.11" => forbidden(FIREWALL).header("policy-id", "ThrowExceptionDueToTrafficDenied"),
        "A1.11b" => forbidden(PRIVATE),
        "A1.11c" => reply::bare(call, StatusCode::FORBIDDEN).json(nested_error(
            "403",
            "A Virtual Network is configured for this resource. Please use the correct endpoint \
             for making requests. Check https://aka.ms/cogsvc-vnet for more details.",
        )),
        "A1.12" => rate_limited(call),
        "A1.12-foundry" => rate_limited_by_foundry(call),
        "A1.13" => model_error(call).json(CONTENT_FILTER),
        "A1.14" => on_your_data(call),
        "408" => text(StatusCode::REQUEST_TIMEOUT, format!("upstream request timeout\n{TROUBLESHOOT}")),
        "413" => text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Failed to buffer the request body: length limit exceeded\n{TROUBLESHOOT}"),
        ),
        "500" => reply::api(call, StatusCode::INTERNAL_SERVER_ERROR).json(
            json!({"error": {
                "message": "An error occurred while getting the response from the model.",
                "details": "Failed to reconstruct non-streaming response",
            }})
            .to_string(),
        ),
        "503" => reply::api(call, StatusCode::SERVICE_UNAVAILABLE)
            .json(nested_error("503", "The service is temporarily unavailable.")),
        "503-html" => Answer::new(StatusCode::SERVICE_UNAVAILABLE)
            .body("text/html", "<html><body><h1>503 Service Unavailable</h1></body></html>"),
        _ => return None,
    })
}
