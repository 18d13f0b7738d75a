//! By which URL a client reached us, where proxies stand between: their own scheme, host and path, not ours.
//!
//! `X-Forwarded-Proto`, `-Host` and `-Prefix`, or the `proto` and `host` of `Forwarded`: whichever of the two the
//! settings name, of trusted proxies alone. Each of them adds its own to the right, and so as many from the right are
//! believed as trusted proxies wrote addresses: what a client wrote itself stands further left. The first may also replace
//! what the client wrote, and the others pass that on. Only where the first adds to it and another passes it on, a client's
//! own word is taken for the first one's: nobody can tell. All that it gains is that its own links lead elsewhere.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};

use super::forwarded;

const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The beginning of the URL that a client called, as far as trusted proxies tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http` or `https`.
    pub scheme: Option<Scheme>,
    /// The host, with its port where that was said.
    pub host: Option<Authority>,
    /// What proxies took off the path: nothing, or a path without a slash at its end.
    pub prefix: String,
}

impl PublicUrl {
    /// As the headers that begin with `X-Forwarded-` tell, of which so many elements are believed.
    pub(super) fn x_forwarded(headers: &HeaderMap, believed: usize) -> Self {
        let farthest = |name| believed_of(headers, &name, believed).pop();
        let prefixes: Option<Vec<_>> = believed_of(headers, &PREFIX, believed).into_iter().rev().map(prefix).collect();
        Self {
            scheme: farthest(PROTO).and_then(scheme),
            host: farthest(HOST).and_then(host),
            prefix: prefixes.unwrap_or_default().concat(),
        }
    }

    /// As `Forwarded` tells, of which so many elements are believed. It knows no prefix.
    pub(super) fn forwarded(headers: &HeaderMap, believed: usize) -> Self {
        let elements: Vec<_> = forwarded::elements(headers).take(believed).flatten().collect();
        let farthest = |name| elements.iter().rev().find_map(|element| forwarded::parameter(element, name));
        Self {
            scheme: farthest("proto").and_then(scheme),
            host: farthest("host").and_then(host),
            prefix: String::new(),
        }
    }
}

/// The elements of a header that are believed, nearest first.
fn believed_of<'h>(headers: &'h HeaderMap, name: &HeaderName, believed: usize) -> Vec<&'h str> {
    let lines = headers.get_all(name).iter().rev().map(HeaderValue::to_str);
    // A line that is no text counts as one element, which says nothing.
    lines.flat_map(|line| line.unwrap_or_default().rsplit(',').map(str::trim)).take(believed).collect()
}

fn scheme(text: &str) -> Option<Scheme> {
    [Scheme::HTTP, Scheme::HTTPS].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
}

fn host(text: &str) -> Option<Authority> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}

/// A path that nobody reads otherwise than as it is written.
fn prefix(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let path = text.strip_suffix('/').unwrap_or(text);
    let mut segments = path.split('/');
    let rooted = segments.next() == Some("");
    let named = segments.all(|name| !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain));
    (rooted && named).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn shown(url: &PublicUrl) -> String {
        let scheme = url.scheme.as_ref().map_or("", Scheme::as_str);
        let host = url.host.as_ref().map_or("", Authority::as_str);
        format!("{scheme}://{host}{}", url.prefix)
    }

    #[test]
    fn what_stands_further_left_than_proxies_write_is_the_clients_own() {
        let (proto, host, prefix) = ("x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix");
        for (lines, believed, url) in [
            (&[][..], 1, "://"),
            (&[(proto, "https"), (host, "ai.example"), (prefix, "/azure")], 1, "https://ai.example/azure"),
            (&[(proto, "HTTPS"), (host, "ai.example:8443"), (prefix, "/a/b/")], 1, "https://ai.example:8443/a/b"),
            (&[(proto, "http, https"), (host, "evil.example, ai.example")], 1, "https://ai.example"),
            (&[(host, "evil.example"), (host, "ai.example")], 1, "://ai.example"),
            (&[(proto, "https, http"), (host, "ai.example,inner.example")], 2, "https://ai.example"),
            // The second one passed on what the first one wrote.
            (&[(proto, "https"), (host, "ai.example")], 2, "https://ai.example"),
            // Each took off a part of the path.
            (&[(prefix, "/evil, /azure, /inner")], 2, ":///azure/inner"),
            (&[(proto, "gopher"), (host, "a/b"), (prefix, "/a/../b")], 1, "://"),
            (&[(proto, ""), (host, "user@ai.example"), (prefix, "azure")], 1, "://"),
            (&[(host, "ai.example\""), (prefix, "/a\"b")], 1, "://"),
            (&[(host, ""), (prefix, "/")], 1, "://"),
            (&[(host, "[::1]:8443"), (prefix, "//a")], 1, "://[::1]:8443"),
        ] {
            assert_eq!(shown(&PublicUrl::x_forwarded(&headers(lines), believed)), url, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_says_it_in_its_elements() {
        for (lines, believed, url) in [
            (&[][..], 1, "://"),
            (&["for=192.0.2.1;proto=https;host=ai.example"], 1, "https://ai.example"),
            (&["for=_hidden;Proto=\"https\";Host=\"ai.example:8443\""], 1, "https://ai.example:8443"),
            (&["for=a;proto=http;host=evil.example", "for=192.0.2.1;proto=https"], 1, "https://"),
            (
                &["for=192.0.2.1;proto=https;host=ai.example, for=10.0.0.7;proto=http;host=inner"],
                2,
                "https://ai.example",
            ),
            (&["for=192.0.2.1, for=10.0.0.7;host=ai.example"], 2, "://ai.example"),
            (&["host=evil.example, for=\"192.0.2.1"], 2, "://"),
            (&["host=a;host=b;proto=ftp"], 1, "://"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("forwarded", line.parse().unwrap());
            }
            assert_eq!(shown(&PublicUrl::forwarded(&headers, believed)), url, "{lines:?}");
        }
    }
}
