//! The least grants that let through what a client was seen to do.
//!
//! A grant is narrowed to what its own requests did: where several cover a request, the first of them, as
//! [`crate::authorize`] has it. Families and accesses become those that were seen, and names of deployments or indexes
//! take the place of globs. What one grant cannot say exactly, such as reading two indexes and writing to one, becomes
//! two. Where what was seen is not known in full, the grant stays as wide as it was in that respect, and that is told.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::page::GrantEdit;
use crate::family::{Families, Family};
use crate::keys::{Grant, Targets};
use crate::plane::{Access, Plane};
use crate::usage::{History, Operation};

/// What becomes of a client's grants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Narrowing {
    /// For each grant, what comes in its place.
    pub(super) edits: Vec<Vec<GrantEdit>>,
    /// What whoever reviews it should know.
    pub(super) notes: Vec<String>,
}

/// One thing that was done, as often as you like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) resource: String,
    pub(super) operation: (Family, Access),
    pub(super) object: Object,
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Named(String),
    /// What the body names, unread: only a grant of all names lets that through.
    InBody,
    /// All of them, or nobody can tell: likewise.
    Unnamed,
    /// More names than are remembered.
    Others,
    /// None.
    Untouched,
}

/// A grant in the place of another, or a part of it.
#[derive(Clone, Debug)]
struct Part {
    families: Families,
    accesses: BTreeSet<usize>,
    /// Those of the grant that it comes from if `None`.
    names: Option<Vec<String>>,
}

type Pair = (Family, Access);

/// What was done, one by one. `None` if it says a word that this keyswap does not know.
pub(super) fn deeds(history: &History) -> Option<Vec<Deed>> {
    let mut deeds = Vec::new();
    for operation in &history.operations.seen {
        let Operation { resource, family, access, targets, in_body, unnamed, untouched, .. } = operation;
        let family = Family::NAMES.iter().find(|(name, _)| name == family)?.1;
        let access = Access::NAMES.iter().find(|(name, _)| name == access)?.1;
        let named = targets.seen.iter().cloned().map(Object::Named);
        let others = [
            (targets.more, Object::Others),
            (*in_body, Object::InBody),
            (*unnamed, Object::Unnamed),
            (*untouched, Object::Untouched),
        ];
        let others = others.into_iter().filter_map(|(is_seen, object)| is_seen.then_some(object));
        deeds.extend(named.chain(others).map(|object| Deed {
            resource: resource.clone(),
            operation: (family, access),
            object,
        }));
    }
    Some(deeds)
}

/// The places of the grants that may have let a deed through, whatever it was done to.
fn possible(grants: &[Grant], deed: &Deed) -> Vec<usize> {
    let (family, access) = deed.operation;
    let may = |grant: &Grant| {
        *grant.resource.name == *deed.resource && grant.families.contains(family) && *grant.access.at(access)
    };
    grants.iter().enumerate().filter(|(_, grant)| may(grant)).map(|(place, _)| place).collect()
}

/// Those of them that a deed needs: the first that covers it; of names that nobody remembers, all.
fn needed(grants: &[Grant], deed: &Deed) -> Vec<usize> {
    let covers = |place: &usize| {
        grants.get(*place).is_some_and(|grant| match &deed.object {
            Object::Named(name) => grant.targets.cover(Some(name)),
            Object::InBody | Object::Unnamed => grant.targets.cover(None),
            Object::Untouched | Object::Others => true,
        })
    };
    let most = if deed.object == Object::Others { usize::MAX } else { 1 };
    possible(grants, deed).into_iter().filter(covers).take(most).collect()
}

/// Whether several grants that may have let a deed through ride different identities. Which of them it was is not known
/// then: a name in a body counts for the identity of the first grant alone.
fn is_mixed(grants: &[Grant], deed: &Deed) -> bool {
    let possible = possible(grants, deed);
    let mut identities =
        possible.iter().filter_map(|place| grants.get(*place)).map(|grant| grant.identity.at(deed.operation.1));
    let first = identities.next();
    identities.any(|identity| Some(identity) != first)
}

/// Narrows grants to deeds.
pub(super) fn narrowed(grants: &[Grant], deeds: &[Deed]) -> Narrowing {
    let mut notes = Vec::new();
    let mut own: Vec<Vec<&Deed>> = vec![Vec::new(); grants.len()];
    let mut mixed: BTreeMap<usize, &Deed> = BTreeMap::new();
    for deed in deeds {
        let needed = needed(grants, deed);
        if needed.is_empty() {
            let name = deed.object.name().map(|name| format!(" for {name}")).unwrap_or_default();
            notes.push(format!("{}{name} was seen, but is not granted any more", deed.words()));
        }
        for place in needed {
            own.get_mut(place).into_iter().for_each(|deeds| deeds.push(deed));
        }
        if is_mixed(grants, deed) {
            mixed.extend(possible(grants, deed).into_iter().map(|place| (place, deed)));
        }
    }
    notes.dedup();
    let edits = grants.iter().zip(&own).enumerate().map(|(place, (grant, deeds))| {
        let words = format!("grants[{place}] on {}", grant.resource.name);
        if let Some(deed) = mixed.get(&place) {
            notes.push(format!(
                "{words} stays as it is: {} is granted more than once, for different identities",
                deed.words()
            ));
            return vec![GrantEdit::default()];
        }
        if deeds.is_empty() {
            notes.push(format!("{words} was not used: it is removed"));
            return Vec::new();
        }
        notes.extend(wide(grant, deeds));
        parts(grant, deeds).iter().map(|part| part.edit(grant)).collect()
    });
    let edits = edits.collect();
    Narrowing { edits, notes }
}

/// For what names do not take the place of what a grant covers, and why.
fn wide(grant: &Grant, deeds: &[&Deed]) -> Vec<String> {
    let is_named = deeds.iter().any(|deed| deed.object.name().is_some());
    let why = |deed: &&Deed| match deed.object {
        Object::Others => Some("it was done to more of them than are remembered"),
        Object::InBody => Some("its body names them, which is not read for a key that may use all"),
        Object::Unnamed => Some("it does not say which it works on, so that a key which is limited to some may not"),
        Object::Untouched if !is_named && deed.operation.0.can_be_limited() => Some("it works on none"),
        Object::Untouched | Object::Named(_) => None,
    };
    let wide = deeds.iter().filter_map(|deed| Some((deed, why(deed)?)));
    wide.map(|(deed, why)| format!("{} keeps its {}: {why}", deed.words(), names_of(grant))).collect()
}

fn names_of(grant: &Grant) -> &'static str {
    match grant.resource.plane {
        Plane::OpenAi => "deployments",
        Plane::Search => "indexes",
    }
}

/// The least grants that let these deeds through in the place of one.
fn parts(grant: &Grant, deeds: &[&Deed]) -> Vec<Part> {
    let pairs = Family::NAMES.iter().flat_map(|(_, family)| Access::NAMES.iter().map(|(_, access)| (*family, *access)));
    let mut groups: Vec<(Option<Vec<String>>, Vec<Pair>)> = Vec::new();
    let mut untouching = Vec::new();
    for pair in pairs {
        let objects: Vec<_> = deeds.iter().filter(|deed| deed.operation == pair).map(|deed| &deed.object).collect();
        let is_wide = |object: &&Object| matches!(object, Object::InBody | Object::Unnamed | Object::Others);
        let names: BTreeSet<_> = objects.iter().filter_map(|object| object.name()).collect();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        match objects.iter().copied().any(|object| is_wide(&object)) {
            _ if objects.is_empty() => {}
            true => join(&mut groups, None, pair),
            false if names.is_empty() => untouching.push(pair),
            false => join(&mut groups, Some(names), pair),
        }
    }
    // What works on none is let through by any grant of its family: one that is there already, of few names if possible.
    for pair in untouching {
        let of_few = groups.iter().find(|(names, _)| names.is_some()).or(groups.first());
        let names = of_few.and_then(|(names, _)| names.clone());
        join(&mut groups, names, pair);
    }
    let parts = groups
        .into_iter()
        .flat_map(|(names, pairs)| exact(&pairs).into_iter().map(move |part| Part { names: names.clone(), ..part }));
    let mut parts: Vec<_> = parts.collect();
    // Names that the grant says already it may go on saying in its own words.
    parts
        .iter_mut()
        .filter(|part| part.names.as_ref().is_some_and(|names| says(grant, names)))
        .for_each(|part| part.names = None);
    parts
}

fn join(groups: &mut Vec<(Option<Vec<String>>, Vec<Pair>)>, names: Option<Vec<String>>, pair: Pair) {
    match groups.iter_mut().find(|(others, _)| *others == names) {
        Some((_, pairs)) => pairs.push(pair),
        None => groups.push((names, vec![pair])),
    }
}

/// Families and accesses that together let through these pairs and no other: as few of them as can be.
fn exact(pairs: &[Pair]) -> Vec<Part> {
    let seen = |family: Family| pairs.iter().filter(move |pair| pair.0 == family).map(|pair| pair.1 as usize);
    let within = |family: Family, accesses: &BTreeSet<usize>| {
        let own = family.accesses().iter().map(|access| *access as usize);
        own.filter(|access| accesses.contains(access)).collect::<BTreeSet<_>>()
    };
    let mut parts: Vec<Part> = Vec::new();
    for (_, family) in Family::NAMES.iter().filter(|(_, family)| seen(*family).next().is_some()) {
        let fits = |part: &&mut Part| {
            let accesses: BTreeSet<_> = part.accesses.iter().copied().chain(seen(*family)).collect();
            let all = part.families.with(*family);
            all.iter().all(|family| within(family, &accesses) == seen(family).collect())
        };
        if let Some(part) = parts.iter_mut().find(fits) {
            part.families = part.families.with(*family);
            part.accesses.extend(seen(*family));
            continue;
        }
        parts.push(Part { families: Families::of(&[*family]), accesses: seen(*family).collect(), names: None });
    }
    parts
}

/// Whether a grant is limited to exactly these names, in so many words.
fn says(grant: &Grant, names: &[String]) -> bool {
    match &grant.targets {
        Targets::All => false,
        Targets::Some(globs) => {
            let is_said = |name: &String| globs.iter().any(|glob| glob.pattern().eq_ignore_ascii_case(name));
            globs.len() == names.len() && names.iter().all(is_said)
        }
    }
}

impl Part {
    /// How it differs from the grant that it comes from.
    fn edit(&self, grant: &Grant) -> GrantEdit {
        let words = |families: Families| families.iter().map(|family| family.name().to_owned()).collect();
        let allow = (self.families != grant.families).then(|| words(self.families));
        let comes_to = |is_granted: &dyn Fn(Access) -> bool| -> Vec<Pair> {
            let pairs =
                self.families.iter().flat_map(|family| family.accesses().iter().map(move |access| (family, *access)));
            pairs.filter(|(_, access)| is_granted(*access)).collect()
        };
        let wanted = |access: Access| self.accesses.contains(&(access as usize));
        let is_said = comes_to(&wanted) == comes_to(&|access| *grant.access.at(access));
        let names =
            || Access::NAMES.iter().filter(|(_, access)| wanted(*access)).map(|(name, _)| (*name).to_owned()).collect();
        let access = (!is_said).then(names);
        let targets = self.names.clone().map(|names| (names_of(grant), names));
        GrantEdit { allow, access, targets }
    }
}

impl Deed {
    fn words(&self) -> String {
        let (family, access) = self.operation;
        format!("{} ({}) on {}", family.name(), access.name(), self.resource)
    }
}

impl Object {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            _ => None,
        }
    }
}
