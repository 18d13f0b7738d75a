//! Where nobody answers: by the step at which the way ends.

use super::Remedy;
use crate::doctor::egress::{NoTunnel, through};
use crate::doctor::identity::way::{End, Way};
use crate::doctor::mistrust::Mistrust;
use crate::doctor::shell::word;

pub(super) fn remedy(way: &Way) -> Remedy {
    let host = way.host();
    let lookup = format!("getent hosts {}", word(host));
    let curl = format!("curl -sv --max-time 10 --output /dev/null {}", word(&way.url.to_string()));
    let handshake =
        format!("openssl s_client -connect {} -servername {} -showcerts </dev/null", word(&way.target()), word(host));
    match &way.end {
        End::Name => Remedy::new(
            format!("the name {host} leads nowhere from here"),
            "see that this machine, container or cluster can look up names of the internet; or name one that can as \
             egress.resolver, or the way out as egress.proxy",
        )
        .with([lookup]),
        End::Loop => Remedy::new(
            format!("the name {host} leads back to keyswap"),
            "name as egress.resolver a DNS server that does not lead Azure's names here",
        )
        .with([lookup]),
        End::Tunnel(NoTunnel { means, cure }) => {
            Remedy::new(*means, *cure).with(way.proxy.iter().map(|proxy| through(proxy, &way.url)))
        }
        End::Connection => Remedy::new(
            format!("nobody at {} takes a connection from here: a firewall, or a wrong authority", way.target()),
            format!("let keyswap reach {}; if the way out is a proxy, name it as egress.proxy", way.target()),
        )
        .with([curl]),
        End::Tls(Some(Mistrust::Authority)) => Remedy::new(
            "its certificate comes from an authority that keyswap does not trust: something on the way opens TLS, or this \
             is not Entra",
            "if a proxy of your own opens TLS, name its authority's PEM file as egress.ca",
        )
        .with([handshake]),
        End::Tls(Some(Mistrust::Term)) => Remedy::new(
            "its certificate has ended or not begun, as this machine's clock goes",
            "compare the clocks; if ours is right, the certificate's owner must renew it",
        )
        .with(["date -u".to_owned(), handshake]),
        End::Tls(Some(Mistrust::Name)) => Remedy::new(
            format!("whoever answers there is not {host}, as its certificate goes"),
            "compare the identity's authority, and where its name leads",
        )
        .with([lookup, handshake]),
        End::Tls(_) => Remedy::new(
            "a connection comes about, and no TLS over it: a firewall that knows names may cut it off, or nobody there speaks \
             TLS",
            format!("let keyswap reach {} with TLS, whose name it shows", way.target()),
        )
        .with([handshake]),
        End::Silence => Remedy::new(
            format!("the host {host} can be reached, and gives no whole answer in time"),
            "try again; if it stays so, see what stands on the way",
        )
        .with([curl]),
    }
}
