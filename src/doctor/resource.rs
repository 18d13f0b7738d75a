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

use super::{Case, Finding, Section, Status};
use crate::egress::Connector;
use crate::settings::Resource;

/// A resource, and how it is reached.
struct Site<'c> {
    case: &'c Case,
    resource: &'c Resource,
    connector: Connector,
}

/// A step that came to something, and what the next one goes on with; or one that failed.
type Step<T> = Result<(Finding, T), Finding>;

/// The steps, in the order in which they are taken.
const STEPS: [&str; 5] = ["dns", "tcp", "tls", "keys", "access"];

pub(super) async fn look(case: &Case, name: &str, section: &mut Section) {
    let Some(resource) = case.settings.resource(name) else { return };
    let site = Site { case, resource, connector: case.egress.connector() };
    section.add(endpoint::look(resource));
    if let Err(failed) = site.walk(section).await {
        for step in STEPS.into_iter().skip_while(|step| *step != failed).skip(1) {
            let found = format!("not tried, since {failed} failed");
            section.add(Finding::new(step, Status::CannotTell, found));
        }
    }
}

impl Site<'_> {
    /// Takes one step after the other; gives the name of one that failed.
    async fn walk(&self, section: &mut Section) -> Result<(), &'static str> {
        told(section, dns::look(self).await)?;
        let socket = told(section, tcp::look(self).await)?;
        told(section, tls::look(self, socket).await)?;
        section.add(stray_key::look(self).await);
        access::look(self, section).await;
        Ok(())
    }
}

fn told<T>(section: &mut Section, step: Step<T>) -> Result<T, &'static str> {
    let (finding, next) = match step {
        Ok((finding, next)) => (finding, Ok(next)),
        Err(finding) => {
            let failed = finding.check;
            (finding, Err(failed))
        }
    };
    section.add(finding);
    next
}
