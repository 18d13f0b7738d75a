//! A certificate authority that lives as long as the emulator, and two certificates from it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The CA in PEM, and what a TLS door needs.
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) gateway: Certificate,
}

/// A certificate of the emulator's authority, good for 127.0.0.1, ::1 and localhost, and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// Its private key in PEM (PKCS#8).
    pub key_pem: String,
}

impl Certificates {
    /// Makes new keys, and with them everything. `host` is what clients call us besides our usual names.
    pub(crate) fn generate(host: Option<&str>) -> io::Result<Self> {
        let (ca, ca_key) = authority().map_err(io::Error::other)?;
        let ca_pem = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let (leaf, leaf_key) = server_leaf(&issuer, host).map_err(io::Error::other)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));

        // Explicit: the emulator shares a process with programs that make their own choice.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .map_err(io::Error::other)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let (gateway, gateway_key) = server_leaf(&issuer, host).map_err(io::Error::other)?;
        let gateway = Certificate { cert_pem: gateway.pem(), key_pem: gateway_key.serialize_pem() };
        Ok(Self { ca_pem, server: Arc::new(server), gateway })
    }
}

fn authority() -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, "azure-emulator, a new authority at each start");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params, KeyPair::generate()?))
}

/// Names of Azure's own, for who leads them here: by a proxy, or by a file of hosts.
const AZURE_NAMES: [&str; 3] = ["*.openai.azure.com", "*.search.windows.net", "login.microsoftonline.com"];

/// A server's certificate, good for 127.0.0.1, ::1, localhost, Azure's names, and `host`.
fn server_leaf(
    issuer: &Issuer<'_, KeyPair>,
    host: Option<&str>,
) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let names = ["localhost"].into_iter().chain(AZURE_NAMES).chain(host).map(str::to_owned);
    let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "azure-emulator");
    params.subject_alt_names.extend([
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]);
    // Python 3.13 verifies strictly: a leaf must name its issuer's key and its own use.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?, key))
}
