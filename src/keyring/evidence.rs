//! What those who serve know of the use of keys, together: replicas that are asked, and files that they wrote.
//!
//! That a key was *not* used is known only of the time that everybody who serves it knows of. So a replica that cannot be
//! asked leaves nothing proven, and of those that can the one that knows least far back decides since when.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::admin_client::{AdminAnswer, AdminClient, AdminUrl, NoAnswer};
use crate::keys::{Key, Keys};
use crate::usage::{History, KeyUse, Moment, Page};

/// Somebody who knows of the use of keys.
#[derive(Clone, Debug)]
pub enum Informant {
    /// The replicas behind an admin address: one at each address of its name.
    Replicas(AdminUrl),
    /// A file that a keyswap keeps.
    File(PathBuf),
}

/// What all who were asked have said.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Who knows what.
    pub heard: Vec<Heard>,
    /// Who has said nothing, and why.
    pub unheard: Vec<Unheard>,
}

/// What one of them knows.
#[derive(Debug)]
pub struct Heard {
    /// The address or the file.
    pub from: String,
    /// What it knows.
    pub page: Page,
}

/// Somebody who has said nothing.
#[derive(Debug)]
pub struct Unheard {
    /// The address or the file.
    pub from: String,
    /// Why, as a clause about it.
    pub why: String,
}

/// What is known of a key.
#[derive(Debug)]
pub struct Known<'e> {
    /// Since when all of its use is known; `None` if somebody was not heard, or does not know the key.
    pub since: Option<Moment>,
    /// Who does not know the key.
    pub unknown_to: Vec<&'e str>,
    /// What it was used for.
    pub history: History,
}

/// The page of the admin address that says it.
const PAGE: &str = "/keys/use";

impl FromStr for Informant {
    type Err = Infallible;

    /// An admin address, if it has the form of one, else a file.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Replicas))
    }
}

impl Evidence {
    /// Asks all of them.
    pub fn gather(informants: &[Informant], client: &AdminClient) -> Self {
        let mut evidence = Self::default();
        for informant in informants {
            match informant {
                Informant::File(file) => evidence.take(read(file)),
                Informant::Replicas(url) => {
                    let answers = client.ask_each(url, PAGE);
                    if answers.is_empty() {
                        evidence.take(Err(Unheard { from: url.to_string(), why: "has no address".to_owned() }));
                    }
                    answers.into_iter().for_each(|(replica, answer)| evidence.take(heard(&replica, answer)));
                }
            }
        }
        evidence
    }

    /// What is known of the key whose digest begins so.
    pub fn of(&self, sha256: &str) -> Known<'_> {
        let mut known = Known { since: None, unknown_to: Vec::new(), history: History::default() };
        for Heard { from, page } in &self.heard {
            match page.of(sha256) {
                Some(key) => {
                    known.since = known.since.max(Some(key.since));
                    known.history.join(&key.history);
                }
                None => known.unknown_to.push(from),
            }
        }
        if !self.unheard.is_empty() || !known.unknown_to.is_empty() {
            known.since = None;
        }
        known
    }

    /// Every key, and what is known of it.
    pub fn of_each<'e, 'k>(&'e self, keys: &'k Keys) -> Vec<(&'k Arc<Key>, Known<'e>)> {
        keys.each_by_digest().into_iter().map(|(sha256, key)| (key, self.of(&sha256))).collect()
    }

    /// What each of them knows of a client's keys, those among them that are no longer listed.
    pub fn of_client<'e>(&'e self, client: &str) -> impl Iterator<Item = (&'e Heard, Vec<&'e KeyUse>)> {
        self.heard.iter().map(move |heard| (heard, heard.page.keys.iter().filter(|key| key.client == client).collect()))
    }

    /// Whoever is heard twice has the later word.
    fn take(&mut self, answer: Result<Heard, Unheard>) {
        match answer {
            Ok(heard) => match self.heard.iter_mut().find(|other| other.page.process == heard.page.process) {
                Some(other) if other.page.at < heard.page.at => *other = heard,
                Some(_) => {}
                None => self.heard.push(heard),
            },
            Err(unheard) => self.unheard.push(unheard),
        }
    }
}

fn heard(replica: &AdminUrl, answer: Result<AdminAnswer, NoAnswer>) -> Result<Heard, Unheard> {
    let from = replica.to_string();
    let unheard = |why: String| Unheard { from: from.clone(), why };
    let answer = answer.map_err(|error| {
        let error = error.to_string();
        unheard(error.strip_prefix(&from).unwrap_or(&error).trim_start().to_owned())
    })?;
    if !answer.status.is_success() {
        return Err(unheard(format!(
            "answers {}: is it the admin address of a keyswap that knows of the use of keys?",
            answer.status
        )));
    }
    let page = Page::parse(&answer.page).map_err(|why| unheard(format!("answers what {why}")))?;
    Ok(Heard { from, page })
}

fn read(file: &PathBuf) -> Result<Heard, Unheard> {
    let from = file.display().to_string();
    let unheard = |why: String| Unheard { from: from.clone(), why };
    let text = std::fs::read_to_string(file).map_err(|error| unheard(format!("cannot be read: {error}")))?;
    let page = Page::parse(&text).map_err(unheard)?;
    Ok(Heard { from, page })
}
