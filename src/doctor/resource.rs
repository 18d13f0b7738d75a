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

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::tokens::Tokens;
use super::{Case, Finding, Section, Status, clock};
use crate::egress::{Connector, Egress};
use crate::settings::{Proxy, Resource};
use crate::token::Dated;
use granted::{Granted, granted};

/// A resource, and how it is reached.
struct Site {
    resource: Arc<Resource>,
    egress: Egress,
    connector: Connector,
    /// What stands between, if it does.
    proxy: Option<Proxy>,
    tokens: Arc<Tokens>,
    /// How long requests of clients may wait for an answer.
    patience: Duration,
    /// When the first answer was made that came from there.
    dated: OnceLock<Dated>,
}

/// What a step came to, and what the next one goes on with; `None` if it failed.
type Step<T> = (Finding, Option<T>);

/// The steps, in the order in which they are taken.
const STEPS: [&str; 5] = ["dns", "tcp", "tls", "keys", "access"];

pub(super) async fn look(case: &Case, name: &str, section: &mut Section) {
    let Some(resource) = case.settings.resource(name) else { return };
    let site = Arc::new(Site::of(case, resource.clone()));
    section.add(endpoint::look(resource));
    if site.walk(granted(&case.keys, resource), section).await.is_none() {
        let failed = section.findings.last().map_or("", |finding| finding.check);
        for step in STEPS.into_iter().skip_while(|step| *step != failed).skip(1) {
            let found = format!("not tried, since {failed} failed");
            section.add(Finding::new(step, Status::CannotTell, found));
        }
    }
}

impl Site {
    fn of(case: &Case, resource: Arc<Resource>) -> Self {
        let host = resource.endpoint.host();
        let proxy = case.settings.egress.proxy.clone().filter(|proxy| proxy.serves(host));
        Self {
            resource,
            proxy,
            egress: case.egress.clone(),
            connector: case.egress.connector(),
            tokens: case.tokens.clone(),
            patience: case.settings.timeouts.upstream.answer,
            dated: OnceLock::new(),
        }
    }

    /// Takes one step after the other, until one fails. All that is asked over HTTP is asked at once.
    async fn walk(self: &Arc<Self>, granted: Vec<Granted>, section: &mut Section) -> Option<()> {
        told(section, dns::look(self).await)?;
        let socket = told(section, tcp::look(self).await)?;
        told(section, tls::look(self, socket).await)?;
        let (keys, accesses) = tokio::join!(stray_key::look(self), access::look(self, granted));
        section.add(keys);
        section.add_all(accesses);
        section.add_all(self.dated.get().and_then(|dated| clock::compared(dated, "Azure's", Status::Note)));
        Some(())
    }
}

fn told<T>(section: &mut Section, (finding, next): Step<T>) -> Option<T> {
    section.add(finding);
    next
}
