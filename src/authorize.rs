//! May this client do this, there?

use std::sync::Arc;

use crate::authenticate::Caller;
use crate::family::Family;
use crate::keys::Grant;
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
}

/// Decides whether a client may do what its request wants, and settles the resource: the one of the plane that the
/// client was granted.
///
/// # Errors
/// What is not granted.
pub fn authorize(route: &Route, caller: Caller) -> Result<Permit, Refusal> {
    let client = &caller.key().client;
    let grants = client.grants.iter().filter(|grant| grant.resource.plane == route.plane());
    let grants: Vec<&Grant> = grants.collect();
    let resource = only_resource(&grants)?;
    let family = route.family().ok_or(Refusal::NoFamily)?;
    let mut grants = grants.into_iter().filter(|grant| grant.families.contains(family)).peekable();
    if grants.peek().is_none() {
        return Err(Refusal::FamilyNotGranted(family));
    }
    let name = match route.target() {
        Target::Named(name) => Some(name.as_str()),
        Target::Unnamed | Target::Untouched => None,
    };
    let grant = grants
        .find(|grant| grant.targets.cover(name) || *route.target() == Target::Untouched)
        .ok_or_else(|| Refusal::TargetNotGranted(name.map(str::to_owned)))?;
    let identity = grant.identity.at(family.access()).clone();
    Ok(Permit { resource, family, identity, caller })
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

    /// Whose token it rides: this follows from client, resource and access, never from the resource alone.
    pub fn identity(&self) -> &Arc<str> {
        &self.identity
    }
}
