//! A look at an identity: its tokens, and who they say it is.

use std::collections::BTreeSet;

use super::claims::Claims;
use super::{Case, Finding, Section, Status};
use crate::token::Purpose;

pub(super) async fn look(case: &Case, name: &str, section: &mut Section) {
    for purpose in purposes(case, name) {
        let Some(fetched) = case.tokens.fetched(&purpose).await else { return };
        section.add(
            match fetched.token {
                Ok(sample) => Finding::new("token", Status::Ok, format!("good for {} s", sample.life.as_secs())),
                Err(denial) => Finding::new("token", Status::Wrong, denial.why),
            }
            .of(&*purpose.scope),
        );
    }
}

/// What the settings want its tokens for.
fn purposes(case: &Case, name: &str) -> BTreeSet<Purpose> {
    let scopes = case.settings.resources.iter().map(|resource| resource.scope.clone());
    scopes.map(|scope| Purpose { identity: name.into(), scope }).collect()
}
