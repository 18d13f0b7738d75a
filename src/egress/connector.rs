//! What upstreams are dialled with, and issuers of tokens.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use http::uri::{Scheme, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::names::{Addresses, BoxError, Leads, LeadsBack, Names};
use super::ourselves::Ourselves;
use super::stream::{Socket, UpstreamStream};
use super::tunnel::{NoTunnel, Tunnels};
use super::witness::Witness;
use crate::settings::{EgressTimeouts, without_brackets};

/// Makes a connection to the host of a URL.
#[derive(Clone, Debug)]
pub struct Connector {
    names: Names,
    proxy: Option<Arc<Tunnels>>,
    tls: Arc<ClientConfig>,
    timeouts: EgressTimeouts,
    ourselves: Arc<Ourselves>,
}

/// Why there is no connection: a line for the log that says who did what, and never holds a credential.
#[derive(Debug)]
pub enum Unreachable {
    /// Something on the way did not do its part.
    Broken(String),
    /// The proxy said no, in this way.
    Refused(String, StatusCode),
    /// The way leads back to us.
    Loop(String),
}

/// Where a connection is to end, as it is told of.
#[derive(Clone, Copy)]
struct Target<'u> {
    host: &'u str,
    port: u16,
    address: Option<SocketAddr>,
}

/// Why a name leads nowhere.
#[derive(Debug)]
struct NotLed(BoxError);

/// How often a silent connection is proven alive: Azure drops idle flows after four minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long sent bytes may stay unacknowledged before the connection counts as dead. To Linux, an upstream that lives and
/// takes nothing is no other: so this is also what ends an upload into one that has stalled, long before its answer is due.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

// === impl Connector ===

impl Connector {
    pub(super) fn new(
        names: Names,
        proxy: Option<Arc<Tunnels>>,
        tls: Arc<ClientConfig>,
        timeouts: EgressTimeouts,
        ourselves: Arc<Ourselves>,
    ) -> Self {
        Self { names, proxy, tls, timeouts, ourselves }
    }

    /// Makes a connection to the host of a URL, with TLS where it says https.
    ///
    /// # Errors
    /// No connection within the time that each of its steps has, or one to ourselves.
    pub async fn connect(self, url: &Uri) -> Result<UpstreamStream, Unreachable> {
        self.connect_at(url, None).await
    }

    /// The same; where an address is given, nobody is asked for that of the host. It is the host, still, that TLS
    /// verifies, and that decides whether a proxy stands between.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_at(self, url: &Uri, address: Option<SocketAddr>) -> Result<UpstreamStream, Unreachable> {
        let socket = self.reach(url, address).await?;
        self.secure(url, address, socket).await
    }

    /// The same, before a witness of its TLS handshakes. It trusts no more than it did.
    #[must_use]
    pub(crate) fn before(&self, witness: Arc<Witness>) -> Self {
        let mut tls = (*self.tls).clone();
        tls.dangerous().set_certificate_verifier(witness);
        // Whoever is known from before is not looked at again.
        tls.resumption = Resumption::disabled();
        Self { tls: Arc::new(tls), ..self.clone() }
    }

    /// Where a connection to the host of a URL will go, if nobody has said where that is.
    ///
    /// # Errors
    /// Its name is not found within the time that a connection has, or leads back to us.
    pub(crate) async fn look_up(&self, url: &Uri) -> Result<Leads, Unreachable> {
        let Target { host, port, .. } = Target::of(url, None);
        let tried = |why: Unreachable| why.told_as(&format!("no address of {host}"));
        let name = host.parse::<Name>().map_err(|error| tried(Unreachable::Broken(error.to_string())))?;
        let look_up = self.addresses(self.names.clone(), port).leads(name);
        within(self.timeouts.connect, async { look_up.await.map_err(NotLed) }).await.map_err(tried)
    }

    fn proxy_for(&self, host: &str) -> Option<&Tunnels> {
        self.proxy.as_deref().filter(|proxy| proxy.serves(host))
    }

    /// The first step of a connection: TCP, and the proxy's tunnel if there is one.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub(crate) async fn reach(&self, url: &Uri, address: Option<SocketAddr>) -> Result<Socket, Unreachable> {
        let target @ Target { host, port, .. } = Target::of(url, address);
        let written = without_brackets(host).parse().ok().map(|ip| SocketAddr::new(ip, port));
        if let Some(own) = address.or(written).filter(|address| self.ourselves.listen_on(*address)) {
            return Err(Unreachable::Loop(format!("no connection to {host}:{port}: {}", LeadsBack(own))));
        }
        let limit = self.timeouts.connect;
        let tcp = match self.proxy_for(host) {
            Some(proxy) => {
                // The proxy is no name of Azure's: it is found as the system says.
                let mut tcp = self.tcp(Names::systems(), port);
                let end = address.map_or_else(|| format!("{host}:{port}"), |address| address.to_string());
                let tunnel = within(limit, proxy.open(&mut tcp, &end)).await;
                tunnel.map_err(|why| why.told_as(&format!("no tunnel to {target} through {proxy}")))?
            }
            None => {
                let way = address.map_or(Ok(url.clone()), |address| format!("http://{address}/").parse());
                let way = way.map_err(|error| Unreachable::Broken(error.to_string()))?;
                let dialled = within(limit, self.tcp(self.names.clone(), port).call(way)).await;
                dialled.map_err(|why| why.told_as(&format!("no connection to {target}")))?
            }
        };
        Ok(Socket::new(tcp.into_inner()))
    }

    /// The second and last: TLS, where the URL says https.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub(crate) async fn secure(
        &self,
        url: &Uri,
        address: Option<SocketAddr>,
        socket: Socket,
    ) -> Result<UpstreamStream, Unreachable> {
        if url.scheme() != Some(&Scheme::HTTPS) {
            return Ok(UpstreamStream::plain(socket));
        }
        let target @ Target { host, .. } = Target::of(url, address);
        let no_tls = |why: Unreachable| why.told_as(&format!("no TLS with {target}"));
        let name = ServerName::try_from(without_brackets(host).to_owned());
        let name = name.map_err(|error| no_tls(Unreachable::Broken(error.to_string())))?;
        let handshake = TlsConnector::from(self.tls.clone()).connect(name, socket);
        let stream = within(self.timeouts.tls, handshake).await.map_err(no_tls)?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if leaf.is_some_and(|leaf| self.ourselves.show(leaf, host)) {
            return Err(no_tls(Unreachable::Loop("it shows keyswap's own certificate".to_owned())));
        }
        Ok(UpstreamStream::tls(stream))
    }

    /// Makes connections of TCP to one port of a host, wherever these names lead.
    fn tcp(&self, names: Names, port: u16) -> HttpConnector<Addresses> {
        let mut tcp = HttpConnector::new_with_resolver(self.addresses(names, port));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among a host's addresses, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(self.timeouts.connect));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        tcp
    }

    fn addresses(&self, names: Names, port: u16) -> Addresses {
        Addresses { names, ourselves: self.ourselves.clone(), port }
    }
}

// === impl Target ===

impl<'u> Target<'u> {
    fn of(url: &'u Uri, address: Option<SocketAddr>) -> Self {
        let standard = if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        Self { host: url.host().unwrap_or_default(), port: url.port_u16().unwrap_or(standard), address }
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, address } = self;
        write!(f, "{host}:{port}")?;
        address.map_or(Ok(()), |address| write!(f, " at {address}"))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<UpstreamStream>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unreachable>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreachable>> {
        // So is the connector of TCP: it makes its sockets as it is called.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&url).await.map(TokioIo::new) })
    }
}

/// What a step came to within its limit; else why not.
async fn within<T, E>(limit: Duration, step: impl Future<Output = Result<T, E>>) -> Result<T, Unreachable>
where
    E: Error + 'static,
{
    let late = || Unreachable::Broken(format!("no answer within {limit:?}"));
    let Ok(done) = tokio::time::timeout(limit, step).await else { return Err(late()) };
    done.map_err(|error| {
        let cause = innermost(&error);
        if cause.is::<LeadsBack>() {
            Unreachable::Loop(cause.to_string())
        } else if let Some(NoTunnel::Refused(status)) = cause.downcast_ref() {
            Unreachable::Refused(cause.to_string(), *status)
        } else if timed_out(cause) {
            // Or each address of the host has used up its share of the limit.
            late()
        } else {
            Unreachable::Broken(cause.to_string())
        }
    })
}

/// What an error comes from in the end: hyper's outer texts say only at which step it failed.
pub(crate) fn innermost<'e>(mut error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

// === impl NotLed ===

impl fmt::Display for NotLed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not found")
    }
}

impl Error for NotLed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

// === impl Unreachable ===

impl Unreachable {
    /// The same, with what was tried before it.
    fn told_as(self, tried: &str) -> Self {
        match self {
            Self::Broken(why) => Self::Broken(format!("{tried}: {why}")),
            Self::Refused(why, status) => Self::Refused(format!("{tried}: {why}"), status),
            Self::Loop(why) => Self::Loop(format!("{tried}: {why}")),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) | Self::Refused(why, _) | Self::Loop(why) => f.write_str(why),
        }
    }
}

impl Error for Unreachable {}
