//! What proves an application beside its secret: certificates that were uploaded to it, and an issuer whose tokens it
//! trusts (C4, C6).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use crate::{clock, entropy};

/// A certificate as an application registration keeps it: without a private key.
#[derive(Clone)]
pub(crate) struct Uploaded {
    pub(crate) client_id: String,
    pub(crate) der: CertificateDer<'static>,
}

/// Whose tokens an application takes for its own credential.
#[derive(Clone)]
pub(crate) struct Federated {
    pub(crate) client_id: String,
    pub(crate) subject: String,
}

/// The signature algorithms that Entra takes from a client (C6); it takes none of elliptic curves.
#[derive(Clone, Copy)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
}

/// The issuer of service account tokens: a Kubernetes cluster (C4).
pub(crate) struct Cluster {
    key: KeyPair,
    key_id: String,
}

/// What a service account token says. The default is what a cluster writes for a pod that is called `keyswap`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAccountToken {
    /// Who vouches for it; the emulator has the keys of this one alone.
    pub issuer: String,
    /// Whose it is: `system:serviceaccount:NAMESPACE:NAME`.
    pub subject: String,
    /// Whom it is meant for.
    pub audience: String,
    /// How many seconds from now it ends; it has ended already if that is negative.
    pub seconds: i64,
}

/// The address of the cluster's issuer. Nobody can ask there: Entra's half of the emulator knows its key.
pub(crate) const ISSUER: &str = "https://cluster.example/issuer/";

/// The only audience that Entra takes in a federated token, where nothing else was agreed.
pub(crate) const AUDIENCE: &str = "api://AzureADTokenExchange";

impl Default for ServiceAccountToken {
    fn default() -> Self {
        Self {
            issuer: ISSUER.to_owned(),
            subject: "system:serviceaccount:default:keyswap".to_owned(),
            audience: AUDIENCE.to_owned(),
            seconds: 3600,
        }
    }
}

// === impl Uploaded ===

impl Uploaded {
    /// The first certificate of a PEM text.
    pub(crate) fn read(client_id: &str, pem: &str) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
        webpki::EndEntityCert::try_from(&der).map_err(|error| error.to_string())?;
        Ok(Self { client_id: client_id.to_owned(), der })
    }

    /// Whether a client that names this thumbprint means it: `x5t#S256`, or the older `x5t`.
    pub(crate) fn has_thumbprint(&self, thumbprint: &str) -> bool {
        [&SHA256, &SHA1_FOR_LEGACY_USE_ONLY]
            .iter()
            .any(|algorithm| BASE64_URL_SAFE_NO_PAD.encode(digest(algorithm, &self.der)) == thumbprint)
    }

    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match algorithm {
            Algorithm::Rs256 => webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Ps256 => webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        };
        webpki::EndEntityCert::try_from(&self.der)
            .is_ok_and(|certificate| certificate.verify_signature(algorithm, message, signature).is_ok())
    }
}

// === impl Algorithm ===

impl Algorithm {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            _ => None,
        }
    }

    fn parameters(self) -> &'static RsaParameters {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

// === impl Cluster ===

impl Cluster {
    pub(crate) fn new() -> Result<Self, String> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|error| error.to_string())?;
        Ok(Self { key, key_id: entropy::key(16) })
    }

    pub(crate) fn sign(&self, token: &ServiceAccountToken) -> Result<String, String> {
        let now = clock::unix_seconds();
        let header = json!({"alg": "RS256", "kid": self.key_id}).to_string();
        let claims = json!({
            "aud": [token.audience],
            "exp": now + token.seconds,
            // A token that has ended began before that.
            "iat": now.min(now + token.seconds - 1),
            "nbf": now.min(now + token.seconds - 1),
            "iss": token.issuer,
            "sub": token.subject,
        })
        .to_string();
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|error| error.to_string())?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = self.key.public_key().as_der() else { return false };
        UnparsedPublicKey::new(algorithm.parameters(), key.as_ref()).verify(message, signature).is_ok()
    }
}
