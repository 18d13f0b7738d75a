//! What each access comes to that some client is granted: one harmless request, with the token that clients' requests ride.

use http::header::AUTHORIZATION;

use super::exchange::{NoAnswer, send};
use super::granted::{Granted, granted};
use super::meaning::meaning;
use super::probe::Probe;
use super::verdict::{Answered, Outcome, Verdicts};
use super::{Finding, Section, Site, Status};
use crate::doctor::claims::Claims;
use crate::token::Purpose;

pub(super) async fn look(site: &Site<'_>, section: &mut Section) {
    let granted = granted(&site.case.keys, site.resource);
    if granted.is_empty() {
        section.add(Finding::new("access", Status::Note, "no client is granted anything here"));
    }
    let mut outcomes = Vec::new();
    let mut silent = None;
    for granted in granted {
        let outcome = match &silent {
            Some(before) => Outcome::NotTried(format!("there was no answer to {before}")),
            None => probe(site, &granted).await.unwrap_or_else(|NoAnswer(why)| {
                silent = Some(granted.to_string());
                Outcome::Unanswered(why)
            }),
        };
        outcomes.push((granted, outcome));
    }
    let verdicts = Verdicts::of(site.resource, &outcomes);
    for (granted, outcome) in outcomes {
        section.add(verdicts.tell(&granted, outcome));
    }
}

/// Sends the probe of an access, if there is one.
async fn probe(site: &Site<'_>, granted: &Granted) -> Result<Outcome, NoAnswer> {
    let probe = match Probe::of(granted) {
        Ok(probe) => probe,
        Err(why) => return Ok(Outcome::NotTried(why.to_owned())),
    };
    let Ok(mut request) = probe.request() else {
        return Ok(Outcome::NotTried("what the grant names fits in no path".to_owned()));
    };
    let purpose = Purpose { identity: granted.identity.clone(), scope: site.resource.scope.clone() };
    let token = site.case.tokens.fetched(&purpose).await.map(|fetched| fetched.token);
    let Some(Ok(token)) = token else {
        return Ok(Outcome::NotTried(format!("{} has no token", granted.identity)));
    };
    let claims = Claims::of(&token.header);
    request.headers_mut().insert(AUTHORIZATION, token.header);
    let answer = send(site, request).await?;
    let status = answer.status();
    let meaning = meaning(site.resource.plane, probe.shows, answer).await;
    Ok(Outcome::Answered(Answered { status, meaning, claims }))
}
