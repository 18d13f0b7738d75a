//! Whose URL is it? Scheme, host and port, compared as RFC 3986 has it (6.2.2, 6.2.3).

use crate::settings::{Endpoint, host_and_port};

/// A URL's beginning up to its path, query or fragment, and the rest. What is no absolute URL has a beginning of nobody's.
pub(super) fn split(url: &[u8]) -> (&[u8], &[u8]) {
    let mut slashes = 0;
    let end = url.iter().position(|byte| is_end(*byte, &mut slashes));
    url.split_at(end.unwrap_or(url.len()))
}

/// Whether scheme and authority end before this byte of a URL, where so many slashes have been seen.
pub(super) fn is_end(byte: u8, slashes: &mut usize) -> bool {
    *slashes += usize::from(byte == b'/');
    *slashes == 3 || matches!(byte, b'?' | b'#')
}

/// Whether scheme and authority are an endpoint's. No user information is.
pub(super) fn is_of(endpoint: &Endpoint, begin: &[u8]) -> bool {
    let Some((scheme, authority)) = str::from_utf8(begin).ok().and_then(|begin| begin.split_once("://")) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(endpoint.scheme().as_str()) && is_host_of(endpoint, authority)
}

/// Whether an authority is an endpoint's: one without a port means the default of the endpoint's own scheme.
pub(super) fn is_host_of(endpoint: &Endpoint, authority: &str) -> bool {
    let default = if endpoint.scheme().as_str() == "http" { 80 } else { 443 };
    let parts = |text| {
        let (host, port) = host_and_port(text);
        let port = if port.is_empty() { Some(default) } else { port.parse::<u16>().ok() };
        (host, port)
    };
    let ((host, port), (own_host, own_port)) = (parts(authority), parts(endpoint.authority().as_str()));
    host.eq_ignore_ascii_case(own_host) && port == own_port && port.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points_at(endpoint: &str, url: &str) -> bool {
        is_of(&Endpoint::parse(endpoint).unwrap(), split(url.as_bytes()).0)
    }

    #[test]
    fn a_url_points_at_an_endpoint_by_scheme_host_and_port() {
        for (endpoint, url) in [
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net/indexes('h')/docs?$skip=50"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net:443/indexes('h')"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net?a"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net#a"),
            ("https://contoso.search.windows.net", "HTTPS://Contoso.Search.Windows.Net:/$metadata#indexes"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net./"),
            ("https://contoso.search.windows.net:443", "https://contoso.search.windows.net/"),
            ("https://CONTOSO.example:8443", "https://contoso.example:8443/"),
            ("http://127.0.0.1:80", "http://127.0.0.1/"),
            ("http://[::1]:9000", "http://[::1]:9000/"),
        ] {
            assert!(points_at(endpoint, url), "{url}");
        }
        for (endpoint, url) in [
            ("https://contoso.search.windows.net", "http://contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "http://contoso.search.windows.net:443/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net:80/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net:99443/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net.evil.example/"),
            ("https://contoso.search.windows.net", "https://evil-contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "https://user@contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net@evil.example/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net:443@evil.example/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net:pw@evil.example/"),
            ("https://contoso.search.windows.net", "https://contoso.search.windows.net\\@evil.example/"),
            ("https://contoso.search.windows.net", "https:/contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "https:///contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "//contoso.search.windows.net/"),
            ("https://contoso.search.windows.net", "/v1/realtime/calls/rtc_1"),
            ("https://contoso.search.windows.net", "contoso.search.windows.net"),
            ("https://contoso.search.windows.net", ""),
            ("https://contoso.example:8443", "https://contoso.example/"),
            ("http://[::1]:9000", "http://[::1]:9001/"),
            ("http://[::1]:9000", "http://[::2]:9000/"),
        ] {
            assert!(!points_at(endpoint, url), "{url}");
        }
    }
}
