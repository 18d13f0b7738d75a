//! The proxies between clients and us.

use std::net::IpAddr;

use super::Network;
use crate::document::{Section, Value};

/// Who is believed when it says whom it speaks for. Everybody else may write into a header whatever it likes.
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    unix: bool,
    /// The header that they write.
    pub header: ForwardedHeader,
    /// Whether each of their connections begins with a header of the PROXY protocol, version 2.
    pub proxy_protocol: bool,
}

/// Where proxies write the address of their client, and the URL that it called. Only one of the two is believed, and the other never looked at: a
/// proxy that writes one of them passes the other on as its client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Stands for whoever connects to the unix socket.
const UNIX: &str = "unix";

impl TrustedProxies {
    /// Nobody.
    pub const NONE: Self =
        Self { networks: Vec::new(), unix: false, header: ForwardedHeader::XForwardedFor, proxy_protocol: false };

    /// Reads what `[listen]` says of them. `None` where a mistake was noted.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let trusted = section.get("trusted_proxies");
        let header = section.get("forwarded_header");
        let proxy_protocol = section.get("proxy_protocol");
        if trusted.is_none() {
            for value in [&header, &proxy_protocol].into_iter().flatten() {
                value.wrong("says nothing without trusted_proxies: add them, or take this away");
            }
        }
        let mut proxies = Self::NONE;
        for value in trusted.and_then(|trusted| trusted.list()).unwrap_or_default() {
            proxies.trust(&value);
        }
        let names = [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)];
        let header = header.map_or(Some(proxies.header), |header| header.one_of(&names));
        let proxy_protocol = proxy_protocol.map_or(Some(proxies.proxy_protocol), |value| value.truth());
        Some(Self { header: header?, proxy_protocol: proxy_protocol?, ..proxies })
    }

    fn trust(&mut self, value: &Value<'_>) {
        match value.text() {
            None => {}
            Some(UNIX) => self.unix = true,
            Some(text) => match Network::parse(text) {
                Some(network) if network.is_everything() => {
                    value.wrong("would believe everybody: write the range of the proxies themselves");
                }
                Some(network) => self.networks.push(network),
                None => value.wrong("must be an address, a range like 10.0.0.0/8 or fd00::/8, or unix"),
            },
        }
    }

    /// Whether whoever has this address is one of them; `None` is whoever connects to the unix socket.
    pub fn include(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::{Document, Mistakes};

    fn read(text: &str) -> Result<TrustedProxies, Mistakes> {
        let document = Document::parse(Path::new("keyswap.toml"), text);
        let proxies = TrustedProxies::read(&document.root());
        document.verdict()?;
        Ok(proxies.expect("no mistake was noted"))
    }

    #[test]
    fn nobody_is_trusted_who_is_not_named() {
        let nobody = read("").unwrap();
        assert!(!nobody.include(None) && !nobody.include(Some([127, 0, 0, 1].into())));
        let some = read("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\", \"unix\"]").unwrap();
        assert!(some.include(None) && some.include(Some([10, 1, 2, 3].into())));
        assert!(some.include(Some([192, 0, 2, 7].into())) && !some.include(Some([192, 0, 2, 8].into())));
        assert_eq!((some.header, some.proxy_protocol), (ForwardedHeader::XForwardedFor, false));
    }

    #[test]
    fn all_mistakes_are_told_with_their_fix() {
        let text = "trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\", \"proxy.corp\", 7]\nforwarded_header = \"via\"\n\
                    proxy_protocol = \"yes\"\n";
        assert_eq!(
            read(text).unwrap_err().to_string(),
            "\
keyswap.toml:1:34: trusted_proxies[1]: would believe everybody: write the range of the proxies themselves
keyswap.toml:1:47: trusted_proxies[2]: must be an address, a range like 10.0.0.0/8 or fd00::/8, or unix
keyswap.toml:1:61: trusted_proxies[3]: must be a text in quotes, not a value of type integer
keyswap.toml:2:20: forwarded_header: must be one of: x-forwarded-for, forwarded
keyswap.toml:3:18: proxy_protocol: must be true or false, not a value of type string"
        );
        assert_eq!(
            read("proxy_protocol = true").unwrap_err().to_string(),
            "keyswap.toml:1:18: proxy_protocol: says nothing without trusted_proxies: add them, or take this away"
        );
    }
}
