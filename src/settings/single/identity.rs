//! The flags that say how a sidecar gets its tokens.

use std::path::PathBuf;

use super::super::identity::NOT_IN_PRODUCTION;
use super::super::identity::application::{aks, check_authority, check_tenant, default_authority, environment};
use super::super::{Application, CertificateFiles, IdentityKind, SecretSource, UserAssigned};
use super::{IdentityName, Single};
use crate::plane::Cloud;

/// Where a sidecar's secret is if no file is named. Never a flag: a command line is no place for a secret.
const SECRET_VARIABLE: &str = "KEYSWAP_CLIENT_SECRET";

/// What to do about a flag that a kind of identity needs.
const MISSING: &str = "is missing: this kind of identity needs it";

/// The same for a workload identity.
const MISSING_FROM_AKS: &str = "is missing: give it, or run keyswap where AKS's webhook sets AZURE_TENANT_ID, \
                                AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE";

impl Single {
    /// The kind that the flags mean; `None` where a mistake was noted.
    pub(super) fn identity_kind(&self, cloud: Cloud, wrong: &mut impl FnMut(&str, &str)) -> Option<IdentityKind> {
        let Some(name) = self.identity else {
            let fix = "is missing: say how tokens are got, as one of the kinds that --help lists; it is never guessed";
            wrong("--identity", fix);
            return None;
        };
        match name {
            IdentityName::ManagedIdentity => {
                let client_id = self.client_id.clone().map(UserAssigned::ClientId);
                let object_id = self.object_id.clone().map(UserAssigned::ObjectId);
                Some(IdentityKind::ManagedIdentity { user_assigned: client_id.or(object_id) })
            }
            IdentityName::WorkloadIdentity => {
                let flags = self.with_what_aks_says();
                let application = flags.application(cloud, MISSING_FROM_AKS, wrong);
                let token_file = need("--token-file", flags.token_file, MISSING_FROM_AKS, wrong);
                Some(IdentityKind::WorkloadIdentity { application: application?, token_file: token_file? })
            }
            IdentityName::ClientSecret => {
                let file = self.secret_file.clone().map(SecretSource::File);
                let secret = file.unwrap_or_else(|| SecretSource::Environment(SECRET_VARIABLE.to_owned()));
                Some(IdentityKind::ClientSecret { application: self.application(cloud, MISSING, wrong)?, secret })
            }
            IdentityName::ClientCertificate => {
                let application = self.application(cloud, MISSING, wrong);
                let cert = need("--certificate-file", self.certificate_file.clone(), MISSING, wrong)?;
                let key = self.certificate_key_file.clone().unwrap_or_else(|| cert.clone());
                let files = CertificateFiles { cert, key };
                Some(IdentityKind::ClientCertificate { application: application?, files, send_chain: self.send_chain })
            }
            IdentityName::AzureCli if self.development => {
                let tenant = self.tenant.as_deref().map(check_tenant).transpose();
                Some(IdentityKind::AzureCli { tenant: tenant.map_err(|fix| wrong("--tenant", fix)).ok()? })
            }
            IdentityName::AzureCli => {
                wrong("--identity", &format!("{NOT_IN_PRODUCTION}: add --development, or name another kind"));
                None
            }
        }
    }

    /// The flags, and for those that were not given what AKS has written into the environment.
    fn with_what_aks_says(&self) -> Self {
        let mut flags = self.clone();
        flags.tenant = flags.tenant.or_else(|| environment(aks::TENANT));
        flags.client_id = flags.client_id.or_else(|| environment(aks::CLIENT_ID));
        flags.token_file = flags.token_file.or_else(|| environment(aks::TOKEN_FILE).map(PathBuf::from));
        flags.authority = flags.authority.or_else(|| environment(aks::AUTHORITY));
        flags
    }

    /// Who the tokens are for; `missing` is what to do where the flags do not say.
    fn application(&self, cloud: Cloud, missing: &str, wrong: &mut impl FnMut(&str, &str)) -> Option<Application> {
        let tenant = need("--tenant", self.tenant.clone(), missing, wrong);
        let tenant = tenant.and_then(|tenant| check_tenant(&tenant).map_err(|fix| wrong("--tenant", fix)).ok());
        let client_id = need("--client-id", self.client_id.clone(), missing, wrong);
        let authority = self.authority.as_deref().unwrap_or(default_authority(cloud));
        let authority = check_authority(authority).map_err(|fix| wrong("--authority", fix)).ok();
        Some(Application { tenant: tenant?, client_id: client_id?, authority: authority? })
    }
}

/// What a flag says; a mistake if it was not given.
fn need<T>(flag: &str, value: Option<T>, missing: &str, wrong: &mut impl FnMut(&str, &str)) -> Option<T> {
    if value.is_none() {
        wrong(flag, missing);
    }
    value
}
