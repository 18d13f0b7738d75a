//! Client assertions (C6): a JWT in the place of a secret, which an application has signed with the key of a certificate
//! of its own, or which comes from an issuer that it trusts.
//!
//! Every claim is looked at, as Entra does. What it says to each fault is known by its code and its text; the status is
//! that of `invalid_client` everywhere, which is unsure for a JWT that cannot be read.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Error;
use crate::clock;
use crate::directory::{AUDIENCE, Algorithm, App, Directory, ISSUER};

/// An assertion, taken apart; nothing of it is believed yet.
struct Assertion<'a> {
    header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
    x5c: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// A text, or a list of texts.
    aud: Value,
    exp: i64,
    nbf: Option<i64>,
    jti: Option<String>,
}

/// How far a client's clock may be off, in seconds.
const SKEW: i64 = 300;

/// What proved the application, in the journal's words. `endpoint` is the URL of the token endpoint that was asked.
pub(super) fn verify(directory: &Directory, app: &App, endpoint: &str, text: &str) -> Result<&'static str, Error> {
    let assertion = Assertion::read(text).ok_or_else(Error::malformed)?;
    let algorithm =
        Algorithm::of_name(&assertion.header.alg).ok_or_else(|| Error::unknown_algorithm(&assertion.header.alg))?;
    if let Some(thumbprint) = assertion.header.thumbprint() {
        assertion.is_signed_by_certificate(directory, app, algorithm, thumbprint)?;
        if !assertion.claims.is_for(endpoint) {
            return Err(Error::audience_of_assertion());
        }
        assertion.claims.are_timely()?;
        // Two assertions are to be told apart (C6).
        assertion.claims.jti.as_ref().filter(|id| !id.is_empty()).ok_or_else(Error::malformed)?;
        return Ok("certificate");
    }
    assertion.is_from_trusted_issuer(directory, app, algorithm)?;
    assertion.claims.are_timely()?;
    Ok("federated-token")
}

impl<'a> Assertion<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: part(header)?,
            claims: part(claims)?,
            signed,
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    fn is_signed_by_certificate(
        &self,
        directory: &Directory,
        app: &App,
        algorithm: Algorithm,
        thumbprint: &str,
    ) -> Result<(), Error> {
        if self.claims.iss != app.client_id || self.claims.sub != app.client_id {
            return Err(Error::other_application());
        }
        let uploaded = directory.certificates_of(&app.client_id);
        let certificate = uploaded
            .into_iter()
            .find(|certificate| certificate.has_thumbprint(thumbprint))
            .ok_or_else(|| Error::bad_key("The key was not found.", thumbprint))?;
        // RFC 7515, 4.1.6: DER in plain base64, and the first is the one that has signed.
        let is_first = |chain: &Vec<String>| chain.first() == Some(&BASE64_STANDARD.encode(&certificate.der));
        if !self.header.x5c.as_ref().is_none_or(is_first) {
            return Err(Error::malformed());
        }
        if certificate.verifies(algorithm, self.signed.as_bytes(), &self.signature) {
            Ok(())
        } else {
            let why = "The provided signature value did not match the expected signature value.";
            Err(Error::bad_key(why, thumbprint))
        }
    }

    fn is_from_trusted_issuer(&self, directory: &Directory, app: &App, algorithm: Algorithm) -> Result<(), Error> {
        let Claims { iss, sub, .. } = &self.claims;
        if iss != ISSUER {
            return Err(Error::not_federated(700_211, "issuer", iss));
        }
        if !directory.cluster_verifies(algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(Error::bad_signature());
        }
        if !directory.is_federated(&app.client_id, sub) {
            return Err(Error::not_federated(700_213, "subject", sub));
        }
        if !self.claims.is_for(AUDIENCE) {
            return Err(Error::not_federated(700_212, "audience", &self.claims.aud.to_string()));
        }
        Ok(())
    }
}

impl Header {
    fn thumbprint(&self) -> Option<&str> {
        self.x5t_s256.as_deref().or(self.x5t.as_deref())
    }
}

impl Claims {
    fn is_for(&self, audience: &str) -> bool {
        self.aud == audience || self.aud.as_array().is_some_and(|all| all.iter().any(|one| one == audience))
    }

    fn are_timely(&self) -> Result<(), Error> {
        let now = clock::unix_seconds();
        let early = self.nbf.is_some_and(|begin| begin > now + SKEW);
        if early || self.exp <= now { Err(Error::untimely()) } else { Ok(()) }
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

// === What Entra says to them ===

impl Error {
    fn malformed() -> Self {
        Self::unauthorized(50_027, "JWT token is invalid or malformed.".to_owned())
    }

    fn unknown_algorithm(name: &str) -> Self {
        let text = format!("Invalid JWT token. '{name}' is not a supported signature algorithm.");
        Self::unauthorized(5_002_738, text)
    }

    fn other_application() -> Self {
        let text = "Client assertion application identifier doesn't match 'client_id' parameter. Review the \
                    documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";
        Self::unauthorized(700_021, text.to_owned())
    }

    fn audience_of_assertion() -> Self {
        let text = "Client assertion audience claim does not match Realm issuer. Review the documentation at \
                    https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";
        Self::unauthorized(700_023, text.to_owned())
    }

    pub(super) fn untimely() -> Self {
        let text = "Client assertion is not within its valid time range. Review the documentation at \
                    https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";
        Self::unauthorized(700_024, text.to_owned())
    }

    fn bad_key(why: &str, thumbprint: &str) -> Self {
        let text = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application. \
             [Reason - {why}, Thumbprint of key used by client: '{thumbprint}']"
        );
        Self::unauthorized(700_027, text)
    }

    fn bad_signature() -> Self {
        let text = "Assertion failed signature validation. [Reason - The provided signature value did not match the \
                    expected signature value.]";
        Self::unauthorized(50_013, text.to_owned())
    }

    fn not_federated(code: u32, what: &str, presented: &str) -> Self {
        let text = format!(
            "No matching federated identity record found for presented assertion {what} '{presented}'. Check your \
             federated identity credential Subject, Audience and Issuer against the presented assertion. \
             https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
        );
        Self::unauthorized(code, text)
    }
}
