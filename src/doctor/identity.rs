//! A look at an identity: what proves it, its tokens, who they say it is, and the clock of whoever gives them.

mod principal;
mod proof;
mod remedy;
mod token;
mod used;
mod way;

use tokio::task::JoinSet;

use super::{Case, Finding, Section, Status, clock};
use crate::settings::{Identity, IdentityKind};
use crate::token::{Fetched, Purpose, Seen};
use used::Use;
use way::Way;

pub(super) async fn look(case: &Case, name: &str, section: &mut Section) {
    let Some(identity) = case.settings.identity(name).cloned() else { return };
    let used = Use::of(case, name);
    section.add(used.finding().fact("kind", Some(identity.kind.name())));
    section.add_all(proof::look(&identity.kind));
    let fetched = fetch(case, used.purposes()).await;
    let silent = fetched.iter().any(|(_, fetched)| matches!(fetched.seen, Seen::NoAnswer(_)));
    let way = if silent { Way::walk(case, &identity.kind).await } else { None };
    for (purpose, fetched) in &fetched {
        section.add(token::finding(&identity.kind, purpose, fetched, way.as_ref()));
    }
    section.add_all(principal::look(&identity.kind, fetched.iter().map(|(_, fetched)| fetched)));
    section.add_all(look_at_clock(&identity, &fetched));
    if !used.is_needed() {
        section.soften();
    }
}

/// Fetches tokens, side by side.
async fn fetch(case: &Case, purposes: Vec<Purpose>) -> Vec<(Purpose, Fetched)> {
    let mut fetches = JoinSet::new();
    for purpose in purposes {
        let tokens = case.tokens.clone();
        fetches.spawn(async move {
            let fetched = tokens.fetched(&purpose).await?;
            Some((purpose, fetched))
        });
    }
    let mut fetched: Vec<_> = fetches.join_all().await.into_iter().flatten().collect();
    fetched.sort_by(|(one, _), (other, _)| one.cmp(other));
    fetched
}

/// The clock of whoever gave a token, or refused one.
fn look_at_clock(identity: &Identity, fetched: &[(Purpose, Fetched)]) -> Option<Finding> {
    let dated = fetched.iter().find_map(|(_, fetched)| match &fetched.seen {
        Seen::Answer { dated, .. } => dated.as_ref(),
        _ => None,
    })?;
    match &identity.kind {
        // What proves it is dated by us.
        IdentityKind::ClientCertificate { .. } => clock::compared(dated, "Entra's", Status::Wrong),
        IdentityKind::ManagedIdentity { .. } => {
            clock::compared(dated, "that of whoever gives tokens here", Status::Note)
        }
        _ => clock::compared(dated, "Entra's", Status::Note),
    }
}
