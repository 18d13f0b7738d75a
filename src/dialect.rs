//! The words in which each plane says no: the only place that knows the bytes of an answer of ours.
//!
//! Where Azure has bytes for a case, they are exactly those. Where it has none, the answer is the JSON that every
//! SDK shows to its user, and its text says what to do. The rules behind the table (all measured with the SDKs):
//! `error` is always an object with a string `code` and a text `message`; no `Retry-After` unless a retry helps,
//! since azure-core retries any status that has one; no 409, which openai 0.28 repeats without end; no 503 towards
//! OpenAI clients where the text matters, since 0.28 replaces it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;
use serde::Serialize;
use uuid::Uuid;

use crate::fault::{Cause, Fault};
use crate::plane::Plane;
use crate::refusal::{Failure, Refusal, Verdict};

/// Names the request in every answer; the log has the same.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-keyswap-request-id");

/// Names the upstream's answer that ours stands for, as the upstream does: Azure's support asks for it.
pub const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-keyswap-upstream-request-id");

/// Says why the answer is ours and not the upstream's.
pub const REASON: HeaderName = HeaderName::from_static("x-keyswap-reason");

/// What Azure OpenAI says to a wrong key (azure-wire, A1.1).
pub const OPENAI_WRONG_KEY: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}"#;

/// What Azure AI Search says to a wrong key, and to a query key on an admin's operation (azure-wire, B1.1).
pub const SEARCH_WRONG_KEY: &str = r#"{"error":{"code":"","message":"The given API key doesn't match service's internal, primary or secondary keys."}}"#;

/// The reason phrase that goes with [`OPENAI_WRONG_KEY`] over HTTP/1.1 (azure-wire, A1.1).
const WRONG_KEY_PHRASE: ReasonPhrase = ReasonPhrase::from_static(b"PermissionDenied");

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What an answer needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The plane, as far as it can be told.
    pub plane: Option<Plane>,
    /// Our own id of the request.
    pub id: &'r HeaderValue,
    /// The client's `x-ms-client-request-id`: Search gives it back as its own id (azure-wire, H17).
    pub client_id: Option<&'r HeaderValue>,
    /// The upstream's own id of the request, if it has answered.
    pub upstream_id: Option<&'r HeaderValue>,
}

/// What a verdict comes to on the wire.
#[derive(Debug, PartialEq, Eq)]
enum Words {
    /// No words are needed.
    None,
    /// Azure's own bytes.
    Azures(StatusCode, &'static str),
    /// Words of ours: Azure has none.
    Ours { status: StatusCode, code: &'static str, message: String, retry: Retry },
}

/// What a client should think of trying again.
#[derive(Debug, PartialEq, Eq)]
enum Retry {
    /// It may help soon: `Retry-After`.
    Soon,
    /// It will not help: `x-should-retry: false`.
    Never,
    /// The client knows best.
    Unsaid,
}

/// The body of an answer in our own words; members in the order that azure-wire, D7, gives them.
#[derive(Serialize)]
struct Envelope<'m> {
    error: Body<'m>,
}

#[derive(Serialize)]
struct Body<'m> {
    code: &'m str,
    message: &'m str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<Null>,
}

/// `null`, where it is said at all.
type Null = Option<()>;

/// A new id for a request.
pub(crate) fn new_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    // Hexadecimal digits and hyphens make a header.
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("none"))
}

/// Renders a verdict in the plane's own dialect.
pub fn render(verdict: &Verdict, asked: Asked<'_>) -> Response<Bytes> {
    let words = match verdict {
        Verdict::Refused(refusal) => refused(refusal, asked.plane),
        Verdict::Failed(failure) => failed(failure, asked.plane),
        Verdict::Preflight => Words::None,
        Verdict::ClientGone => {
            ours(StatusCode::BAD_REQUEST, "BadRequest", "The body of the request broke off.".to_owned())
        }
    };
    let mut response = match words {
        Words::None => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Words::Azures(status, body) => {
            let mut response = Response::new(Bytes::from_static(body.as_bytes()));
            *response.status_mut() = status;
            if status == StatusCode::UNAUTHORIZED {
                response.extensions_mut().insert(WRONG_KEY_PHRASE);
            }
            response
        }
        Words::Ours { status, code, message, retry } => {
            let mut response = Response::new(envelope(asked.plane, status, code, &message));
            *response.status_mut() = status;
            let headers = response.headers_mut();
            headers.insert("x-request-id", asked.id.clone());
            match retry {
                Retry::Soon => headers.insert(RETRY_AFTER, HeaderValue::from_static("2")),
                Retry::Never => headers.insert(SHOULD_RETRY, HeaderValue::from_static("false")),
                Retry::Unsaid => None,
            };
            response
        }
    };
    let headers = response.headers_mut();
    if *verdict != Verdict::Preflight {
        headers.insert(CONTENT_TYPE, content_type(asked.plane));
    }
    let (name, id) = match asked.plane {
        Some(Plane::Search) => ("request-id", asked.client_id.unwrap_or(asked.id)),
        Some(Plane::OpenAi) | None => ("apim-request-id", asked.id),
    };
    headers.insert(name, id.clone());
    headers.insert(REQUEST_ID, asked.id.clone());
    if let Some(id) = asked.upstream_id {
        headers.insert(UPSTREAM_REQUEST_ID, id.clone());
    }
    headers.insert(REASON, HeaderValue::from_static(verdict.reason()));
    response
}

fn content_type(plane: Option<Plane>) -> HeaderValue {
    HeaderValue::from_static(match plane {
        Some(Plane::Search) => "application/json; charset=utf-8",
        Some(Plane::OpenAi) | None => "application/json",
    })
}

/// The body of an answer in our own words.
fn envelope(plane: Option<Plane>, status: StatusCode, code: &str, message: &str) -> Bytes {
    // `type` and `param` are words of the OpenAI plane alone.
    let openai = plane != Some(Plane::Search);
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let body = Body { code, message, kind: openai.then_some(kind), param: openai.then_some(None) };
    serde_json::to_vec(&Envelope { error: body }).unwrap_or_default().into()
}

/// The table of refusals.
fn refused(refusal: &Refusal, plane: Option<Plane>) -> Words {
    let search = plane == Some(Plane::Search);
    let wrong_key = if search {
        Words::Azures(StatusCode::FORBIDDEN, SEARCH_WRONG_KEY)
    } else {
        Words::Azures(StatusCode::UNAUTHORIZED, OPENAI_WRONG_KEY)
    };
    let forbidden =
        |message: String| ours(StatusCode::FORBIDDEN, if search { "" } else { "PermissionDenied" }, message);
    match refusal {
        // A key that is good elsewhere is as wrong here as any: Azure says the same to it.
        Refusal::NoCredential | Refusal::UnknownKey(_) | Refusal::NoResource | Refusal::ResourceNotGranted(_) => {
            wrong_key
        }
        // Azure's word for a query key that wants to write.
        Refusal::FamilyNotGranted(_) | Refusal::AccessNotGranted(..) | Refusal::NoFamily if search => wrong_key,
        Refusal::NotHttp => ours(StatusCode::BAD_REQUEST, "BadRequest", "The request is not valid HTTP.".to_owned()),
        Refusal::HeadTooLarge => ours(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "RequestHeaderFieldsTooLarge",
            "The head of the request is too large: 64 KiB and 200 fields are the limit.".to_owned(),
        ),
        Refusal::UrlTooLong => {
            ours(StatusCode::URI_TOO_LONG, "UriTooLong", "The URL of the request is too long.".to_owned())
        }
        Refusal::OriginNotListed => forbidden(
            "This gateway is not told to answer web pages of this origin. Its owner can list the origin in cors.origins."
                .to_owned(),
        ),
        Refusal::NoPlane => ours(
            StatusCode::NOT_FOUND,
            "404",
            "Resource not found: keyswap serves the paths of Azure OpenAI (/openai, /models, /anthropic, /api) and of \
             Azure AI Search (/indexes, /indexers, ...). Check the endpoint that the client was given."
                .to_owned(),
        ),
        Refusal::Ambiguous(what) => {
            ours(StatusCode::BAD_REQUEST, "BadRequest", format!("keyswap does not forward this request: {what}."))
        }
        Refusal::Misdirected => ours(
            StatusCode::MISDIRECTED_REQUEST,
            "MisdirectedRequest",
            "keyswap does not forward this request: its connection was made for one resource, and its Host header names \
             another. Use a connection for each."
                .to_owned(),
        ),
        Refusal::CameBack => never(StatusCode::LOOP_DETECTED, LOOP_CODE, LOOP.to_owned()),
        Refusal::ClientToken => {
            let status = if search { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
            let code = if search { "" } else { "401" };
            let message = "This gateway takes api-keys, and the request brought a Microsoft Entra token. Configure the \
                           client with a key, or let it call Azure directly.";
            ours(status, code, message.to_owned())
        }
        Refusal::AdminKeyInUrl => {
            ours(StatusCode::FORBIDDEN, "", "The given API key is not permitted in the URI query string.".to_owned())
        }
        Refusal::SeveralResources(names) => {
            let first = names.first().map_or("", |name| name);
            ours(
                StatusCode::BAD_REQUEST,
                "BadRequest",
                format!(
                    "This key may use several resources here ({}), and the request names none. Call keyswap by the \
                     host name of one, or put its name before the path: https://.../{first}/...",
                    names.join(", ")
                ),
            )
        }
        Refusal::NoTokensResource => ours(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "This gateway passes Microsoft Entra tokens on, and the request names no resource to pass its own to. Call \
             keyswap by the host name of one, or put its name before the path."
                .to_owned(),
        ),
        Refusal::OtherPlane(name) => {
            let (path, resource) =
                if search { ("Azure AI Search", "Azure OpenAI") } else { ("Azure OpenAI", "Azure AI Search") };
            ours(
                StatusCode::NOT_FOUND,
                if search { "" } else { "404" },
                format!(
                    "Resource not found: the path is one of {path}, and '{name}' is {resource}. Check the endpoint that \
                     the client was given."
                ),
            )
        }
        Refusal::NoFamily => forbidden(
            "keyswap does not know this operation, and so no key can be granted it. Newer versions may know it."
                .to_owned(),
        ),
        Refusal::FamilyNotGranted(family) => forbidden(format!(
            "This key may not use {} operations. Ask the gateway's owner to grant '{}'.",
            family.name(),
            family.name()
        )),
        Refusal::AccessNotGranted(family, access) => forbidden(format!(
            "This key may use {} operations, but none that {}. Ask the gateway's owner to grant '{}'.",
            family.name(),
            access.name(),
            access.name()
        )),
        Refusal::TargetNotGranted(Some(target)) => {
            let what = if search { "index" } else { "deployment" };
            forbidden(format!("This key may not use the {what} '{target}'. Ask the gateway's owner to grant it."))
        }
        Refusal::TargetNotGranted(None) => {
            let what = if search { "indexes" } else { "deployments" };
            forbidden(format!(
                "This key may use some {what} only, and this operation cannot be limited to them. Ask the gateway's \
                 owner for a key that is granted every one."
            ))
        }
        Refusal::ModelUnclear(what) => ours(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            format!(
                "This key may use some deployments only, and keyswap cannot tell which one this request wants: {what}."
            ),
        ),
        Refusal::SlowBody => Words::Ours {
            status: StatusCode::REQUEST_TIMEOUT,
            code: "RequestTimeout",
            message: "The client sent nothing more of the request's body for too long.".to_owned(),
            retry: Retry::Unsaid,
        },
    }
}

const LOOP_CODE: &str = "LoopDetected";

/// What is said where we would call ourselves, or have done so.
const LOOP: &str = "The host name of this resource leads back to keyswap itself. The gateway's owner must tell it the \
                    resource's real address, or the name server to ask.";

const OVERLOADED: &str = "keyswap has as many connections to this resource as it may have. Try again.";

/// The table of failures: azure-wire, section F.
fn failed(failure: &Failure, plane: Option<Plane>) -> Words {
    let search = plane == Some(Plane::Search);
    match failure {
        Failure::TokenRefused { code, .. } => never(
            StatusCode::INTERNAL_SERVER_ERROR,
            "GatewayTokenUnavailable",
            format!(
                "keyswap could not get a Microsoft Entra token for its own identity{}. The gateway's owner must mend \
                 its configuration.",
                code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
            ),
        ),
        Failure::TokenUnavailable { .. } => soon(
            "GatewayTokenUnavailable",
            "keyswap has no valid Microsoft Entra token at the moment and is trying to get one. Try again.",
        ),
        // azure-core repeats a POST on 500, 503 and 504 alone; openai 0.28 hides every text behind a 503.
        Failure::Unreachable(_) if search => {
            soon("UpstreamUnreachable", "keyswap cannot reach Azure AI Search. Try again.")
        }
        Failure::Unreachable(_) => {
            ours(StatusCode::BAD_GATEWAY, "UpstreamUnreachable", "keyswap cannot reach Azure OpenAI. Try again.".into())
        }
        Failure::Loop => never(StatusCode::LOOP_DETECTED, LOOP_CODE, LOOP.to_owned()),
        Failure::Overloaded if search => soon("Overloaded", OVERLOADED),
        Failure::Overloaded => ours(StatusCode::BAD_GATEWAY, "Overloaded", OVERLOADED.into()),
        Failure::Lost | Failure::LostKept => ours(
            StatusCode::BAD_GATEWAY,
            "UpstreamConnectionLost",
            "The connection to Azure was lost after the request had been sent; it may have been carried out.".into(),
        ),
        Failure::TimedOut => {
            ours(StatusCode::GATEWAY_TIMEOUT, "UpstreamTimeout", "Azure did not answer in time.".into())
        }
        Failure::Redirected => never(
            StatusCode::BAD_GATEWAY,
            "UpstreamRedirect",
            "Azure sends the client elsewhere, and keyswap does not pass that on: the client would take its key along. The \
             gateway's owner should see that the endpoint is the resource's own."
                .to_owned(),
        ),
        Failure::Fault(fault) => at_fault(fault),
    }
}

/// An upstream authentication fault: never the client's, and nothing that another try would mend. A 401, or Search's words
/// for a wrong key, would have its owner change the key for nothing.
fn at_fault(fault: &Fault) -> Words {
    let (status, code) = match fault.complaint.cause {
        Cause::SawKey => (StatusCode::BAD_GATEWAY, "UpstreamKeyRejected"),
        Cause::WantsKey | Cause::Token => (StatusCode::BAD_GATEWAY, "UpstreamAuthenticationFailed"),
        Cause::Role => (StatusCode::FORBIDDEN, "UpstreamPermissionDenied"),
        Cause::Subdomain => (StatusCode::BAD_GATEWAY, "UpstreamConfiguration"),
        Cause::Network => (StatusCode::FORBIDDEN, "UpstreamForbidden"),
    };
    never(status, code, fault.words())
}

fn ours(status: StatusCode, code: &'static str, message: String) -> Words {
    // Whatever we refuse is refused again; what broke may be whole the next time.
    let retry = if status.is_client_error() { Retry::Never } else { Retry::Unsaid };
    Words::Ours { status, code, message, retry }
}

fn never(status: StatusCode, code: &'static str, message: String) -> Words {
    Words::Ours { status, code, message, retry: Retry::Never }
}

fn soon(code: &'static str, message: &str) -> Words {
    let message = message.to_owned();
    Words::Ours { status: StatusCode::SERVICE_UNAVAILABLE, code, message, retry: Retry::Soon }
}
