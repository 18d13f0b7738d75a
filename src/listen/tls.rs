//! What we show to clients that speak TLS.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificates;
use crate::document::Mistakes;

/// Shows each client the certificate for the name that it asks for. One that asks for a name which none has, where
/// there is no default, is shown none, and its handshake ends.
#[derive(Debug)]
struct ByName(Arc<ArcSwap<Certificates>>);

/// A configuration that shows whichever these are at the moment, and speaks HTTP/2 to who asks for it.
pub(super) fn config(certificates: Arc<ArcSwap<Certificates>>) -> Result<Arc<ServerConfig>, Mistakes> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Mistakes::of_file(Path::new("tls"), error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName(certificates)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name()).cloned()
    }
}
