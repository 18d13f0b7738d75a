//! Whether anything rides an identity's tokens, and on which scopes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::doctor::{Case, Finding, Status};
use crate::token::Purpose;

/// What an identity is for.
pub(super) struct Use {
    identity: Arc<str>,
    /// The clients whose requests ride it.
    clients: BTreeSet<Arc<str>>,
    /// The resources that name it.
    resources: Vec<Arc<str>>,
    scopes: BTreeSet<Arc<str>>,
}

impl Use {
    pub(super) fn of(case: &Case, name: &str) -> Self {
        let (mut clients, mut scopes) = (BTreeSet::new(), BTreeSet::new());
        for client in case.keys.clients() {
            for grant in &client.grants {
                if grant.accesses().any(|access| &**grant.identity.at(access) == name) {
                    clients.insert(client.name.clone());
                    scopes.insert(grant.resource.scope.clone());
                }
            }
        }
        let resources = &case.settings.resources;
        let naming = resources.iter().filter(|resource| {
            let identity = &resource.identity;
            [&identity.read, &identity.write, &identity.manage].into_iter().any(|named| &**named == name)
        });
        let naming: Vec<_> = naming.collect();
        scopes.extend(naming.iter().map(|resource| resource.scope.clone()));
        if scopes.is_empty() {
            // Any scope shows whether it gets tokens at all.
            scopes.extend(resources.first().map(|resource| resource.scope.clone()));
        }
        let resources = naming.into_iter().map(|resource| resource.name.clone()).collect();
        Self { identity: name.into(), clients, resources, scopes }
    }

    /// Whether some request rides it.
    pub(super) fn is_needed(&self) -> bool {
        !self.clients.is_empty()
    }

    /// What it gets tokens for.
    pub(super) fn purposes(&self) -> Vec<Purpose> {
        let purpose = |scope: &Arc<str>| Purpose { identity: self.identity.clone(), scope: scope.clone() };
        self.scopes.iter().map(purpose).collect()
    }

    pub(super) fn finding(&self) -> Finding {
        match (self.clients.is_empty(), self.resources.is_empty()) {
            (false, _) => Finding::new("use", Status::Ok, format!("ridden by {}", listed(&self.clients))),
            (true, false) => {
                let found = format!("named by {}, and no client has a grant there", listed(&self.resources));
                Finding::new("use", Status::Note, found).means("Nothing depends on it yet; it is tried all the same.")
            }
            (true, true) => Finding::new("use", Status::Note, "unused: no resource and no grant names it")
                .means("Nothing depends on it; it is tried all the same."),
        }
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n Arc<str>>) -> String {
    names.into_iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
}
