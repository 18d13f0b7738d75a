//! What each granted access comes to: one harmless request, with the token that requests of clients ride.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use tokio::task::JoinSet;

use super::exchange::{NoAnswer, send};
use super::granted::Granted;
use super::meaning::meaning;
use super::probe::Probe;
use super::verdict::{Answered, Outcome, Verdicts};
use super::{Finding, Site, Status};
use crate::doctor::claims::Claims;
use crate::token::Purpose;

/// Looks at all of them at once.
pub(super) async fn look(site: &Arc<Site>, granted: Vec<Granted>) -> Vec<Finding> {
    if granted.is_empty() {
        return vec![Finding::new("access", Status::Note, "no client is granted anything here")];
    }
    let mut probes = JoinSet::new();
    for (place, granted) in granted.into_iter().enumerate() {
        let site = site.clone();
        probes.spawn(async move {
            let outcome = probe(&site, &granted).await.unwrap_or_else(|NoAnswer(why)| Outcome::Unanswered(why));
            (place, granted, outcome)
        });
    }
    let mut outcomes = probes.join_all().await;
    outcomes.sort_by_key(|(place, ..)| *place);
    let verdicts = Verdicts::of(&site.resource, outcomes.iter().map(|(.., outcome)| outcome));
    outcomes.into_iter().map(|(_, granted, outcome)| verdicts.tell(&granted, outcome)).collect()
}

/// Sends the probe of an access, if there is one.
async fn probe(site: &Site, granted: &Granted) -> Result<Outcome, NoAnswer> {
    let probe = match Probe::of(granted) {
        Ok(probe) => probe,
        Err(why) => return Ok(Outcome::NotTried(why.to_owned())),
    };
    let Ok(mut request) = probe.request() else {
        return Ok(Outcome::NotTried("what the grant names fits in no path".to_owned()));
    };
    let purpose = Purpose { identity: granted.identity.clone(), scope: site.resource.scope.clone() };
    let token = site.tokens.fetched(&purpose).await.map(|fetched| fetched.token);
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
