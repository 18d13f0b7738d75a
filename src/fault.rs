//! What Azure finds wrong with *our* credentials, and what cures it: an upstream authentication fault.
//!
//! It is no affair of the client's, who can neither see nor mend it. So the words are for two: the client, who passes them
//! on ([`Fault::words`]), and the operator, who is told besides whose token it was ([`Fault::cure`], and its display).
//! Sources: azure-wire, A1, B1 and section F; the roles are those of B2 and, on OpenAI, of Azure's built-in definitions.

use std::fmt;
use std::sync::Arc;

use crate::family::Family;
use crate::plane::{Access, Plane};

/// An upstream authentication fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What Azure finds wrong.
    pub complaint: Complaint,
    /// Where.
    pub place: Place,
}

/// What Azure finds wrong, in our words and in its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What it comes to.
    pub cause: Cause,
    /// Azure's own text, fit for a line; empty where it had none.
    pub said: String,
}

/// What a complaint comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A key reached Azure, which takes none there (A1.4; B1.1). It cannot have come from us.
    SawKey,
    /// Azure speaks as to a wrong key (A1.1), though we sent a token and no key.
    WantsKey,
    /// Our token was not taken: expired, of another tenant, for another audience (A1.2; B1.4).
    Token,
    /// Our token was taken, and its identity lacks a role (A1.5; B1.6 to B1.8).
    Role,
    /// The resource has no custom subdomain, without which Azure takes no tokens (A1.9).
    Subdomain,
    /// Where we come from is not let in: a firewall, a private endpoint (A1.11). On Search, all other 403.
    Network,
}

/// What was asked for, where, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The resource's plane.
    pub plane: Plane,
    /// The resource's name in the settings.
    pub resource: Arc<str>,
    /// The host of its endpoint.
    pub host: String,
    /// The scope of the token.
    pub scope: Arc<str>,
    /// Whose token it was, by the name in the settings.
    pub identity: Arc<str>,
    /// The operation.
    pub operation: (Family, Access),
}

const CURE_OF_KEYS: &str = "If the request's body holds a key, put a managed identity in its place; if it holds none, something \
                            on the way to the resource adds one.";

const CURE_OF_ENDPOINT: &str = "The gateway's owner should see that the endpoint is the resource's own, and that nothing on \
                                the way to it adds a key.";

const CURE_OF_SUBDOMAIN: &str = "Its owner should give it one, and the gateway's endpoint should be that name: a regional \
                                 endpoint takes keys alone.";

const CURE_OF_NETWORK: &str = "Its owner should let the gateway's network through its firewall, or have the gateway reach \
                               it by its private endpoint.";

/// How Azure begins to name a principal without a role, in backticks (A1.5b).
const PRINCIPAL: &str = "The principal `";

/// The longest id of a principal, in bytes: a UUID's.
const LONGEST_ID: usize = 36;

/// The least of Azure's built-in roles that holds an operation (B2; on OpenAI, Azure's own definitions).
pub fn least_role(operation: (Family, Access)) -> &'static str {
    match operation {
        (Family::DocumentsRead, _) => "Search Index Data Reader",
        (Family::DocumentsWrite, _) => "Search Index Data Contributor",
        (Family::Manage, _) => "Search Service Contributor",
        (Family::Inference | Family::Realtime | Family::Responses | Family::Assistants, _) | (_, Access::Read) => {
            "Cognitive Services OpenAI User"
        }
        _ => "Cognitive Services OpenAI Contributor",
    }
}

/// Whether the first of two of these roles holds whatever the other does.
pub fn holds(role: &str, other: &str) -> bool {
    role == other
        || matches!(
            (role, other),
            ("Cognitive Services OpenAI Contributor", "Cognitive Services OpenAI User")
                | ("Search Index Data Contributor", "Search Index Data Reader")
        )
}

// === impl Fault ===

impl Fault {
    /// The stable word for it, in `x-keyswap-reason`, the log and the metrics.
    pub fn reason(&self) -> &'static str {
        match self.complaint.cause {
            Cause::SawKey => "upstream-saw-key",
            Cause::WantsKey | Cause::Token => "upstream-authentication",
            Cause::Role => "upstream-permission",
            Cause::Subdomain => "no-custom-subdomain",
            Cause::Network => "upstream-forbidden",
        }
    }

    /// What is wrong, and what cures it.
    pub fn remedy(&self) -> String {
        format!("{}. {}", self.trouble(), self.cure())
    }

    /// What the client is told: that, and what Azure said.
    pub fn words(&self) -> String {
        let said = match &*self.complaint.said {
            "" => "Azure gave no reason.".to_owned(),
            said => format!("Azure said: {said}"),
        };
        format!("{} {said}", self.remedy())
    }

    fn trouble(&self) -> String {
        let Place { resource, host, .. } = &self.place;
        let resource = format!("the resource '{resource}' ({host})");
        match self.complaint.cause {
            Cause::SawKey => format!("Azure refused a key on {resource}, and keyswap sent none"),
            Cause::WantsKey => {
                format!("Azure answered as to a wrong key on {resource}, though keyswap sent a Microsoft Entra token")
            }
            Cause::Token => {
                format!("Azure did not accept the Microsoft Entra token of keyswap's identity on {resource}")
            }
            Cause::Role => format!("keyswap's identity lacks a role on {resource}"),
            Cause::Subdomain => {
                format!("Azure takes no Microsoft Entra token on {resource}: it has no custom subdomain")
            }
            Cause::Network => format!("Azure refused keyswap's request on {resource}, and not for want of a role"),
        }
    }

    /// What whoever owns gateway and resource should do.
    pub fn cure(&self) -> String {
        match self.complaint.cause {
            Cause::SawKey => CURE_OF_KEYS.to_owned(),
            Cause::WantsKey => CURE_OF_ENDPOINT.to_owned(),
            Cause::Token => format!(
                "The gateway's owner should see that the identity is of the resource's tenant, and that the token's scope \
                 ({}) is for the audience that Azure wants.",
                self.place.scope
            ),
            Cause::Role if self.place.plane == Plane::Search => format!(
                "Its owner should assign '{}' to that identity there, and see that the service takes role-based access \
                 control at all. It takes effect within some ten minutes.",
                self.role()
            ),
            Cause::Role => format!(
                "Its owner should assign '{}' to that identity there. It takes effect within some ten minutes.",
                self.role()
            ),
            Cause::Subdomain => CURE_OF_SUBDOMAIN.to_owned(),
            Cause::Network => CURE_OF_NETWORK.to_owned(),
        }
    }

    /// The least of Azure's built-in roles that holds the operation.
    pub(crate) fn role(&self) -> &'static str {
        // Foundry's surfaces on the same account: Azure names a data action that is none of OpenAI's.
        let is_elsewhere = self.complaint.said.contains("data action `Microsoft.CognitiveServices/accounts/")
            && !self.complaint.said.contains("accounts/OpenAI/");
        if is_elsewhere { "Cognitive Services User" } else { least_role(self.place.operation) }
    }

    /// The object id of the identity, where Azure names it.
    pub fn principal(&self) -> Option<&str> {
        let (_, rest) = self.complaint.said.split_once(PRINCIPAL)?;
        let (id, _) = rest.split_once('`')?;
        let is_id = id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        is_id.then_some(id)
    }

    /// Whether one cure mends both.
    pub fn is_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.place, &other.place);
        self.complaint.cause == other.complaint.cause
            && (&ours.resource, &ours.identity) == (&theirs.resource, &theirs.identity)
            && (self.complaint.cause != Cause::Role || self.role() == other.role())
    }
}

impl fmt::Display for Fault {
    /// What the operator should know, in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.complaint.cause {
            Cause::SawKey => "the upstream says that a key reached it",
            Cause::WantsKey => "the upstream answers as to a wrong key",
            Cause::Token => "the upstream does not take our token",
            Cause::Role => "our identity lacks a role",
            Cause::Subdomain => "the resource has no custom subdomain",
            Cause::Network => "the upstream forbids",
        };
        match &*self.complaint.said {
            "" => f.write_str(what),
            said => write!(f, "{what}: {said}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(plane: Plane, operation: (Family, Access), said: &str) -> Fault {
        let place = Place {
            plane,
            resource: "contoso".into(),
            host: "contoso.example".to_owned(),
            scope: "https://example/.default".into(),
            identity: "app".into(),
            operation,
        };
        Fault { complaint: Complaint { cause: Cause::Role, said: said.to_owned() }, place }
    }

    #[test]
    fn the_role_is_the_least_that_holds_the_operation() {
        for (family, access, role) in [
            (Family::Inference, Access::Read, "Cognitive Services OpenAI User"),
            (Family::Assistants, Access::Write, "Cognitive Services OpenAI User"),
            (Family::Files, Access::Read, "Cognitive Services OpenAI User"),
            (Family::Files, Access::Write, "Cognitive Services OpenAI Contributor"),
            (Family::FineTuning, Access::Manage, "Cognitive Services OpenAI Contributor"),
            (Family::DocumentsRead, Access::Read, "Search Index Data Reader"),
            (Family::DocumentsWrite, Access::Write, "Search Index Data Contributor"),
            (Family::Manage, Access::Manage, "Search Service Contributor"),
        ] {
            assert_eq!(fault(family.plane(), (family, access), "").role(), role, "{family:?} {access:?}");
        }
        let chat = (Family::Inference, Access::Read);
        let of = |action: &str| {
            format!(
                "The principal `0-a` lacks the required data action `Microsoft.CognitiveServices/accounts/{action}`."
            )
        };
        assert_eq!(fault(Plane::OpenAi, chat, &of("MaaS/chat")).role(), "Cognitive Services User");
        assert_eq!(fault(Plane::OpenAi, chat, &of("OpenAI/chat")).role(), "Cognitive Services OpenAI User");
    }

    #[test]
    fn a_principal_is_what_looks_like_one() {
        let said = |id: &str| {
            let fault = fault(Plane::OpenAi, (Family::Inference, Access::Read), &format!("The principal `{id}` lacks"));
            fault.principal().map(str::to_owned)
        };
        let id = "00000000-0000-0000-0000-00000000000f";
        assert_eq!(said(id).as_deref(), Some(id));
        assert_eq!(said("somebody"), None);
        assert_eq!(said(&"0".repeat(37)), None);
    }

    #[test]
    fn faults_are_alike_if_one_cure_mends_both() {
        let query = fault(Plane::Search, (Family::DocumentsRead, Access::Read), "");
        let upload = fault(Plane::Search, (Family::DocumentsWrite, Access::Write), "");
        let mut another = query.clone();
        another.complaint.said = "Authorization failed.".to_owned();
        assert!(query.is_like(&another));
        assert!(!query.is_like(&upload));
        another.place.identity = "reader".into();
        assert!(!query.is_like(&another));
    }
}
