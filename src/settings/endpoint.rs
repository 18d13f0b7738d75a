//! The address of a resource: where a token of ours may go, and nowhere else.

use std::fmt;
use std::net::IpAddr;

use http::header::HeaderValue;
use http::uri::{Authority, Scheme, Uri};

use crate::plane::is_regional;

/// Scheme, host and port of an upstream. https, except on loopback: a token must not cross a network in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: Uri,
    scheme: Scheme,
    authority: Authority,
    host_header: HeaderValue,
}

/// What to do about a region's endpoint.
const REGIONAL: &str = "is a regional endpoint, which takes keys alone: give the resource a custom subdomain \
                        (az cognitiveservices account update --custom-domain NAME, which cannot be undone), and write \
                        https://NAME.openai.azure.com or what the portal then shows";

impl Endpoint {
    /// Reads `https://host[:port]`, with or without a slash behind it.
    ///
    /// # Errors
    /// A text that says what to write instead: for plain http to anything but loopback, for a path, query or user
    /// information, none of which a resource has, and for a region's endpoint, which takes no tokens.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be a URL of scheme and host, like https://contoso.openai.azure.com";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority().cloned()) else {
            return Err(FORM);
        };
        if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
            return Err("must be scheme and host alone, without path, query or user name");
        }
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|_| FORM)?;
        let endpoint = Self { url: uri, scheme, authority, host_header };
        match endpoint.scheme.as_str() {
            _ if is_regional(endpoint.host()) => Err(REGIONAL),
            "https" => Ok(endpoint),
            "http" if is_loopback(endpoint.host()) => Ok(endpoint),
            "http" => Err("must begin with https://: a token must not cross a network in the clear"),
            _ => Err("must begin with https://"),
        }
    }

    /// All of it, with the path `/`.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// What its `Host` header says.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// `https`, or `http` on loopback.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and, where one is given, port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.scheme == Scheme::HTTPS { 443 } else { 80 })
    }

    /// Whether it is on this machine, under a name that every machine has.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }
}

/// Whether a host of a URL is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = without_brackets(host).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// An IPv6 address as it is without a URL around it.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// The host of `host[:port]`, without the dot that may end a full name (and no address), and the port, empty where none is written. Whether
/// they are a host and a port is not looked at.
pub(crate) fn host_and_port(authority: &str) -> (&str, &str) {
    let place = |sign: u8, from: usize| authority.bytes().skip(from).position(|byte| byte == sign).map(|at| from + at);
    // An address of IPv6 has colons of its own.
    let address = place(b']', 0).map_or(0, |bracket| bracket + 1);
    let colon = place(b':', address);
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    let host = host.strip_suffix('.').filter(|_| address == 0).unwrap_or(host);
    (host, port.strip_prefix(':').unwrap_or(port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_crosses_no_network_in_the_clear_and_goes_where_it_is_taken() {
        for good in [
            "https://contoso.openai.azure.com",
            "https://contoso.openai.azure.com/",
            "https://localhost:8443",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://LOCALHOST:9000",
        ] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "contoso.openai.azure.com",
            "http://contoso.openai.azure.com",
            "http://localhost.example",
            "https://contoso.openai.azure.com/openai",
            "https://contoso.openai.azure.com?x=1",
            "https://key@contoso.openai.azure.com",
            "https://westeurope.api.cognitive.microsoft.com",
            "https://WestEurope.API.cognitive.microsoft.com:443/",
            "ftp://127.0.0.1",
            "",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
