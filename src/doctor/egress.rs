//! A look at the way out: the proxy, the name server, and what the environment says of proxies.

use std::net::IpAddr;

use http::uri::{Authority, Uri};

use super::shell::word;
use super::{Case, Finding, Section, Status};
use crate::egress::Unreachable;
use crate::settings::{Egress, IdentityKind, Proxy};

/// Why a proxy opens no tunnel, and what mends it.
pub(super) struct NoTunnel {
    pub(super) means: &'static str,
    pub(super) cure: &'static str,
}

/// Where other programs look for a proxy.
const VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What the settings make of it.
pub(super) fn what(settings: &Egress) -> String {
    let names = match settings.resolver {
        Some(server) => format!("names asked of {server}"),
        None => "names as the system finds them".to_owned(),
    };
    let way = match &settings.proxy {
        Some(proxy) => format!("through the proxy {}", proxy.authority),
        None => "without a proxy".to_owned(),
    };
    format!("{way}, {names}")
}

pub(super) async fn look(case: &Case, section: &mut Section) {
    let settings = &case.settings.egress;
    let hosts = hosts(case);
    match &settings.proxy {
        Some(proxy) => section.add(look_at_proxy(case, proxy, &hosts).await),
        None => section.add_all(look_at_environment()),
    }
    if settings.resolver.is_some() {
        section.add(look_at_resolver(case, &hosts).await);
    }
}

/// Everybody of Azure's whom keyswap calls by the settings.
fn hosts(case: &Case) -> Vec<Uri> {
    let authorities = case.settings.identities.iter().filter_map(|identity| match &identity.kind {
        IdentityKind::WorkloadIdentity { application, .. }
        | IdentityKind::ClientSecret { application, .. }
        | IdentityKind::ClientCertificate { application, .. } => application.authority.parse().ok(),
        IdentityKind::ManagedIdentity { .. } | IdentityKind::AzureCli { .. } => None,
    });
    let resources = case.settings.resources.iter().map(|resource| resource.endpoint.url().clone());
    authorities.chain(resources).collect()
}

async fn look_at_proxy(case: &Case, proxy: &Proxy, hosts: &[Uri]) -> Finding {
    let Proxy { authority, .. } = proxy;
    let Some(url) = hosts.iter().find(|url| proxy.serves(url.host().unwrap_or_default())) else {
        return Finding::new("proxy", Status::Note, "no host of the settings is reached through it")
            .means("All of them are on loopback or in no_proxy.");
    };
    let host = url.host().unwrap_or_default();
    match case.egress.connector().reach(url, None).await {
        Ok(_) => Finding::new("proxy", Status::Ok, format!("it opens a tunnel to {host}")),
        Err(why) => {
            let NoTunnel { means, cure } = NoTunnel::of(proxy, &why);
            let finding = Finding::new("proxy", Status::Wrong, why.to_string()).means(means).cure(cure);
            finding.command(through(authority, url))
        }
    }
}

impl NoTunnel {
    /// What it means that a proxy opens none.
    pub(super) fn of(proxy: &Proxy, why: &Unreachable) -> Self {
        let status = match why {
            Unreachable::Refused(_, status) => Some(status.as_u16()),
            Unreachable::Broken(_) | Unreachable::Loop(_) => None,
        };
        let (means, cure) = match status {
            Some(407) if proxy.credentials.is_some() => (
                "The proxy does not take keyswap's credentials.",
                "Put user:password of an account that it knows where egress.proxy_credentials_file or _env says.",
            ),
            Some(407) => (
                "The proxy wants to know who asks.",
                "Name its credentials, user:password, as egress.proxy_credentials_file or egress.proxy_credentials_env.",
            ),
            Some(401 | 403) => {
                ("The proxy does not let keyswap through to this host.", "Have its rules allow this host and port.")
            }
            Some(_) => ("The proxy cannot reach this host, or makes no tunnels.", "Have its owners see why."),
            None => (
                "The proxy is not there, or not for keyswap.",
                "Compare egress.proxy with the proxy's address; let keyswap reach it.",
            ),
        };
        Self { means, cure }
    }
}

/// A command that goes the same way as keyswap.
pub(super) fn through(proxy: &Authority, url: &Uri) -> String {
    let [proxy, url] = [format!("http://{proxy}"), url.to_string()].map(|url| word(&url));
    format!("curl -sv --max-time 10 --output /dev/null --proxy {proxy} {url}")
}

/// Whether somebody may think that there is a proxy. Its value may hold a password, and is not told.
fn look_at_environment() -> Option<Finding> {
    let name = VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))?;
    Some(
        Finding::new("proxy", Status::Note, format!("the environment has {name}, which keyswap ignores"))
            .means("A token must not go where a forgotten variable says.")
            .cure("If keyswap is to go through that proxy, name it as egress.proxy."),
    )
}

async fn look_at_resolver(case: &Case, hosts: &[Uri]) -> Finding {
    let is_name = |url: &&Uri| url.host().is_some_and(|host| host.parse::<IpAddr>().is_err() && !host.starts_with('['));
    let Some(url) = hosts.iter().find(is_name) else {
        return Finding::new("resolver", Status::CannotTell, "the settings have no name to ask it for");
    };
    let host = url.host().unwrap_or_default();
    match case.egress.connector().look_up(url).await {
        Ok(leads) => {
            let addresses: Vec<_> = leads.addresses.iter().map(|address| address.ip().to_string()).collect();
            Finding::new("resolver", Status::Ok, format!("it finds {host}"))
                .fact("addresses", Some(addresses.join(", ")))
        }
        Err(why @ Unreachable::Loop(_)) => Finding::new("resolver", Status::Wrong, why.to_string())
            .means("It leads Azure's names to keyswap, as the system does.")
            .cure("Name as egress.resolver a DNS server that knows where Azure really is."),
        Err(why) => {
            let server = case.settings.egress.resolver.map(|server| server.ip().to_string()).unwrap_or_default();
            Finding::new("resolver", Status::Wrong, why.to_string())
                .means("This DNS server alone is asked for the names of Azure's hosts.")
                .cure("Compare egress.resolver with a DNS server that keyswap can reach and that knows them.")
                .command(format!("nslookup {} {}", word(host), word(&server)))
        }
    }
}
