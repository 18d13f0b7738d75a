//! A look at a resource: the way there, step by step; whether it takes keys; what each access comes to that is granted.
//!
//! Each step has its own limit. One that fails ends the way: what would come after it is told as not tried, and never
//! guessed. Nothing that is sent can change anything or cost a token, whatever becomes of it.

mod access;
mod advice;
mod dns;
mod endpoint;
mod exchange;
mod granted;
mod meaning;
mod probe;
mod stray_key;
mod tcp;
mod tls;
mod verdict;

use std::sync::OnceLock;

use super::{Case, Finding, Section, Status, clock};
use crate::egress::Connector;
use crate::settings::Resource;
use crate::token::Dated;

/// A resource, and how it is reached.
struct Site<'c> {
    case: &'c Case,
    resource: &'c Resource,
    connector: Connector,
    /// When the first answer was made that came from there.
    dated: OnceLock<Dated>,
}

/// What a step came to, and what the next one goes on with; `None` if it failed.
type Step<T> = (Finding, Option<T>);

/// The steps, in the order in which they are taken.
const STEPS: [&str; 5] = ["dns", "tcp", "tls", "keys", "access"];

pub(super) async fn look(case: &Case, name: &str, section: &mut Section) {
    let Some(resource) = case.settings.resource(name) else { return };
    let site = Site { case, resource, connector: case.egress.connector(), dated: OnceLock::new() };
    section.add(endpoint::look(resource));
    if site.walk(section).await.is_none() {
        let failed = section.findings.last().map_or("", |finding| finding.check);
        for step in STEPS.into_iter().skip_while(|step| *step != failed).skip(1) {
            let found = format!("not tried, since {failed} failed");
            section.add(Finding::new(step, Status::CannotTell, found));
        }
    }
}

impl Site<'_> {
    /// Takes one step after the other, until one fails.
    async fn walk(&self, section: &mut Section) -> Option<()> {
        told(section, dns::look(self).await)?;
        let socket = told(section, tcp::look(self).await)?;
        told(section, tls::look(self, socket).await)?;
        section.add(stray_key::look(self).await);
        access::look(self, section).await;
        section.add_all(self.dated.get().and_then(|dated| clock::compared(dated, "Azure's", Status::Note)));
        Some(())
    }
}

fn told<T>(section: &mut Section, (finding, next): Step<T>) -> Option<T> {
    section.add(finding);
    next
}
