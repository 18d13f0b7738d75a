//! The way out, one seam for data and tokens: resolve, dial, a tunnel through the proxy if there is one, TLS.
//!
//! Proxy variables of the environment are ignored: a token must not go where a forgotten `HTTPS_PROXY` says.

mod connector;
mod names;
mod ourselves;
mod stream;
mod tunnel;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

use crate::certificate::read_certificates;
use crate::document::Mistakes;
use crate::settings::{self, EgressTimeouts};
pub(crate) use connector::innermost;
pub use connector::{Connector, Unreachable};
pub(crate) use names::Leads;
use names::Names;
pub use ourselves::Ourselves;
pub(crate) use stream::Socket;
pub use stream::UpstreamStream;
use tunnel::Tunnels;
pub(crate) use witness::{Shown, Witness};

/// Makes connections to Azure. Cheap to clone: what is trusted is shared.
#[derive(Clone, Debug)]
pub struct Egress {
    settings: Arc<settings::Egress>,
    names: Names,
    proxy: Option<Arc<Tunnels>>,
    roots: Arc<RootCertStore>,
    verifier: Arc<WebPkiServerVerifier>,
    tls: Arc<ClientConfig>,
    timeouts: EgressTimeouts,
    ourselves: Arc<Ourselves>,
}

/// How long a connection on this machine or its link may take.
const NEARBY: Duration = Duration::from_secs(1);

impl Egress {
    /// Trusts the system's authorities and those of the settings.
    ///
    /// # Errors
    /// A CA file that cannot be read or holds no certificate, or nothing to trust at all; credentials for the proxy
    /// that cannot be had.
    pub fn new(settings: &settings::Egress, timeouts: EgressTimeouts) -> Result<Self, Mistakes> {
        let proxy = settings.proxy.clone().map(Tunnels::new).transpose()?.map(Arc::new);
        let names = settings.resolver.map_or_else(|| Ok(Names::systems()), Names::at);
        let names = names.map_err(|error| Mistakes::of_file("egress".as_ref(), error))?;
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            warn!(%error, "some of the system's authorities cannot be read");
        }
        roots.add_parsable_certificates(system.certs);
        if let Some(file) = &settings.ca {
            for certificate in read_certificates(file)? {
                roots.add(certificate).map_err(|error| {
                    Mistakes::of_file(file, format!("holds a certificate that is no authority: {error}"))
                })?;
            }
        }
        if roots.is_empty() {
            let fix = "this system has no trusted authorities: install ca-certificates, or set egress.ca";
            return Err(Mistakes::of_file("egress".as_ref(), fix));
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let verifier = verifier.map_err(|error| Mistakes::of_file("egress".as_ref(), error.to_string()))?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Mistakes::of_file("egress".as_ref(), error.to_string()))?
            .with_webpki_verifier(verifier.clone())
            .with_no_client_auth();
        let (settings, tls) = (Arc::new(settings.clone()), Arc::new(tls));
        Ok(Self { settings, names, proxy, roots, verifier, tls, timeouts, ourselves: Arc::default() })
    }

    /// The way out that these settings lead to now. It is this one, if neither they nor what they name have changed.
    ///
    /// # Errors
    /// As [`Egress::new`].
    pub fn renewed(&self, settings: &settings::Egress, timeouts: EgressTimeouts) -> Result<Self, Mistakes> {
        let new = Self::new(settings, timeouts)?;
        let shows = |egress: &Self| egress.proxy.as_ref().and_then(|proxy| proxy.credentials().cloned());
        let unchanged = *self.settings == *new.settings
            && self.timeouts == new.timeouts
            && self.roots.roots == new.roots.roots
            && shows(self) == shows(&new);
        Ok(if unchanged { self.clone() } else { new })
    }

    /// Whether connections of one are as good as those of the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tls, &other.tls)
    }

    /// The same way out, but to ourselves.
    #[must_use]
    pub fn avoiding(self, ourselves: Ourselves) -> Self {
        Self { ourselves: Arc::new(ourselves), ..self }
    }

    /// The same way out for whoever is asked on this machine or its link: without the proxy, and with no patience for a
    /// connection. Who is there answers at once; 169.254.169.254 is silent on a machine that is not Azure's.
    #[must_use]
    pub fn nearby(&self) -> Self {
        let timeouts = EgressTimeouts { connect: NEARBY.min(self.timeouts.connect), ..self.timeouts };
        Self { proxy: None, timeouts, ..self.clone() }
    }

    /// Who sees whom a TLS handshake leads to.
    pub(crate) fn witness(&self) -> Arc<Witness> {
        Arc::new(Witness::new(self.verifier.clone()))
    }

    /// A connector that speaks HTTP/1.1, with TLS where the URL says https.
    pub fn connector(&self) -> Connector {
        let Self { names, proxy, tls, timeouts, ourselves, .. } = self.clone();
        Connector::new(names, proxy, tls, timeouts, ourselves)
    }
}
