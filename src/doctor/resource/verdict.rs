//! What came of a probe, told: what it means for clients, what mends it, and with which commands.

use http::StatusCode;

use super::advice::{Advice, Principal};
use super::granted::Granted;
use super::meaning::Meaning;
use super::probe::Shows;
use super::{Finding, Status};
use crate::doctor::claims::Claims;
use crate::fault::{Cause, Complaint, Fault, Place};
use crate::plane::Plane;
use crate::settings::Resource;

/// What came of a probe.
pub(super) enum Outcome {
    /// None was sent, as is said here.
    NotTried(String),
    /// It was not answered, for this reason.
    Unanswered(String),
    /// It was.
    Answered(Answered),
}

/// An answer, and what it means.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) meaning: Meaning,
    /// What the token said that went with the probe.
    pub(super) claims: Option<Claims>,
}

/// What Azure says where somebody may not come in by the network.
const NETWORK: &str = "properties.[publicNetworkAccess, networkAcls, networkRuleSet]";

/// What came of the probe of an access, told; it depends on whether the resource is known to take tokens.
pub(super) fn finding(resource: &Resource, granted: &Granted, outcome: Outcome, takes_tokens: bool) -> Finding {
    let Answered { status, meaning, claims } = match outcome {
        Outcome::NotTried(why) => return Finding::new("access", Status::CannotTell, why),
        Outcome::Unanswered(why) => return Finding::new("access", Status::Wrong, why),
        Outcome::Answered(answered) => answered,
    };
    let found = |how, what: &str| Finding::new("access", how, format!("HTTP {}: {what}", status.as_u16()));
    match meaning {
        Meaning::LetIn(Shows::Access) => found(Status::Ok, "let in"),
        Meaning::LetIn(Shows::Looking) => found(Status::Ok, "let in, to look")
            .means("Whether it may change what is there, nothing harmless shows."),
        Meaning::LetIn(Shows::NoRefusal) => found(Status::CannotTell, "not refused for want of a role").means(
            "The request was to do nothing, and was refused for that; whether roles are looked at before that is not written \
             down.",
        ),
        Meaning::NoSuchDeployment => match &granted.target {
            None => found(Status::Ok, "let in"),
            Some(target) => found(Status::Note, &format!("let in, and there is no deployment '{target}', which a grant names"))
                .cure("Compare the deployments of the grants with those of the resource."),
        },
        Meaning::Fault(complaint) => {
            let fault = Fault { complaint, place: place(resource, granted) };
            let finding = found(Status::Wrong, &fault.to_string());
            mended(finding, resource, &fault, &Principal::of(claims.as_ref()), takes_tokens)
                .fact("audience", claims.as_ref().and_then(Claims::audience).filter(|_| fault.complaint.cause == Cause::Token))
                .fact("tenant", claims.as_ref().and_then(Claims::tenant).filter(|_| fault.complaint.cause == Cause::Token))
        }
        Meaning::Else { status, what, cure } => Finding { cure: cure.map(str::to_owned), ..found(status, &what) },
    }
}

fn place(resource: &Resource, granted: &Granted) -> Place {
    Place {
        plane: resource.plane,
        resource: resource.name.clone(),
        host: resource.endpoint.host().to_owned(),
        scope: resource.scope.clone(),
        identity: granted.identity.clone(),
        operation: (granted.family, granted.access),
    }
}

/// The finding with what mends the fault.
fn mended(finding: Finding, resource: &Resource, fault: &Fault, principal: &Principal, takes_tokens: bool) -> Finding {
    let Complaint { cause, said } = &fault.complaint;
    let advice = Advice::of(resource);
    let (commands, notes) = match cause {
        Cause::Role => {
            let mut commands = vec![advice.assign(fault.role(), principal)];
            // B1.6: Azure says nothing where a service takes keys alone, and nothing where a role is missing.
            if resource.plane == Plane::Search && said.is_empty() && !takes_tokens {
                commands.push(advice.take_tokens());
            }
            (commands, vec![principal.note(), advice.note()])
        }
        Cause::Subdomain => (vec![advice.give_subdomain()], vec![advice.note()]),
        Cause::Network => (vec![advice.show(NETWORK)], vec![advice.note()]),
        Cause::SawKey | Cause::WantsKey | Cause::Token => (Vec::new(), Vec::new()),
    };
    let words: Vec<_> = [fault.cure()].into_iter().chain(notes.into_iter().flatten().map(str::to_owned)).collect();
    Finding { commands, ..finding.cure(words.join(" ")) }
}
