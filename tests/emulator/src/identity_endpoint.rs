//! The two places that give a managed identity its token: App Service (C3) and IMDS (C2).
//!
//! Both speak plain HTTP, both write their numbers as strings, and they differ in everything
//! else.

use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::azure::Azure;
use crate::directory::{Directory, Flaw, Issued, ManagedIdentity};
use crate::exchange::Call;
use crate::{Plane, clock, entropy};

/// What the identity endpoints answer on demand, by name.
pub(crate) const FAULTS: &[&str] = &[
    "400",
    "404",
    "410",
    "429",
    "500",
    "503",
    "invalid-resource",
    "html",
    "empty-token",
    "blank-token",
    "number-expiry",
    "textual-expiry",
    "wrong-audience",
    "expired-token",
    "anothers-token",
];

/// Where the path of the App Service endpoint begins, as on a real machine.
pub(crate) const APP_SERVICE_PATH: &str = "/msi/token";

const IMDS_PATH: &str = "/metadata/identity/oauth2/token";

/// What a program finds in `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityEndpoint {
    /// `http://127.0.0.1:P/msi/token`
    pub url: String,
    /// The secret for `X-IDENTITY-HEADER`.
    pub header: String,
}

/// App Service, Functions and Container Apps: `expires_on` as a string, no `expires_in`.
pub(crate) fn app_service(azure: &Azure, call: &Call<'_>, flaw: Flaw) -> Answer {
    if call.path != APP_SERVICE_PATH || call.method != Method::GET {
        return Answer::new(StatusCode::NOT_FOUND);
    }
    if call.header("x-identity-header") != Some(&azure.options.identity_header) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized_client", "X-IDENTITY-HEADER is missing or wrong");
    }
    if call.parameter("api-version").as_deref() != Some("2019-08-01") {
        return error(StatusCode::BAD_REQUEST, "invalid_request", "The api-version must be 2019-08-01");
    }
    let (identity, issued, resource) = match grant(azure, call, &["principal_id", "object_id"], flaw) {
        Ok(granted) => granted,
        Err(refusal) => return refusal,
    };
    let body = json!({
        "access_token": issued.token,
        "expires_on": issued.expires_on.to_string(),
        "resource": resource,
        "token_type": "Bearer",
        "client_id": identity.client_id,
    });
    Answer::new(StatusCode::OK).json(body.to_string())
}

/// IMDS: every number is a string.
pub(crate) fn imds(azure: &Azure, call: &Call<'_>, flaw: Flaw) -> Answer {
    if call.path != IMDS_PATH || call.method != Method::GET {
        return Answer::new(StatusCode::NOT_FOUND);
    }
    let metadata = call.header("metadata").unwrap_or_default();
    if !metadata.eq_ignore_ascii_case("true") {
        return error(StatusCode::BAD_REQUEST, "invalid_request", "Required metadata header not specified");
    }
    if call.parameter("api-version").is_none() {
        return error(StatusCode::BAD_REQUEST, "invalid_request", "Required query variable 'api-version' is missing");
    }
    let (_, issued, resource) = match grant(azure, call, &["object_id"], flaw) {
        Ok(granted) => granted,
        Err(refusal) => return refusal,
    };
    let life = i64::try_from(issued.life.as_secs()).unwrap_or(i64::MAX);
    let body = json!({
        "access_token": issued.token,
        "refresh_token": "",
        "expires_in": life.to_string(),
        "expires_on": issued.expires_on.to_string(),
        "not_before": (issued.expires_on - life).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    Answer::new(StatusCode::OK).json(body.to_string())
}

/// Answers by name.
pub(crate) fn on_demand(azure: &Azure, plane: Plane, name: &str, call: &Call<'_>) -> Option<Answer> {
    let flawed = |flaw| if plane == Plane::Imds { imds(azure, call, flaw) } else { app_service(azure, call, flaw) };
    let odd = |token: &str, expires_on: Value| {
        Answer::new(StatusCode::OK).json(
            json!({"access_token": token, "expires_on": expires_on, "resource": "", "token_type": "Bearer"})
                .to_string(),
        )
    };
    let in_an_hour = clock::unix_seconds() + 3600;
    let status = match name {
        "invalid-resource" => {
            let text = "AADSTS500011: The resource principal was not found in the tenant.";
            return Some(error(StatusCode::BAD_REQUEST, "invalid_resource", text));
        }
        "html" => {
            return Some(
                Answer::new(StatusCode::BAD_GATEWAY).body("text/html", "<html><body>Bad Gateway</body></html>"),
            );
        }
        "empty-token" => return Some(Answer::new(StatusCode::OK).json("{}")),
        "blank-token" => return Some(odd("", Value::from(in_an_hour.to_string()))),
        "number-expiry" => return Some(odd(&entropy::key(40), Value::from(in_an_hour))),
        // The old form of App Service, 2017-09-01 (C3).
        "textual-expiry" => return Some(odd(&entropy::key(40), Value::from(clock::textual(in_an_hour)))),
        "wrong-audience" => return Some(flawed(Flaw::WrongAudience)),
        "expired-token" => return Some(flawed(Flaw::Expired)),
        "anothers-token" => {
            let (directory, resource) = (&azure.directory, call.parameter("resource").unwrap_or_default());
            let another = directory.reader_app.as_identity();
            let issued = directory.issue(&another, &directory.app.tenant, &resource, Flaw::None);
            return Some(odd(&issued.token, Value::from(issued.expires_on.to_string())));
        }
        "400" => StatusCode::BAD_REQUEST,
        "404" => StatusCode::NOT_FOUND,
        "410" => StatusCode::GONE,
        "429" => StatusCode::TOO_MANY_REQUESTS,
        "500" => StatusCode::INTERNAL_SERVER_ERROR,
        "503" => StatusCode::SERVICE_UNAVAILABLE,
        _ => return None,
    };
    let reason = status.canonical_reason().unwrap_or_default();
    Some(match status {
        StatusCode::BAD_REQUEST => error(status, "invalid_request", "Identity not found"),
        StatusCode::TOO_MANY_REQUESTS => error(status, "too_many_requests", reason),
        _ => error(status, "unknown", reason),
    })
}

/// The identity that is asked for, and its token. `object_ids` is what this endpoint calls the
/// parameter of that meaning.
fn grant(
    azure: &Azure,
    call: &Call<'_>,
    object_ids: &[&str],
    flaw: Flaw,
) -> Result<(ManagedIdentity, Issued, String), Answer> {
    call.record.note(|entry| entry.operation = Some("token"));
    let invalid = |code, text| Err(error(StatusCode::BAD_REQUEST, code, text));
    let Some(resource) = call.parameter("resource") else {
        return invalid("invalid_request", "Required query variable 'resource' is missing");
    };
    // Here a resource must come without the `/.default` of scopes (C1).
    if !Directory::knows_resource(&resource) {
        return invalid("invalid_resource", "The resource principal was not found in the tenant");
    }
    let parameters = ["client_id", "msi_res_id", "mi_res_id"];
    let name = parameters.iter().chain(object_ids).find_map(|parameter| call.parameter(parameter));
    let Some(identity) = azure.directory.identity_named(name.as_deref()) else {
        return invalid("invalid_request", "Identity not found");
    };
    let tenant = &azure.directory.app.tenant;
    let issued = azure.directory.issue(&identity, tenant, &resource, flaw);
    call.record.note(|entry| {
        entry.subject = Some(resource.clone());
        entry.principal = Some(identity.object_id.clone());
        entry.completed = true;
    });
    Ok((identity, issued, resource))
}

fn error(status: StatusCode, code: &str, text: &str) -> Answer {
    let body = json!({"error": code, "error_description": text});
    Answer::new(status).json(body.to_string())
}
