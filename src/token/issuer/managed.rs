//! A managed identity: asked of App Service's endpoint where the environment names one, else of IMDS.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

use super::Denial;
use crate::settings::UserAssigned;
use crate::token::transport::Exchange;

pub(super) fn credential(
    user_assigned: Option<&UserAssigned>,
    client_options: ClientOptions,
) -> Result<Arc<dyn TokenCredential>, Denial> {
    let user_assigned_id = user_assigned.cloned().map(|id| match id {
        UserAssigned::ClientId(id) => UserAssignedId::ClientId(id),
        UserAssigned::ObjectId(id) => UserAssignedId::ObjectId(id),
    });
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    match ManagedIdentityCredential::new(Some(options)) {
        Ok(credential) => Ok(credential),
        Err(_) => Err(Denial::refused(
            "the environment (IDENTITY_ENDPOINT, MSI_ENDPOINT) is that of Azure Arc, Service Fabric, Cloud Shell or Azure \
             ML, whose managed identities azure_identity does not know: name another kind of identity",
        )),
    }
}

/// What to do where no token was given.
pub(super) fn cure(exchange: &Exchange) -> Option<&'static str> {
    let of_machine = std::env::var_os("IDENTITY_ENDPOINT").is_none();
    match exchange.status() {
        None if of_machine => Some(
            "there is no managed identity to be had here. A machine of Azure's must let keyswap reach 169.254.169.254 \
             (containers, network policies and firewalls may not); anywhere else, name another kind of identity",
        ),
        Some(400) => Some("it has no such identity: assign it to this machine, or mend client_id or object_id"),
        Some(404) if of_machine => Some("what answers at 169.254.169.254 is not Azure's, or is being updated"),
        _ => None,
    }
}
