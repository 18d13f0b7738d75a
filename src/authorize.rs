//! May this client do this, there?

use std::sync::Arc;

use crate::authenticate::Caller;
use crate::family::Family;
use crate::keys::{Grant, Targets};
use crate::refusal::Refusal;
use crate::route::{Route, Target};
use crate::settings::Resource;

/// Leave for one operation of one client on one resource. Made here alone.
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Caller,
    resource: Arc<Resource>,
    family: Family,
    identity: Arc<str>,
    condition: Option<Condition>,
}

/// What must hold of a request's body before anything may be completed upstream: that it names a deployment which was
/// granted, as its `model`. Made here alone; [`crate::guard`] sees to it.
#[derive(Clone, Debug)]
pub struct Condition {
    granted: Arc<[Targets]>,
}

/// Decides whether a client may do what its request wants, and settles the resource: the one of the plane that the
/// client was granted.
///
/// # Errors
/// What is not granted.
pub fn authorize(route: &Route, caller: Caller) -> Result<Permit, Refusal> {
    let client = &caller.key().client;
    let grants = client.grants.iter().filter(|grant| grant.resource.plane == route.plane());
    let mut grants: Vec<&Grant> = grants.collect();
    let resource = only_resource(&grants)?;
    let family = route.family().ok_or(Refusal::NoFamily)?;
    grants.retain(|grant| grant.families.contains(family));
    let first = grants.first().ok_or(Refusal::FamilyNotGranted(family))?;
    let covering = |name: Option<&str>| grants.iter().find(|grant| grant.targets.cover(name));
    let identity = |grant: &Grant| grant.identity.at(family.access()).clone();
    let (identity, condition) = match route.target() {
        Target::Untouched => (identity(first), None),
        Target::Named(name) => {
            let grant = covering(Some(name)).ok_or_else(|| Refusal::TargetNotGranted(Some(name.clone())))?;
            (identity(grant), None)
        }
        Target::Unnamed => (identity(covering(None).ok_or(Refusal::TargetNotGranted(None))?), None),
        Target::InBody => match covering(None) {
            Some(grant) => (identity(grant), None),
            None => {
                // The token goes along before the body is read: what is granted to another identity is not granted here.
                let granted = grants.iter().filter(|grant| identity(grant) == identity(first));
                let granted = granted.map(|grant| grant.targets.clone()).collect();
                (identity(first), Some(Condition { granted }))
            }
        },
    };
    Ok(Permit { resource, family, identity, condition, caller })
}

fn only_resource(grants: &[&Grant]) -> Result<Arc<Resource>, Refusal> {
    let (first, others) = grants.split_first().ok_or(Refusal::NoResource)?;
    if others.iter().any(|grant| grant.resource.name != first.resource.name) {
        return Err(Refusal::SeveralResources);
    }
    Ok(first.resource.clone())
}

// === impl Permit ===

impl Permit {
    /// Who asked.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where the request may go, and nowhere else.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// What it does there.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What must hold of the request's body, if anything must.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// Whose token it rides: this follows from client, resource and access, never from the resource alone.
    pub fn identity(&self) -> &Arc<str> {
        &self.identity
    }
}

// === impl Condition ===

impl Condition {
    /// Whether a request whose body names this deployment is permitted.
    pub(crate) fn permits(&self, deployment: &str) -> bool {
        self.granted.iter().any(|targets| targets.cover(Some(deployment)))
    }

    /// A condition of its own, without a grant.
    #[cfg(test)]
    pub(crate) fn fitting<'g>(globs: impl IntoIterator<Item = &'g str>) -> Self {
        Self { granted: [Targets::fitting(globs)].into() }
    }
}
