//! What somebody may ask about a request: which step said no, why, and what cures it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::refusal::{Circumstances, Failure, Refusal, UnknownKey, Verdict};
use crate::request_line::{Outcome, Record};

/// What was wrong with a request.
#[derive(Debug)]
pub(super) enum Trouble<'r> {
    /// It was answered by us.
    Verdict(Cow<'r, Verdict>),
    /// Its answer was Azure's, and broke off, for this reason.
    BrokeOff(Outcome),
}

impl<'r> Trouble<'r> {
    /// What was wrong, if anything was that is not its client's own doing.
    pub(super) fn of(record: &'r Record) -> Option<Self> {
        match (&record.verdict, &record.complaint, record.outcome) {
            (Some(Verdict::Preflight | Verdict::ClientGone), ..) => None,
            (Some(verdict), ..) => Some(Self::Verdict(Cow::Borrowed(verdict))),
            // The fault that it would be if its answer had not been passed.
            (None, Some(fault), _) => Some(Self::Verdict(Cow::Owned(Failure::Fault(fault.clone()).into()))),
            (None, None, outcome) => {
                let broke_off = matches!(outcome, Outcome::UpstreamBroke | Outcome::Revoked | Outcome::Idle);
                broke_off.then_some(Self::BrokeOff(outcome))
            }
        }
    }

    /// The step of the walk that said no, by its name in the map (`src/lib.rs`); `upstream` is Azure itself.
    pub(super) fn step(&self, record: &Record) -> &'static str {
        match self {
            Self::Verdict(verdict) => match &**verdict {
                Verdict::Refused(refusal) => of_refusal(refusal, record),
                Verdict::Failed(failure) => of_failure(failure),
                Verdict::Preflight => "cors",
                Verdict::ClientGone => "listen",
            },
            Self::BrokeOff(Outcome::Revoked) => "authenticate",
            Self::BrokeOff(Outcome::Idle) => "forward",
            Self::BrokeOff(_) => "upstream",
        }
    }

    /// The stable word for it: of an answer that broke off, how it ended.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Verdict(verdict) => verdict.reason(),
            Self::BrokeOff(outcome) => outcome.name(),
        }
    }

    /// What exactly was wrong.
    pub(super) fn why(&self) -> Cow<'static, str> {
        match self {
            Self::Verdict(verdict) => verdict.to_string().into(),
            Self::BrokeOff(Outcome::Revoked) => "its key was revoked, with cut, before its answer had ended".into(),
            Self::BrokeOff(Outcome::Idle) => "neither side said anything over the websocket for too long".into(),
            Self::BrokeOff(_) => "the upstream broke its answer off".into(),
        }
    }

    /// What cures it.
    pub(super) fn cure(&self, of: &Circumstances<'_>) -> Cow<'static, str> {
        match self {
            Self::Verdict(verdict) => verdict.cure(of).unwrap_or_default().into(),
            Self::BrokeOff(Outcome::Revoked) => {
                "Somebody has revoked that key with keyswap keys revoke --now. Have the \
                                                 client use another of its keys."
                    .into()
            }
            Self::BrokeOff(Outcome::Idle) => {
                "Raise websocket in [timeouts], or have the client send a ping now and then.".into()
            }
            Self::BrokeOff(_) => {
                "Azure, or something on the way, ended the connection, or Azure was silent for longer than \
                                  stream in [timeouts]. If it happens again and again, see what on the way ends \
                                  connections, and what Azure says of its own health."
                    .into()
            }
        }
    }

    /// Whose key it was and its id, where it was a key of ours at the wrong time: such a request has no caller.
    pub(super) fn untimely(&self) -> Option<(&Arc<str>, &Arc<str>)> {
        match self {
            Self::Verdict(verdict) => match &**verdict {
                Verdict::Refused(Refusal::UnknownKey(UnknownKey::NotNow(key))) => Some((&key.client, &key.id)),
                _ => None,
            },
            Self::BrokeOff(_) => None,
        }
    }
}

/// What several steps may say is told apart by what the request had when it ended: each step leaves something behind.
fn of_refusal(refusal: &Refusal, record: &Record) -> &'static str {
    match refusal {
        Refusal::NotHttp | Refusal::UrlTooLong | Refusal::SlowBody => "listen",
        Refusal::HeadTooLarge if record.method().is_none() => "listen",
        Refusal::NoPlane | Refusal::Ambiguous(_) | Refusal::HeadTooLarge if record.route.is_none() => "route",
        Refusal::OriginNotListed => "cors",
        Refusal::NoCredential | Refusal::UnknownKey(_) | Refusal::ClientToken | Refusal::AdminKeyInUrl => {
            "authenticate"
        }
        Refusal::CameBack => "token",
        Refusal::ModelUnclear(_) => "guard",
        Refusal::TargetNotGranted(_) if record.way.is_some() => "guard",
        Refusal::NoPlane
        | Refusal::Ambiguous(_)
        | Refusal::HeadTooLarge
        | Refusal::NoTokensResource
        | Refusal::NoResource
        | Refusal::Misdirected
        | Refusal::ResourceNotGranted(_)
        | Refusal::OtherPlane(_)
        | Refusal::SeveralResources(_)
        | Refusal::NoFamily
        | Refusal::FamilyNotGranted(_)
        | Refusal::AccessNotGranted(..)
        | Refusal::TargetNotGranted(_) => "authorize",
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
