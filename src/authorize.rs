//! May this client do this, there? Or, if it has a token of its own: may it go there with that?

mod passage;
mod resource;

use std::sync::Arc;

pub use passage::{Passage, Passages};

use crate::authenticate::Caller;
use crate::family::Family;
use crate::refusal::Refusal;
use crate::route::{Prefix, Route, Target};
use crate::settings::Resource;
use resource::settle;

/// Leave for one operation of one client on one resource. Made here alone.
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Caller,
    resource: Arc<Resource>,
    prefix: usize,
    family: Family,
    identity: Arc<str>,
}

/// Decides whether a client may do what its request wants, and settles the resource.
///
/// # Errors
/// What is not granted, or a resource that cannot be settled.
pub fn authorize(route: &Route, caller: Caller) -> Result<Permit, Refusal> {
    let grants = &caller.key().client.grants;
    let granted: Vec<_> = grants.iter().map(|grant| &grant.resource).collect();
    let resource = settle(route, &granted)?.clone();
    let (family, access) = route.operation().ok_or(Refusal::NoFamily)?;
    let grants = grants.iter().filter(|grant| grant.resource.name == resource.name);
    let grants: Vec<_> = grants.filter(|grant| grant.families.contains(family)).collect();
    if grants.is_empty() {
        return Err(Refusal::FamilyNotGranted(family));
    }
    let mut grants = grants.into_iter().filter(|grant| *grant.access.at(access)).peekable();
    if grants.peek().is_none() {
        return Err(Refusal::AccessNotGranted(family, access));
    }
    let name = match route.target() {
        Target::Named(name) => Some(name.as_str()),
        Target::Unnamed | Target::Untouched => None,
    };
    let grant = grants
        .find(|grant| grant.targets.cover(name) || *route.target() == Target::Untouched)
        .ok_or_else(|| Refusal::TargetNotGranted(name.map(str::to_owned)))?;
    let identity = grant.identity.at(access).clone();
    let prefix = route.prefix().map_or(0, Prefix::length);
    Ok(Permit { resource, prefix, family, identity, caller })
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

    /// How many bytes at the beginning of the path only named the resource. They are not forwarded.
    pub fn prefix(&self) -> usize {
        self.prefix
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
