//! The end of the walk: a request that may go, with the leave and the token it goes on.

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Version};
use http_body::Body;

use crate::authenticate::strip;
use crate::authorize::Permit;
use crate::guard::{Guarded, Outcome};
use crate::listen::strip_forwarded;
use crate::refusal::Refusal;
use crate::token::Bearer;
use crate::websocket;

/// A request that may be forwarded: the only thing that a forwarding service takes. It is made at the end of the walk
/// alone, holds no credential of the client's, and can only be turned into a request whole, whose body is behind its guard.
#[derive(Debug)]
pub struct Admitted<B> {
    request: Request<Guarded<B>>,
    permit: Permit,
    bearer: Bearer,
}

impl<B: Body<Data = Bytes>> Admitted<B> {
    /// Admits a request: strips what is the client's own, and puts its body behind the permit's condition. How that comes
    /// out is told apart from it.
    ///
    /// # Errors
    /// A request whose condition cannot be seen to hold.
    pub(crate) fn new(request: Request<B>, permit: Permit, bearer: Bearer) -> Result<(Self, Outcome), Refusal> {
        let (mut parts, body) = request.into_parts();
        strip(&mut parts);
        strip_forwarded(&mut parts.headers);
        cut(&mut parts.uri, permit.prefix());
        strip_hop_by_hop(&mut parts.headers);
        // hyper has answered it, or will when the body is asked for; upstream it would only cost a round trip.
        parts.headers.remove(EXPECT);
        parts.headers.remove(TE);
        // Only now: what the upstream will not see is not what its reading of the body depends on.
        let (body, outcome) = Guarded::new(&parts, body, permit.condition())?;
        Ok((Self { request: Request::from_parts(parts, body), permit, bearer }, outcome))
    }

    /// The leave that it goes on.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The request to send over HTTP/1.1 to the permitted resource and no other host: its target in origin form, path
    /// and query byte for byte as they came but for credentials, with our token. It asks for a websocket if its permit
    /// says so, and never for another protocol.
    pub fn into_request(self) -> Request<Guarded<B>> {
        let (mut parts, body) = self.request.into_parts();
        if parts.uri.authority().is_some() {
            let target = parts.uri.into_parts().path_and_query;
            parts.uri = target.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        }
        parts.version = Version::HTTP_11;
        if self.permit.opens_websocket() {
            websocket::ask(&mut parts.headers);
        }
        parts.headers.insert(HOST, self.permit.resource().endpoint.host_header().clone());
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

/// Removes what is between two neighbours (RFC 9110, 7.6.1): the known names, and every name in every `Connection` line.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Almost always there is none, and one look at the names tells.
    let known: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if known.contains(&CONNECTION) {
        let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
        let named: Vec<HeaderName> =
            lines.flat_map(|line| line.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in known {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    // Names that HTTP itself knows are compared as numbers.
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
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
