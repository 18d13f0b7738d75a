//! The end of the walk: a request that may go, with the leave and the token it goes on.

use http::header::{
    AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Version};

use crate::authenticate::strip;
use crate::authorize::Permit;
use crate::token::Bearer;

/// A request that may be forwarded: the only thing that a forwarding service takes. It is made at the end of the walk
/// alone, holds no credential of the client's, and can only be turned into a request whole.
#[derive(Debug)]
pub struct Admitted<B> {
    request: Request<B>,
    permit: Permit,
    bearer: Bearer,
}

/// Headers that are between two neighbours (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    TRANSFER_ENCODING,
    UPGRADE,
];

impl<B> Admitted<B> {
    /// Admits a request: strips what is the client's own.
    pub(crate) fn new(request: Request<B>, permit: Permit, bearer: Bearer) -> Self {
        let (mut parts, body) = request.into_parts();
        strip(&mut parts);
        cut(&mut parts.uri, permit.prefix());
        strip_hop_by_hop(&mut parts.headers);
        // hyper has answered it, or will when the body is asked for; upstream it would only cost a round trip.
        parts.headers.remove(EXPECT);
        parts.headers.remove(TE);
        Self { request: Request::from_parts(parts, body), permit, bearer }
    }

    /// The leave that it goes on.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The request to send: to the permitted resource and no other host, with our token, the path and the query byte
    /// for byte as they came but for credentials.
    pub fn into_request(self) -> Request<B> {
        let endpoint = &self.permit.resource().endpoint;
        let (mut parts, body) = self.request.into_parts();
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(endpoint.scheme().clone());
        uri.authority = Some(endpoint.authority().clone());
        uri.path_and_query = Some(target);
        // Three parts that were valid each for itself: this cannot fail.
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
        parts.version = Version::HTTP_11;
        if let Ok(host) = HeaderValue::from_str(endpoint.authority().as_str()) {
            parts.headers.insert(HOST, host);
        }
        parts.headers.insert(AUTHORIZATION, self.bearer.header().clone());
        Request::from_parts(parts, body)
    }
}

/// Takes the resource's name from the beginning of a path; every other byte stays.
fn cut(uri: &mut Uri, prefix: usize) {
    let rest = uri.path_and_query().and_then(|target| target.as_str().get(prefix..));
    let Some(Ok(target)) = rest.filter(|_| prefix > 0).map(str::parse) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(target);
    // The path became shorter and still begins with a slash, so the parts still make a URI.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Removes what is between two neighbours: the known names, and every name in every `Connection` line.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    let named: Vec<HeaderName> =
        lines.flat_map(|line| line.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_line_is_honoured() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "websocket"),
            ("x-kept", "a"),
            ("x-kept", "b"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 2);
        assert!(headers.get_all("x-kept").iter().eq(["a", "b"]));
    }
}
