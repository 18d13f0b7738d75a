//! Azure OpenAI's errors, in its own bytes (A1; H1 to H3 where they know better).

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, indented, nested_error};
use crate::exchange::Call;
use crate::openai::deployments::Deployment;
use crate::openai::operations::Operation;
use crate::openai::reply::{self, NO_SNIFF, STRICT_TRANSPORT};
use crate::options::UnknownDeployment;

const WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;
const KEYS_DISABLED: &str = r#"{"error":{"code":"AuthenticationTypeDisabled","message": "Key based authentication is disabled for this resource."}}"#;
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

/// A1.1: no header but the id.
pub(crate) fn wrong_key(call: &Call<'_>) -> Answer {
    key_refused(call, WRONG_KEY)
}

/// The layer that knows keys says no.
pub(super) fn key_refused(call: &Call<'_>, body: &'static str) -> Answer {
    Answer::new(StatusCode::UNAUTHORIZED)
        .reason("PermissionDenied")
        .header("apim-request-id", call.id.as_str())
        .json(body)
}

/// A1.2 and A1.3.
pub(crate) fn bad_token(call: &Call<'_>) -> Answer {
    bad_token_for(call, " (https://cognitiveservices.azure.com)")
}

/// The flat body and its six headers. What stands for the audience varies (A1.2b).
pub(crate) fn bad_token_for(call: &Call<'_>, audience: &str) -> Answer {
    let client_id = call.header("x-ms-client-request-id").unwrap_or("Not-Set");
    let message =
        format!("Unauthorized. Access token is missing, invalid, audience is incorrect{audience}, or have expired.");
    Answer::new(StatusCode::UNAUTHORIZED)
        .header("apim-request-id", call.id.as_str())
        .headers([STRICT_TRANSPORT, NO_SNIFF])
        .header("x-ms-client-request-id", client_id)
        .json(format!(r#"{{ "statusCode": 401, "message": "{message}" }}"#))
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

/// The layer that knows roles says no (A1.5).
pub(super) fn permission_denied(call: &Call<'_>, body: String) -> Answer {
    Answer::new(StatusCode::UNAUTHORIZED)
        .header("x-ms-client-request-id", reply::client_id(call))
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

/// OpenAI's 404, as Azure says it by itself: nothing has this id (oai-threads-net-06).
pub(crate) fn no_such(call: &Call<'_>, message: &str) -> Answer {
    let body = openai_body(message, &Value::Null, &Value::Null);
    reply::api(call, StatusCode::NOT_FOUND).json(indented(&body))
}

/// The header set of a model that says 400 (A1.13, H3).
pub(super) fn model_error(call: &Call<'_>) -> Answer {
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
