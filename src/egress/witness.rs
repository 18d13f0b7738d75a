//! Whom a TLS handshake leads to, seen whether or not it is believed.
//!
//! A handshake that fails leaves an error, and whoever is to mend it needs to know who stood at the other end: the
//! resource, a proxy that opens TLS, or somebody else's machine.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Remembers what is shown, and leaves the verdict to whoever has it anyway.
#[derive(Debug)]
pub(crate) struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Shown>>,
}

/// What was shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The certificates, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Whether they were believed, and if not, why.
    pub(crate) verdict: Result<(), Error>,
}

// === impl Witness ===

impl Witness {
    pub(super) fn new(judge: Arc<WebPkiServerVerifier>) -> Self {
        Self { judge, seen: Mutex::default() }
    }

    /// What was shown last; `None` if no handshake came so far.
    pub(crate) fn seen(&self) -> Option<Shown> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.judge.verify_server_cert(leaf, others, name, ocsp, now);
        let chain = [leaf].into_iter().chain(others).map(|certificate| certificate.clone().into_owned()).collect();
        let verdict = verified.as_ref().map(|_| ()).map_err(Error::clone);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Shown { chain, verdict });
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
