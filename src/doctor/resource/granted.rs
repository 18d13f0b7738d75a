//! What clients are granted on a resource, all together, and whose tokens that rides.

use std::fmt;
use std::sync::Arc;

use crate::family::Family;
use crate::keys::{Grant, Keys};
use crate::plane::Access;
use crate::settings::Resource;

/// Operations that some client may do on the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) family: Family,
    pub(super) access: Access,
    /// Whose token they ride.
    pub(super) identity: Arc<str>,
    /// A deployment or index that a grant of them names, without a glob.
    pub(super) target: Option<String>,
}

/// What all clients together are granted, each once, in the order of families.
pub(super) fn granted(keys: &Keys, resource: &Resource) -> Vec<Granted> {
    let clients = keys.clients();
    let grants = clients.iter().flat_map(|client| &client.grants).filter(|grant| grant.resource.name == resource.name);
    let grants: Vec<&Grant> = grants.collect();
    let mut all: Vec<Granted> = Vec::new();
    for (_, family) in Family::NAMES {
        for access in family.accesses() {
            // What cannot be limited is refused to whoever is limited.
            let usable = |grant: &&&Grant| family.can_be_limited() || grant.targets.cover(None);
            let of_family = grants.iter().filter(|grant| grant.families.contains(*family) && *grant.access.at(*access));
            for grant in of_family.filter(usable) {
                let (identity, target) = (grant.identity.at(*access).clone(), grant.targets.exact().into_iter().next());
                let same =
                    |one: &&mut Granted| (one.family, one.access) == (*family, *access) && one.identity == identity;
                match all.iter_mut().find(same) {
                    Some(one) => one.target = one.target.take().or(target),
                    None => all.push(Granted { family: *family, access: *access, identity, target }),
                }
            }
        }
    }
    all
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} as {}", self.family.name(), self.access.name(), self.identity)
    }
}
