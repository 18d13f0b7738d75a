//! What keyswap was told to be: addresses, resources, identities, limits.
//!
//! Two ways lead here, and both end in the same [`Settings`]: a file (`keyswap.toml`, [`Settings::read`]) and the
//! flags of a sidecar ([`Single::settings`]), which needs none. Nothing is guessed: the kind of an identity is always
//! named, because a gateway that quietly rides another identity than the one its owner thinks of is a hole.

mod admin;
mod cors;
mod endpoint;
pub(crate) mod file;
mod guessing;
mod identity;
mod listen;
mod network;
mod proxy;
mod resource;
mod single;
mod trusted_proxies;
mod unix_socket;
mod usage;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

pub use admin::{Admin, AdminSecret, AdminSecretPlace};
pub use cors::Cors;
pub use endpoint::Endpoint;
pub(crate) use endpoint::{host_and_port, is_loopback, without_brackets};
pub use guessing::Guessing;
pub use identity::{Application, Identity, IdentityKind, UserAssigned};
pub use listen::{CertificateFiles, Https, Listen, Tls};
pub use network::Network;
pub use proxy::{NoProxy, Proxy};
pub use single::Single;
pub use trusted_proxies::{ForwardedHeader, TrustedProxies};
pub use unix_socket::{SocketMode, UnixSocket};
pub use usage::Usage;

use crate::document::Mistakes;
use crate::plane::{Access, Plane};

/// Everything but the keys, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect.
    pub listen: Listen,
    /// Where operators ask, and who may.
    pub admin: Admin,
    /// How many worker threads carry requests.
    pub workers: NonZeroUsize,
    /// How long everybody may take.
    pub timeouts: Timeouts,
    /// What somebody meets who tries keys.
    pub guessing: Guessing,
    /// The web pages whose scripts may read answers.
    pub cors: Cors,
    /// How we stop.
    pub drain: Drain,
    /// How we reach Azure.
    pub egress: Egress,
    /// The Azure resources behind us, at least one.
    pub resources: Vec<Arc<Resource>>,
    /// The identities that resources and grants name.
    pub identities: Vec<Arc<Identity>>,
    /// Where the keys are.
    pub keys: KeySource,
    /// How long before the end of a key its operator is told.
    pub key_notice: Duration,
    /// Where their use is written down.
    pub usage: Usage,
}

/// How long everybody may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The clients.
    pub client: ClientTimeouts,
    /// The way to upstreams and to the issuers of tokens.
    pub egress: EgressTimeouts,
    /// The upstreams.
    pub upstream: UpstreamTimeouts,
    /// Client and upstream together, to say anything over a websocket. Who is there and silent is no less there; who has
    /// gone without a word is found out by TCP.
    pub websocket: Duration,
}

/// How long a client may take. There is no limit in all: an answer may take as long as it flows.
#[derive(Debug, Clone, Copy)]
pub struct ClientTimeouts {
    /// To send the first byte of its first request, or the first message of its TLS handshake.
    pub first_byte: Duration,
    /// To send the head of a request, from its first byte on, or to finish its handshake.
    pub head: Duration,
    /// To begin the next request on a kept connection; over HTTP/2, when it has no open stream any more.
    pub keep_alive: Duration,
    /// To take any of what is written to it, over HTTP/2 of any answer; and to give a sign of life, for which it has half a
    /// minute at least.
    pub write: Duration,
}

/// How long a connection may take to come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressTimeouts {
    /// Until bytes can go through: the look-up of the name, TCP, and the proxy's tunnel if there is one.
    pub connect: Duration,
    /// The TLS handshake after that.
    pub tls: Duration,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To begin its answer, from when the last piece of the request has left. Reasoning models are silent for very long.
    pub answer: Duration,
    /// To send more of an answer that has begun. A client may take as long to send more of a request.
    pub stream: Duration,
    /// How long a request waits for a connection when its resource has all that it may have.
    pub wait: Duration,
    /// How long a connection is kept for the next request. Azure closes idle ones after minutes; we want to be first.
    pub idle: Duration,
    /// How long after its opening a connection still takes a request. The next one looks the name up anew: addresses
    /// move.
    pub age: Duration,
}

/// How a stop goes: first the balancers learn, then the listeners close, then what still runs gets its time.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// How long new connections are still taken after SIGTERM, because endpoints lag.
    pub delay: Duration,
    /// How long running requests may go on after that.
    pub deadline: Duration,
}

/// How we reach Azure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Egress {
    /// A PEM file of authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// The DNS server that is asked for the names of Azure's hosts, instead of the system: the system may have been
    /// told that they are here.
    pub resolver: Option<SocketAddr>,
    /// The proxy that stands between us and Azure. Managed identities are asked without it.
    pub proxy: Option<Proxy>,
}

/// One Azure resource that we forward to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name in the settings and in the log.
    pub name: Arc<str>,
    /// The plane it serves.
    pub plane: Plane,
    /// Its address.
    pub endpoint: Endpoint,
    /// Where it is, if no name is to be looked up for it.
    pub address: Option<SocketAddr>,
    /// The hosts by which clients call it at our door, in lower case; that of its endpoint is one, unlisted.
    pub hosts: Vec<Arc<str>>,
    /// Whose tokens it gets, by access.
    pub identity: ByAccess<Arc<str>>,
    /// The scope of those tokens.
    pub scope: Arc<str>,
    /// How many connections it may have at once: the ports of a NAT are few.
    pub connections: usize,
    /// What becomes of a request that brings an Entra token of the client's own.
    pub client_tokens: ClientTokens,
    /// Its id in Azure's management, where somebody has written it down. Nothing but advice depends on it.
    pub id: Option<Arc<str>>,
}

/// What becomes of a request that brings an Entra token of the client's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientTokens {
    /// It is refused: whoever has a token can call Azure without us.
    #[default]
    Refuse,
    /// It goes upstream with that token, where Azure's own roles decide.
    Pass,
}

/// A value for each depth of access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByAccess<T> {
    /// For operations that leave nothing behind.
    pub read: T,
    /// For operations that leave data behind.
    pub write: T,
    /// For operations that change what the resource is.
    pub manage: T,
}

/// Where a secret is. The secret itself is never part of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A `keys.toml`: clients, digests, grants.
    Digests(PathBuf),
    /// A file of plain keys, one a line, that all get the same grant.
    Plain {
        /// The file.
        file: PathBuf,
        /// The words of the grant: families and presets; the plane's default if none is given.
        allow: Vec<String>,
    },
}

// === impl Settings ===

impl Settings {
    /// The file of settings where none is named.
    pub const DEFAULT_FILE: &str = "keyswap.toml";

    /// How many days before the end of a key its operator is told, where the settings say nothing.
    const KEY_NOTICE_DAYS: u64 = 14;

    /// The settings that a command line leads to: its flags if they name an upstream, else the file.
    ///
    /// # Errors
    /// Everything that is wrong with the flags or the file; or, where there is neither, what to do.
    pub fn load(file: Option<&Path>, single: &Single) -> Result<Self, Mistakes> {
        if !single.upstream.is_empty() {
            return single.settings();
        }
        let default = Path::new(Self::DEFAULT_FILE);
        if file.is_none() && !default.exists() {
            return Err(single::nothing_said(default));
        }
        Self::read(file.unwrap_or(default))
    }

    /// The resource of that name.
    pub fn resource(&self, name: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|resource| &*resource.name == name)
    }

    /// The identity of that name.
    pub fn identity(&self, name: &str) -> Option<&Arc<Identity>> {
        self.identities.iter().find(|identity| &*identity.name == name)
    }
}

impl Timeouts {
    /// What holds where the settings say nothing.
    pub const DEFAULT: Self = Self {
        client: ClientTimeouts {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(15),
            keep_alive: Duration::from_secs(180),
            write: Duration::from_secs(60),
        },
        egress: EgressTimeouts { connect: Duration::from_secs(5), tls: Duration::from_secs(5) },
        upstream: UpstreamTimeouts {
            answer: Duration::from_secs(30 * 60),
            stream: Duration::from_secs(10 * 60),
            wait: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            age: Duration::from_secs(10 * 60),
        },
        websocket: Duration::from_secs(30 * 60),
    };
}

impl Resource {
    /// How many connections a resource may have where the settings say nothing: half of the ports that Azure's NAT
    /// gives a machine by default.
    pub const DEFAULT_CONNECTIONS: usize = 512;
}

impl ClientTokens {
    /// By name, as the settings say it.
    pub const NAMES: &[(&str, Self)] = &[("refuse", Self::Refuse), ("pass", Self::Pass)];
}

impl Drain {
    /// Five seconds, as long as Kubernetes endpoints may lag; then time for a long answer.
    pub const DEFAULT: Self = Self { delay: Duration::from_secs(5), deadline: Duration::from_secs(60) };
}

/// Whose token a request rides that brought its own. No identity of ours may have this name.
pub(crate) const CLIENTS_OWN: &str = "client";

/// So many days.
const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

/// One worker a core, four at the most: a gateway beside an application must not take its cores.
fn default_workers() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    cores.min(NonZeroUsize::MIN.saturating_add(3))
}

// === impl SecretSource ===

impl SecretSource {
    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Environment(_) => None,
        }
    }

    /// The secret as it is at this moment: the first line, without blanks around it.
    ///
    /// # Errors
    /// Which file or variable has none, for an operator to read.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, String> {
        let text = match self {
            Self::File(file) => std::fs::read_to_string(file)
                .map_err(|error| format!("the secret file {} cannot be read: {error}", file.display())),
            Self::Environment(variable) => {
                std::env::var(variable).map_err(|_| format!("the environment has no {variable} to hold the secret"))
            }
        };
        let text = Zeroizing::new(text?);
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(Zeroizing::new(line.to_owned())) }
    }
}

// === impl ByAccess ===

impl<T> ByAccess<T> {
    /// The value for an access.
    pub fn at(&self, access: Access) -> &T {
        match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
            Access::Manage => &self.manage,
        }
    }

    /// Each value turned into another.
    pub fn map<U>(&self, each: impl Fn(&T) -> U) -> ByAccess<U> {
        ByAccess { read: each(&self.read), write: each(&self.write), manage: each(&self.manage) }
    }
}

impl<T: Clone> ByAccess<T> {
    /// The same value for every access.
    pub fn always(value: T) -> Self {
        Self { read: value.clone(), write: value.clone(), manage: value }
    }
}
