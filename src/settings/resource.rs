//! `[resources.NAME]`: an Azure resource, and how a request names it.

use std::sync::Arc;

use http::uri::Authority;

use super::file::{address_with, connections, identity};
use super::{ClientTokens, Endpoint, Resource};
use crate::document::{Section, Value};
use crate::plane::{Cloud, Plane};

/// A host that a resource lists, and its plane.
type Listed = (Plane, Arc<str>);

pub(super) fn resources(root: &Section<'_>, cloud: Option<Cloud>, identities: &[Arc<str>]) -> Vec<Arc<Resource>> {
    let sections = root.named_sections("resources");
    if sections.is_empty() {
        root.wrong("names no resource: add a table like [resources.contoso] with endpoint and identity");
    }
    let mut listed = Vec::new();
    sections
        .into_iter()
        .filter_map(|(name, section)| resource(name, &section, cloud, identities, &mut listed).map(Arc::new))
        .collect()
}

fn resource(
    name: &str,
    section: &Section<'_>,
    cloud: Option<Cloud>,
    identities: &[Arc<str>],
    listed: &mut Vec<Listed>,
) -> Option<Resource> {
    if let Err(fix) = check_name(name) {
        section.wrong(fix);
    }
    let endpoint = section
        .need("endpoint", "the resource's URL, like https://contoso.openai.azure.com")
        .and_then(|value| endpoint(&value));
    let plane = match section.get("plane") {
        Some(value) => value.one_of(Plane::NAMES),
        None => endpoint.as_ref().and_then(|endpoint| {
            let plane = Plane::of_host(endpoint.host());
            if plane.is_none() {
                section.wrong("needs plane, openai or search: the host is no name of Azure's that tells it");
            }
            plane
        }),
    };
    let hosts = section.get("hosts");
    let address = section.get("address").map(|value| address_with(&value, endpoint.as_ref()?.port()));
    let client_tokens =
        section.get("client_tokens").map_or(Some(ClientTokens::default()), |value| value.one_of(ClientTokens::NAMES));
    let id = section.get("id").map(|value| resource_id(&value, plane?));
    let identity = section
        .need("identity", "name the identity whose tokens it gets")
        .and_then(|value| identity(&value, identities));
    let scope = section.get("scope").map(|value| value.text().map(str::to_owned));
    let connections = connections(section, Resource::DEFAULT_CONNECTIONS);
    let scope = match scope {
        Some(written) => written?,
        None => {
            let cloud = cloud?;
            if let Some(fix) = endpoint.as_ref().and_then(|endpoint| other_cloud(endpoint, cloud)) {
                section.wrong(&fix);
            }
            plane?.scope(cloud).to_owned()
        }
    };
    let hosts = hosts.map_or(Some(Vec::new()), |value| hosts_of(plane?, &value, listed));
    Some(Resource {
        name: name.into(),
        plane: plane?,
        endpoint: endpoint?,
        address: address.map_or(Some(None), |address| address.map(Some))?,
        hosts: hosts?,
        identity: identity?,
        scope: scope.into(),
        connections: connections?,
        client_tokens: client_tokens?,
        id: id.map_or(Some(None), |id| id.map(Some))?,
    })
}

/// A resource's id in Azure's management. It is shown in commands to be pasted, so nothing in it may mean anything to a
/// shell.
fn resource_id(value: &Value<'_>, plane: Plane) -> Option<Arc<str>> {
    let text = value.text()?;
    let kind = plane.resource_type();
    let (namespace, of_namespace) = kind.split_once('/')?;
    let segments: Vec<_> = text.split('/').collect();
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'(' | b')');
    let is_id = match &segments[..] {
        ["", subscriptions, a, groups, b, providers, provider, kind, c] => {
            is(subscriptions, "subscriptions")
                && is(groups, "resourceGroups")
                && is(providers, "providers")
                && is(provider, namespace)
                && is(kind, of_namespace)
                && [a, b, c].iter().all(|name| !name.is_empty() && name.bytes().all(is_plain))
        }
        _ => false,
    };
    if !is_id {
        value.wrong(&format!(
            "must be the resource's own id, as az ... show --query id prints it: \
             /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/{kind}/NAME"
        ));
    }
    is_id.then(|| text.into())
}

/// What to do about an endpoint of another cloud than the settings are for: its tokens would have the wrong audience.
fn other_cloud(endpoint: &Endpoint, cloud: Cloud) -> Option<String> {
    let own = Cloud::of_host(endpoint.host()).filter(|own| *own != cloud)?;
    Some(format!(
        "has an endpoint in another cloud: set cloud to \"{}\" (it is \"{}\"), or scope to what its tokens are for",
        own.name(),
        cloud.name()
    ))
}

/// A name may stand first in a path, so it must be one segment that nobody reads otherwise, and no word of Azure's.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if Plane::of_root(name).is_some() {
        return Err(
            "has a name with which Azure's own paths begin, and a path may begin with a resource's name, too: \
                    name it otherwise, like \"contoso\"",
        );
    }
    if !name.bytes().all(plain) || name.is_empty() || name.starts_with('.') || name.ends_with('.') {
        return Err(
            "has a name that cannot stand in a path: use letters, digits, hyphens and underscores, and dots within",
        );
    }
    Ok(())
}

/// The hosts that a resource lists, in lower case. No other resource of the plane may list them.
fn hosts_of(plane: Plane, value: &Value<'_>, listed: &mut Vec<Listed>) -> Option<Vec<Arc<str>>> {
    let mut hosts = Vec::new();
    for value in value.list()? {
        let Some(text) = value.text() else { continue };
        let host: Arc<str> = text.to_ascii_lowercase().into();
        if !host.parse::<Authority>().is_ok_and(|authority| authority.host() == &*host) {
            value.wrong("must be a host name alone, without scheme, port or path, like \"contoso.openai.azure.com\"");
        } else if listed.contains(&(plane, host.clone())) {
            value.wrong("is listed before: a host names one resource of a plane");
        }
        listed.push((plane, host.clone()));
        hosts.push(host);
    }
    Some(hosts)
}

fn endpoint(value: &Value<'_>) -> Option<Endpoint> {
    Endpoint::parse(value.text()?).map_err(|fix| value.wrong(fix)).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::settings::Settings;

    #[test]
    fn an_id_is_of_the_planes_own_type_and_means_nothing_to_a_shell() {
        let read = |id: &str| {
            let text = format!(
                "keys = \"keys.toml\"\n[identities.main]\nkind = \"managed-identity\"\n[resources.contoso]\n\
                 endpoint = \"https://contoso.search.windows.net\"\nidentity = \"main\"\nid = '{id}'\n"
            );
            let settings = Settings::parse(Path::new("keyswap.toml"), &text);
            settings.map(|settings| settings.resources[0].id.as_deref().map(str::to_owned)).map_err(|no| no.to_string())
        };
        let id = "/subscriptions/0-1/resourceGroups/rg_(a).b/providers/microsoft.search/searchServices/contoso";
        assert_eq!(read(id), Ok(Some(id.to_owned())));
        let wrong = "keyswap.toml:7:6: resources.contoso.id: must be the resource's own id, as az ... show --query id prints it: \
                     /subscriptions/SUBSCRIPTION/resourceGroups/GROUP/providers/Microsoft.Search/searchServices/NAME";
        for bad in [
            "contoso",
            "/subscriptions/0-1/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/contoso",
            "/subscriptions/0-1/resourceGroups/$(id)/providers/Microsoft.Search/searchServices/contoso",
            "/subscriptions/0-1/resourceGroups/rg/providers/Microsoft.Search/searchServices/",
            "/subscriptions/0-1/resourceGroups/rg/providers/Microsoft.Search/searchServices/contoso/x",
        ] {
            assert_eq!(read(bad), Err(wrong.to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_name_can_stand_in_a_path_and_a_host_names_one_resource_of_a_plane() {
        let text = r#"
keys = "keys.toml"
[identities.main]
kind = "managed-identity"
[resources.OpenAI]
endpoint = "https://a.openai.azure.com"
identity = "main"
[resources."a/b"]
endpoint = "https://b.openai.azure.com"
identity = "main"
hosts = ["https://b.example", "b.example:443", "B.example", "b.example"]
[resources.good]
endpoint = "https://b.search.windows.net"
identity = "main"
hosts = ["b.example", "[::1]", "localhost"]
"#;
        let mistakes = Settings::parse(Path::new("keyswap.toml"), text).unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            "\
keyswap.toml:5:1: resources.OpenAI: has a name with which Azure's own paths begin, and a path may begin with a resource's name, too: name it otherwise, like \"contoso\"
keyswap.toml:8:1: resources.a/b: has a name that cannot stand in a path: use letters, digits, hyphens and underscores, and dots within
keyswap.toml:11:10: resources.a/b.hosts[0]: must be a host name alone, without scheme, port or path, like \"contoso.openai.azure.com\"
keyswap.toml:11:31: resources.a/b.hosts[1]: must be a host name alone, without scheme, port or path, like \"contoso.openai.azure.com\"
keyswap.toml:11:61: resources.a/b.hosts[3]: is listed before: a host names one resource of a plane"
        );
    }
}
