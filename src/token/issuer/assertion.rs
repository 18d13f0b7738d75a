//! What proves an application that has no secret: a JWT in its place, somebody else's or its own (azure-wire, C4, C6).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Denial;
use crate::proof::{ClientCertificate, service_account_token};
use crate::settings::Application;
use crate::token::clock::Moment;

/// A JWT for one fetch.
pub(super) struct Assertion(Zeroizing<String>);

/// How long an assertion of ours is good: it is used at once, and clocks differ.
const LIFE: Duration = Duration::from_secs(5 * 60);

pub(super) fn credential(
    application: Application,
    assertion: Assertion,
    client_options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, Denial> {
    let Application { tenant, client_id, .. } = application;
    let options = ClientAssertionCredentialOptions { client_options };
    let credential = ClientAssertionCredential::new(tenant, client_id, assertion, Some(options));
    Ok(credential.map_err(|_| Denial::refused("azure_identity refuses tenant or authority"))?)
}

// === impl Assertion ===

impl Assertion {
    /// The token that a cluster keeps for us in a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn federated(file: &Path) -> Result<Self, String> {
        service_account_token(file).map(Self)
    }

    /// One of the application's own, signed with the key of its certificate.
    ///
    /// # Errors
    /// The key does not sign.
    pub(super) fn signed(
        application: &Application,
        certificate: &ClientCertificate,
        now: Moment,
    ) -> Result<Self, String> {
        let Application { tenant, client_id, authority } = application;
        let now = now.since_1970();
        let claims = json!({
            "aud": format!("{authority}/{tenant}/oauth2/v2.0/token"),
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::new_v4().to_string(),
            "iat": now.as_secs(),
            "nbf": now.as_secs(),
            "exp": (now + LIFE).as_secs(),
        });
        let parts = [certificate.header(), claims];
        let signed = parts.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = certificate.sign(signed.as_bytes())?;
        Ok(Self(Zeroizing::new(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))))
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.to_string())
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion")
    }
}
