//! Where a resource's name leads from here: to the public address of Azure's, to a private one, or to this machine.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{Finding, Site, Status, Step};
use crate::egress::{Leads, Unreachable};
use crate::settings::{Proxy, Resource, without_brackets};

/// Whose networks an address is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    /// Of a network that is somebody's own (RFC 1918, 4193, 6598), or of a link.
    Private,
    /// This machine's own.
    Loopback,
}

/// What stands in the names of Azure's that lead to private endpoints.
const PRIVATE_LINK: &str = "privatelink.";

const CURE_OF_LOOP: &str = "Set egress.resolver to a DNS server that has not been told that the name is here, or the \
                            resource's address to where it is.";

const CURE_OF_NO_NAME: &str = "Compare the endpoint with what the portal shows. A resource with a private endpoint alone is \
                               known only to networks that its private DNS zone is linked to; egress.resolver asks another \
                               DNS server than the system's.";

pub(super) async fn look(site: &Site) -> Step<()> {
    let Site { resource, connector, proxy, .. } = site;
    let Resource { endpoint, address, .. } = &**resource;
    let host = endpoint.host();
    let untold = |found: String| (Finding::new("dns", Status::Ok, found), Some(()));
    if let Some(address) = address {
        return untold(format!("not asked: the settings say that it is at {address} ({})", Kind::of(address.ip())));
    }
    if let Ok(ip) = without_brackets(host).parse() {
        return untold(format!("not asked: the endpoint is an address ({})", Kind::of(ip)));
    }
    if let Some(Proxy { authority, .. }) = proxy {
        return untold(format!("not asked: the proxy {authority} finds {host}, and what it finds cannot be seen"));
    }
    match connector.look_up(endpoint.url()).await {
        Ok(leads) => (found(&leads, endpoint.is_loopback()), Some(())),
        Err(why @ Unreachable::Loop(_)) => {
            (Finding::new("dns", Status::Wrong, why.to_string()).cure(CURE_OF_LOOP), None)
        }
        Err(why) => (Finding::new("dns", Status::Wrong, why.to_string()).cure(CURE_OF_NO_NAME), None),
    }
}

/// What a name's addresses mean for whoever wants to come in there.
fn found(leads: &Leads, is_local: bool) -> Finding {
    let Leads { addresses, aliases } = leads;
    let each: Vec<_> = addresses.iter().map(|address| (address.ip(), Kind::of(address.ip()))).collect();
    let shown: Vec<_> = each.iter().map(|(ip, kind)| format!("{ip} ({kind})")).collect();
    let finding = |status| {
        let aliases = aliases.as_ref().filter(|aliases| !aliases.is_empty()).map(|aliases| aliases.join(", "));
        Finding::new("dns", status, shown.join(", ")).fact("stands_for", aliases)
    };
    let has = |wanted: Kind| each.iter().any(|(_, kind)| *kind == wanted);
    let private_zone = aliases.iter().flatten().find_map(|alias| Some(&alias[alias.find(PRIVATE_LINK)?..]));
    if has(Kind::Loopback) {
        return match is_local {
            true => finding(Status::Ok),
            false => finding(Status::Note)
                .means("The name leads to this machine, where keyswap does not listen: requests go to whoever does.")
                .cure(CURE_OF_LOOP),
        };
    }
    match (has(Kind::Public), has(Kind::Private), private_zone) {
        (true, true, _) => finding(Status::Note)
            .means("Some addresses are public and some private: whether requests come by a private endpoint is chance."),
        (false, _, _) => finding(Status::Ok)
            .means("Private: requests come by a private endpoint, or wherever else this network leads the name."),
        (true, _, Some(zone)) => finding(Status::Note)
            .means("It has a private endpoint, and this network is led past it, to the public address.")
            .cure(format!("If public access to the resource is disabled, link the private DNS zone {zone} to this network.")),
        (true, _, None) if aliases.is_some() => finding(Status::Ok)
            .means("Public, and it has no private endpoint: its firewall has to let in the address that this network goes out with."),
        (true, _, None) => finding(Status::Ok).means(
            "Public: its firewall has to let in the address that this network goes out with. Whether it has a private \
             endpoint, too, cannot be seen: the system tells addresses alone, where a DNS server (egress.resolver) tells names.",
        ),
    }
}

// === impl Kind ===

impl Kind {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() || ip.is_unspecified() => Self::Loopback,
            IpAddr::V4(ip) => {
                // Carriers' own, and Azure's virtual networks may have it (RFC 6598).
                let [a, b, ..] = ip.octets();
                let shared = a == 100 && (64..128).contains(&b);
                if ip.is_private() || ip.is_link_local() || shared { Self::Private } else { Self::Public }
            }
            IpAddr::V6(ip) if is_own(ip) => Self::Private,
            IpAddr::V6(_) => Self::Public,
        }
    }
}

/// Whether an address is of somebody's own network, or of a link.
fn is_own(ip: Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "this machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn an_address_is_public_unless_it_is_somebodys_own() {
        for (ip, kind) in [
            ("20.1.2.3", "public"),
            ("100.63.255.255", "public"),
            ("100.64.0.1", "private"),
            ("10.1.2.3", "private"),
            ("172.31.0.1", "private"),
            ("192.168.0.1", "private"),
            ("169.254.1.1", "private"),
            ("127.0.0.2", "this machine"),
            ("2603:1030::1", "public"),
            ("fd00::1", "private"),
            ("fe80::1", "private"),
            ("::ffff:10.1.2.3", "private"),
            ("::1", "this machine"),
        ] {
            assert_eq!(Kind::of(ip.parse().unwrap()).to_string(), kind, "{ip}");
        }
    }

    #[test]
    fn what_a_name_leads_to_means_something() {
        let look = |addresses: &[&str], aliases: Option<&[&str]>| {
            let addresses = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
            let aliases = aliases.map(|aliases| aliases.iter().map(|alias| (*alias).to_owned()).collect());
            let finding = found(&Leads { addresses, aliases }, false);
            (finding.status, finding.found, finding.cure)
        };
        let none = Some(&[][..]);
        let zone = Some(&["contoso.privatelink.openai.azure.com", "eu.cloudapp.azure.com"][..]);
        assert_eq!(look(&["20.1.2.3"], None), (Status::Ok, "20.1.2.3 (public)".to_owned(), None));
        assert_eq!(look(&["20.1.2.3"], none), (Status::Ok, "20.1.2.3 (public)".to_owned(), None));
        assert_eq!(look(&["10.1.2.3"], zone), (Status::Ok, "10.1.2.3 (private)".to_owned(), None));
        let (status, found, cure) = look(&["20.1.2.3"], zone);
        assert_eq!((status, &*found), (Status::Note, "20.1.2.3 (public)"));
        assert!(cure.unwrap().contains("zone privatelink.openai.azure.com to this network"));
        let (status, found, _) = look(&["20.1.2.3", "10.1.2.3"], None);
        assert_eq!((status, &*found), (Status::Note, "20.1.2.3 (public), 10.1.2.3 (private)"));
        assert_eq!(look(&["127.0.0.1"], None).0, Status::Note);
    }
}
