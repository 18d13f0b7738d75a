//! `[identities.NAME]`: ways to get a token.
//!
//! The kind is always named, and nothing is tried in its place: whoever reads the settings knows whose token a request
//! rides. The environment is asked for one kind alone, a workload identity, since it is AKS that writes it there.

pub(super) mod application;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{path, secret};
use super::{CLIENTS_OWN, CertificateFiles, SecretSource};
use crate::document::Section;
use crate::plane::Cloud;
pub use application::Application;
use application::{aks, or_from_aks};

/// One way to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name in the settings and in the log.
    pub name: Arc<str>,
    /// How the token is got.
    pub kind: IdentityKind,
}

/// How a token is got. Files are read anew for every token, so that what is in them can be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityKind {
    /// The identity of the machine or container that we run on: App Service's endpoint where the environment
    /// names one, else IMDS.
    ManagedIdentity {
        /// A user-assigned identity; the system's own if none is named.
        user_assigned: Option<UserAssigned>,
    },
    /// An application, or a user-assigned identity, that takes the tokens of a Kubernetes service account for its own
    /// credential.
    WorkloadIdentity {
        /// Who it is.
        application: Application,
        /// Where the cluster keeps the service account's token.
        token_file: PathBuf,
    },
    /// An application that proves itself with a secret.
    ClientSecret {
        /// Who it is.
        application: Application,
        /// Where the secret is.
        secret: SecretSource,
    },
    /// An application that proves itself with the key of a certificate.
    ClientCertificate {
        /// Who it is.
        application: Application,
        /// The certificate's chain, and its key; they may be one file.
        files: CertificateFiles,
        /// Whether Entra is shown the chain, as it must be where it trusts a subject's name and issuer, and not one
        /// certificate.
        send_chain: bool,
    },
    /// Whoever is logged in to the Azure CLI on this machine: for development alone.
    AzureCli {
        /// The tenant, if it is another than that of the login.
        tenant: Option<String>,
    },
}

/// How a user-assigned managed identity is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserAssigned {
    /// By its client id.
    ClientId(String),
    /// By its object id.
    ObjectId(String),
}

/// The kinds by name.
#[derive(Clone, Copy)]
enum Kind {
    ManagedIdentity,
    WorkloadIdentity,
    ClientSecret,
    ClientCertificate,
    AzureCli,
}

/// What of the settings decides about all identities.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Paths are taken from here.
    pub(super) base: &'a Path,
    /// The default authority follows from it.
    pub(super) cloud: Cloud,
    /// Whether this is no production.
    pub(super) development: bool,
}

/// What is said of the Azure CLI where nobody has said that this is no production.
pub(super) const NOT_IN_PRODUCTION: &str =
    "is for development alone, since its tokens are those of whoever is logged in";

// === impl Identity ===

impl Identity {
    /// The files with which it proves itself: what changes in them is worth a new token.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.kind.files()
    }
}

impl IdentityKind {
    /// The files with which such an identity proves itself.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let (one, other) = match self {
            Self::ManagedIdentity { .. } | Self::AzureCli { .. } => (None, None),
            Self::WorkloadIdentity { token_file, .. } => (Some(token_file.as_path()), None),
            Self::ClientSecret { secret, .. } => (secret.file(), None),
            Self::ClientCertificate { files: CertificateFiles { cert, key }, .. } => {
                (Some(cert.as_path()), Some(key.as_path()).filter(|key| key != cert))
            }
        };
        one.into_iter().chain(other)
    }

    /// Its name in settings, flags and the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ManagedIdentity { .. } => "managed-identity",
            Self::WorkloadIdentity { .. } => "workload-identity",
            Self::ClientSecret { .. } => "client-secret",
            Self::ClientCertificate { .. } => "client-certificate",
            Self::AzureCli { .. } => "azure-cli",
        }
    }

    /// The client id, where it is known without asking anybody.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::WorkloadIdentity { application, .. }
            | Self::ClientSecret { application, .. }
            | Self::ClientCertificate { application, .. } => Some(&application.client_id),
            Self::ManagedIdentity { user_assigned: Some(UserAssigned::ClientId(id)) } => Some(id),
            Self::ManagedIdentity { .. } | Self::AzureCli { .. } => None,
        }
    }

    /// The object id, where the settings name it.
    pub fn object_id(&self) -> Option<&str> {
        match self {
            Self::ManagedIdentity { user_assigned: Some(UserAssigned::ObjectId(id)) } => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for IdentityKind {
    /// For somebody who reviews settings: who it is, and how it is proven.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagedIdentity { user_assigned: None } => f.write_str("the machine's own managed identity"),
            Self::ManagedIdentity { user_assigned: Some(UserAssigned::ClientId(id)) } => {
                write!(f, "the managed identity with client id {id}")
            }
            Self::ManagedIdentity { user_assigned: Some(UserAssigned::ObjectId(id)) } => {
                write!(f, "the managed identity with object id {id}")
            }
            Self::WorkloadIdentity { application, token_file } => {
                write!(f, "{application}, proven by the service account's token in {}", token_file.display())
            }
            Self::ClientSecret { application, secret: SecretSource::File(file) } => {
                write!(f, "{application}, proven by the secret in {}", file.display())
            }
            Self::ClientSecret { application, secret: SecretSource::Environment(variable) } => {
                write!(f, "{application}, proven by the secret in ${variable}")
            }
            Self::ClientCertificate { application, files, .. } => {
                write!(f, "{application}, proven by the certificate in {}", files.cert.display())
            }
            Self::AzureCli { tenant: None } => f.write_str("whoever is logged in to the Azure CLI"),
            Self::AzureCli { tenant: Some(tenant) } => {
                write!(f, "whoever is logged in to the Azure CLI, in tenant {tenant}")
            }
        }
    }
}

// === Reading ===

/// The names that are declared, and the identities among them that have no mistake: a resource that names a
/// broken one is not at fault itself.
pub(super) fn identities(root: &Section<'_>, around: Surroundings<'_>) -> (Vec<Arc<str>>, Vec<Arc<Identity>>) {
    let sections = root.named_sections("identities");
    let declared = sections.iter().map(|(name, _)| Arc::from(*name)).collect();
    let identity = |(name, section): (&str, Section<'_>)| {
        if name == CLIENTS_OWN {
            section.wrong("has a name that stands for a client's own token in request lines: name it otherwise");
        }
        let kind = kind(&section, around)?;
        Some(Arc::new(Identity { name: name.into(), kind }))
    };
    (declared, sections.into_iter().filter_map(identity).collect())
}

const KINDS: &[(&str, Kind)] = &[
    ("managed-identity", Kind::ManagedIdentity),
    ("workload-identity", Kind::WorkloadIdentity),
    ("client-secret", Kind::ClientSecret),
    ("client-certificate", Kind::ClientCertificate),
    ("azure-cli", Kind::AzureCli),
];

/// The keys that one kind of identity or another has.
const OF_SOME_KIND: [&str; 10] = [
    "tenant",
    "client_id",
    "object_id",
    "authority",
    "token_file",
    "secret_file",
    "secret_env",
    "certificate_file",
    "certificate_key_file",
    "send_chain",
];

fn kind(section: &Section<'_>, around: Surroundings<'_>) -> Option<IdentityKind> {
    let kind = section.need(
        "kind",
        "say how its tokens are got: managed-identity, workload-identity, client-secret, client-certificate or azure-cli",
    );
    let named = kind.as_ref().and_then(|kind| kind.one_of(KINDS));
    match named {
        Some(Kind::ManagedIdentity) => managed_identity(section),
        Some(Kind::WorkloadIdentity) => workload_identity(section, around),
        Some(Kind::ClientSecret) => client_secret(section, around),
        Some(Kind::ClientCertificate) => client_certificate(section, around),
        Some(Kind::AzureCli) => {
            let tenant = section.get("tenant").map(|value| application::tenant(&value));
            if !around.development {
                let fix = format!("{NOT_IN_PRODUCTION}: write development = true at the top, or name another kind");
                kind?.wrong(&fix);
                return None;
            }
            Some(IdentityKind::AzureCli { tenant: tenant.map_or(Some(None), |tenant| tenant.map(Some))? })
        }
        None => {
            // What belongs to the kind that was meant is not to be called unknown on top.
            OF_SOME_KIND.iter().for_each(|key| drop(section.get(key)));
            None
        }
    }
}

fn managed_identity(section: &Section<'_>) -> Option<IdentityKind> {
    let user_assigned = match (section.get("client_id"), section.get("object_id")) {
        (None, None) => None,
        (Some(id), None) => Some(UserAssigned::ClientId(id.text()?.to_owned())),
        (None, Some(id)) => Some(UserAssigned::ObjectId(id.text()?.to_owned())),
        (Some(_), Some(id)) => {
            id.wrong("cannot be combined with client_id: name the identity one way");
            return None;
        }
    };
    Some(IdentityKind::ManagedIdentity { user_assigned })
}

fn workload_identity(section: &Section<'_>, around: Surroundings<'_>) -> Option<IdentityKind> {
    let application = Application::read_or_from_aks(section, around.cloud);
    let token_file = or_from_aks(section, "token_file", aks::TOKEN_FILE);
    Some(IdentityKind::WorkloadIdentity { application: application?, token_file: around.base.join(token_file?) })
}

fn client_secret(section: &Section<'_>, around: Surroundings<'_>) -> Option<IdentityKind> {
    let application = Application::read(section, around.cloud);
    let (file, variable) = (section.get("secret_file"), section.get("secret_env"));
    if file.is_none() && variable.is_none() {
        section.wrong("has no secret: set secret_file or secret_env");
    }
    let secret = secret(file, variable, around.base);
    Some(IdentityKind::ClientSecret { application: application?, secret: secret? })
}

fn client_certificate(section: &Section<'_>, around: Surroundings<'_>) -> Option<IdentityKind> {
    let application = Application::read(section, around.cloud);
    let cert =
        section.need("certificate_file", "the application's certificate, PEM; its key may stand in the same file");
    let cert = cert.and_then(|value| path(&value, around.base));
    let key = section.get("certificate_key_file").map(|value| path(&value, around.base));
    let send_chain = section.get("send_chain").map_or(Some(false), |value| value.truth());
    let cert = cert?;
    let key = key.unwrap_or_else(|| Some(cert.clone()))?;
    Some(IdentityKind::ClientCertificate {
        application: application?,
        files: CertificateFiles { cert, key },
        send_chain: send_chain?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_identity_are_those_that_its_tokens_depend_on() {
        let application = || Application {
            tenant: "t".to_owned(),
            client_id: "c".to_owned(),
            authority: "https://login.example".to_owned(),
        };
        let certificate = |cert: &str, key: &str| IdentityKind::ClientCertificate {
            application: application(),
            files: CertificateFiles { cert: cert.into(), key: key.into() },
            send_chain: false,
        };
        let secret = |secret| IdentityKind::ClientSecret { application: application(), secret };
        let pod = IdentityKind::WorkloadIdentity { application: application(), token_file: "token".into() };
        for (kind, files) in [
            (IdentityKind::ManagedIdentity { user_assigned: None }, &[][..]),
            (IdentityKind::AzureCli { tenant: None }, &[]),
            (pod, &["token"]),
            (secret(SecretSource::File("secret".into())), &["secret"]),
            (secret(SecretSource::Environment("S".to_owned())), &[]),
            (certificate("cert", "key"), &["cert", "key"]),
            (certificate("both", "both"), &["both"]),
        ] {
            let identity = Identity { name: "app".into(), kind };
            assert!(identity.files().eq(files.iter().map(Path::new)), "{identity:?}");
        }
    }
}
