//! May this client do this, there? Or, if it has a token of its own: may it go there with that?

mod passage;
mod resource;
mod way;

use std::sync::Arc;

pub use passage::{Passage, Passages};
pub use way::Way;

use crate::authenticate::Caller;
use crate::family::Family;
use crate::fault::Place;
use crate::keys::{Grant, Key, Targets};
use crate::plane::{Access, Plane};
use crate::refusal::Refusal;
use crate::route::{Prefix, Route, Target};
use crate::settings::Resource;
use resource::settle;

/// Leave for one operation of one client on one resource. Made here alone. Cheap to clone, and without touching what the
/// workers share: they would wait for each other at the counts.
#[derive(Debug, Clone)]
pub struct Permit(Arc<Leave>);

#[derive(Debug)]
struct Leave {
    caller: Caller,
    /// Which of the client's grants it rests on, the first where a condition leaves several. Its resource and its identity
    /// are that grant's, and are read there: all workers count references to those.
    grant: usize,
    /// The resource's, which every answer asks for: the grant may be far away by then.
    plane: Plane,
    prefix: usize,
    operation: (Family, Access),
    websocket: bool,
    repeatable: bool,
    condition: Option<Condition>,
}

/// What must hold of a request's body before anything may be completed upstream: that it names a deployment which was
/// granted, as its `model`. Made here alone; [`crate::guard`] sees to it.
#[derive(Clone, Debug)]
pub struct Condition {
    granted: Arc<[Targets]>,
}

/// Decides whether a client may do what its request wants, and settles the resource.
///
/// # Errors
/// What is not granted, or a resource that cannot be settled.
pub fn authorize(route: &Route, caller: Caller) -> Result<Permit, Refusal> {
    let grants = &caller.key().client.grants;
    let resource = settle(route, grants.iter().map(|grant| &grant.resource))?;
    let operation @ (family, access) = route.operation().ok_or(Refusal::NoFamily)?;
    let of_resource = grants.iter().enumerate().filter(|(_, grant)| grant.resource.name == resource.name);
    let of_family = of_resource.filter(|(_, grant)| grant.families.contains(family));
    if of_family.clone().next().is_none() {
        return Err(Refusal::FamilyNotGranted(family));
    }
    let of_access = of_family.filter(|(_, grant)| *grant.access.at(access));
    let first = of_access.clone().next().ok_or(Refusal::AccessNotGranted(family, access))?;
    let covering = |name: Option<&str>| of_access.clone().find(|(_, grant)| grant.targets.cover(name));
    let ((grant, _), condition) = match route.target() {
        Target::Untouched => (first, None),
        Target::Named(name) => {
            (covering(Some(name)).ok_or_else(|| Refusal::TargetNotGranted(Some(name.clone())))?, None)
        }
        Target::Unnamed => (covering(None).ok_or(Refusal::TargetNotGranted(None))?, None),
        Target::InBody => match covering(None) {
            Some(grant) => (grant, None),
            None => {
                // The token goes along before the body is read: what is granted to another identity is not granted here.
                let whose = first.1.identity.at(access);
                let granted = of_access.clone().filter(|(_, grant)| grant.identity.at(access) == whose);
                let granted = granted.map(|(_, grant)| grant.targets.clone()).collect();
                (first, Some(Condition { granted }))
            }
        },
    };
    let prefix = route.prefix().map_or(0, Prefix::length);
    let (plane, websocket, repeatable) = (resource.plane, route.opens_websocket(), route.is_repeatable());
    Ok(Permit(Arc::new(Leave { grant, plane, prefix, operation, websocket, repeatable, condition, caller })))
}

/// The resource that a request with this key is for, if that could be settled: it is known, too, of one that may not do
/// what it wants there.
pub(crate) fn settled<'k>(route: &Route, key: &'k Key) -> Option<&'k Arc<Resource>> {
    settle(route, key.client.grants.iter().map(|grant| &grant.resource)).ok()
}

// === impl Permit ===

impl Permit {
    /// Who asked.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Where the request may go, and nowhere else.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.grant().resource
    }

    /// That resource's plane.
    pub fn plane(&self) -> Plane {
        self.0.plane
    }

    /// How many bytes at the beginning of the path only named the resource. They are not forwarded.
    pub fn prefix(&self) -> usize {
        self.0.prefix
    }

    /// What it does there.
    pub fn family(&self) -> Family {
        self.0.operation.0
    }

    /// What must hold of the request's body, if anything must.
    pub fn condition(&self) -> Option<&Condition> {
        self.0.condition.as_ref()
    }

    /// Whether it opens a websocket there.
    pub fn opens_websocket(&self) -> bool {
        self.0.websocket
    }

    /// Whether it may be carried out twice without harm.
    pub fn is_repeatable(&self) -> bool {
        self.0.repeatable
    }

    /// What it does, where and as whom, in case that is found fault with.
    pub fn place(&self) -> Place {
        let resource = self.resource();
        Place {
            plane: resource.plane,
            resource: resource.name.clone(),
            host: resource.endpoint.host().to_owned(),
            scope: resource.scope.clone(),
            identity: self.identity().clone(),
            operation: self.0.operation,
        }
    }

    /// Whose token it rides: this follows from client, resource and access, never from the resource alone.
    pub fn identity(&self) -> &Arc<str> {
        let (_, access) = self.0.operation;
        self.grant().identity.at(access)
    }

    fn grant(&self) -> &Grant {
        &self.0.caller.key().client.grants[self.0.grant]
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
