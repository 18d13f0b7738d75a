//! Listeners: accept, TLS, HTTP/1.1 or HTTP/2, and sockets that can end in a reset.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Body;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::azure::Azure;
use crate::delivery::Abort;
use crate::exchange::{self, Connection, Place};

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
    /// On a free loopback port.
    pub(crate) async fn free() -> io::Result<Self> {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

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
    let abort: Abort = Arc::new(AtomicBool::new(false));
    let socket = Socket { tcp, abort: Arc::clone(&abort) };
    let connection = Connection { number, abort };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        exchange::answer(Arc::clone(&azure), place, connection.clone(), request)
    });
    let Some(acceptor) = tls else {
        serve_http1(socket, service).await;
        return;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(socket));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(stream, service).await;
    } else {
        serve_http1(stream, service).await;
    }
}

/// How a connection ended is in the journal, request by request; here it is nobody's concern.
pub(crate) async fn serve_http1<I, S, B>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    http1::Builder::new().max_headers(FIELDS_LIMIT).serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn serve_http2<I, S, F, B>(stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Future = F>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Future<Output = Result<Response<B>, S::Error>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(256 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// A socket that sends a reset instead of a FIN when it is dropped after an abort.
struct Socket {
    tcp: TcpStream,
    abort: Abort,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.abort.load(Ordering::Relaxed) {
            self.tcp.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
