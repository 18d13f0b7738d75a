//! What the answer to a probe means.
//!
//! What speaks of our credentials is judged by [`crate::rewrite`], as on the way of every request. Here is what becomes of
//! the rest, which a client would be shown: sources are the rows of azure-wire, A1 and B1.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http_body_util::{BodyExt, Collected, Full};
use serde_json::Value;

use super::Status;
use super::probe::Shows;
use crate::fault::Complaint;
use crate::plane::Plane;
use crate::rewrite::{Judgement, Said, judge};

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The identity was let in, and this was shown.
    LetIn(Shows),
    /// It was let in, if this was shown, and then refused for what it asked.
    RefusedAsMeant(Shows),
    /// It was let in; what the grant names is not there.
    NoSuchDeployment,
    /// Azure finds fault with our credentials.
    Fault(Complaint),
    /// Something else is said, or nothing can be told.
    Else { status: Status, what: String, cure: Option<&'static str> },
}

const CURE_OF_NO_RESOURCE: &str =
    "Compare the endpoint with what the portal shows: no resource has this name, or none has it yet.";

const CURE_OF_NO_INDEX: &str = "Compare the indexes of the grants with those of the service.";

const CURE_OF_REDIRECT: &str = "Tokens follow no redirect. If it leads to the resource, make that the endpoint.";

const CURE_OF_SERVICE: &str = "Whoever owns the service has to see to it in the portal.";

const CURE_OF_VERSION: &str = "See that the endpoint is the resource's own. If clients' requests pass, nothing is wrong: not every kind of \
                               resource has everything.";

const CURE_OF_OTHERS: &str = "No probe asks for that: see whether something on the way to the resource changes requests or answers \
                              them.";

const LATER: &str = "Try again later.";

/// What an answer means, which came to a probe of an access to this plane.
pub(super) async fn meaning(plane: Plane, shows: Shows, answer: Response<Full<Bytes>>) -> Meaning {
    match judge(plane, answer).await {
        Judgement::Pass(answer) => {
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            passed(plane, shows, &head, &body)
        }
        Judgement::PassTelling(_, complaint) | Judgement::BadToken(complaint) | Judgement::Complain(complaint) => {
            Meaning::Fault(complaint)
        }
        Judgement::Fail(_) => {
            let what = "the answer leads elsewhere".to_owned();
            Meaning::Else { status: Status::Wrong, what, cure: Some(CURE_OF_REDIRECT) }
        }
    }
}

/// What is the client's own affair, as far as the gateway is concerned.
fn passed(plane: Plane, shows: Shows, head: &Parts, body: &[u8]) -> Meaning {
    let Said { code, text } = Said::read(body);
    let other = |status, what: &str, cure| {
        let what = if text.is_empty() { what.to_owned() } else { format!("{what}: {text}") };
        Meaning::Else { status, what, cure: Some(cure) }
    };
    let unclear = |what: &str, cure| other(Status::CannotTell, what, cure);
    let status = head.status.as_u16();
    if matches!(status, 200..500) && is_page(head) {
        return unclear("a page, and no answer of Azure's", CURE_OF_OTHERS);
    }
    match (plane, status) {
        (_, 200..=299) => Meaning::LetIn(shows),
        (_, 429) => unclear("throttled, which says nothing of roles", LATER),
        (_, 408 | 500..) => unclear("Azure has trouble of its own", LATER),

        // A1.6, A1.10, A1.7, A1.8. Any other such error comes from behind the look at roles: of an object that nobody has,
        // of a request that says nothing.
        (Plane::OpenAi, 404) if code == "DeploymentNotFound" => Meaning::NoSuchDeployment,
        (Plane::OpenAi, 404) if text.starts_with("Subdomain does not map") => {
            other(Status::Wrong, "no resource has this name", CURE_OF_NO_RESOURCE)
        }
        (Plane::OpenAi, 404) if code == "404" => {
            unclear("the path or its api-version is not known there", CURE_OF_VERSION)
        }
        (Plane::OpenAi, 400) if text.starts_with("API version") => {
            unclear("the api-version is not known there", CURE_OF_VERSION)
        }
        (Plane::OpenAi, 400 | 404) if is_error(body) => Meaning::RefusedAsMeant(shows),
        (Plane::OpenAi, 403) => other(Status::Wrong, "refused, and not for want of a role", CURE_OF_OTHERS),

        // B1.11, B1.16.
        (Plane::Search, 400) if text.contains("api-version") => {
            unclear("the api-version is not known there", CURE_OF_VERSION)
        }
        (Plane::Search, 400) if text.ends_with("is disabled.") => {
            other(Status::Wrong, "the service is switched off", CURE_OF_SERVICE)
        }
        (Plane::Search, 400) if shows == Shows::NoRefusal && is_error(body) => Meaning::RefusedAsMeant(shows),
        // B1.9: whether roles are looked at before the index is, nobody has written down.
        (Plane::Search, 404) => unclear("there is no such index", CURE_OF_NO_INDEX),

        _ => unclear("an answer that says nothing of roles", CURE_OF_OTHERS),
    }
}

/// Whether it is something for a browser: a proxy's, or a login's.
fn is_page(head: &Parts) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// Whether it is an error as both planes have them.
fn is_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body["error"]["message"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_not_azure_lets_nobody_in() {
        for (status, kind, body) in [
            (200, "text/html", "<html>Please log in.</html>"),
            (404, "text/html; charset=utf-8", "<html>404</html>"),
            (404, "text/plain", "Not Found"),
            (400, "application/json", r#"{"detail":"Bad Request"}"#),
            (302, "text/html", ""),
        ] {
            let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
            let answer = answer.body(Full::from(body)).unwrap();
            let meaning = meaning(Plane::OpenAi, Shows::Access, answer).await;
            let expected = if status == 302 { Status::Wrong } else { Status::CannotTell };
            let is_expected = matches!(&meaning, Meaning::Else { status, .. } if *status == expected);
            assert!(is_expected, "{status} {kind}: {meaning:?}");
        }
    }
}
