//! What cures each refusal and each failure, for the operator: which line to write, which setting to change, whom to ask.
//!
//! The client is told less ([`crate::dialect`]): names of clients and resources are none of its affair.

use super::{Failure, Refusal, UnknownKey, Untimely, Verdict};
use crate::plane::Plane;

/// What is known of a request that was refused or failed, so that its cure can name what to write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances<'r> {
    /// The plane of its path.
    pub(crate) plane: Option<Plane>,
    /// Whose key it brought.
    pub(crate) client: Option<&'r str>,
    /// The resource that it was for.
    pub(crate) resource: Option<&'r str>,
}

/// The longest name in a cure, in characters: clients choose what they ask for.
const LONGEST_NAME: usize = 100;

impl Verdict {
    /// What cures it; `None` where nothing is wrong.
    pub(crate) fn cure(&self, of: &Circumstances<'_>) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.cure(of)),
            Self::Failed(failure) => Some(failure.cure(of)),
            Self::Preflight | Self::ClientGone => None,
        }
    }
}

impl Refusal {
    fn cure(&self, of: &Circumstances<'_>) -> String {
        let (client, resource, limits) = (of.client(), of.resource(), of.limits());
        match self {
            Self::NotHttp => {
                "See what connects there: HTTP/2 without TLS, TLS on the address for HTTP, no HTTP at all, or a body whose \
                 chunks are none."
                    .into()
            }
            Self::HeadTooLarge => "Have the client send less in its head: 64 KiB and 200 fields are the limit. Cookies, and \
                                   what proxies add, are the usual cause."
                .into(),
            Self::UrlTooLong => {
                "Have the client send less in its URL. A search fits into a body: POST .../docs/search.post.search.".into()
            }
            Self::OriginNotListed => "If the scripts of that page may call, add its origin to origins in [cors].".into(),
            Self::NoPlane => "Mend the endpoint that the client was given. Paths of Azure OpenAI begin with /openai, /models, \
                              /anthropic or /api, those of Azure AI Search with /indexes and its kin; before them may stand \
                              a resource's name alone. What is /v1 at OpenAI is /openai/v1 here."
                .into(),
            Self::Ambiguous(_) => {
                "Have the client, or the proxy before keyswap, send it so that it can be read in one way only.".into()
            }
            Self::NoCredential => "See what the client sends: a key in the header api-key, or as Authorization: Bearer. A \
                                   proxy before keyswap may have taken it off. In a URL a key counts on GET alone, and on \
                                   Search alone."
                .into(),
            Self::UnknownKey(unknown) => unknown.cure(),
            Self::ClientToken => format!(
                "Give the client a key. Or, if its own Entra token shall count, set client_tokens = \"pass\" in {resource}."
            ),
            Self::NoTokensResource => "Several resources have client_tokens = \"pass\". Have the client name one: by its \
                                       host, or by its name before the path."
                .into(),
            Self::AdminKeyInUrl => "Have the client send its key in the header api-key: in a URL Azure takes query keys \
                                    alone. A client that cannot needs a key with allow = [\"search-query\"]."
                .into(),
            Self::NoResource => {
                let plane = of.plane.map_or("other", Plane::name);
                format!(
                    "Add a grant on a resource of plane {plane} to {client} in the file of keys: {{ resource = \"NAME\" }}. \
                     Or mend the client's endpoint, if it means another service."
                )
            }
            Self::Misdirected => "The client takes one TLS connection for the hosts of two resources, since one certificate \
                                  has both names. Show each host a certificate of its own, from directory in [tls]."
                .into(),
            Self::CameBack => loops(&resource),
            Self::ResourceNotGranted(name) => {
                let name = shown(name);
                format!(
                    "If {name} is a resource that the client may use, add {{ resource = {name} }} to the grants of {client} \
                     in the file of keys. Else mend the client's endpoint, which names it by its host or before its path."
                )
            }
            Self::OtherPlane(_) => {
                "Mend the client's endpoint: it leads to one service, and the path is one of the other's.".into()
            }
            Self::SeveralResources(names) => {
                let first = names.first().map_or("NAME", |name| name);
                format!(
                    "Have the client name one: by its host (hosts in [resources.{first}]), or by its name before the path \
                     (https://.../{first}/...). Or leave {client} the grants on one alone."
                )
            }
            Self::NoFamily => "Nobody can be granted it, since keyswap does not know this operation. A newer version may. \
                               Until then it is for an Entra token of the client's own."
                .into(),
            Self::FamilyNotGranted(family) => {
                let (on, family) = (of.on(), family.name());
                format!(
                    "Add to the grants of {client} in the file of keys: {{ resource = \"{on}\", allow = [\"{family}\"] }}. \
                     For a sidecar: add --allow {family} to what it allows already."
                )
            }
            Self::AccessNotGranted(family, access) => {
                let (on, family, access) = (of.on(), family.name(), access.name());
                format!(
                    "Add \"{access}\" to access where {client} is granted {family} on {on}, in the file of keys. Or add to \
                     its grants: {{ resource = \"{on}\", allow = [\"{family}\"], access = [\"{access}\"] }}."
                )
            }
            Self::TargetNotGranted(Some(target)) => {
                let (on, target) = (of.on(), shown(target));
                format!(
                    "Add {target} to {limits} where {client} has a grant on {on}, in the file of keys. Or have the client \
                     name one that is granted."
                )
            }
            Self::TargetNotGranted(None) => format!(
                "The operation is about none or all of them, and each grant of {client} on {} that allows it is limited to \
                 some: it needs one without {limits}, in the file of keys.",
                of.on()
            ),
            Self::ModelUnclear(_) => format!(
                "Have the client name its deployment once, as model at the top of a JSON body that is not compressed. Or \
                 grant {client} every one on {}: leave out {limits}, in the file of keys.",
                of.on()
            ),
            Self::SlowBody => "See why the client, or a proxy before keyswap, stops in the middle of what it sends. How long it \
                               may is stream in [timeouts]."
                .into(),
        }
    }
}

impl UnknownKey {
    fn cure(&self) -> String {
        match self {
            Self::NotListed => "Ask the client's owner to pipe the key into keyswap keys verify. One that Azure gave out is \
                                listed with keyswap keys import; in place of a lost one, keyswap keys new makes another."
                .into(),
            Self::Several => {
                "Have the client, or the proxy that adds one, send one key: it is not said which of them is meant.".into()
            }
            Self::NotNow(key) => key.cure(),
        }
    }
}

impl Untimely {
    fn cure(&self) -> String {
        let Self { id, client, why } = self;
        match *why {
            "expired" => format!(
                "Give the client another key: keyswap keys new --client {client}. Or let this one live on: keyswap keys \
                 expire {id} --at DATE."
            ),
            "not-yet-valid" => format!(
                "It is good from its not_before on. Until then the client needs another of its keys; or change that date of \
                 {id} where [clients.{client}] stands in the file of keys."
            ),
            _ => format!(
                "It was taken back. Have the client use another of its keys, or give it one: keyswap keys new --client \
                 {client}."
            ),
        }
    }
}

impl Failure {
    fn cure(&self, of: &Circumstances<'_>) -> String {
        let resource = of.resource();
        match self {
            Self::TokenRefused { cure: Some(cure), .. } | Self::TokenUnavailable { cure: Some(cure) } => sentence(cure),
            Self::TokenRefused { cure: None, .. } => {
                "The log tells what the issuer of tokens has answered, in its lines \
                                                      \"no token\" of this identity."
                    .into()
            }
            Self::TokenUnavailable { cure: None } => {
                "keyswap goes on asking. /health/ready shows how each token stands, and \
                                                      the log, in its lines \"no token\", what came in place of one."
                    .into()
            }
            Self::Unreachable(_) => format!(
                "Mend what the reason names. A name: address in {resource}, or resolver in [egress]. A connection: the \
                 network, a firewall, a private endpoint. A proxy: proxy in [egress]. A certificate: ca in [egress]."
            ),
            Self::Loop => loops(&resource),
            Self::Overloaded => format!(
                "Raise connections in {resource}, as far as the ports of the machine's NAT go, or run more replicas. How long \
                 a request waits for a free one is wait in [timeouts]."
            ),
            Self::Lost | Self::LostKept => {
                "Azure, or something on the way, has closed the connection; what was asked may \
                                            have been done. If it happens again and again, see what on the way ends \
                                            connections, and make idle in [timeouts] shorter than that does."
                    .into()
            }
            Self::TimedOut => {
                "Azure was silent for longer than answer in [timeouts]. Raise that, if such requests may take \
                               longer; else see how Azure and that deployment are."
                    .into()
            }
            Self::Redirected => format!(
                "Set endpoint in {resource} to the resource's own address: what answers there sends clients elsewhere."
            ),
            Self::Fault(fault) => fault.remedy(),
        }
    }
}

impl Circumstances<'_> {
    /// The client's table in the file of keys.
    fn client(&self) -> String {
        format!("[clients.{}]", self.client.unwrap_or("NAME"))
    }

    /// The resource's table in the settings.
    fn resource(&self) -> String {
        format!("[resources.{}]", self.on())
    }

    /// The resource's name.
    fn on(&self) -> &str {
        self.resource.unwrap_or("NAME")
    }

    /// What a grant may be limited to.
    fn limits(&self) -> &'static str {
        if self.plane == Some(Plane::Search) { "indexes" } else { "deployments" }
    }
}

fn loops(resource: &str) -> String {
    format!(
        "Tell keyswap where the resource really is: address in {resource}, or resolver in [egress]. The name of its \
         endpoint leads back to keyswap."
    )
}

/// A name that a client has chosen, in quotes.
fn shown(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// A cure of the log's as a sentence.
fn sentence(cure: &str) -> String {
    let mut letters = cure.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
