//! Certificates of applications, as their owners make them.

use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};

/// A certificate and its key, in PEM.
pub(crate) struct Made {
    pub(crate) cert: String,
    pub(crate) key: String,
    pair: KeyPair,
}

impl Made {
    pub(crate) fn rsa() -> Self {
        Self::of(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(), 2096)
    }

    /// One that has ended.
    pub(crate) fn ended() -> Self {
        Self::of(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(), 2020)
    }

    /// One that Entra takes nothing of.
    pub(crate) fn of_a_curve() -> Self {
        Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), 2096)
    }

    fn of(pair: KeyPair, until: i32) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let cert = params.self_signed(&pair).unwrap().pem();
        Self { cert, key: pair.serialize_pem(), pair }
    }

    /// The key as `openssl rsa -traditional` writes it: what PKCS#8 wraps.
    pub(crate) fn key_as_pkcs1(&self) -> String {
        let inner = yasna::parse_der(&self.pair.serialize_der(), |reader| {
            reader.read_sequence(|reader| {
                let (_version, _algorithm) = (reader.next().read_der()?, reader.next().read_der()?);
                reader.next().read_bytes()
            })
        });
        let text = BASE64_STANDARD.encode(inner.unwrap());
        format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n")
    }
}
