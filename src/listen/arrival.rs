//! How a request came in.

use super::origin::ClientAddress;
use super::public_url::PublicUrl;
use super::server_name::ServerName;

/// How a request came in: in its extensions, for the log, for the choice of its resource, and for the URLs by which its
/// client comes back. It is one extension, since each costs every request.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it comes from.
    pub from: Option<ClientAddress>,
    /// Which way it came in.
    pub entrance: Entrance,
    /// The name in the TLS handshake, if there was one.
    pub server_name: Option<ServerName>,
    /// By which URL the client called, where trusted proxies tell.
    pub public_url: Option<PublicUrl>,
}

/// Which way a connection came in.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    /// By which of the settings' listeners: `http`, `https` or `unix`.
    pub listener: &'static str,
    /// The version of TLS, such as `1.3`; none without TLS.
    pub tls: Option<&'static str>,
}
