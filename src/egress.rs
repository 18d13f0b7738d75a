//! The way out, one seam for data and tokens: resolve, dial, TLS.
//!
//! Proxy variables of the environment are ignored: a token must not go where a forgotten `HTTPS_PROXY` says.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use crate::document::Mistakes;
use crate::settings;

/// Makes connections to Azure. Cheap to clone: what is trusted is shared.
#[derive(Clone, Debug)]
pub struct Egress {
    tls: Arc<ClientConfig>,
}

/// What hyper's client dials with.
pub type Connector = HttpsConnector<HttpConnector>;

/// How long a TCP connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How often a silent connection is proven alive: Azure drops idle flows after four minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

impl Egress {
    /// Trusts the system's authorities and those of the settings.
    ///
    /// # Errors
    /// A CA file that cannot be read or holds no certificate; or nothing to trust at all.
    pub fn new(settings: &settings::Egress) -> Result<Self, Mistakes> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            warn!(%error, "some of the system's authorities cannot be read");
        }
        roots.add_parsable_certificates(system.certs);
        if let Some(file) = &settings.ca {
            let wrong = |what: String| Mistakes::of_file(file, what);
            let extra = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(format!("cannot be read as PEM certificates: {error}")))?;
            if extra.is_empty() {
                return Err(wrong("holds no certificate: it must have one or more in PEM".to_owned()));
            }
            for certificate in extra {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(format!("holds a certificate that is no authority: {error}")))?;
            }
        }
        if roots.is_empty() {
            let fix = "this system has no trusted authorities: install ca-certificates, or set egress.ca";
            return Err(Mistakes::of_file("egress".as_ref(), fix));
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Mistakes::of_file("egress".as_ref(), error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// A connector that speaks HTTP/1.1, with TLS where the URL says https.
    pub fn connector(&self) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&self.tls))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp)
    }
}
