//! Which step of the walk has said no.

use crate::refusal::{Failure, Refusal, Verdict};
use crate::request_line::Record;

/// The step by its name in the map (`src/lib.rs`); `upstream` is Azure itself.
pub(super) fn of(verdict: &Verdict, record: &Record) -> &'static str {
    match verdict {
        Verdict::Refused(refusal) => of_refusal(refusal, record),
        Verdict::Failed(failure) => of_failure(failure),
        Verdict::Preflight => "cors",
    }
}

/// What several steps may say is told apart by what the request had when it ended: each step leaves something behind.
fn of_refusal(refusal: &Refusal, record: &Record) -> &'static str {
    match refusal {
        Refusal::NotHttp | Refusal::UrlTooLong => "listen",
        Refusal::HeadTooLarge => {
            if record.method().is_none() {
                "listen"
            } else {
                "route"
            }
        }
        Refusal::OriginNotListed => "cors",
        Refusal::NoPlane | Refusal::Ambiguous(_) => {
            if record.route.is_none() {
                "route"
            } else {
                "authorize"
            }
        }
        Refusal::NoCredential | Refusal::UnknownKey(_) | Refusal::ClientToken | Refusal::AdminKeyInUrl => {
            "authenticate"
        }
        Refusal::NoTokensResource
        | Refusal::NoResource
        | Refusal::Misdirected
        | Refusal::ResourceNotGranted(_)
        | Refusal::OtherPlane(_)
        | Refusal::SeveralResources(_)
        | Refusal::NoFamily
        | Refusal::FamilyNotGranted(_)
        | Refusal::AccessNotGranted(..) => "authorize",
        Refusal::TargetNotGranted(_) => {
            if record.way.is_none() {
                "authorize"
            } else {
                "guard"
            }
        }
        Refusal::CameBack => "token",
        Refusal::ModelUnclear(_) => "guard",
    }
}

fn of_failure(failure: &Failure) -> &'static str {
    match failure {
        Failure::TokenRefused { .. } | Failure::TokenUnavailable { .. } => "token",
        Failure::Unreachable(_)
        | Failure::Loop
        | Failure::Overloaded
        | Failure::Lost
        | Failure::LostKept
        | Failure::TimedOut => "forward",
        Failure::Redirected | Failure::Fault(_) => "upstream",
    }
}
