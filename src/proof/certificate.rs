//! The certificate that an application proves itself with, and what Entra wants of one.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rustls::sign::Signer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use serde_json::{Value, json};

use crate::certificate::Pair;
use crate::document::Mistakes;
use crate::settings::CertificateFiles;

/// A certificate with a key that Entra takes signatures of.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    pair: Pair,
    signer: Box<dyn Signer>,
    /// How the chain is shown, if it is: each certificate's DER in base64.
    chain: Option<Vec<String>>,
}

impl ClientCertificate {
    /// Reads it.
    ///
    /// # Errors
    /// A file that cannot be read or is no PEM, a key that is another certificate's or not of RSA.
    pub(crate) fn read(files: &CertificateFiles, send_chain: bool) -> Result<Self, Mistakes> {
        let wrong = |fix: &str| Mistakes::of_file(&files.cert, fix);
        let pair = Pair::read(files)?;
        let key = &pair.shown().key;
        if key.algorithm() != SignatureAlgorithm::RSA {
            let fix = "has a key that is not of RSA, and Entra takes no other: make one of RSA, 2048 bits or more";
            return Err(wrong(fix));
        }
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
        let signer = signer.ok_or_else(|| wrong("has a key that signs nothing that Entra takes"))?;
        let shown = pair.shown().cert.iter().map(|certificate| BASE64_STANDARD.encode(certificate));
        let chain = send_chain.then(|| shown.collect());
        Ok(Self { pair, signer, chain })
    }

    /// Whether it is still good.
    ///
    /// # Errors
    /// It has ended, without a change of anybody's.
    pub(crate) fn timely(&self) -> Result<(), Mistakes> {
        if self.pair.ends() <= SystemTime::now() {
            let fix = "has ended, and Entra refuses it: upload another to the application, and put it here";
            return Err(Mistakes::of_file(self.pair.file(), fix));
        }
        Ok(())
    }

    /// What to say of it where it has ended, or will soon; as a verb and what follows.
    pub(crate) fn near_its_end(&self) -> Option<String> {
        let ended = || "has ended: Entra refuses it".to_owned();
        self.timely().map_or_else(|_| Some(ended()), |()| self.pair.near_its_end(SystemTime::now()))
    }

    /// When it ends.
    pub(crate) fn ends(&self) -> SystemTime {
        self.pair.ends()
    }

    /// What Azure knows it by: the SHA-1 of its DER, in hexadecimal.
    pub(crate) fn thumbprint(&self) -> String {
        let leaf = self.pair.leaf().map(AsRef::as_ref).unwrap_or_default();
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf);
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The header of a JWT that it signs.
    pub(crate) fn header(&self) -> Value {
        let leaf = self.pair.leaf().map(AsRef::as_ref).unwrap_or_default();
        let mut header =
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, leaf))});
        if let Some(chain) = &self.chain {
            header["x5c"] = json!(chain);
        }
        header
    }

    /// A signature as that header says.
    ///
    /// # Errors
    /// The key does not sign.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        self.signer.sign(text).map_err(|error| format!("the certificate's key does not sign: {error}"))
    }
}
