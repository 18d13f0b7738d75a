//! Entra's token endpoint, client credentials only (C1).
//!
//! `POST /{tenant}/oauth2/v2.0/token` with a client secret or a client assertion. Its errors are
//! written as Entra writes them, `\r\n` inside the description included. For clients built on
//! MSAL there is also `GET /{tenant}/v2.0/.well-known/openid-configuration`.

mod assertion;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::azure::Azure;
use crate::directory::{App, Directory, Flaw};
use crate::exchange::Call;
use crate::{clock, entropy, target};

/// What Entra answers on demand, by name.
pub(crate) const FAULTS: &[&str] = &[
    "wrong-secret",
    "expired-secret",
    "unknown-app",
    "disabled-app",
    "unknown-resource",
    "unknown-tenant",
    "invalid-scope",
    "expired-assertion",
    "unknown-assertion",
    "429",
    "500",
    "503",
    "html",
    "html-200",
    "empty-token",
    "blank-token",
    "opaque-token",
    "string-expiry",
    "absurd-expiry",
    "wrong-audience",
    "expired-token",
    "refresh-in",
];

/// The form of a token request.
struct Form {
    fields: Vec<(String, String)>,
}

/// One of Entra's errors, before it has its ids and its date.
struct Error {
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: String,
}

const TOKEN_PATH: &str = "/oauth2/v2.0/token";
const CONFIGURATION_PATH: &str = "/v2.0/.well-known/openid-configuration";

/// Answers a request to Entra.
pub(crate) fn answer(azure: &Azure, call: &Call<'_>) -> Answer {
    match tenant(call.path, CONFIGURATION_PATH) {
        Some(tenant) if call.method == Method::GET => configuration(call, tenant),
        _ => of_token(azure, call, Flaw::None, azure.options.refresh_in),
    }
}

fn of_token(azure: &Azure, call: &Call<'_>, flaw: Flaw, refresh_in: bool) -> Answer {
    token(azure, call, flaw, refresh_in).unwrap_or_else(Error::render)
}

/// Answers by name.
pub(crate) fn on_demand(azure: &Azure, name: &str, call: &Call<'_>) -> Option<Answer> {
    let form = Form::read(call);
    let client_id = form.get("client_id").unwrap_or_default();
    Some(match name {
        "wrong-secret" => Error::wrong_secret(client_id).render(),
        "expired-secret" => Error::expired_secret(client_id).render(),
        "unknown-app" => Error::unknown_app(client_id, &azure.directory.app.tenant).render(),
        "disabled-app" => Error::disabled_app(client_id).render(),
        "unknown-resource" => Error::unknown_resource("https://example.com", &azure.directory.app.tenant).render(),
        "unknown-tenant" => Error::unknown_tenant(&azure.directory.app.tenant).render(),
        "invalid-scope" => Error::invalid_scope(form.get("scope").unwrap_or_default()).render(),
        "expired-assertion" => Error::untimely().render(),
        "unknown-assertion" => Error::unknown_assertion().render(),
        "429" => Answer::new(StatusCode::TOO_MANY_REQUESTS)
            .header("retry-after", "60")
            .body("text/plain", "Too Many Requests"),
        "500" => Error {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            code: 90033,
            text: "A transient error has occurred. Please try again.".to_owned(),
        }
        .render(),
        "503" => Error {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "temporarily_unavailable",
            code: 90033,
            text: "A transient error has occurred. Please try again.".to_owned(),
        }
        .render(),
        "html" => Answer::new(StatusCode::SERVICE_UNAVAILABLE)
            .body("text/html", "<html><head><title>503</title></head><body>The service is unavailable.</body></html>"),
        // Not Entra's at all: what a captive portal or a proxy says in its place.
        "html-200" => Answer::new(StatusCode::OK).body(
            "text/html",
            "<html><head><title>Welcome</title></head><body>Accept the terms of use to go on.</body></html>",
        ),
        "empty-token" => ok(&json!({})),
        "blank-token" => ok(&json!({"token_type": "Bearer", "expires_in": 3599, "access_token": ""})),
        // Azure need not say what is in its tokens.
        "opaque-token" => ok(&json!({
            "token_type": "Bearer", "expires_in": 3599, "access_token": entropy::key(40),
        })),
        "string-expiry" => ok(&json!({
            "token_type": "Bearer", "expires_in": "3599", "access_token": entropy::key(40),
        })),
        "absurd-expiry" => ok(&json!({
            "token_type": "Bearer", "expires_in": i64::MAX, "ext_expires_in": i64::MAX, "access_token": entropy::key(40),
        })),
        "wrong-audience" => of_token(azure, call, Flaw::WrongAudience, azure.options.refresh_in),
        "expired-token" => of_token(azure, call, Flaw::Expired, azure.options.refresh_in),
        "refresh-in" => of_token(azure, call, Flaw::None, true),
        _ => return None,
    })
}

fn token(azure: &Azure, call: &Call<'_>, flaw: Flaw, refresh_in: bool) -> Result<Answer, Error> {
    let Some(tenant) = tenant(call.path, TOKEN_PATH).filter(|_| call.method == Method::POST) else {
        return Ok(Answer::new(StatusCode::NOT_FOUND));
    };
    if tenant != azure.directory.app.tenant {
        return Err(Error::unknown_tenant(tenant));
    }
    let form = Form::read(call);
    match form.required("grant_type")? {
        "client_credentials" => {}
        other => return Err(Error::unsupported_grant(other)),
    }
    let client_id = form.required("client_id")?;
    let app = azure.directory.app_with(client_id).ok_or_else(|| Error::unknown_app(client_id, tenant))?;
    let endpoint = format!("{}/{tenant}{TOKEN_PATH}", call.origin);
    let credential = authenticate(&azure.directory, &form, app, &endpoint)?;
    let resource = resource(form.required("scope")?, tenant)?;

    let issued = azure.directory.issue(&app.as_identity(), tenant, resource, flaw);
    let life = issued.life.as_secs();
    let mut body = json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life});
    if refresh_in {
        body["refresh_in"] = Value::from(life / 2);
    }
    body["access_token"] = Value::from(issued.token);
    call.record.note(|entry| {
        entry.principal = Some(app.object_id.clone());
        entry.credential = Some(credential);
        entry.completed = true;
    });
    Ok(ok(&body))
}

/// What MSAL wants to know before it asks for a token.
fn configuration(call: &Call<'_>, tenant: &str) -> Answer {
    let authority = format!("{}/{tenant}", call.origin);
    ok(&json!({
        "token_endpoint": format!("{authority}{TOKEN_PATH}"),
        "authorization_endpoint": format!("{authority}/oauth2/v2.0/authorize"),
        "issuer": format!("{authority}/v2.0"),
    }))
}

/// The tenant of a path that ends in `rest`.
fn tenant<'a>(path: &'a str, rest: &str) -> Option<&'a str> {
    let tenant = path.strip_prefix('/')?.strip_suffix(rest)?;
    (!tenant.is_empty() && !tenant.contains('/')).then_some(tenant)
}

/// What proved the application: its secret, or an assertion.
fn authenticate(directory: &Directory, form: &Form, app: &App, endpoint: &str) -> Result<&'static str, Error> {
    const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    if let Some(secret) = form.get("client_secret") {
        return if secret == app.secret { Ok("secret") } else { Err(Error::wrong_secret(&app.client_id)) };
    }
    let of_its_type = form.get("client_assertion_type") == Some(ASSERTION);
    let assertion = form.get("client_assertion").filter(|assertion| of_its_type && !assertion.is_empty());
    assertion::verify(directory, app, endpoint, assertion.ok_or_else(Error::no_secret)?)
}

/// The resource of a scope: what stands before the one allowed suffix.
fn resource<'a>(scope: &'a str, tenant: &str) -> Result<&'a str, Error> {
    let resource = scope.strip_suffix("/.default").ok_or_else(|| Error::scope_without_default(scope))?;
    if Directory::knows_resource(resource) { Ok(resource) } else { Err(Error::unknown_resource(resource, tenant)) }
}

fn ok(body: &Value) -> Answer {
    with_entra_headers(Answer::new(StatusCode::OK)).body("application/json; charset=utf-8", body.to_string())
}

fn with_entra_headers(answer: Answer) -> Answer {
    answer
        .headers([
            ("cache-control", "no-store, no-cache"),
            ("pragma", "no-cache"),
            ("expires", "-1"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
        ])
        .header("x-ms-request-id", entropy::uuid())
}

// === impl Form ===

impl Form {
    /// Reads the form, and notes that a token is asked for, whatever the answer will be.
    fn read(call: &Call<'_>) -> Self {
        let text = String::from_utf8_lossy(&call.body);
        let form = Self { fields: target::parameters(&text).collect() };
        call.record.note(|entry| {
            entry.operation = Some("token");
            entry.subject = form.get("scope").map(|scope| scope.trim_end_matches("/.default").to_owned());
        });
        form
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    fn required(&self, name: &str) -> Result<&str, Error> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Error::missing_field(name))
    }
}

// === impl Error ===

impl Error {
    fn bad_request(error: &'static str, code: u32, text: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, code, text }
    }

    fn unauthorized(code: u32, text: String) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code, text }
    }

    fn wrong_secret(client_id: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the \
             client secret value, not the client secret ID, for a secret added to app \
             '{client_id}'."
        );
        Self::unauthorized(7_000_215, text)
    }

    fn expired_secret(client_id: &str) -> Self {
        let text = format!(
            "The provided client secret keys for app '{client_id}' are expired. Visit the Azure \
             portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider \
             using certificate credentials for added security: https://aka.ms/certCreds."
        );
        Self::unauthorized(7_000_222, text)
    }

    fn no_secret() -> Self {
        let text = "The request body must contain the following parameter: 'client_assertion' or \
                    'client_secret'.";
        Self::unauthorized(7_000_218, text.to_owned())
    }

    fn unknown_app(client_id: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory \
             '{tenant}'. This can happen if the application has not been installed by the \
             administrator of the tenant or consented to by any user in the tenant. You may have \
             sent your authentication request to the wrong tenant."
        );
        Self::bad_request("unauthorized_client", 700_016, text)
    }

    fn disabled_app(client_id: &str) -> Self {
        let text = format!("Application '{client_id}'(azure-emulator) is disabled.");
        Self::bad_request("unauthorized_client", 7_000_112, text)
    }

    fn unknown_resource(resource: &str, tenant: &str) -> Self {
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. \
             This can happen if the application has not been installed by the administrator of \
             the tenant or consented to by any user in the tenant. You might have sent your \
             authentication request to the wrong tenant."
        );
        Self::bad_request("invalid_resource", 500_011, text)
    }

    fn invalid_scope(scope: &str) -> Self {
        let text = format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter \
             'scope' is not valid. The scope {scope} is not valid."
        );
        Self::bad_request("invalid_scope", 70_011, text)
    }

    fn unknown_assertion() -> Self {
        let text = "No matching federated identity record found for presented assertion.";
        Self::unauthorized(70_021, text.to_owned())
    }

    fn scope_without_default(scope: &str) -> Self {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have \
             a scope value with /.default suffixed to the resource identifier (application ID \
             URI)."
        );
        Self::bad_request("invalid_scope", 1_002_012, text)
    }

    fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and \
             are signing into the correct cloud. Check with your subscription administrator, this \
             may happen if there are no active subscriptions for the tenant."
        );
        Self::bad_request("invalid_request", 90_002, text)
    }

    fn unsupported_grant(grant: &str) -> Self {
        let text = format!("The app requested an unsupported grant type '{grant}'.");
        Self::bad_request("unsupported_grant_type", 70_003, text)
    }

    fn missing_field(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self::bad_request("invalid_request", 900_144, text)
    }

    fn render(self) -> Answer {
        let Self { status, error, code, text } = self;
        let (trace, correlation) = (entropy::uuid(), entropy::uuid());
        let timestamp = clock::entra_timestamp();
        let body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n\
                 Timestamp: {timestamp}"
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        with_entra_headers(Answer::new(status)).body("application/json; charset=utf-8", body.to_string())
    }
}
