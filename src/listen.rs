//! From a listening socket to requests.
//!
//! Binding is apart from serving: a port that is taken ends the start, not the first request. Sockets are accepted on
//! the control runtime and handed to the workers in turn, even with few clients; what a worker does with one is in
//! [`connection`], and whom its requests come from, in [`origin`].

mod arrival;
mod bodies;
mod client_stream;
mod connection;
mod forwarded;
mod handshakes;
mod mishap;
mod origin;
mod own_words;
mod progress;
mod proxy_protocol;
mod public_url;
mod server_name;
mod socket;
mod streams;
mod taking;
mod tls;
mod turn;
mod upgrade;
mod wordless;

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::warn;

pub use arrival::{Arrival, Entrance};
pub use bodies::RequestBody;
pub(crate) use connection::{Connections, Phase};
pub(crate) use forwarded::strip_forwarded;
pub(crate) use mishap::{Cause, Mishap, Tell, What};
pub use origin::ClientAddress;
pub(crate) use progress::Revocable;
pub use public_url::PublicUrl;
pub use server_name::ServerName;
pub(crate) use upgrade::{ClientBytes, Upgrade};

use crate::certificate::Certificates;
use crate::document::Mistakes;
use crate::settings::{Listen, TrustedProxies, UnixSocket};
use origin::Origin;

/// A bound socket, and what is spoken on it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Bound,
    front: Front,
    doorway: Doorway,
}

/// What whoever connects is shown, and whether it is believed, at the moment: all listeners look at it anew each time.
#[derive(Clone, Debug)]
pub(crate) struct Doorway {
    certificates: Arc<ArcSwap<Certificates>>,
    proxies: Arc<ArcSwap<TrustedProxies>>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// What is spoken on a connection.
#[derive(Clone)]
pub(crate) enum Front {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 or HTTP/2 over TLS, as ALPN says.
    Tls(Arc<ServerConfig>),
}

/// A connection on its way to a worker: no runtime owns it yet.
#[derive(Debug)]
pub(crate) struct Accepted {
    socket: Handed,
    front: Front,
    origin: Origin,
    /// Its place among all connections, given back when it has ended; had before it is handed out.
    place: Option<OwnedSemaphorePermit>,
}

/// A socket between two runtimes.
#[derive(Debug)]
enum Handed {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// Hands connections to workers in turn.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    places: Arc<Semaphore>,
    workers: Arc<[mpsc::Sender<Accepted>]>,
    next: Arc<AtomicUsize>,
}

/// Where we listen, ports settled.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// HTTPS.
    pub https: Option<SocketAddr>,
    /// The unix socket.
    pub unix: Option<PathBuf>,
}

/// How long to wait after the system had no socket to give: it may have one when a connection has closed.
const STARVED: Duration = Duration::from_millis(100);

/// Binds every address of the settings, behind one doorway.
///
/// # Errors
/// An address that cannot be bound.
pub(crate) async fn bind(listen: &Listen, doorway: &Doorway) -> Result<(Vec<Listener>, Addresses), Mistakes> {
    let mut listeners = Vec::new();
    let mut listening = |socket, front| listeners.push(Listener { socket, front, doorway: doorway.clone() });
    let mut addresses = Addresses::default();
    if let Some(address) = listen.http {
        let (socket, address) = tcp(address).await?;
        addresses.http = Some(address);
        listening(socket, Front::Plain);
    }
    if let Some(https) = &listen.https {
        let config = tls::config(doorway.certificates.clone())?;
        let (socket, address) = tcp(https.address).await?;
        addresses.https = Some(address);
        listening(socket, Front::Tls(config));
    }
    if let Some(socket) = &listen.unix {
        listening(unix(socket)?, Front::Plain);
        addresses.unix = Some(socket.path.clone());
    }
    Ok((listeners, addresses))
}

async fn tcp(address: SocketAddr) -> Result<(Bound, SocketAddr), Mistakes> {
    let wrong =
        |error: io::Error| Mistakes::of_file(Path::new("listen"), format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    Ok((Bound::Tcp(listener), address))
}

/// Binds a unix socket, in place of one that a process left which is no more.
fn unix(socket: &UnixSocket) -> Result<Bound, Mistakes> {
    let UnixSocket { path, mode } = socket;
    let wrong = |error: String| Mistakes::of_file(path, format!("cannot listen here: {error}"));
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(wrong("a file that is no socket is in the way".to_owned()));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(wrong("another process listens".to_owned()));
        }
        std::fs::remove_file(path).map_err(|error| wrong(error.to_string()))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| wrong(error.to_string()))?;
    let bound = Bound::Unix(listener, path.clone());
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode.bits()))
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(bound)
}

// === impl Doorway ===

impl Doorway {
    /// Shows these certificates, and believes the proxies of these settings.
    pub(crate) fn new(listen: &Listen, certificates: Certificates) -> Self {
        let proxies = Arc::new(ArcSwap::from_pointee(listen.proxies.clone()));
        Self { certificates: Arc::new(ArcSwap::from_pointee(certificates)), proxies }
    }

    /// Shows these from the next connection on.
    pub(crate) fn show(&self, certificates: Certificates) {
        self.certificates.store(Arc::new(certificates));
    }

    /// Believes these from the next connection on.
    pub(crate) fn believe(&self, proxies: TrustedProxies) {
        self.proxies.store(Arc::new(proxies));
    }
}

// === impl Listener ===

impl Listener {
    /// Accepts connections and hands them out, until it is dropped.
    pub(crate) async fn accept(self, dispatch: Dispatch) {
        loop {
            match self.next().await {
                Ok(accepted) => dispatch.hand_out(accepted).await,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(STARVED).await;
                }
            }
        }
    }

    async fn next(&self) -> io::Result<Accepted> {
        let (socket, from) = match &self.socket {
            Bound::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                stream.set_nodelay(true)?;
                (Handed::Tcp(stream.into_std()?), Some(from))
            }
            Bound::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                (Handed::Unix(stream.into_std()?), None)
            }
        };
        let origin = Origin::of(from, &self.doorway.proxies.load());
        Ok(Accepted { socket, front: self.front.clone(), origin, place: None })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // A socket that nobody serves would make its clients wait for a refusal.
            let gone = std::fs::remove_file(&path);
            if let Err(error) = gone {
                warn!(%error, path = %path.display(), "the unix socket could not be removed");
            }
        }
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

// === impl Dispatch ===

impl Dispatch {
    /// Hands out to these workers, so many connections at once.
    pub(crate) fn new(workers: Vec<mpsc::Sender<Accepted>>, connections: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(connections)), workers: workers.into(), next: Arc::default() }
    }

    /// Waits for a place. Meanwhile its listener accepts nobody: the system keeps those who come.
    async fn hand_out(&self, mut accepted: Accepted) {
        accepted.place = self.places.clone().acquire_owned().await.ok();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len().max(1);
        // A worker that is gone has taken its receiver along; the process is ending then.
        if let Some(worker) = self.workers.get(turn) {
            drop(worker.send(accepted).await);
        }
    }
}
