//! A corporate proxy: where it is, and which hosts are reached without it.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use http::uri::{Authority, Uri};
use wildmatch::WildMatch;

use super::endpoint::{is_loopback, without_brackets};
use super::file::secret;
use super::{Network, SecretSource};
use crate::document::{Section, Value};

/// A proxy that makes tunnels (`CONNECT`) to the hosts that we name to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Host and port. It is spoken to in plain HTTP: whatever goes through it is TLS already, end to end.
    pub authority: Authority,
    /// Where `user:password` is, if the proxy wants to know who asks.
    pub credentials: Option<SecretSource>,
    /// Hosts that are reached without it, besides those on loopback.
    pub no_proxy: Vec<NoProxy>,
}

/// Hosts that are reached without the proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct NoProxy {
    written: String,
    hosts: Hosts,
}

#[derive(Clone, Debug, PartialEq)]
enum Hosts {
    Named(WildMatch),
    Within(Network),
}

// === impl Proxy ===

impl Proxy {
    /// Reads what `[egress]` says of a proxy. `None` if it says nothing, or where a mistake was noted.
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let url = section.get("proxy");
        let file = section.get("proxy_credentials_file");
        let variable = section.get("proxy_credentials_env");
        let no_proxy = section.get("no_proxy");
        if url.is_none() {
            for value in [&file, &variable, &no_proxy].into_iter().flatten() {
                value.wrong("says nothing without proxy: add proxy, or take this away");
            }
        }
        let credentials = secret(file, variable, base);
        let no_proxy = no_proxy.and_then(|value| value.list()).unwrap_or_default();
        let near = |value: &Value<'_>| NoProxy::parse(value.text()?).map_err(|fix| value.wrong(fix)).ok();
        let no_proxy = no_proxy.iter().filter_map(near).collect();
        let url = url?;
        let authority = Self::parse(url.text()?).map_err(|fix| url.wrong(fix)).ok()?;
        Some(Self { authority, credentials, no_proxy })
    }

    /// Reads the proxy's address, `http://host:port`.
    ///
    /// # Errors
    /// A text that says what to write instead; for credentials in the URL, where they belong.
    pub fn parse(url: &str) -> Result<Authority, &'static str> {
        const FORM: &str = "must be http:// with host and port, like http://proxy.corp:3128";
        // Before anything else: credentials may hold characters that are no URL's.
        if url.contains('@') {
            return Err("must hold no user name or password: put user:password into the file that \
                        proxy_credentials_file names, so that no secret stands in settings");
        }
        let uri: Uri = url.parse().map_err(|_| FORM)?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| plain && authority.port_u16().is_some());
        authority.cloned().ok_or(FORM)
    }

    /// Whether a host is reached through the proxy.
    pub fn serves(&self, host: &str) -> bool {
        !is_loopback(host) && !self.no_proxy.iter().any(|hosts| hosts.covers(host))
    }
}

// === impl NoProxy ===

impl NoProxy {
    /// Reads a name (`search.corp`), a glob (`*.internal`), a suffix (`.contoso.net`: all names below it), an address
    /// or a range (`10.0.0.0/8`).
    ///
    /// # Errors
    /// A text that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let hosts = match Network::parse(text) {
            Some(network) => Hosts::Within(network),
            None if text.contains('/') => return Err("must be a range like 10.0.0.0/8 or fd00::/8"),
            None => Hosts::Named(name(text).ok_or(
                "must be a host name, a glob like *.internal, a suffix like .contoso.net, an address or a range, \
                 without scheme and port",
            )?),
        };
        Ok(Self { written: text.to_owned(), hosts })
    }

    /// Names are not resolved: a range covers only hosts that are written as addresses.
    fn covers(&self, host: &str) -> bool {
        let address = without_brackets(host).parse::<IpAddr>();
        match (&self.hosts, address) {
            (Hosts::Named(glob), Err(_)) => glob.matches(&host.to_ascii_lowercase()),
            (Hosts::Within(network), Ok(address)) => network.contains(address),
            _ => false,
        }
    }
}

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn name(text: &str) -> Option<WildMatch> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
    let every = if text.starts_with('.') { "*" } else { "" };
    let glob = format!("{every}{text}").to_ascii_lowercase();
    (!text.is_empty() && text.bytes().all(fits)).then(|| WildMatch::new(&glob))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_proxy_is_host_and_port_and_no_secret() {
        assert_eq!(Proxy::parse("http://proxy.corp:3128").unwrap(), "proxy.corp:3128");
        assert_eq!(Proxy::parse("http://[fd00::1]:3128/").unwrap(), "[fd00::1]:3128");
        for bad in ["proxy.corp:3128", "https://proxy.corp:3128", "http://proxy.corp", "http://proxy.corp:3128/pac", ""]
        {
            assert!(Proxy::parse(bad).unwrap_err().starts_with("must be http://"), "{bad}");
        }
        for secret in ["http://user:word@proxy.corp:3128", "http://user:w#rd@proxy.corp:3128", "user@proxy.corp"] {
            assert!(Proxy::parse(secret).unwrap_err().contains("proxy_credentials_file"), "{secret}");
        }
    }

    #[test]
    fn a_proxy_is_not_asked_for_what_is_near() {
        let near =
            ["search.corp", "*.Internal", ".contoso.net", "10.0.0.0/8", "192.0.2.7", "fd00::/8", "[2001:db8::1]"];
        let proxy = Proxy {
            authority: Authority::from_static("proxy.corp:3128"),
            credentials: None,
            no_proxy: near.iter().map(|text| NoProxy::parse(text).unwrap()).collect(),
        };
        for direct in [
            "localhost",
            "127.0.0.2",
            "[::1]",
            "SEARCH.corp",
            "a.b.internal",
            "a.contoso.net",
            "a.b.CONTOSO.net",
            "10.255.0.1",
            "192.0.2.7",
            "[fdff::1]",
            "[2001:db8::1]",
        ] {
            assert!(!proxy.serves(direct), "{direct}");
        }
        for proxied in [
            "contoso.openai.azure.com",
            "search.corp.example",
            "internal",
            "contoso.net",
            "notcontoso.net",
            "11.0.0.1",
            "192.0.2.8",
            "10.0.0.1.example",
            "[fe80::1]",
            "[2001:db8::2]",
            "localhost.example",
        ] {
            assert!(proxy.serves(proxied), "{proxied}");
        }
    }

    #[test]
    fn a_range_may_be_everything() {
        for (all, address) in [("0.0.0.0/0", "203.0.113.1"), ("::/0", "[2001:db8::1]")] {
            assert!(NoProxy::parse(all).unwrap().covers(address), "{all}");
        }
        assert!(!NoProxy::parse("0.0.0.0/0").unwrap().covers("[2001:db8::1]"));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_refused() {
        for bad in
            ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "corp/8", "http://corp", "corp:443", "a b", "10.0.0.1:443"]
        {
            assert!(NoProxy::parse(bad).is_err(), "{bad}");
        }
    }
}
