//! Tunnels through a corporate proxy. What goes through is TLS from us to Azure; the proxy sees host and port.
//!
//! hyper-util has a `Tunnel` too, which keeps to itself with what status a proxy refused. That status is what an
//! operator needs.

use std::error::Error;
use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::Uri;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;
use zeroize::Zeroizing;

use super::names::Addresses;
use crate::document::Mistakes;
use crate::settings::{Proxy, SecretSource};

/// Opens tunnels through a proxy.
#[derive(Debug)]
pub(super) struct Tunnels {
    proxy: Proxy,
    url: Uri,
    /// Marked sensitive.
    credentials: Option<HeaderValue>,
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) enum NoTunnel {
    /// The proxy cannot be reached, or what it says is not HTTP.
    Broken(Box<dyn Error + Send + Sync>),
    /// It said no.
    Refused(StatusCode),
}

// === impl Tunnels ===

impl Tunnels {
    /// Reads the proxy's credentials, once: a worker must not wait for a file.
    pub(super) fn new(proxy: Proxy) -> Result<Self, Mistakes> {
        let wrong = |what: String| Mistakes::of_file("egress".as_ref(), what);
        let credentials = proxy.credentials.as_ref().map(basic).transpose();
        let credentials = credentials.map_err(|why| wrong(format!("the proxy's credentials: {why}")))?;
        let url = Uri::builder().scheme("http").authority(proxy.authority.clone()).path_and_query("/").build();
        let url = url.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { proxy, url, credentials })
    }

    /// What the proxy is shown.
    pub(super) fn credentials(&self) -> Option<&HeaderValue> {
        self.credentials.as_ref()
    }

    /// Whether a host is reached through the proxy.
    pub(super) fn serves(&self, host: &str) -> bool {
        self.proxy.serves(host)
    }

    /// Opens a tunnel to `target`, a host and a port.
    pub(super) async fn open(
        &self,
        tcp: &mut HttpConnector<Addresses>,
        target: &str,
    ) -> Result<TokioIo<TcpStream>, NoTunnel> {
        let tcp = tcp.call(self.url.clone()).await.map_err(NoTunnel::broken)?;
        let (mut requests, connection) = http1::handshake(tcp).await.map_err(NoTunnel::broken)?;
        let mut connect = Request::builder().method(Method::CONNECT).uri(target).header(HOST, target);
        if let Some(credentials) = &self.credentials {
            connect = connect.header(PROXY_AUTHORIZATION, credentials);
        }
        let connect = connect.body(Empty::<Bytes>::new()).map_err(NoTunnel::broken)?;
        let answer = requests.send_request(connect);
        let accepted = async {
            let status = answer.await.map_err(NoTunnel::broken)?.status();
            if status.is_success() { Ok(()) } else { Err(NoTunnel::Refused(status)) }
        };
        let handed_back = async { connection.without_shutdown().await.map_err(NoTunnel::broken) };
        // A refusal ends both at once, its page is not read. After a yes nothing was read beyond it: a server waits
        // for the client to begin TLS.
        let ((), parts) = tokio::try_join!(accepted, handed_back)?;
        Ok(parts.io)
    }
}

/// The proxy's name, for the log.
impl fmt::Display for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", self.proxy.authority)
    }
}

/// The credentials as a header says them.
fn basic(credentials: &SecretSource) -> Result<HeaderValue, String> {
    let pair = credentials.read()?;
    if !pair.contains(':') {
        return Err("must be written as user:password".to_owned());
    }
    let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
    let mut header = HeaderValue::from_str(&text).map_err(|error| error.to_string())?;
    header.set_sensitive(true);
    Ok(header)
}

// === impl NoTunnel ===

impl NoTunnel {
    fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }
}

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("broken"),
            Self::Refused(status) => write!(f, "{status}"),
        }
    }
}

impl Error for NoTunnel {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(error) => Some(&**error),
            Self::Refused(_) => None,
        }
    }
}
