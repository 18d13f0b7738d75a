//! One fetch of one token, by the unmodified `azure_identity`.
//!
//! A credential lives for one fetch: its private cache would defeat ours, and a rotated secret is read at once. What
//! comes back is not trusted before it was looked at: an answer of `{}` makes an empty token and no error. The crate's
//! own error texts are not shown, since they can hold whole answers; the transport has seen what matters.

mod assertion;
mod azure_cli;
mod managed;
mod proof;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use http::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Token;
use super::clock::{Clock, Moment};
use super::transport::{Exchange, HyperTransport, Seen};
use crate::egress::Egress;
use crate::refusal::Failure;
use crate::settings::{Application, IdentityKind};
use proof::{Proof, Reading};

/// Whoever gives tokens: the control task's seam to the outside world.
pub(super) trait Issue: Send + Sync + 'static {
    /// Fetches one token, in bounded time. Does not retry: the control task does, in its own time.
    fn fetch(&self, scope: &str) -> impl Future<Output = Result<Token, Denial>> + Send;
}

/// Fetches tokens for one identity.
#[derive(Debug)]
pub(super) struct Issuer {
    kind: Arc<IdentityKind>,
    reading: Reading,
    transport: HyperTransport,
    clock: Clock,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    /// What the operator should know. Never a piece of a secret or of an answer.
    pub(crate) why: String,
    /// What the operator should do, where that can be told.
    pub(crate) cure: Option<&'static str>,
    /// The AADSTS code, if Entra gave one.
    code: Option<String>,
    /// Whether asking again may help.
    pub(super) may_pass: bool,
}

/// How long one fetch may take, with the files that it reads and all that `azure_identity` does on its own: an IMDS that
/// hangs keeps it for three minutes otherwise.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// A token that lives no longer than this is of no use.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// A token that claims to live longer is not believed: Entra's longest live 28 hours.
const LONGEST_LIFE: Duration = Duration::from_secs(48 * 3600);

// === impl Issuer ===

impl Issuer {
    pub(super) fn new(kind: IdentityKind, egress: &Egress, clock: Clock) -> Self {
        // A managed identity is asked on this machine or its link: no proxy reaches it, and none may see its header.
        let transport = match kind {
            IdentityKind::ManagedIdentity { .. } => HyperTransport::new(&egress.nearby()),
            _ => HyperTransport::new(egress),
        };
        Self { kind: Arc::new(kind), reading: Reading::default(), transport, clock }
    }

    /// A credential for one fetch.
    fn credential(&self, proof: Proof, exchange: &Exchange) -> Result<Arc<dyn TokenCredential>, Denial> {
        let options = || ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(self.transport.recording(exchange)))),
            ..ClientOptions::default()
        };
        match proof {
            Proof::Place(user_assigned) => managed::credential(user_assigned, options()),
            Proof::Login(tenant) => azure_cli::credential(tenant, exchange),
            Proof::Assertion(application, assertion) => {
                let options = of(&application, options());
                assertion::credential(application, assertion, options)
            }
            Proof::Secret(application, secret) => {
                let options = ClientSecretCredentialOptions { client_options: of(&application, options()) };
                let Application { tenant, client_id, .. } = application;
                let secret = Secret::new(secret.to_string());
                let credential = ClientSecretCredential::new(&tenant, client_id, secret, Some(options));
                Ok(credential.map_err(|_| Denial::refused("azure_identity refuses tenant or authority"))?)
            }
        }
    }

    /// The credential for one fetch, in its time.
    async fn credential_by(&self, deadline: Instant, exchange: &Exchange) -> Result<Arc<dyn TokenCredential>, Denial> {
        match timeout_at(deadline, self.reading.of(&self.kind, &self.clock)).await {
            Ok(proof) => self.credential(proof?, exchange),
            Err(_) => Err(Denial::unread(&self.kind)),
        }
    }

    /// Why there is no token.
    fn denial(&self, seen: &Seen) -> Denial {
        let denial = Denial::of(seen);
        let cure = match *self.kind {
            IdentityKind::ManagedIdentity { .. } => denial.cure.or_else(|| managed::cure(seen)),
            _ => denial.cure,
        };
        Denial { cure, ..denial }
    }
}

/// The options for whoever asks Entra about this application.
fn of(application: &Application, options: ClientOptions) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host.clone_from(&application.authority);
    ClientOptions { cloud: Some(Arc::new(cloud.into())), ..options }
}

impl Issue for Issuer {
    async fn fetch(&self, scope: &str) -> Result<Token, Denial> {
        self.fetch_seen(scope, &Exchange::default()).await
    }
}

impl Issuer {
    /// The same, and what was seen of it is in the exchange.
    pub(super) async fn fetch_seen(&self, scope: &str, exchange: &Exchange) -> Result<Token, Denial> {
        // Whoever waits for a turn has not begun: it is no part of the time that a fetch has.
        let _turn = match *self.kind {
            IdentityKind::AzureCli { .. } => Some(azure_cli::turn().await),
            _ => None,
        };
        let deadline = Instant::now() + FETCH_LIMIT;
        let credential = self.credential_by(deadline, exchange).await?;
        // In a task of its own: azure_identity adds the life that an answer claims to the time of day, and panics where
        // there is no such day. The task ends with the set, whatever it waits for.
        let mut fetching = JoinSet::new();
        let scope = scope.to_owned();
        fetching.spawn(async move { credential.get_token(&[&scope], None).await });
        match timeout_at(deadline, fetching.join_next()).await {
            Ok(Some(Ok(Ok(token)))) => checked(&token, &exchange.seen(), self.clock.now()),
            Ok(Some(Ok(Err(_)))) => Err(self.denial(&exchange.seen())),
            Ok(Some(Err(_)) | None) => Err(Denial::unavailable(format!("{}: the answer is absurd", exchange.seen()))),
            Err(_) => {
                // What it has started is to have ended before somebody else begins.
                fetching.shutdown().await;
                Err(Denial::late(&exchange.seen()))
            }
        }
    }
}

fn checked(token: &AccessToken, seen: &Seen, now: Moment) -> Result<Token, Denial> {
    let text = token.token.secret();
    let life = now.until(SystemTime::from(token.expires_on));
    let bad = |what: &str| Denial::unavailable(format!("{seen}: {what}"));
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("the answer holds no usable token"));
    }
    if life < SHORTEST_LIFE {
        return Err(bad("the token has expired, or is about to: compare the clocks"));
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| bad("the token fits no header"))?;
    header.set_sensitive(true);
    Ok(Token { header, expires: now.after(life.min(LONGEST_LIFE)) })
}

// === impl Denial ===

impl Denial {
    pub(super) fn unavailable(why: impl Into<String>) -> Self {
        Self { why: why.into(), cure: None, code: None, may_pass: true }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), cure: None, code: None, may_pass: false }
    }

    /// Nobody was asked: a file of this kind of identity could not be read in time.
    fn unread(kind: &IdentityKind) -> Self {
        let files: Vec<_> = kind.files().map(|file| file.display().to_string()).collect();
        let why = format!("{} could not be read within {FETCH_LIMIT:?}", files.join(" or "));
        Self { cure: Some("look at the volume that it is on"), ..Self::unavailable(why) }
    }

    /// There was no whole answer in time; `azure_identity` may have asked several times.
    fn late(seen: &Seen) -> Self {
        let why = format!("no token within {FETCH_LIMIT:?}, the last that was seen: {seen}");
        Self { cure: seen.cure(), ..Self::unavailable(why) }
    }

    /// What the exchange with the issuer came to.
    fn of(seen: &Seen) -> Self {
        let why = match seen.ailment() {
            Some(ailment) => format!("{seen}: {}", ailment.means()),
            None => seen.to_string(),
        };
        Self { why, cure: seen.cure(), code: seen.code().map(str::to_owned), may_pass: !seen.is_final() }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        let Denial { cure, code, .. } = denial;
        if denial.may_pass {
            Self::TokenUnavailable { cure }
        } else {
            Self::TokenRefused { code: code.map(String::into_boxed_str), cure }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_200_holds_is_not_trusted() {
        let now = Clock::default().now();
        let check = |text: &str, life: Duration| {
            let token = AccessToken::new(text.to_owned(), (SystemTime::now() + life).into());
            checked(&token, &Seen::default(), now).map(|token| token.expires.left(now)).map_err(|denial| denial.why)
        };
        let hour = Duration::from_secs(3600);
        let left = check("eyJ0eXAi", hour).unwrap();
        assert!(left.abs_diff(hour) < Duration::from_secs(60), "{left:?}");
        assert_eq!(check("eyJ0eXAi", 24 * 365 * hour), Ok(LONGEST_LIFE));
        for text in ["", "two words", "line\nbreak", "töken"] {
            assert_eq!(check(text, hour).unwrap_err(), "no answer: the answer holds no usable token", "{text:?}");
        }
        let why = check("eyJ0eXAi", Duration::ZERO).unwrap_err();
        assert_eq!(why, "no answer: the token has expired, or is about to: compare the clocks");
    }
}
