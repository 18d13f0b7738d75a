//! What the answer to a probe means.
//!
//! What speaks of our credentials is judged by [`crate::rewrite`], as on the way of every request. Here is what becomes of
//! the rest, which a client would be shown: sources are the rows of azure-wire, A1 and B1.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};

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
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            passed(plane, shows, head.status, &Said::read(&body))
        }
        Judgement::PassTelling(_, complaint) | Judgement::BadToken(complaint) | Judgement::Complain(complaint) => {
            Meaning::Fault(complaint)
        }
        Judgement::Fail(_) => {
            let what = "the answer leads elsewhere, or broke off".to_owned();
            Meaning::Else { status: Status::Wrong, what, cure: Some(CURE_OF_REDIRECT) }
        }
    }
}

/// What is the client's own affair, as far as the gateway is concerned.
fn passed(plane: Plane, shows: Shows, status: StatusCode, said: &Said) -> Meaning {
    let Said { code, text } = said;
    let other = |status, what: &str, cure| {
        let what = if text.is_empty() { what.to_owned() } else { format!("{what}: {text}") };
        Meaning::Else { status, what, cure }
    };
    let unclear = |what: &str, cure| other(Status::CannotTell, what, cure);
    if status.is_success() {
        return Meaning::LetIn(shows);
    }
    match (plane, status.as_u16()) {
        (_, 429) => unclear("throttled, which says nothing of roles", Some(LATER)),
        (_, 408 | 500..) => unclear("Azure has trouble of its own", Some(LATER)),

        // A1.6, A1.10, A1.7; any other 404 is about an object that nobody has.
        (Plane::OpenAi, 404) if code == "DeploymentNotFound" => Meaning::NoSuchDeployment,
        (Plane::OpenAi, 404) if text.starts_with("Subdomain does not map") => {
            other(Status::Wrong, "no resource has this name", Some(CURE_OF_NO_RESOURCE))
        }
        (Plane::OpenAi, 404) if code == "404" => {
            unclear("the path or its api-version is not known there", Some(CURE_OF_VERSION))
        }
        // A1.8.
        (Plane::OpenAi, 400) if text.starts_with("API version") => {
            unclear("the api-version is not known there", Some(CURE_OF_VERSION))
        }
        (Plane::OpenAi, 400 | 404) => Meaning::LetIn(shows),
        (Plane::OpenAi, 403) => other(Status::Wrong, "refused, and not for want of a role", Some(CURE_OF_OTHERS)),

        // B1.11, B1.16.
        (Plane::Search, 400) if text.contains("api-version") => {
            unclear("the api-version is not known there", Some(CURE_OF_VERSION))
        }
        (Plane::Search, 400) if text.ends_with("is disabled.") => {
            other(Status::Wrong, "the service is switched off", Some(CURE_OF_SERVICE))
        }
        (Plane::Search, 400) if shows == Shows::NoRefusal => Meaning::LetIn(shows),
        // B1.9: whether roles are looked at before the index is, nobody has written down.
        (Plane::Search, 404) => unclear("there is no such index", Some(CURE_OF_NO_INDEX)),

        _ => unclear("an answer that says nothing of roles", Some(CURE_OF_OTHERS)),
    }
}
