//! Where a managed identity gets no token: by where keyswap runs.

use super::Remedy;
use crate::doctor::shell::word;
use crate::settings::UserAssigned;
use crate::token::{Denial, Purpose, Seen};

/// Where keyswap runs, as its environment tells.
enum Host {
    /// App Service, with the site's name.
    Site(String),
    /// Functions.
    Function(String),
    /// Container Apps.
    ContainerApp(String),
    /// Some other place with an identity endpoint.
    Endpoint,
    /// A machine, a scale set, or nothing of Azure's: only IMDS knows.
    Machine,
}

/// What IMDS calls the machine that it is on.
const OWN_ID: &str = "$(curl -s --noproxy '*' -H Metadata:true \
                      'http://169.254.169.254/metadata/instance/compute/resourceId?api-version=2021-02-01&format=text')";

pub(super) fn remedy(user_assigned: Option<&UserAssigned>, purpose: &Purpose, denial: &Denial, seen: &Seen) -> Remedy {
    let host = Host::here();
    if let Some(ailment) = seen.ailment() {
        return Remedy::new(ailment.means(), ailment.cure());
    }
    let cure = denial.cure.unwrap_or("name another kind of identity");
    match (seen, &host) {
        (Seen::NoAnswer(_), Host::Machine) => {
            Remedy::new("nobody gives tokens to this machine, or keyswap is kept from whoever does", cure).with([
                "curl -sv --noproxy '*' --max-time 3 -H Metadata:true \
                 'http://169.254.169.254/metadata/instance?api-version=2021-02-01' --output /dev/null"
                    .to_owned(),
            ])
        }
        (Seen::NoAnswer(_), _) => Remedy::new(
            "nobody is at the address that IDENTITY_ENDPOINT names",
            "see that keyswap has the environment of this very container, and that an identity is assigned to it",
        )
        .with(host.assign(user_assigned)),
        (Seen::Answer { status: 400, .. }, _) => {
            let whose = if user_assigned.is_some() { "that identity" } else { "an identity of its own" };
            Remedy::new(
                format!("this {} does not have {whose}", host.named()),
                cure,
            )
            .with(host.assign(user_assigned))
        }
        (Seen::Answer { status: 401 | 403, .. }, _) => Remedy::new(
            "the identity endpoint takes no questions from here",
            "see that IDENTITY_ENDPOINT and IDENTITY_HEADER are those of this very process, and not handed on",
        ),
        (Seen::Answer { status: 404, .. }, Host::Machine) => Remedy::new(
            "whoever is at 169.254.169.254 knows no managed identities: this may be no machine of Azure's, or it has none",
            cure,
        )
        .with(host.assign(user_assigned)),
        (Seen::Answer { status: 410, .. }, _) => {
            Remedy::new("the machine's identity service is being renewed", "try again in a minute")
        }
        (Seen::Answer { status: 429, .. }, _) => {
            Remedy::new("too many on this machine ask for tokens at once", "try again in a minute")
        }
        (Seen::Answer { status: 200, .. }, _) => Remedy::new(
            "whoever answers there gives no token as Azure does",
            "see what stands at that address; no proxy may be between",
        ),
        (Seen::Answer { .. }, _) => Remedy::new(
            format!("this {}'s identity service is in trouble", host.named()),
            "try again; if it stays so, restart it, and see Azure's service health",
        ),
        _ => Remedy::new(
            format!("no token for {} can be asked for here", purpose.scope),
            cure,
        ),
    }
}

impl Host {
    fn here() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(name) = variable("CONTAINER_APP_NAME") {
            return Self::ContainerApp(name);
        }
        match variable("WEBSITE_SITE_NAME") {
            Some(name) if variable("FUNCTIONS_EXTENSION_VERSION").is_some() => Self::Function(name),
            Some(name) => Self::Site(name),
            None if variable("IDENTITY_ENDPOINT").is_some() => Self::Endpoint,
            None => Self::Machine,
        }
    }

    fn named(&self) -> &'static str {
        match self {
            Self::Site(_) => "web app",
            Self::Function(_) => "function app",
            Self::ContainerApp(_) => "container app",
            Self::Endpoint => "place",
            Self::Machine => "machine",
        }
    }

    /// The command that assigns an identity to it.
    fn assign(&self, user_assigned: Option<&UserAssigned>) -> Vec<String> {
        let identity = user_assigned.map(|id| {
            let (field, id) = match id {
                UserAssigned::ClientId(id) => ("clientId", id),
                UserAssigned::ObjectId(id) => ("principalId", id),
            };
            let query = word(&format!("[?{field}=='{id}'].id"));
            format!("\"$(az identity list --query {query} --output tsv)\"")
        });
        let of_site = |kind: &str, name: &str| {
            let query = word(&format!("[?name=='{name}'].resourceGroup"));
            let group = format!("\"$(az {kind} list --query {query} --output tsv)\"");
            format!("az {kind} identity assign --name {} --resource-group {group}", word(name))
        };
        let (command, flag) = match self {
            Self::Site(name) => (of_site("webapp", name), "--identities"),
            Self::Function(name) => (of_site("functionapp", name), "--identities"),
            Self::ContainerApp(name) if identity.is_none() => {
                return vec![format!("{} --system-assigned", of_site("containerapp", name))];
            }
            Self::ContainerApp(name) => (of_site("containerapp", name), "--user-assigned"),
            Self::Machine => (format!("az vm identity assign --ids \"{OWN_ID}\""), "--identities"),
            Self::Endpoint => return Vec::new(),
        };
        let identity = identity.map(|identity| format!(" {flag} {identity}")).unwrap_or_default();
        vec![format!("{command}{identity}")]
    }
}
