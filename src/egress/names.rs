//! Where a name leads: asked of the system, or of the one DNS server that the settings name; never back to ourselves.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::CNAME;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

use super::ourselves::Ourselves;

/// Finds the addresses of hosts.
#[derive(Clone)]
pub(super) enum Names {
    /// As the system does: its hosts file, its servers, its order.
    Systems(GaiResolver),
    /// At one server, with no file before it. What it said is kept as long as it said, for all who are clones.
    Servers(SocketAddr, Box<TokioResolver>),
}

/// Finds the addresses of one port of a host.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) names: Names,
    pub(super) ourselves: Arc<Ourselves>,
    pub(super) port: u16,
}

/// Where a name leads.
#[derive(Clone, Debug)]
pub(crate) struct Leads {
    /// The addresses, with port 0, in the order in which they are tried.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The names that it stands for, in their order, without a dot behind; `None` where they cannot be seen: the system
    /// tells addresses alone.
    pub(crate) aliases: Option<Vec<String>>,
}

/// A host leads back to us.
#[derive(Debug)]
pub(super) struct LeadsBack(pub(super) SocketAddr);

/// A name server does not know a host, or does not answer.
#[derive(Debug)]
struct NotFound {
    server: SocketAddr,
    error: NetError,
}

/// How long a name server may take to answer a question, and how often it is asked.
const ANSWER: Duration = Duration::from_secs(1);
const QUESTIONS: usize = 3;

type Found = std::vec::IntoIter<SocketAddr>;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

// === impl Names ===

impl Names {
    /// As the system finds them.
    pub(super) fn systems() -> Self {
        Self::Systems(GaiResolver::new())
    }

    /// As this server finds them.
    ///
    /// # Errors
    /// A resolver that cannot be made, for the log.
    pub(super) fn at(server: SocketAddr) -> Result<Self, String> {
        let mut protocols = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        protocols.iter_mut().for_each(|protocol| protocol.port = server.port());
        let servers = vec![NameServerConfig::new(server.ip(), true, protocols.into())];
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options: &mut ResolverOpts = resolver.options_mut();
        // The hosts file is what we must not believe.
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // A question that was lost is asked again while there is time to connect.
        (options.timeout, options.attempts) = (ANSWER, QUESTIONS);
        let resolver = resolver.build().map_err(|error| error.to_string())?;
        Ok(Self::Servers(server, Box::new(resolver)))
    }

    async fn look_up(mut self, name: Name) -> Result<Leads, BoxError> {
        match &mut self {
            Self::Systems(system) => Ok(Leads { addresses: system.call(name).await?.collect(), aliases: None }),
            Self::Servers(server, resolver) => {
                // The dot ends the name: no search list is tried after it.
                let whole = format!("{}.", name.as_str().trim_end_matches('.'));
                let found = resolver.lookup_ip(whole).await.map_err(|error| NotFound { server: *server, error })?;
                let mut addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
                // Azure's hosts have addresses of IPv4; those of IPv6 are tried a moment later.
                addresses.sort_by_key(SocketAddr::is_ipv6);
                Ok(Leads { addresses, aliases: Some(aliases(found.as_lookup())) })
            }
        }
    }
}

/// The names that an answer led through, each once: both kinds of address were asked for, and both tell them.
fn aliases(found: &Lookup) -> Vec<String> {
    let mut aliases = Vec::new();
    for record in found.answers() {
        if let RData::CNAME(CNAME(name)) = &record.data {
            let name = name.to_ascii().trim_end_matches('.').to_owned();
            if !aliases.contains(&name) {
                aliases.push(name);
            }
        }
    }
    aliases
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Systems(_) => "Systems",
            Self::Servers(..) => "Servers",
        })
    }
}

// === impl Addresses ===

impl Service<Name> for Addresses {
    type Response = Found;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Found, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let addresses = self.clone();
        Box::pin(async move { addresses.leads(name).await.map(|leads| leads.addresses.into_iter()) })
    }
}

impl Addresses {
    /// Where a name leads.
    ///
    /// # Errors
    /// It is not found, or leads back to us.
    pub(super) async fn leads(self, name: Name) -> Result<Leads, BoxError> {
        let Self { names, ourselves, port } = self;
        let leads = names.look_up(name).await?;
        let with_port = |found: &SocketAddr| SocketAddr::new(found.ip(), port);
        match leads.addresses.iter().map(with_port).find(|address| ourselves.listen_on(*address)) {
            Some(address) => Err(LeadsBack(address).into()),
            None => Ok(leads),
        }
    }
}

// === impl LeadsBack ===

impl fmt::Display for LeadsBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it leads back to keyswap, which listens on {}", self.0)
    }
}

impl Error for LeadsBack {}

// === impl NotFound ===

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, error } = self;
        if error.is_no_records_found() {
            write!(f, "the name server {server} knows no address of it")
        } else {
            write!(f, "the name server {server}: {error}")
        }
    }
}

impl Error for NotFound {}
