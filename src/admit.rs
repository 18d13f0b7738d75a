//! The end of the walk: a request that may go, with the leave and the token it goes on.
//!
//! There are two kinds, and nothing in between: on a permit goes our own token, on a passage the client's.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Version};
use http_body::Body;

use crate::authenticate::strip;
use crate::authorize::{Condition, Passage, Permit, Way};
use crate::guard::{Guarded, Outcome};
use crate::listen::strip_forwarded;
use crate::refusal::Refusal;
use crate::settings::Resource;
use crate::token::Bearer;
use crate::websocket;

/// A request that may be forwarded: the only thing that a forwarding service takes. It is made at the end of the walk
/// alone, holds no credential of the client's, and can only be turned into a request whole, whose body is behind its guard.
#[derive(Debug)]
pub struct Admitted<B> {
    request: Request<Guarded<B>>,
    ride: Ride,
}

/// A leave with its token. Whose token that is follows from the leave, and cannot be said otherwise.
#[derive(Debug)]
enum Ride {
    /// What a key may do, and the token of ours for that.
    Ours(Permit, Bearer),
    /// The way for a client's token, which the passage holds itself.
    Clients(Passage),
}

impl<B: Body<Data = Bytes>> Admitted<B> {
    /// Admits a request: strips what is the client's own, and puts its body behind the permit's condition. How that comes
    /// out is told apart from it.
    ///
    /// # Errors
    /// A request whose condition cannot be seen to hold.
    pub(crate) fn new(request: Request<B>, permit: Permit, bearer: Bearer) -> Result<(Self, Outcome), Refusal> {
        Self::riding(request, Ride::Ours(permit, bearer))
    }

    /// Admits a request with its client's own token: strips what is the client's own besides. There is no condition on it.
    ///
    /// # Errors
    /// None that we know.
    pub(crate) fn passing(request: Request<B>, passage: Passage) -> Result<(Self, Outcome), Refusal> {
        Self::riding(request, Ride::Clients(passage))
    }

    fn riding(request: Request<B>, ride: Ride) -> Result<(Self, Outcome), Refusal> {
        let (mut parts, body) = request.into_parts();
        strip(&mut parts);
        strip_forwarded(&mut parts.headers);
        cut(&mut parts.uri, ride.prefix());
        strip_hop_by_hop(&mut parts.headers);
        // Over HTTP/1.1 hyper answers it when the body is asked for; over HTTP/2 nobody can, and its client goes on after a
        // while (RFC 9110, 10.1.1). Upstream it would only cost a round trip.
        parts.headers.remove(EXPECT);
        parts.headers.remove(TE);
        // Only now: what the upstream will not see is not what its reading of the body depends on.
        let (body, outcome) = Guarded::new(&parts, body, ride.condition())?;
        Ok((Self { request: Request::from_parts(parts, body), ride }, outcome))
    }

    /// The leave that it goes on.
    pub fn way(&self) -> Way {
        match &self.ride {
            Ride::Ours(permit, _) => Way::Permit(permit.clone()),
            Ride::Clients(passage) => Way::Passage(passage.clone()),
        }
    }

    /// The request to send over HTTP/1.1 to the permitted resource and no other host: its target in origin form, path
    /// and query byte for byte as they came but for credentials, with our token or else the client's own. It asks for a
    /// websocket if its leave says so, and never for another protocol.
    pub fn into_request(self) -> Request<Guarded<B>> {
        let (mut parts, body) = self.request.into_parts();
        if parts.uri.authority().is_some() {
            let target = parts.uri.into_parts().path_and_query;
            parts.uri = target.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        }
        parts.version = Version::HTTP_11;
        if self.ride.opens_websocket() {
            websocket::ask(&mut parts.headers);
        }
        parts.headers.insert(HOST, self.ride.resource().endpoint.host_header().clone());
        parts.headers.insert(AUTHORIZATION, self.ride.authorization().clone());
        Request::from_parts(parts, body)
    }
}

// === impl Ride ===

impl Ride {
    fn resource(&self) -> &Resource {
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

    fn opens_websocket(&self) -> bool {
        match self {
            Self::Ours(permit, _) => permit.opens_websocket(),
            Self::Clients(passage) => passage.opens_websocket(),
        }
    }

    fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Ours(permit, _) => permit.condition(),
            Self::Clients(_) => None,
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
    // Almost always there is one or none, and one look at the names tells.
    let known: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if known.contains(&CONNECTION) {
        // Almost always it is one of these, which names none but those that are known.
        let lines = headers.get_all(CONNECTION).iter().filter(|line| *line != "keep-alive" && *line != "close");
        let lines = lines.filter_map(|line| line.to_str().ok());
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
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
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
