//! Listeners: accept, TLS, HTTP/1.1 or HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::azure::Azure;
use crate::delivery::{Broken, Delivery};
use crate::exchange::{self, Place};
use crate::wire::{Socket, Wire};

/// A client that connects and says nothing is let go after this.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// More fields than any client of the gateway may send; hyper's own limit is 100.
const FIELDS_LIMIT: usize = 500;

/// A bound listener and its address.
pub(crate) struct Listener {
    tcp: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listener {
    pub(crate) async fn at(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address })
    }

    /// The next connection. Accepting fails when the process is out of files; the next try may
    /// not.
    pub(crate) async fn accept(&self) -> TcpStream {
        loop {
            if let Ok((tcp, _)) = self.tcp.accept().await {
                return tcp;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Serves until dropped; its connections end with it.
    pub(crate) async fn serve(self, azure: Arc<Azure>, place: Place, tls: Option<Arc<ServerConfig>>) {
        let tls = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        loop {
            let tcp = self.accept().await;
            while connections.try_join_next().is_some() {}
            let number = azure.connections.fetch_add(1, Ordering::Relaxed) + 1;
            connections.spawn(serve_socket(tcp, number, Arc::clone(&azure), place, tls.clone()));
        }
    }
}

async fn serve_socket(tcp: TcpStream, number: u64, azure: Arc<Azure>, place: Place, tls: Option<TlsAcceptor>) {
    // Small frames leave at once.
    tcp.set_nodelay(true).ok();
    let wire = Arc::new(Wire::new(number));
    let socket = Socket { tcp, wire: Arc::clone(&wire) };
    let service = {
        let wire = Arc::clone(&wire);
        service_fn(move |request| exchange::answer(Arc::clone(&azure), place, Arc::clone(&wire), request))
    };
    let Some(acceptor) = tls else {
        serve_http1(socket, service, &wire).await;
        return;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(socket));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(stream, service, &wire).await;
    } else {
        serve_http1(stream, service, &wire).await;
    }
}

// How a connection ended is in the journal, request by request; below it is nobody's concern.

async fn serve_http1<I, S>(stream: I, service: S, wire: &Wire)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Delivery>, Error = Broken>,
{
    {
        let connection =
            http1::Builder::new().max_headers(FIELDS_LIMIT).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection.with_upgrades());
        tokio::select! {
            _ = connection.as_mut() => {}
            () = wire.hung_up() => {
                connection.as_mut().graceful_shutdown();
                connection.await.ok();
            }
        }
    }
    wire.sequel().await;
}

async fn serve_http2<I, S>(stream: I, service: S, wire: &Wire)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<Delivery>, Error = Broken>,
    S::Future: Send + 'static,
{
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(256 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = wire.hung_up() => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok();
        }
    }
}
