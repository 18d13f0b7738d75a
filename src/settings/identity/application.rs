//! Somebody whom Entra knows, and where it is asked.

use std::fmt;

use super::super::Endpoint;
use crate::document::{Section, Value};
use crate::plane::Cloud;

/// An application, or a user-assigned identity that is asked for as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The tenant's id or domain.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// Entra's address, without a path.
    pub authority: String,
}

/// What AKS's webhook tells a pod about its workload identity (azure-wire, C4).
pub(crate) mod aks {
    pub(crate) const TENANT: &str = "AZURE_TENANT_ID";
    pub(crate) const CLIENT_ID: &str = "AZURE_CLIENT_ID";
    pub(crate) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
    pub(crate) const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
}

// === impl Application ===

impl Application {
    /// Reads what an identity's section says of it.
    pub(super) fn read(section: &Section<'_>, cloud: Cloud) -> Option<Self> {
        let tenant = section.need("tenant", "the tenant's id or domain").and_then(|value| tenant(&value));
        let client_id = section.need("client_id", "the application's id");
        let authority = section
            .get("authority")
            .map_or_else(|| Some(default_authority(cloud).to_owned()), |value| authority(&value));
        Some(Self { tenant: tenant?, client_id: client_id?.text()?.to_owned(), authority: authority? })
    }

    /// The same, but what the section does not say is what AKS has written into the environment.
    pub(super) fn read_or_from_aks(section: &Section<'_>, cloud: Cloud) -> Option<Self> {
        let tenant = or_from_aks(section, "tenant", aks::TENANT).and_then(|tenant| {
            check_tenant(&tenant).map_err(|fix| section.wrong(&format!("has a tenant that {fix}"))).ok()
        });
        let client_id = or_from_aks(section, "client_id", aks::CLIENT_ID);
        let authority = match (section.get("authority"), environment(aks::AUTHORITY)) {
            (Some(value), _) => authority(&value),
            (None, Some(host)) => check_authority(&host)
                .map_err(|fix| section.wrong(&format!("takes its authority from {}, which {fix}", aks::AUTHORITY)))
                .ok(),
            (None, None) => Some(default_authority(cloud).to_owned()),
        };
        Some(Self { tenant: tenant?, client_id: client_id?, authority: authority? })
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, client_id, authority } = self;
        write!(f, "application {client_id} of tenant {tenant} at {authority}")
    }
}

/// What the settings say, or else what AKS has written into the environment.
pub(super) fn or_from_aks(section: &Section<'_>, key: &'static str, variable: &str) -> Option<String> {
    let Some(value) = section.get(key) else {
        let found = environment(variable);
        if found.is_none() {
            let fix = format!("set it, or run keyswap where AKS's webhook sets {variable}");
            drop(section.need(key, &fix));
        }
        return found;
    };
    value.text().map(str::to_owned)
}

/// A variable that is set to something.
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

pub(super) fn tenant(value: &Value<'_>) -> Option<String> {
    check_tenant(value.text()?).map_err(|fix| value.wrong(fix)).ok()
}

/// A tenant stands in the path of Entra's URL.
pub(crate) fn check_tenant(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if text.bytes().all(plain) { Ok(text.to_owned()) } else { Err("must be the tenant's id or domain") }
}

fn authority(value: &Value<'_>) -> Option<String> {
    check_authority(value.text()?).map_err(|fix| value.wrong(fix)).ok()
}

/// Entra is spoken to over TLS only, on loopback too: `azure_identity` refuses anything else.
pub(crate) fn check_authority(text: &str) -> Result<String, &'static str> {
    let endpoint = Endpoint::parse(text)?;
    if endpoint.scheme().as_str() == "https" { Ok(endpoint.to_string()) } else { Err("must begin with https://") }
}

/// Entra's address in a cloud (azure-wire, C1).
pub(crate) fn default_authority(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "https://login.microsoftonline.com",
        Cloud::UsGovernment => "https://login.microsoftonline.us",
        Cloud::China => "https://login.chinacloudapi.cn",
    }
}
