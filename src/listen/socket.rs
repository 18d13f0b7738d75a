//! What a connection needs to know of the socket below it: how it came in, and at its end what has not arrived.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustls::ProtocolVersion;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::arrival::Entrance;
use super::server_name::ServerName;
use crate::tcp::Tcp;

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

/// How often a silent connection is proven alive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long what was sent may stay unacknowledged, at least, before its connection counts as dead.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest such time that Linux takes.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Takes a connection of TCP into the runtime of this thread.
///
/// A client that is silent for half an hour is proven there: whatever stands between drops flows that are idle for
/// minutes, and tells nobody. One that has vanished is given up when it has said nothing for `write`. To Linux, a client
/// that answers, but has no room because it does not read, is no other: so it has no less time than that.
pub(super) fn adopt(stream: std::net::TcpStream, write: Duration) -> io::Result<Tcp> {
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    socket.set_tcp_user_timeout(Some(write.clamp(USER_TIMEOUT, LONGEST_TIMEOUT)))?;
    TcpStream::from_std(stream).map(Tcp::from)
}

impl Socket for Tcp {
    fn entrance(&self) -> Entrance {
        Entrance { listener: "http", tls: None }
    }

    fn unsent(&self) -> usize {
        let mut unsent: libc::c_int = 0;
        // No crate that is kept offers this safely: std, tokio, socket2 and rustix have no SIOCOUTQ.
        #[expect(unsafe_code, reason = "one ioctl that writes an int to a local of ours, on a descriptor that is open")]
        let done = unsafe { libc::ioctl(self.get_ref().as_raw_fd(), libc::TIOCOUTQ, &raw mut unsent) };
        if done == 0 { usize::try_from(unsent).unwrap_or(0) } else { 0 }
    }

    fn reset_on_close(&self) {
        // A socket that is gone already needs no reset.
        drop(self.get_ref().set_zero_linger());
    }
}

/// A unix socket keeps what was written for its reader, and has no reset: an answer that breaks off is seen as such by its
/// length or its chunks, and by a client of HTTP/1.0 not at all.
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
