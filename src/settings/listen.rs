//! Where clients connect, and what they are shown there: `[listen]` and `[tls]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::{address, connections, path};
use super::{TrustedProxies, UnixSocket, loopback};
use crate::document::Section;

/// Where clients connect; at least one of the three addresses is set.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Plain HTTP/1.1.
    pub http: Option<SocketAddr>,
    /// HTTP/1.1 and HTTP/2 over TLS.
    pub https: Option<Https>,
    /// HTTP/1.1 on a unix socket.
    pub unix: Option<UnixSocket>,
    /// How many connections are served at once; more wait until one ends.
    pub connections: usize,
    /// Who is believed about the addresses of clients.
    pub proxies: TrustedProxies,
}

/// The address that speaks TLS, and what it shows.
#[derive(Debug, Clone)]
pub struct Https {
    /// The address.
    pub address: SocketAddr,
    /// What it shows.
    pub tls: Tls,
}

/// The certificates of the https address, each for the names that stand in it. There is at least one.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// What is shown to whoever asks for no name that another one has.
    pub default: Option<CertificateFiles>,
    /// A directory of pairs, NAME.pem and NAME.key.
    pub directory: Option<PathBuf>,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
}

impl Listen {
    /// What is listened on when nothing is said: plain HTTP, for this machine alone.
    pub const DEFAULT_HTTP: SocketAddr = loopback(8080);

    /// No address at all; what the rest is when nothing is said.
    pub(crate) const NOWHERE: Self = Self {
        http: None,
        https: None,
        unix: None,
        connections: Self::DEFAULT_CONNECTIONS,
        proxies: TrustedProxies::NONE,
    };

    /// How many connections are served at once when nothing is said.
    pub const DEFAULT_CONNECTIONS: usize = 8192;

    /// `None` only where a mistake was noted.
    pub(super) fn read(root: &Section<'_>, base: &Path) -> Option<Self> {
        let tls = root.section("tls").map(|section| Tls::read(&section, base));
        let Some(section) = root.section("listen") else {
            return Some(Self { http: Some(Self::DEFAULT_HTTP), ..Self::NOWHERE });
        };
        let http = section.get("http").map(|value| address(&value));
        let https = section.get("https").map(|value| {
            let address = address(&value);
            let Some(tls) = tls else {
                value.wrong("needs a certificate: add [tls] with cert and key, or with directory");
                return None;
            };
            Some(Https { address: address?, tls: tls? })
        });
        let unix = UnixSocket::read(&section, base);
        let connections = connections(&section, Self::DEFAULT_CONNECTIONS);
        let proxies = TrustedProxies::read(&section);
        if http.is_none() && https.is_none() && unix == Some(None) {
            section.wrong("names no address: set http, https or unix");
            return None;
        }
        // A key that is there and wrong is a mistake already noted, not an address that is off.
        Some(Self {
            http: http.map_or(Some(None), |address| address.map(Some))?,
            https: https.map_or(Some(None), |https| https.map(Some))?,
            unix: unix?,
            connections: connections?,
            proxies: proxies?,
        })
    }
}

impl Tls {
    fn read(section: &Section<'_>, base: &Path) -> Option<Self> {
        let directory = section.get("directory").map(|value| path(&value, base));
        let (cert, key) = (section.get("cert"), section.get("key"));
        // Without a directory both are needed; with one, both or neither.
        let default = if directory.is_none() || cert.is_some() || key.is_some() {
            let cert = section.need("cert", "name the certificate chain, a PEM file");
            let key = section.need("key", "name the private key, a PEM file");
            Some(CertificateFiles { cert: path(&cert?, base)?, key: path(&key?, base)? })
        } else {
            None
        };
        Some(Self { default, directory: directory.map_or(Some(None), |path| path.map(Some))? })
    }
}
