//! What a connection needs to know of the socket below it: how it came in, and at its end what has not arrived.

use std::os::fd::AsRawFd;

use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::arrival::Entrance;
use super::server_name::ServerName;

/// A stream whose socket can be asked what is still unsent, and be reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// How it came in.
    fn entrance(&self) -> Entrance;

    /// The name that its client asked for, where it speaks TLS.
    fn server_name(&self) -> Option<ServerName> {
        None
    }

    /// How many bytes the peer has not acknowledged yet.
    fn unsent(&self) -> usize;

    /// Makes the close that follows a reset, which no client takes for a clean end.
    fn reset_on_close(&self);
}

impl Socket for TcpStream {
    fn entrance(&self) -> Entrance {
        Entrance { listener: "http", tls: None }
    }

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
    fn entrance(&self) -> Entrance {
        Entrance { listener: "unix", tls: None }
    }

    fn unsent(&self) -> usize {
        0
    }

    fn reset_on_close(&self) {}
}

impl<S: Socket> Socket for TlsStream<S> {
    fn entrance(&self) -> Entrance {
        let tls = match self.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Some("1.2"),
            Some(ProtocolVersion::TLSv1_3) => Some("1.3"),
            // Nothing else is spoken.
            _ => None,
        };
        Entrance { listener: "https", tls }
    }

    fn server_name(&self) -> Option<ServerName> {
        self.get_ref().1.server_name().map(ServerName::from)
    }

    fn unsent(&self) -> usize {
        self.get_ref().0.unsent()
    }

    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}
