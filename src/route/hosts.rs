//! Whose host a client calls: the settings' resources by the names of their hosts, made once.

use std::borrow::Cow;
use std::sync::Arc;

use foldhash::HashMap;

use crate::plane::Plane;
use crate::settings::Settings;

/// The resources by host. A host may be that of one resource of each plane.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    by_host: HashMap<Box<str>, Vec<Named>>,
}

/// A resource by its name, and its plane.
type Named = (Plane, Arc<str>);

impl Hosts {
    /// The hosts that the settings' resources list, and those of their endpoints, which transparent clients still call.
    /// An endpoint's host is left out where somebody lists it, where several endpoints of the plane have it, or where it
    /// is this machine.
    pub fn of(settings: &Settings) -> Self {
        let mut hosts = Self::default();
        for resource in &settings.resources {
            for host in &resource.hosts {
                hosts.by_host.entry((**host).into()).or_default().push((resource.plane, resource.name.clone()));
            }
        }
        for resource in &settings.resources {
            let host = resource.endpoint.host().to_ascii_lowercase();
            let shared = settings.resources.iter().any(|other| {
                other.name != resource.name
                    && other.plane == resource.plane
                    && other.endpoint.host().eq_ignore_ascii_case(&host)
            });
            let listed = hosts.by_host.get(host.as_str()).is_some_and(|named| names_one_of(named, resource.plane));
            if !shared && !listed && !resource.endpoint.is_loopback() {
                hosts.by_host.entry(host.into()).or_default().push((resource.plane, resource.name.clone()));
            }
        }
        hosts
    }

    /// The resource whose host this is: the one of this plane, or else that of the other. Case does not count.
    pub(super) fn find(&self, host: &str, plane: Plane) -> Option<&Arc<str>> {
        let folded = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let named = self.by_host.get(&*folded)?;
        named.iter().find(|(of, _)| *of == plane).or(named.first()).map(|(_, name)| name)
    }
}

fn names_one_of(named: &[Named], plane: Plane) -> bool {
    named.iter().any(|(of, _)| *of == plane)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_host_names_one_resource_of_a_plane_or_none() {
        let resource = |name: &str, endpoint: &str, plane: &str, hosts: &str| {
            format!(
                "[resources.{name}]\nendpoint = \"{endpoint}\"\nplane = \"{plane}\"\nidentity = \"main\"\nhosts = {hosts}\n"
            )
        };
        let text = [
            "keys = \"keys.toml\"\n[identities.main]\nkind = \"managed-identity\"\n".to_owned(),
            resource("contoso", "https://contoso.openai.azure.com", "openai", "[\"AI.example\", \"team.example\"]"),
            resource("contoso-search", "https://contoso.search.windows.net", "search", "[\"team.example\"]"),
            resource("one", "https://shared.openai.azure.com", "openai", "[]"),
            resource("two", "https://shared.openai.azure.com", "openai", "[]"),
            resource("near", "https://127.0.0.1:1", "openai", "[]"),
            resource("heir", "https://new.openai.azure.com", "openai", "[\"old.openai.azure.com\"]"),
            resource("old", "https://old.openai.azure.com", "openai", "[]"),
        ];
        let hosts = Hosts::of(&Settings::parse(Path::new("keyswap.toml"), &text.concat()).unwrap());
        for (host, plane, name) in [
            ("contoso.openai.azure.com", Plane::OpenAi, Some("contoso")),
            ("Contoso.OpenAI.Azure.Com", Plane::OpenAi, Some("contoso")),
            ("contoso.openai.azure.com", Plane::Search, Some("contoso")),
            ("ai.example", Plane::OpenAi, Some("contoso")),
            ("team.example", Plane::OpenAi, Some("contoso")),
            ("team.example", Plane::Search, Some("contoso-search")),
            ("shared.openai.azure.com", Plane::OpenAi, None),
            ("127.0.0.1", Plane::OpenAi, None),
            ("localhost", Plane::OpenAi, None),
            ("old.openai.azure.com", Plane::OpenAi, Some("heir")),
            ("new.openai.azure.com", Plane::OpenAi, Some("heir")),
            ("openai.azure.com", Plane::OpenAi, None),
        ] {
            assert_eq!(hosts.find(host, plane).map(|name| &**name), name, "{host}");
        }
    }
}
