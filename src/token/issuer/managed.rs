//! A managed identity: asked of App Service's endpoint where the environment names one, else of IMDS.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

use super::Denial;
use crate::settings::UserAssigned;
use crate::token::transport::Seen;

pub(super) fn credential(
    user_assigned: Option<UserAssigned>,
    client_options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, Denial> {
    let user_assigned_id = user_assigned.map(|id| match id {
        UserAssigned::ClientId(id) => UserAssignedId::ClientId(id),
        UserAssigned::ObjectId(id) => UserAssignedId::ObjectId(id),
    });
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    match ManagedIdentityCredential::new(Some(options)) {
        Ok(credential) => Ok(credential),
        Err(_) => Err(Denial {
            cure: Some("name another kind of identity"),
            ..Denial::refused(
                "the environment (IDENTITY_ENDPOINT, MSI_ENDPOINT) is that of Azure Arc, Service Fabric, Cloud Shell or \
                 Azure ML, whose managed identities azure_identity does not know",
            )
        }),
    }
}

/// What to do where no token was given.
pub(super) fn cure(seen: &Seen) -> Option<&'static str> {
    let of_machine = std::env::var_os("IDENTITY_ENDPOINT").is_none();
    match seen.status() {
        None if of_machine => Some(
            "on a machine of Azure's, let keyswap reach 169.254.169.254, which containers, network policies and firewalls \
             may not; elsewhere there is no managed identity: name another kind",
        ),
        Some(400) => Some("assign the identity to this machine, or mend client_id or object_id"),
        Some(404) if of_machine => Some("if this is no machine of Azure's, name another kind of identity"),
        _ => None,
    }
}
