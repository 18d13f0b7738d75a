//! What upstreams are dialled with, and issuers of tokens.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Scheme, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::stream::{Socket, UpstreamStream};
use super::tunnel::Tunnels;
use crate::settings::{EgressTimeouts, without_brackets};

/// Makes a connection to the host of a URL.
#[derive(Clone, Debug)]
pub struct Connector {
    tcp: HttpConnector,
    proxy: Option<Arc<Tunnels>>,
    tls: Arc<ClientConfig>,
    timeouts: EgressTimeouts,
}

/// Why there is no connection: a line for the log that says who did what, and never holds a credential.
#[derive(Debug)]
pub struct Unreachable(String);

/// How often a silent connection is proven alive: Azure drops idle flows after four minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

// === impl Connector ===

impl Connector {
    pub(super) fn new(tls: Arc<ClientConfig>, proxy: Option<Arc<Tunnels>>, timeouts: EgressTimeouts) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among a host's addresses, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(timeouts.connect));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        Self { tcp, proxy, tls, timeouts }
    }

    /// Makes a connection to the host of a URL, with TLS where it says https.
    ///
    /// # Errors
    /// No connection within the time that each of its steps has.
    pub async fn connect(mut self, url: &Uri) -> Result<UpstreamStream, Unreachable> {
        let host = url.host().unwrap_or_default();
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let target = format!("{host}:{port}");

        let limit = self.timeouts.connect;
        let tcp = match self.proxy.filter(|proxy| proxy.serves(host)) {
            Some(proxy) => within(limit, proxy.open(&mut self.tcp, &target))
                .await
                .map_err(|why| format!("no tunnel to {target} through {proxy}: {why}")),
            None => within(limit, self.tcp.call(url.clone()))
                .await
                .map_err(|why| format!("no connection to {target}: {why}")),
        };
        let socket = Socket::new(tcp.map_err(Unreachable)?.into_inner());
        if !secure {
            return Ok(UpstreamStream::plain(socket));
        }
        let no_tls = |why| Unreachable(format!("no TLS with {target}: {why}"));
        let name =
            ServerName::try_from(without_brackets(host).to_owned()).map_err(|error| no_tls(error.to_string()))?;
        let handshake = TlsConnector::from(self.tls).connect(name, socket);
        Ok(UpstreamStream::tls(within(self.timeouts.tls, handshake).await.map_err(no_tls)?))
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
async fn within<T, E>(limit: Duration, step: impl Future<Output = Result<T, E>>) -> Result<T, String>
where
    E: Error + 'static,
{
    match tokio::time::timeout(limit, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if !timed_out(innermost(&error)) => Err(innermost(&error).to_string()),
        // Or each address of the host has used up its share of the limit.
        Ok(Err(_)) | Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// hyper's outer texts say only at which step it failed.
fn innermost<'e>(mut error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

// === impl Unreachable ===

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unreachable {}
