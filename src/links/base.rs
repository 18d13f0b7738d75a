//! How the URLs begin by which a client reaches a resource through us.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use super::{Reached, origin};
use crate::authorize::Permit;

/// The beginning of a URL, up to where the resource's own path begins: scheme, host, port, and what stands before that
/// path. It has no byte that JSON or a header would have to escape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(String);

impl Base {
    /// The base that the client used for its request, as it wrote host, port and the resource's name; what trusted proxies
    /// tell counts more. `None` for a client that calls the resource by its own host, and for one that says no host.
    pub(super) fn of(head: &Parts, reached: &Reached, permit: &Permit) -> Option<Self> {
        let public = reached.public_url.as_ref();
        let told = public.and_then(|url| url.host.as_ref());
        let host = told.or(head.uri.authority()).map(Authority::as_str);
        // The route has seen that it is a host and a port.
        let host = host.or_else(|| head.headers.get(HOST)?.to_str().ok()).filter(|host| !host.is_empty())?;
        let outer = public.map_or("", |url| &url.prefix);
        let name = head.uri.path().get(..permit.prefix()).unwrap_or_default();
        let endpoint = &permit.resource().endpoint;
        // A proxy in front may have ended TLS and not tell, so the scheme that we see says nothing here.
        if outer.is_empty() && name.is_empty() && origin::is_host_of(endpoint, host) {
            return None;
        }
        let ours = if reached.is_secure { "https" } else { "http" };
        let scheme = public.and_then(|url| url.scheme.as_ref()).map_or(ours, |scheme| scheme.as_str());
        Some(Self(format!("{scheme}://{host}{outer}{name}")))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A base of its own, without a request.
    #[cfg(test)]
    pub(super) fn written(text: &str) -> Self {
        Self(text.to_owned())
    }
}
