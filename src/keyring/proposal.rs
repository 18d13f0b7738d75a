//! `keyswap keys narrow`: what is proposed for each client, and what its reviewer should know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use similar::TextDiff;

use super::narrow::{deeds, narrowed};
use super::page::GrantEdit;
use super::{Evidence, Keyring, Mistakes};
use crate::fault::{holds, least_role};
use crate::keys::{Grant, Keys};
use crate::usage::{History, Moment};

/// What is proposed for a client.
#[derive(Debug)]
pub struct Proposal {
    /// Its name.
    pub client: Arc<str>,
    /// Since when all that it did is known; `None` if somebody does not know one of its keys.
    pub since: Option<Moment>,
    /// What it comes to.
    pub outcome: Outcome,
    /// What a reviewer should know.
    pub notes: Vec<String>,
    /// The roles in Azure that its grants come to then.
    pub roles: Vec<Role>,
}

/// What a proposal comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There are grants that are narrower, and let through all that was seen.
    Narrower,
    /// There are none.
    AlreadyLeast,
    /// It did nothing. These are its keys that are good.
    Unused(Vec<Arc<str>>),
    /// It came, and did nothing that its grants let through.
    NothingPermitted,
    /// These do not know one of its keys.
    UnknownTo(Vec<String>),
    /// It did more kinds of things than are remembered.
    TooMuch,
    /// It did what this keyswap has no word for: another version has seen it.
    Foreign,
}

/// What an identity needs on a resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// One of Azure's own.
    pub role: &'static str,
    /// By its name in the settings.
    pub identity: Arc<str>,
    /// Likewise.
    pub resource: Arc<str>,
    /// What the same identity needs there for other clients besides.
    pub for_others: Vec<&'static str>,
}

impl Keyring {
    /// Narrows the grants of a client, or of all, to what they were seen to do.
    ///
    /// # Errors
    /// No such client; or grants that cannot be edited.
    pub fn narrow(&mut self, client: Option<&str>, evidence: &Evidence) -> Result<Vec<Proposal>, Mistakes> {
        if let Some(client) = client {
            self.known(client)?;
        }
        let clients = self.keys.clients().into_iter().map(|client| client.name.clone());
        let clients: Vec<_> = clients.filter(|name| client.is_none_or(|client| **name == *client)).collect();
        let mut proposals =
            clients.into_iter().map(|name| self.narrow_one(name, evidence)).collect::<Result<Vec<_>, _>>()?;
        for proposal in &mut proposals {
            proposal.roles = roles_of(&proposal.client, &self.keys);
        }
        Ok(proposals)
    }

    /// What was edited so far, as a diff of the file.
    pub fn diff(&self) -> String {
        let (name, after) = (self.file.name().display().to_string(), self.page.text());
        TextDiff::from_lines(self.file.text(), &after).unified_diff().header(&name, &name).to_string()
    }

    fn narrow_one(&mut self, client: Arc<str>, evidence: &Evidence) -> Result<Proposal, Mistakes> {
        let mut history = History::default();
        let mut since = None;
        for (_, keys) in evidence.of_client(&client) {
            since = since.max(keys.iter().map(|key| key.since).min());
            keys.iter().for_each(|key| history.join(&key.history));
        }
        let (outcome, notes) = self.outcome(&client, &history, evidence)?;
        let since = since.filter(|_| !matches!(outcome, Outcome::UnknownTo(_)));
        Ok(Proposal { client, since, outcome, notes, roles: Vec::new() })
    }

    fn outcome(
        &mut self,
        client: &str,
        history: &History,
        evidence: &Evidence,
    ) -> Result<(Outcome, Vec<String>), Mistakes> {
        let own = self.keys.each_by_digest().into_iter().filter(|(_, key)| *key.client.name == *client);
        let own: Vec<_> = own.map(|(sha256, key)| (sha256, key.clone())).collect();
        let unknown_to: BTreeSet<_> = own.iter().flat_map(|(sha256, _)| evidence.of(sha256).unknown_to).collect();
        let told = |outcome| Ok((outcome, Vec::new()));
        if !unknown_to.is_empty() {
            return told(Outcome::UnknownTo(unknown_to.into_iter().map(str::to_owned).collect()));
        }
        if history.used.times == 0 {
            let good = own.iter().filter(|(_, key)| key.lives_at(SystemTime::from(self.now)));
            return told(Outcome::Unused(good.map(|(_, key)| key.id.clone()).collect()));
        }
        if history.permitted.times == 0 {
            return told(Outcome::NothingPermitted);
        }
        if history.operations.more {
            return told(Outcome::TooMuch);
        }
        let Some(deeds) = deeds(history) else { return told(Outcome::Foreign) };
        let Some((_, key)) = own.first() else { return told(Outcome::NothingPermitted) };
        let narrowing = narrowed(&key.client.grants, &deeds);
        if narrowing.edits.iter().all(Vec::is_empty) {
            return Ok((Outcome::NothingPermitted, narrowing.notes));
        }
        if narrowing.edits.iter().all(|parts| *parts == [GrantEdit::default()]) {
            return Ok((Outcome::AlreadyLeast, narrowing.notes));
        }
        self.page.replace_grants(client, &narrowing.edits).ok_or_else(|| self.uneditable())?;
        self.reread()?;
        Ok((Outcome::Narrower, narrowing.notes))
    }
}

/// What identities need where, for some grants.
fn needs<'g>(grants: impl Iterator<Item = &'g Grant>) -> BTreeMap<(Arc<str>, Arc<str>), BTreeSet<&'static str>> {
    let mut needs = BTreeMap::<_, BTreeSet<_>>::new();
    for grant in grants {
        for family in grant.families.iter() {
            for access in family.accesses().iter().filter(|access| *grant.access.at(**access)) {
                let place = (grant.identity.at(*access).clone(), grant.resource.name.clone());
                needs.entry(place).or_default().insert(least_role((family, *access)));
            }
        }
    }
    for roles in needs.values_mut() {
        let all = roles.clone();
        roles.retain(|role| !all.iter().any(|other| other != role && holds(other, role)));
    }
    needs
}

fn roles_of(client: &str, keys: &Keys) -> Vec<Role> {
    let clients = keys.clients();
    let (own, others): (Vec<_>, Vec<_>) = clients.into_iter().partition(|other| *other.name == *client);
    let others = needs(others.iter().flat_map(|client| &client.grants));
    let own = needs(own.iter().flat_map(|client| &client.grants));
    let role = |(place, roles): ((Arc<str>, Arc<str>), BTreeSet<&'static str>)| {
        let besides = others.get(&place).into_iter().flatten().copied();
        let besides: Vec<_> = besides.filter(|other| !roles.iter().any(|role| holds(role, other))).collect();
        let (identity, resource) = place;
        roles
            .into_iter()
            .map(move |role| Role {
                role,
                identity: identity.clone(),
                resource: resource.clone(),
                for_others: besides.clone(),
            })
            .collect::<Vec<_>>()
    };
    own.into_iter().flat_map(role).collect()
}
