//! What it means that there is no token, and what mends it: as precisely as settings, environment and Entra's code allow.

mod application;
mod azure_cli;
mod machine;
mod silence;

use super::way::Way;
use crate::settings::IdentityKind;
use crate::token::{Denial, Purpose, Seen};

/// What mends a failure.
#[derive(Debug, Default)]
pub(super) struct Remedy {
    /// What it means, where it does not say so itself.
    pub(super) means: Option<String>,
    /// What to do.
    pub(super) cure: Option<String>,
    /// Commands that do it, or tell more.
    pub(super) commands: Vec<String>,
}

impl Remedy {
    pub(super) fn of(kind: &IdentityKind, purpose: &Purpose, denial: &Denial, seen: &Seen, way: Option<&Way>) -> Self {
        if let (Seen::NoAnswer(_), Some(way)) = (seen, way) {
            return silence::remedy(way);
        }
        match kind {
            IdentityKind::ManagedIdentity { user_assigned } => {
                machine::remedy(user_assigned.as_ref(), purpose, denial, seen)
            }
            IdentityKind::AzureCli { tenant } => azure_cli::remedy(tenant.as_deref(), purpose, denial),
            IdentityKind::WorkloadIdentity { application, .. }
            | IdentityKind::ClientSecret { application, .. }
            | IdentityKind::ClientCertificate { application, .. } => {
                application::remedy(kind, application, purpose, seen)
            }
        }
    }

    fn new(means: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { means: Some(means.into()), cure: Some(cure.into()), commands: Vec::new() }
    }

    fn with(mut self, commands: impl IntoIterator<Item = String>) -> Self {
        self.commands.extend(commands);
        self
    }
}
