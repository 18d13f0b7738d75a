//! Why a certificate is not believed, as far as that makes a difference to whoever has to mend it.

use rustls::{CertificateError, Error};

/// Why a certificate is not trusted.
pub(super) enum Mistrust {
    /// It comes from an authority that is not trusted.
    Authority,
    /// It has ended, or has not begun.
    Term,
    /// It is for other names.
    Name,
}

impl Mistrust {
    /// Why a handshake failed, if a certificate was it.
    pub(super) fn of(error: &Error) -> Option<Self> {
        use CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        };
        match error {
            Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }) => {
                Some(Self::Term)
            }
            Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Some(Self::Name),
            Error::InvalidCertificate(_) => Some(Self::Authority),
            _ => None,
        }
    }
}
