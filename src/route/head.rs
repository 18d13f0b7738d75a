//! What a head must be before its path is read: not too large, of one host, of one method, of one path.

use http::Method;
use http::header::{HOST, HeaderName};
use http::request::Parts;

use super::path::{Parameter, hidden_names, parameters};
use crate::refusal::Refusal;
use crate::settings::host_and_port;

/// The largest head of a request, in bytes of its target, names and values.
pub const LARGEST_HEAD: usize = 64 * 1024;

/// The most header fields of a request.
pub const MOST_FIELDS: usize = 200;

/// Headers by which some servers let a request say another method than its own. Azure needs none of them.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// Query parameters that do the same.
const METHOD_PARAMETERS: [&str; 4] = ["_method", "x-http-method", "x-http-method-override", "x-method-override"];

/// Headers by which some servers let a request say another path than its own.
const PATH_OVERRIDES: [HeaderName; 2] =
    [HeaderName::from_static("x-original-url"), HeaderName::from_static("x-rewrite-url")];

/// Checks all of it; gives the host that the client called, without its port.
pub(super) fn check(request: &Parts) -> Result<Option<&str>, Refusal> {
    size(request)?;
    let host = host(request)?;
    method(request)?;
    overrides(request)?;
    Ok(host)
}

/// The same bounds for every version of HTTP. Whoever parses has bounds of its own, to be safe and not to be exact.
fn size(request: &Parts) -> Result<(), Refusal> {
    let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if request.headers.len() > MOST_FIELDS || fields.sum::<usize>() + target > LARGEST_HEAD {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(())
}

/// An absolute-form target is HTTP's and agrees with Host, and there is one Host at most.
fn host(request: &Parts) -> Result<Option<&str>, Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Ambiguous("it has more than one Host header"));
    }
    if request.uri.scheme_str().is_some_and(|scheme| !["http", "https"].contains(&scheme)) {
        return Err(Refusal::Ambiguous("its target has another scheme than http and https"));
    }
    let called = match (request.uri.authority(), host) {
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            return Err(Refusal::Ambiguous("its target and its Host header name different hosts"));
        }
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => b"",
    };
    let host = without_port(called).ok_or(Refusal::Ambiguous("its Host header is no host name"))?;
    Ok(Some(host).filter(|host| !host.is_empty()))
}

/// The host of `host[:port]`, without the dot that may end a full name; `None` for anything else.
fn without_port(authority: &[u8]) -> Option<&str> {
    let authority = std::str::from_utf8(authority).ok()?;
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let (host, port) = host_and_port(authority);
    let plain = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.bytes().all(|byte| name(byte) || byte == b':'),
        // Without a branch for each byte, many are looked at together.
        None => host.bytes().fold(true, |all, byte| all & name(byte)),
    };
    (plain && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

fn method(request: &Parts) -> Result<(), Refusal> {
    if request.method == Method::TRACE {
        return Err(Refusal::Ambiguous("its method is TRACE, whose answer would show the gateway's own token"));
    }
    if request.method == Method::CONNECT {
        return Err(Refusal::Ambiguous("its method is CONNECT, and this is no proxy"));
    }
    // Methods are case-sensitive (RFC 9110, 9.1), and not everybody knows.
    if request.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::Ambiguous("its method is not in capital letters"));
    }
    Ok(())
}

/// One look at each name costs less than asking for each override.
fn overrides(request: &Parts) -> Result<(), Refusal> {
    let names_method = |name: &str| METHOD_PARAMETERS.iter().any(|held| name.eq_ignore_ascii_case(held));
    let query = request.uri.query().unwrap_or_default();
    let parameter = parameters(query).map(Parameter::name).chain(hidden_names(query)).any(|name| names_method(&name));
    let names = || request.headers.keys().filter(|name| name.as_str().starts_with("x-"));
    if parameter || names().any(|name| METHOD_OVERRIDES.contains(name)) {
        return Err(Refusal::Ambiguous("it asks for another method than its own"));
    }
    if names().any(|name| PATH_OVERRIDES.contains(name)) {
        return Err(Refusal::Ambiguous("it asks for another path than its own"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_without_its_port_or_not_at_all() {
        for (authority, host) in [
            ("contoso.openai.azure.com", Some("contoso.openai.azure.com")),
            ("Contoso.openai.azure.com:443", Some("Contoso.openai.azure.com")),
            ("contoso.example.", Some("contoso.example")),
            ("127.0.0.1:8080", Some("127.0.0.1")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[::1].", None),
            ("", Some("")),
            ("a:b", None),
            ("a:80:80", None),
            ("user@a", None),
            ("a, b", None),
            ("a/b", None),
            ("[::1", None),
            ("x[::1]", None),
            ("[::1]x", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(without_port(authority.as_bytes()), host, "{authority}");
        }
    }
}
