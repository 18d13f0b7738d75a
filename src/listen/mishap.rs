//! What goes wrong on a connection before there is a request that a service could see. Whoever serves tells of it; here
//! it is noticed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Response};
use rustls::{AlertDescription, Error as TlsError};

use super::arrival::Entrance;
use super::origin::ClientAddress;
use crate::refusal::Refusal;

/// What went wrong, and on which connection.
#[derive(Debug)]
pub(crate) struct Mishap {
    pub(crate) from: Option<ClientAddress>,
    pub(crate) entrance: Entrance,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The head of a request cannot be read, and is answered in our own words.
    Answered { id: HeaderValue, refusal: Refusal, answer: Response<Bytes> },
    /// The connection ends without an answer; what the library below says of it, where it says something.
    Ended(Cause, Option<String>),
}

/// Why a connection ends before there is a request, be it the first or the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No first byte in time.
    Silent,
    /// A head has begun, and was not complete in time; over HTTP/2, no request has come in time.
    SlowHead,
    /// The TLS handshake has begun, and was not complete in time.
    SlowTls,
    /// What came is no TLS: most often plain HTTP on the port for HTTPS.
    NotTls,
    /// The client does not trust our certificate.
    CertificateRefused,
    /// Client and we have no version or cipher of TLS in common, or no protocol to speak in it.
    TlsIncompatible,
    /// The handshake failed in another way, or the client went away in the middle of it.
    TlsBroken,
    /// What came is no HTTP/1: most often HTTP/2 on the port that does not speak it.
    NotHttp,
    /// A head over HTTP/2 that is too large even to be read.
    HeadTooLarge,
    /// A trusted proxy does not say for whom the connection is, though it has to.
    NoProxyHeader,
}

/// Who is told.
pub(crate) type Tell = Arc<dyn Fn(Mishap) + Send + Sync>;

/// Watches one connection. Whatever goes wrong ends it, and so is told once.
#[derive(Clone)]
pub(super) struct Witness(Arc<Watched>);

struct Watched {
    from: Option<ClientAddress>,
    entrance: Entrance,
    tell: Tell,
    told: AtomicBool,
}

// === impl Cause ===

impl Cause {
    /// The stable word for it, in the log and the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::SlowHead => "slow-head",
            Self::SlowTls => "slow-tls",
            Self::NotTls => "not-tls",
            Self::CertificateRefused => "certificate-refused",
            Self::TlsIncompatible => "tls-incompatible",
            Self::TlsBroken => "tls-broken",
            Self::NotHttp => "not-http",
            Self::HeadTooLarge => "head-too-large",
            Self::NoProxyHeader => "no-proxy-header",
        }
    }

    /// Why a handshake failed.
    pub(super) fn of_tls(error: &io::Error) -> Self {
        use AlertDescription as Alert;
        let error = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>());
        match error {
            Some(TlsError::InvalidMessage(_)) => Self::NotTls,
            Some(
                TlsError::PeerIncompatible(_)
                | TlsError::NoApplicationProtocol
                | TlsError::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure),
            ) => Self::TlsIncompatible,
            Some(TlsError::AlertReceived(
                Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::UnsupportedCertificate,
            )) => Self::CertificateRefused,
            _ => Self::TlsBroken,
        }
    }
}

// === impl Witness ===

impl Witness {
    pub(super) fn new(from: Option<ClientAddress>, entrance: Entrance, tell: Tell) -> Self {
        Self(Arc::new(Watched { from, entrance, tell, told: AtomicBool::new(false) }))
    }

    /// The connection ends for this cause.
    pub(super) fn ended(&self, cause: Cause) {
        self.tell(What::Ended(cause, None));
    }

    /// The same, and what the library below says of it.
    pub(super) fn ended_with(&self, cause: Cause, error: &dyn fmt::Display) {
        self.tell(What::Ended(cause, Some(error.to_string())));
    }

    /// Tells, if nothing was told yet.
    pub(super) fn tell(&self, what: What) {
        let Watched { from, entrance, tell, told } = &*self.0;
        if !told.swap(true, Ordering::Relaxed) {
            tell(Mishap { from: *from, entrance: *entrance, what });
        }
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("from", &self.0.from).finish_non_exhaustive()
    }
}
