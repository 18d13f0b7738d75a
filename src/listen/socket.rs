//! What a connection's end needs to know of the socket below it.

use std::os::fd::AsRawFd;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A stream whose socket can be asked what is still unsent, and be reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// How many bytes the peer has not acknowledged yet.
    fn unsent(&self) -> usize;

    /// Makes the close that follows a reset, which no client takes for a clean end.
    fn reset_on_close(&self);
}

impl Socket for TcpStream {
    fn unsent(&self) -> usize {
        let mut unsent: libc::c_int = 0;
        // No crate that is kept offers this safely: std, tokio, socket2 and rustix have no SIOCOUTQ.
        #[expect(unsafe_code, reason = "one ioctl that writes an int to a local of ours, on a descriptor that is open")]
        let done = unsafe { libc::ioctl(self.as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
        if done == 0 { usize::try_from(unsent).unwrap_or(0) } else { 0 }
    }

    fn reset_on_close(&self) {
        // A socket that is gone already needs no reset.
        drop(self.set_zero_linger());
    }
}

/// A unix socket keeps what was written for its reader, and has no reset.
impl Socket for UnixStream {
    fn unsent(&self) -> usize {
        0
    }

    fn reset_on_close(&self) {}
}

impl<S: Socket> Socket for TlsStream<S> {
    fn unsent(&self) -> usize {
        self.get_ref().0.unsent()
    }

    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}
