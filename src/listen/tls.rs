//! What we show to clients that speak TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::document::Mistakes;

/// A configuration that shows this chain, and speaks HTTP/2 to who asks for it.
pub(super) fn config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, Mistakes> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Mistakes::of_file(cert, format!("cannot be read as a PEM certificate chain: {error}")))?;
    if chain.is_empty() {
        return Err(Mistakes::of_file(cert, "holds no certificate: it must have the chain in PEM, leaf first"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| Mistakes::of_file(key, format!("cannot be read as a PEM private key: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private))
        .map_err(|error| {
            Mistakes::of_file(cert, format!("does not go with the private key {}: {error}", key.display()))
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
