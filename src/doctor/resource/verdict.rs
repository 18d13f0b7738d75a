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
    /// None was sent, for this reason.
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

/// Tells what came of the probes of one resource.
pub(super) struct Verdicts<'r> {
    resource: &'r Resource,
    advice: Advice<'r>,
    /// Whether one of them was let in: then the resource takes tokens.
    takes_tokens: bool,
}

/// What decides who may come in by the network, on either plane.
const NETWORK: &str = "properties.[publicNetworkAccess, networkAcls, networkRuleSet]";

const CURE_OF_SILENCE: &str =
    "The way there was good a moment ago: see what lies on it that reads requests, and try again.";

impl<'r> Verdicts<'r> {
    pub(super) fn of<'o>(resource: &'r Resource, mut outcomes: impl Iterator<Item = &'o Outcome>) -> Self {
        let takes_tokens = outcomes.any(|outcome| match outcome {
            Outcome::Answered(Answered { meaning, .. }) => matches!(meaning, Meaning::LetIn(_)),
            Outcome::NotTried(_) | Outcome::Unanswered(_) => false,
        });
        Self { resource, advice: Advice::of(resource), takes_tokens }
    }

    /// What came of the probe of an access.
    pub(super) fn tell(&self, granted: &Granted, outcome: Outcome) -> Finding {
        let finding = match outcome {
            Outcome::NotTried(why) => Finding::new("access", Status::CannotTell, format!("not tried: {why}")),
            Outcome::Unanswered(why) => Finding::new("access", Status::Wrong, why).cure(CURE_OF_SILENCE),
            Outcome::Answered(answered) => self.tell_answered(granted, answered),
        };
        finding.of(granted.to_string())
    }

    fn tell_answered(&self, granted: &Granted, Answered { status, meaning, claims }: Answered) -> Finding {
        let found = |how, what: &str| Finding::new("access", how, format!("HTTP {}: {what}", status.as_u16()));
        match meaning {
            Meaning::LetIn(Shows::Access | Shows::NoRefusal) => found(Status::Ok, "let in"),
            Meaning::LetIn(Shows::Looking) | Meaning::RefusedAsMeant(Shows::Looking) => {
                found(Status::Ok, "let in, to look")
                    .means("Whether it may change what is there, nothing harmless shows.")
            }
            Meaning::RefusedAsMeant(Shows::Access) => found(Status::Ok, REFUSED_AS_MEANT),
            Meaning::RefusedAsMeant(Shows::NoRefusal) => {
                found(Status::CannotTell, "refused for what it asked, as was meant")
                    .means("Whether a missing role would have been told before that, nobody has written down.")
            }
            Meaning::NoSuchDeployment => match &granted.target {
                None => found(Status::Ok, REFUSED_AS_MEANT),
                Some(target) => {
                    let what = format!("let in, and there is no deployment '{target}', which a grant names");
                    let cure = "Compare the deployments of the grants with those of the resource.";
                    found(Status::Note, &what).cure(cure)
                }
            },
            Meaning::Fault(complaint) => {
                let fault = Fault { complaint, place: self.place(granted) };
                let finding = found(Status::Wrong, &fault.to_string());
                self.mended(finding, &fault, claims.as_ref())
            }
            Meaning::Else { status, what, cure } => Finding { cure: cure.map(str::to_owned), ..found(status, &what) },
        }
    }

    fn place(&self, granted: &Granted) -> Place {
        let Resource { name, plane, endpoint, scope, .. } = self.resource;
        Place {
            plane: *plane,
            resource: name.clone(),
            host: endpoint.host().to_owned(),
            scope: scope.clone(),
            identity: granted.identity.clone(),
            operation: (granted.family, granted.access),
        }
    }

    /// The finding with what mends its fault.
    fn mended(&self, finding: Finding, fault: &Fault, claims: Option<&Claims>) -> Finding {
        let Complaint { cause, said } = &fault.complaint;
        let principal = Principal::of(claims);
        let commands = match cause {
            Cause::Role => {
                let mut commands = vec![self.advice.assign(fault.role(), &principal)];
                // B1.6: Azure says nothing where a role is missing, and nothing where a service takes keys alone.
                if self.resource.plane == Plane::Search && said.is_empty() && !self.takes_tokens {
                    commands.push(self.advice.take_tokens());
                }
                commands
            }
            Cause::Subdomain => vec![self.advice.give_subdomain()],
            Cause::Network => vec![self.advice.show(NETWORK)],
            Cause::SawKey | Cause::WantsKey | Cause::Token => Vec::new(),
        };
        let words: Vec<_> = [fault.cure()].into_iter().chain(self.advice.note(&commands)).collect();
        let mut finding = finding.cure(words.join(" "));
        if *cause == Cause::Token {
            finding = finding
                .fact("audience", claims.and_then(Claims::audience))
                .fact("tenant", claims.and_then(Claims::tenant));
        }
        Finding { commands, ..finding }
    }
}

/// A request that could not be done, answered as one that came past the look at roles.
const REFUSED_AS_MEANT: &str = "let in, and refused for what it asked, as was meant";
