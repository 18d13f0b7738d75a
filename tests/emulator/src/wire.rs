//! A socket, and what an exchange may do to it: end it in a reset, or hang up.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The hold that exchanges have on their connection.
pub(crate) struct Wire {
    /// Unique over all doors.
    pub(crate) number: u64,
    reset: AtomicBool,
    hang_up: Notify,
    /// What follows when HTTP has ended.
    sequel: Mutex<Option<Sequel>>,
}

type Sequel = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Wire {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, reset: AtomicBool::new(false), hang_up: Notify::new(), sequel: Mutex::new(None) }
    }

    /// However the connection ends, its socket will send a reset.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Once what is under way is done, the connection ends.
    pub(crate) fn hang_up(&self) {
        self.hang_up.notify_one();
    }

    /// When HTTP has ended on the connection, this follows.
    pub(crate) fn go_on(&self, sequel: impl Future<Output = ()> + Send + 'static) {
        *self.sequel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(sequel));
    }

    /// Does what follows, if anything does.
    pub(crate) async fn sequel(&self) {
        let sequel = self.sequel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sequel) = sequel {
            sequel.await;
        }
    }

    /// Waits until somebody hangs up.
    pub(crate) async fn hung_up(&self) {
        self.hang_up.notified().await;
    }
}

/// A socket that sends a reset instead of a FIN if its [`Wire`] says so.
pub(crate) struct Socket {
    pub(crate) tcp: TcpStream,
    pub(crate) wire: Arc<Wire>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.wire.reset.load(Ordering::Relaxed) {
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
