//! The end of the walk: a request that may go, with the leave and the token it goes on.
//!
//! There are two kinds, and nothing in between: on a permit goes our own token, on a passage the client's.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Version};

use crate::authenticate::strip;
use crate::authorize::{Passage, Permit};
use crate::listen::strip_forwarded;
use crate::settings::Resource;
use crate::token::Bearer;

/// A request that may be forwarded: the only thing that a forwarding service takes. It is made at the end of the walk
/// alone, holds no credential of the client's, and can only be turned into a request whole.
#[derive(Debug)]
pub struct Admitted<B> {
    request: Request<B>,
    leave: Leave,
}

/// What a request goes on. Whose token it rides follows from it, and cannot be said otherwise.
#[derive(Clone, Debug)]
pub(crate) enum Leave {
    /// What a key may do, and the token of ours for that.
    Ours(Permit, Bearer),
    /// The way for a client's token, which the passage holds itself.
    Clients(Passage),
}

impl<B> Admitted<B> {
    /// Admits a request: strips what is the client's own.
    pub(crate) fn new(request: Request<B>, leave: Leave) -> Self {
        let (mut parts, body) = request.into_parts();
        strip(&mut parts);
        strip_forwarded(&mut parts.headers);
        cut(&mut parts.uri, leave.prefix());
        strip_hop_by_hop(&mut parts.headers);
        // hyper has answered it, or will when the body is asked for; upstream it would only cost a round trip.
        parts.headers.remove(EXPECT);
        parts.headers.remove(TE);
        Self { request: Request::from_parts(parts, body), leave }
    }

    /// The leave that a key gave it; `None` where it goes with its client's own token.
    pub fn permit(&self) -> Option<&Permit> {
        match &self.leave {
            Leave::Ours(permit, _) => Some(permit),
            Leave::Clients(_) => None,
        }
    }

    /// Where it may go, and nowhere else.
    pub fn resource(&self) -> &Arc<Resource> {
        self.leave.resource()
    }

    /// The request to send over HTTP/1.1 to the permitted resource and no other host: its target in origin form, path
    /// and query byte for byte as they came but for credentials, with our token, or with nothing but the client's own.
    pub fn into_request(self) -> Request<B> {
        let (mut parts, body) = self.request.into_parts();
        if parts.uri.authority().is_some() {
            let target = parts.uri.into_parts().path_and_query;
            parts.uri = target.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        }
        parts.version = Version::HTTP_11;
        parts.headers.insert(HOST, self.leave.resource().endpoint.host_header().clone());
        parts.headers.insert(AUTHORIZATION, self.leave.authorization().clone());
        Request::from_parts(parts, body)
    }
}

// === impl Leave ===

impl Leave {
    fn resource(&self) -> &Arc<Resource> {
        match self {
            Self::Ours(permit, _) => permit.resource(),
            Self::Clients(passage) => passage.resource(),
        }
    }

    fn prefix(&self) -> usize {
        match self {
            Self::Ours(permit, _) => permit.prefix(),
            Self::Clients(passage) => passage.prefix(),
        }
    }

    fn authorization(&self) -> &HeaderValue {
        match self {
            Self::Ours(_, bearer) => bearer.header(),
            Self::Clients(passage) => passage.token().header(),
        }
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
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "transfer-encoding"
            | "upgrade"
    )
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
