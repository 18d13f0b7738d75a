//! Where a request comes from: its client's address, also where proxies stand between, and the URL that it called there.
//!
//! The peer of a connection is certain. If it is a trusted proxy, what it says of *its* peer is believed, and so on,
//! hop by hop, as long as each is a trusted proxy: the first that is none is the client. So whatever a client wrote
//! itself stands behind its own address, and is never reached. What cannot be read ends the way there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};
use std::time::Duration;

use http::header::HeaderMap;
use tokio::io::AsyncRead;
use tokio::time::timeout;
use tracing::warn;

use super::public_url::PublicUrl;
use super::{forwarded, proxy_protocol};
use crate::settings::{ForwardedHeader, TrustedProxies, without_brackets};

/// The address of a request's client, for the log and against who guesses. None is known
/// of whoever comes by the unix socket, unless a trusted proxy tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Its address; never of IPv4 within IPv6.
    pub ip: IpAddr,
    /// Its port, which a proxy need not tell.
    pub port: Option<u16>,
}

/// Where the requests of one connection come from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    peer: Option<ClientAddress>,
    /// Those who are believed, if the peer is one of them.
    believed: Option<Arc<TrustedProxies>>,
}

/// A request's way, as far as it is believed.
struct Walk {
    /// The first that is no trusted proxy; else the last that is one.
    farthest: Option<ClientAddress>,
    /// How many elements of a header were written by trusted proxies, if each wrote one: the peer, and whoever it names.
    believed: usize,
}

// === impl Origin ===

impl Origin {
    /// Of a connection with this peer; a unix socket's has no address.
    pub(super) fn of(peer: Option<SocketAddr>, proxies: &Arc<TrustedProxies>) -> Self {
        let peer = peer.map(ClientAddress::from);
        let is_trusted = proxies.include(peer.map(|peer| peer.ip));
        Self { peer, believed: is_trusted.then(|| proxies.clone()) }
    }

    /// Lets a proxy say whom the connection is for, if it is one that has to, before anything else is read.
    ///
    /// # Errors
    /// It does not say so within its time.
    pub(super) async fn announced<I: AsyncRead + Unpin>(self, io: &mut I, limit: Duration) -> io::Result<Self> {
        static TOLD: Once = Once::new();
        let Some(proxies) = self.believed.as_ref().filter(|proxies| proxies.proxy_protocol) else { return Ok(self) };
        match timeout(limit, proxy_protocol::read(io)).await? {
            Ok(Some(client)) => Ok(Self::of(Some(client), proxies)),
            // The proxy speaks for itself, as when it looks whether we are there.
            Ok(None) => Ok(self),
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    TOLD.call_once(|| {
                        let from = self.peer.map(tracing::field::display);
                        warn!(from, %error, "a trusted proxy does not speak the PROXY protocol (told once)");
                    });
                }
                Err(error)
            }
        }
    }

    /// Whose the connection is, whatever its requests say.
    pub(super) fn peer(&self) -> Option<ClientAddress> {
        self.peer
    }

    /// The client of a request with these headers.
    pub(super) fn client(&self, headers: &HeaderMap) -> Option<ClientAddress> {
        let Some(proxies) = &self.believed else { return self.peer };
        self.walk(proxies, headers).farthest
    }

    /// The URL by which that client called; `None` where no proxy is believed.
    pub(super) fn public_url(&self, headers: &HeaderMap) -> Option<PublicUrl> {
        let proxies = self.believed.as_ref()?;
        let believed = self.walk(proxies, headers).believed;
        Some(match proxies.header {
            ForwardedHeader::XForwardedFor => PublicUrl::x_forwarded(headers, believed),
            ForwardedHeader::Forwarded => PublicUrl::forwarded(headers, believed),
        })
    }

    fn walk(&self, proxies: &TrustedProxies, headers: &HeaderMap) -> Walk {
        match proxies.header {
            ForwardedHeader::XForwardedFor => self.farthest(proxies, forwarded::x_forwarded_for(headers)),
            ForwardedHeader::Forwarded => self.farthest(proxies, forwarded::forwarded(headers)),
        }
    }

    fn farthest(&self, proxies: &TrustedProxies, hops: impl Iterator<Item = Option<ClientAddress>>) -> Walk {
        let mut walk = Walk { farthest: self.peer, believed: 1 };
        for hop in hops {
            let Some(hop) = hop else { break };
            walk.farthest = Some(hop);
            if !proxies.include(Some(hop.ip)) {
                break;
            }
            walk.believed += 1;
        }
        walk
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(peer) => peer.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

// === impl ClientAddress ===

impl ClientAddress {
    /// Reads an address, with its port or without.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let alone = || {
            let ip: IpAddr = without_brackets(text).parse().ok()?;
            Some(Self { ip: ip.to_canonical(), port: None })
        };
        text.parse::<SocketAddr>().ok().map(Self::from).or_else(alone)
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_canonical(), port: Some(address.port()) }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}
