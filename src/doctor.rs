//! `keyswap doctor`: why 401? why 403?
//!
//! It looks at everything that requests will depend on, from where keyswap runs and on the ways that keyswap takes: the way
//! out, each identity's tokens, each resource. It serves nobody and changes nothing. All parts are looked at side by side,
//! each check within its own limit and each part within [`LIMIT`], so that one that hangs keeps no other from its word.

mod claims;
mod clock;
mod egress;
mod identity;
mod mistrust;
mod report;
mod resource;
mod shell;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::document::Mistakes;
use crate::egress::{Egress, Ourselves};
use crate::keys::Keys;
use crate::listen::Addresses;
use crate::settings::{Listen, Settings};
use crate::sources::Reading;
pub use report::{Finding, Report, Section, Status, Subject};
use tokens::Tokens;

/// Everything that a look at a part may need.
struct Case {
    settings: Arc<Settings>,
    keys: Keys,
    egress: Egress,
    tokens: Arc<Tokens>,
}

/// How long the look at one part may take in all. What was found until then is told.
const LIMIT: Duration = Duration::from_secs(60);

/// Looks at what was read: at everything, or at some parts alone.
///
/// # Errors
/// What keeps a server from its start, too: a CA file or the proxy's credentials; or a part that the settings do not have.
pub fn examine(reading: Reading, only: &[Subject]) -> Result<Report, Mistakes> {
    let Reading { settings, keys, certificates, .. } = reading;
    let subjects = chosen(&settings, only)?;
    let egress = Egress::new(&settings.egress, settings.timeouts.egress)?;
    let egress = egress.avoiding(Ourselves::new(&addresses(&settings.listen), &certificates));
    let settings = Arc::new(settings);
    let tokens = Arc::new(Tokens::new(settings.clone(), egress.clone()));
    let case = Arc::new(Case { settings, keys, egress, tokens });
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Mistakes::of_file("runtime".as_ref(), error.to_string()))?;
    let report = runtime.block_on(case.examine(subjects));
    // A look-up of a name may still run, on a thread that nobody can end.
    runtime.shutdown_background();
    Ok(report)
}

impl Case {
    /// Looks at these parts, side by side.
    async fn examine(self: Arc<Self>, subjects: Vec<Subject>) -> Report {
        let mut looks = JoinSet::new();
        for (place, subject) in subjects.into_iter().enumerate() {
            let case = self.clone();
            looks.spawn(async move { (place, case.look_at(subject).await) });
        }
        let mut sections = looks.join_all().await;
        sections.sort_by_key(|(place, _)| *place);
        Report { sections: sections.into_iter().map(|(_, section)| section).collect() }
    }

    async fn look_at(&self, subject: Subject) -> Section {
        let mut section = Section::new(subject.clone(), self.what(&subject));
        let look = async {
            match &subject {
                Subject::Egress => egress::look(self, &mut section).await,
                Subject::Identity(name) => identity::look(self, name, &mut section).await,
                Subject::Resource(name) => resource::look(self, name, &mut section).await,
            }
        };
        if timeout(LIMIT, look).await.is_err() {
            let found = format!("not done within {LIMIT:?}: what is missing here was not looked at");
            section.add(Finding::new("time", Status::CannotTell, found));
        }
        section
    }

    /// What the settings make of a part, in a line.
    fn what(&self, subject: &Subject) -> String {
        let known = match subject {
            Subject::Egress => Some(egress::what(&self.settings.egress)),
            Subject::Identity(name) => self.settings.identity(name).map(|identity| identity.kind.to_string()),
            Subject::Resource(name) => {
                let resource = self.settings.resource(name);
                resource.map(|resource| format!("{} at {}", resource.plane, resource.endpoint))
            }
        };
        known.unwrap_or_default()
    }
}

/// The parts to look at, in the order of the report.
fn chosen(settings: &Settings, only: &[Subject]) -> Result<Vec<Subject>, Mistakes> {
    let identities = settings.identities.iter().map(|identity| Subject::Identity(identity.name.clone()));
    let resources = settings.resources.iter().map(|resource| Subject::Resource(resource.name.clone()));
    let all: Vec<_> = [Subject::Egress].into_iter().chain(identities).chain(resources).collect();
    if let Some(unknown) = only.iter().find(|subject| !all.contains(subject)) {
        let known: Vec<_> = all.iter().map(ToString::to_string).collect();
        let fix = format!("{unknown} is no part of the settings, which have {}", known.join(", "));
        return Err(Mistakes::of_file("--only".as_ref(), fix));
    }
    Ok(all.into_iter().filter(|subject| only.is_empty() || only.contains(subject)).collect())
}

/// Where a server with these settings would listen: what leads there is no way out.
fn addresses(listen: &Listen) -> Addresses {
    Addresses { http: listen.http, https: listen.https.as_ref().map(|https| https.address), unix: None }
}
