//! What we are on the network, so that we do not call ourselves.
//!
//! In transparent mode a name of Azure's leads here, by DNS or a hosts entry, and nothing but our own settings keeps it
//! from doing the same to us. An address of ours is known before it is called. Behind a forwarded port or a balancer it
//! is not ours by its looks: then the certificate tells, before a request or a token is sent. No mark is put on requests,
//! so nobody upstream learns that we are there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustls::pki_types::CertificateDer;

use crate::certificate::Certificates;
use crate::listen::Addresses;

/// Where we listen, and what we show there.
#[derive(Debug, Default)]
pub struct Ourselves {
    listening: Vec<SocketAddr>,
    shown: Vec<Shown>,
}

/// A certificate, and the names that stand in it.
#[derive(Debug)]
struct Shown {
    leaf: CertificateDer<'static>,
    names: Vec<Box<str>>,
}

impl Ourselves {
    /// Who listens on these addresses and shows these certificates.
    pub fn new(addresses: &Addresses, certificates: &Certificates) -> Self {
        let listening = addresses.http.into_iter().chain(addresses.https).collect();
        let shown = certificates.each().filter_map(|pair| {
            let names = pair.names().map(Into::into).collect();
            Some(Shown { leaf: pair.leaf()?.clone(), names })
        });
        Self { listening, shown: shown.collect() }
    }

    /// Whether a connection to this address would come to us.
    pub(super) fn listen_on(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.listening.iter().any(|listening| {
            let own = listening.ip().to_canonical();
            let covers = own.is_unspecified() && (own.is_ipv6() || ip.is_ipv4());
            listening.port() == address.port() && (own == ip || (covers || ip.is_unspecified()) && is_here(ip))
        })
    }

    /// Whether whoever shows this certificate for this host is us. One that many hosts share, by a `*`, proves nothing.
    pub(super) fn show(&self, leaf: &CertificateDer<'_>, host: &str) -> bool {
        let is_for = |shown: &Shown| shown.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        self.shown.iter().any(|shown| shown.leaf == *leaf && is_for(shown))
    }
}

/// Whether an address is this machine's: then the way to it begins at itself. Nothing is sent to find that out.
fn is_here(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_ours_if_its_connections_come_to_us() {
        let cases = [
            ("127.0.0.1:443", "127.0.0.1:443", true),
            ("127.0.0.1:443", "127.0.0.1:8443", false),
            ("127.0.0.1:443", "127.0.0.2:443", false),
            ("127.0.0.1:443", "0.0.0.0:443", true),
            ("0.0.0.0:443", "127.0.0.2:443", true),
            ("0.0.0.0:443", "[::ffff:127.0.0.1]:443", true),
            ("0.0.0.0:443", "[::1]:443", false),
            ("[::]:443", "[::1]:443", true),
            ("[::]:443", "127.0.0.1:443", true),
            ("0.0.0.0:443", "192.0.2.1:443", false),
            ("192.0.2.1:443", "192.0.2.1:443", true),
        ];
        for (listening, called, ours) in cases {
            let addresses = Addresses { https: Some(listening.parse().unwrap()), ..Addresses::default() };
            let ourselves = Ourselves::new(&addresses, &Certificates::default());
            assert_eq!(ourselves.listen_on(called.parse().unwrap()), ours, "{called} for {listening}");
        }
    }
}
