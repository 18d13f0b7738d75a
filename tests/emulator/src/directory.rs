//! What Entra knows: applications, managed identities, who has which role, and tokens.
//!
//! A token is a JWT whose signature only this process can make, so a plane can tell "issued here,
//! but expired" from "never issued here"; the journal calls only the second a violation.

mod registration;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::options::{Cloud, FixedTokens, Options};
use crate::{Plane, clock, entropy};
pub use registration::ServiceAccountToken;
pub(crate) use registration::{AUDIENCE, Algorithm, ISSUER};
use registration::{Cluster, Federated, Uploaded};

/// An application registration with a client secret.
#[derive(Clone, Debug, Serialize)]
pub struct App {
    /// The directory (tenant) id.
    pub tenant: String,
    /// The application (client) id.
    pub client_id: String,
    /// The one valid client secret.
    pub secret: String,
    /// The service principal: `oid` in tokens, the subject of role assignments.
    pub object_id: String,
}

/// A managed identity: what the identity endpoints give tokens for.
#[derive(Clone, Debug, Serialize)]
pub struct ManagedIdentity {
    /// The client id, to ask for this identity by name.
    pub client_id: String,
    /// The service principal: `oid` in tokens, the subject of role assignments.
    pub object_id: String,
}

/// The built-in roles that the planes look at (A1.5b, B2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Inference on Azure OpenAI.
    #[serde(rename = "Cognitive Services OpenAI User")]
    OpenAiUser,
    /// Read documents.
    #[serde(rename = "Search Index Data Reader")]
    SearchIndexDataReader,
    /// Read and write documents.
    #[serde(rename = "Search Index Data Contributor")]
    SearchIndexDataContributor,
    /// Everything but documents.
    #[serde(rename = "Search Service Contributor")]
    SearchServiceContributor,
}

/// What a token says. Only the claims that somebody here looks at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    pub(crate) exp: i64,
    appid: String,
    pub(crate) oid: String,
    tid: String,
    uti: String,
    ver: String,
    /// Which generation of tokens; [`Directory::revoke`] starts a new one.
    generation: u64,
}

/// A token and how long it lives.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) life: Duration,
    /// Seconds since 1970.
    pub(crate) expires_on: i64,
}

/// What is wrong with a token that is asked for on demand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WrongAudience,
    Expired,
}

/// What a plane thinks of a bearer token.
pub(crate) enum Judgement {
    /// Good for this plane; the object id of its principal.
    Fit(String),
    /// Issued here, but expired, revoked or for another audience.
    Unfit,
    /// Not from here at all.
    Foreign,
}

pub(crate) struct Directory {
    pub(crate) app: App,
    pub(crate) reader_app: App,
    pub(crate) system_identity: ManagedIdentity,
    cloud: Cloud,
    fixed: Option<FixedTokens>,
    signing_key: hmac::Key,
    /// Made when it is first needed: a key of RSA takes its time.
    cluster: OnceLock<Result<Cluster, String>>,
    changing: Mutex<Changing>,
}

struct Changing {
    token_life: Duration,
    generation: u64,
    roles: BTreeSet<(String, Role)>,
    certificates: Vec<Uploaded>,
    federated: Vec<Federated>,
}

// === impl Role ===

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OpenAiUser,
        Self::SearchIndexDataReader,
        Self::SearchIndexDataContributor,
        Self::SearchServiceContributor,
    ];
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(options: &Options) -> Self {
        let tenant = entropy::uuid();
        let app = App::random(&tenant);
        let reader_app = App::random(&tenant);
        let system_identity = ManagedIdentity { client_id: entropy::uuid(), object_id: entropy::uuid() };
        let mut roles = BTreeSet::from([(reader_app.object_id.clone(), Role::SearchIndexDataReader)]);
        for principal in [&app.object_id, &system_identity.object_id] {
            roles.extend(Role::ALL.map(|role| (principal.clone(), role)));
        }
        Self {
            app,
            reader_app,
            system_identity,
            cloud: options.cloud,
            fixed: options.fixed_tokens.clone(),
            signing_key: hmac::Key::new(hmac::HMAC_SHA256, entropy::key(64).as_bytes()),
            cluster: OnceLock::new(),
            changing: Mutex::new(Changing {
                token_life: options.token_life,
                generation: 1,
                roles,
                certificates: Vec::new(),
                federated: Vec::new(),
            }),
        }
    }

    pub(crate) fn app_with(&self, client_id: &str) -> Option<&App> {
        [&self.app, &self.reader_app].into_iter().find(|app| app.client_id == client_id)
    }

    /// The managed identity that a request names: none is the system-assigned one; the two
    /// applications can be asked for as user-assigned ones, by client or object id.
    pub(crate) fn identity_named(&self, name: Option<&str>) -> Option<ManagedIdentity> {
        let Some(name) = name else {
            return Some(self.system_identity.clone());
        };
        let apps = [&self.app, &self.reader_app]
            .map(|app| ManagedIdentity { client_id: app.client_id.clone(), object_id: app.object_id.clone() });
        apps.into_iter()
            .chain([self.system_identity.clone()])
            .find(|identity| identity.client_id == name || identity.object_id == name)
    }

    /// Uploads a certificate to an application, as its owner does.
    pub(crate) fn upload(&self, client_id: &str, pem: &str) -> Result<(), String> {
        let uploaded = Uploaded::read(client_id, pem)?;
        self.changing().certificates.push(uploaded);
        Ok(())
    }

    pub(crate) fn certificates_of(&self, client_id: &str) -> Vec<Uploaded> {
        let changing = self.changing();
        changing.certificates.iter().filter(|certificate| certificate.client_id == client_id).cloned().collect()
    }

    /// From now on the application takes this service account's tokens for its own credential.
    pub(crate) fn federate(&self, client_id: &str, subject: &str) {
        let federated = Federated { client_id: client_id.to_owned(), subject: subject.to_owned() };
        self.changing().federated.push(federated);
    }

    pub(crate) fn is_federated(&self, client_id: &str, subject: &str) -> bool {
        let federated = &self.changing().federated;
        federated.iter().any(|federated| federated.client_id == client_id && federated.subject == subject)
    }

    pub(crate) fn service_account_token(&self, token: &ServiceAccountToken) -> Result<String, String> {
        self.cluster.get_or_init(Cluster::new).as_ref().map_err(Clone::clone)?.sign(token)
    }

    /// Whether the cluster has signed this.
    pub(crate) fn cluster_verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let cluster = self.cluster.get().and_then(|cluster| cluster.as_ref().ok());
        cluster.is_some_and(|cluster| cluster.verifies(algorithm, message, signature))
    }

    pub(crate) fn set_token_life(&self, life: Duration) {
        self.changing().token_life = life;
    }

    /// All tokens issued until now are unfit from now on.
    pub(crate) fn revoke(&self) {
        self.changing().generation += 1;
    }

    pub(crate) fn set_role(&self, object_id: &str, role: Role, assigned: bool) {
        let assignment = (object_id.to_owned(), role);
        let roles = &mut self.changing().roles;
        if assigned {
            roles.insert(assignment);
        } else {
            roles.remove(&assignment);
        }
    }

    /// One of `roles` is enough.
    pub(crate) fn has_any_role(&self, object_id: &str, roles: &[Role]) -> bool {
        let held = &self.changing().roles;
        roles.iter().any(|role| held.contains(&(object_id.to_owned(), *role)))
    }

    /// Whether tokens exist for this resource (`https://search.azure.com`, no `/.default`).
    pub(crate) fn knows_resource(resource: &str) -> bool {
        let resource = resource.trim_end_matches('/');
        Cloud::ALL
            .iter()
            .any(|cloud| [Plane::OpenAi, Plane::Search].iter().any(|plane| audience(*plane, *cloud) == resource))
    }

    /// A token for `resource`. Entra puts the audience in as it was asked for.
    pub(crate) fn issue(&self, identity: &ManagedIdentity, tenant: &str, resource: &str, flaw: Flaw) -> Issued {
        let (life, generation) = {
            let changing = self.changing();
            (changing.token_life, changing.generation)
        };
        // Whole seconds, rounded up: never shorter than `expires_in` promises.
        let expires = clock::unix_milliseconds() + i128::try_from(life.as_millis()).unwrap_or(0);
        let expires_on = i64::try_from((expires + 999) / 1000).unwrap_or(i64::MAX);
        let now = clock::unix_seconds();
        if let Some(fixed) = self.fixed.as_ref().filter(|_| flaw == Flaw::None) {
            let token = if resource.contains("search.azure") { &fixed.search } else { &fixed.openai };
            return Issued { token: token.clone(), life, expires_on };
        }
        let claims = Claims {
            aud: match flaw {
                Flaw::WrongAudience => "https://management.azure.com".to_owned(),
                Flaw::None | Flaw::Expired => resource.to_owned(),
            },
            iss: format!("https://sts.windows.net/{tenant}/"),
            iat: now,
            nbf: now,
            exp: match flaw {
                Flaw::Expired => now - 60,
                Flaw::None | Flaw::WrongAudience => expires_on,
            },
            appid: identity.client_id.clone(),
            oid: identity.object_id.clone(),
            tid: tenant.to_owned(),
            uti: entropy::key(22),
            ver: "1.0".to_owned(),
            generation,
        };
        Issued { token: self.sign(&claims), life, expires_on }
    }

    /// Whether `token` opens `plane`.
    pub(crate) fn judge(&self, token: &str, plane: Plane) -> Judgement {
        if let Some(fixed) = &self.fixed {
            let wanted = match plane {
                Plane::Search => &fixed.search,
                _ => &fixed.openai,
            };
            return if token == wanted {
                Judgement::Fit(self.app.object_id.clone())
            } else if token == fixed.search || token == fixed.openai {
                Judgement::Unfit
            } else {
                Judgement::Foreign
            };
        }
        let Some(claims) = self.verify(token) else {
            return Judgement::Foreign;
        };
        let fits = claims.generation == self.changing().generation
            && clock::unix_seconds() < claims.exp
            && claims.aud.trim_end_matches('/') == audience(plane, self.cloud);
        if fits { Judgement::Fit(claims.oid) } else { Judgement::Unfit }
    }

    fn sign(&self, claims: &Claims) -> String {
        let header = json!({"typ": "JWT", "alg": "HS256", "kid": "azure-emulator"}).to_string();
        // Claims are plain strings and numbers: they always serialise.
        let payload = serde_json::to_string(claims).unwrap_or_default();
        let signed = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = hmac::sign(&self.signing_key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.signing_key, signed.as_bytes(), &signature).ok()?;
        let (_, payload) = signed.split_once('.')?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    fn random(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            client_id: entropy::uuid(),
            secret: entropy::key(40),
            object_id: entropy::uuid(),
        }
    }

    pub(crate) fn as_identity(&self) -> ManagedIdentity {
        ManagedIdentity { client_id: self.client_id.clone(), object_id: self.object_id.clone() }
    }
}

/// The audience of a plane's tokens, without the slash that is allowed behind it (E1, A3, B3).
fn audience(plane: Plane, cloud: Cloud) -> String {
    let service = match plane {
        Plane::Search => "search",
        _ => "cognitiveservices",
    };
    format!("https://{service}.{}", cloud.domain())
}
