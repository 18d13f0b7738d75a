//! One fetch of one token, by the unmodified `azure_identity`.
//!
//! A credential lives for one fetch: its private cache would defeat ours, and a rotated secret is read at once. What
//! comes back is not trusted before it was looked at: an answer of `{}` makes an empty token and no error. The crate's
//! own error texts are not shown, since they can hold whole answers; the transport has seen what matters.

use std::time::{Duration, SystemTime};

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};
use http::HeaderValue;
use std::sync::Arc;

use super::Token;
use super::transport::{Exchange, HyperTransport};
use crate::egress::Egress;
use crate::refusal::Failure;
use crate::settings::{IdentityKind, UserAssigned};

/// Fetches tokens for one identity.
#[derive(Debug)]
pub(super) struct Issuer {
    kind: IdentityKind,
    transport: HyperTransport,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) struct Denial {
    /// What the operator should know. Never a piece of a secret or of an answer.
    pub(super) why: String,
    /// The AADSTS code, if Entra gave one.
    code: Option<String>,
    /// Whether asking again may help.
    may_pass: bool,
}

/// A token that lives no longer than this is of no use.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

// === impl Issuer ===

impl Issuer {
    pub(super) fn new(kind: IdentityKind, egress: &Egress) -> Self {
        // A managed identity is asked on this machine or its link: no proxy reaches it, and none may see its header.
        let transport = match kind {
            IdentityKind::ManagedIdentity { .. } => HyperTransport::new(&egress.without_proxy()),
            IdentityKind::ClientSecret { .. } => HyperTransport::new(egress),
        };
        Self { kind, transport }
    }

    /// Fetches one token. Does not retry: the control task does, in its own time.
    pub(super) async fn fetch(&self, scope: &str) -> Result<Token, Denial> {
        let exchange = Exchange::default();
        let credential = self.credential(&exchange)?;
        let token = credential.get_token(&[scope], None).await.map_err(|_| Denial::of(&exchange))?;
        checked(&token, &exchange)
    }

    fn credential(&self, exchange: &Exchange) -> Result<Arc<dyn TokenCredential>, Denial> {
        let mut options = ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(self.transport.recording(exchange)))),
            ..ClientOptions::default()
        };
        match &self.kind {
            IdentityKind::ClientSecret { tenant, client_id, secret, authority } => {
                let mut cloud = CustomConfiguration::default();
                cloud.authority_host.clone_from(authority);
                options.cloud = Some(Arc::new(cloud.into()));
                // Read anew for every token, so that it can be rotated under a running gateway.
                let secret = Secret::new(secret.read().map_err(Denial::refused)?.to_string());
                let options = ClientSecretCredentialOptions { client_options: options };
                let credential = ClientSecretCredential::new(tenant, client_id.clone(), secret, Some(options));
                Ok(credential.map_err(|_| Denial::refused("azure_identity refuses tenant or authority"))?)
            }
            IdentityKind::ManagedIdentity { user_assigned } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: user_assigned.clone().map(|id| match id {
                        UserAssigned::ClientId(id) => UserAssignedId::ClientId(id),
                        UserAssigned::ObjectId(id) => UserAssignedId::ObjectId(id),
                    }),
                    client_options: options,
                };
                let credential = ManagedIdentityCredential::new(Some(options));
                Ok(credential
                    .map_err(|_| Denial::refused("azure_identity does not know this host's managed identity"))?)
            }
        }
    }
}

fn checked(token: &AccessToken, exchange: &Exchange) -> Result<Token, Denial> {
    let text = token.token.secret();
    let expires = SystemTime::from(token.expires_on);
    let bad = |what: &str| Denial::unavailable(format!("{}: {what}", exchange.summary()));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("the answer holds no usable token"));
    }
    if expires < SystemTime::now() + SHORTEST_LIFE {
        return Err(bad("the token has expired already: compare the clocks"));
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| bad("the token fits no header"))?;
    header.set_sensitive(true);
    Ok(Token { header, expires })
}

// === impl Denial ===

impl Denial {
    pub(super) fn unavailable(why: impl Into<String>) -> Self {
        Self { why: why.into(), code: None, may_pass: true }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), code: None, may_pass: false }
    }

    /// What the exchange with the issuer came to.
    fn of(exchange: &Exchange) -> Self {
        Self { why: exchange.summary(), code: exchange.code(), may_pass: !exchange.is_final() }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        if denial.may_pass { Self::TokenUnavailable } else { Self::TokenRefused(denial.code) }
    }
}
