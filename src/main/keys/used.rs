//! What those who serve know of the use of keys, for people or as JSON.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use keyswap::admin_client::AdminClient;
use keyswap::document::Mistakes;
use keyswap::keyring::{Evidence, Heard, Informant, Known, Unheard};
use keyswap::keys::{Key, Keys};
use keyswap::settings::AdminSecretPlace;
use keyswap::usage::{Moment, Named, Operation, Several};
use serde_json::{Value, json};

use super::list::{of_key, state};
use super::{Told, wrong};
use crate::table::table;

/// Who is asked what keys were used for.
#[derive(Args)]
pub(super) struct Asked {
    /// Who says what keys were used for: the admin address of a keyswap, like http://keyswap:9090, where a name with several
    /// addresses means all of them; or a file that one keeps. More than once for several
    #[arg(long, value_name = "URL|FILE")]
    pub(super) from: Vec<Informant>,
    #[command(flatten)]
    secret: AdminSecretPlace,
}

impl Asked {
    /// What all of them say.
    ///
    /// # Errors
    /// The secret that they want cannot be had.
    pub(super) fn evidence(&self, informants: &[Informant]) -> Result<Evidence, Mistakes> {
        let client =
            AdminClient::showing(self.secret.source().as_ref()).map_err(|why| wrong("--admin-secret-file", &why))?;
        Ok(Evidence::gather(informants, &client))
    }
}

const HEADINGS: [&str; 9] =
    ["CLIENT", "ID", "STATE", "LAST USED", "TIMES", "KNOWN SINCE", "LAST REFUSED", "USED BY", "USED FOR"];

/// How many names stand in a cell.
const IN_A_CELL: usize = 4;

/// When and for what each key was used. The exit status says whether that is all.
pub(super) fn told(keys: &Keys, evidence: &Evidence, now: SystemTime) -> Told {
    let each = evidence.of_each(keys);
    let rows = each.iter().map(|(key, known)| row(key, known, now));
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let mut besides = asked(evidence);
    let incomplete = each.iter().filter(|(_, known)| !known.unknown_to.is_empty());
    incomplete.clone().for_each(|(key, known)| {
        let who = known.unknown_to.join(", ");
        besides.push_str(&format!(
            "key {} of {} is not known to {who}: other settings are in effect there\n",
            key.id, key.client.name
        ));
    });
    let complete = evidence.unheard.is_empty() && incomplete.count() == 0;
    if !complete {
        besides.push_str("so it is not proven of every key since when it was not used\n");
    }
    let of_one = |(key, known): &(&Arc<Key>, Known<'_>)| {
        let mut json = of_key(key, now);
        json["use"] = of_use(known);
        json
    };
    let mut json = of_evidence(evidence);
    json["complete"] = complete.into();
    json["keys"] = each.iter().map(of_one).collect();
    let exit = if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Told { besides, exit, ..Told::done(json, table(&rows)) }
}

/// Who was asked, and who has not answered.
pub(super) fn asked(evidence: &Evidence) -> String {
    let mut told = String::new();
    for Heard { from, page } in &evidence.heard {
        told.push_str(&format!("heard: {from}, which knows since {}\n", page.since));
        if let Some(moment) = page.cut_short {
            told.push_str(&format!(
                "note: before {moment} {from} ended without a stop: what it had not yet written down is not known\n"
            ));
        }
    }
    for Unheard { from, why } in &evidence.unheard {
        told.push_str(&format!("not heard: {from} {why}\n"));
    }
    told
}

/// The same, as JSON.
pub(super) fn of_evidence(evidence: &Evidence) -> Value {
    let heard = evidence.heard.iter().map(
        |Heard { from, page }| json!({ "from": from, "at": page.at, "since": page.since, "cut_short": page.cut_short }),
    );
    let unheard = evidence.unheard.iter().map(|Unheard { from, why }| json!({ "from": from, "why": why }));
    json!({ "heard": heard.collect::<Vec<_>>(), "unheard": unheard.collect::<Vec<_>>() })
}

fn row(key: &Key, known: &Known<'_>, now: SystemTime) -> [String; 9] {
    let moment = |moment: Option<Moment>| moment.map_or("-".to_owned(), |moment| moment.to_string());
    let history = &known.history;
    let last = match (history.used.last, known.since) {
        (Some(last), _) => last.to_string(),
        (None, Some(_)) => "never".to_owned(),
        (None, None) => "not seen".to_owned(),
    };
    [
        key.client.name.to_string(),
        key.id.to_string(),
        state(key, now).to_owned(),
        last,
        history.used.times.to_string(),
        known.since.map_or("unproven".to_owned(), |since| since.to_string()),
        moment(history.refused.last),
        cell(
            &history.user_agents,
            |agent: &Named| if agent.name.is_empty() { "unnamed".to_owned() } else { agent.name.clone() },
        ),
        cell(&history.operations, operation),
    ]
}

/// The first of several, and whether there are more.
fn cell<T>(several: &Several<T>, words: impl Fn(&T) -> String) -> String {
    let mut words: Vec<_> = several.seen.iter().take(IN_A_CELL).map(words).collect();
    if several.more || several.seen.len() > IN_A_CELL {
        words.push("others".to_owned());
    }
    if words.is_empty() { "-".to_owned() } else { words.join("; ") }
}

/// An operation in a few words: inference (read) on contoso for gpt-4o.
fn operation(operation: &Operation) -> String {
    let Operation { resource, family, access, targets, .. } = operation;
    let mut names: Vec<_> = targets.seen.iter().take(IN_A_CELL).map(String::as_str).collect();
    if targets.more || targets.seen.len() > IN_A_CELL {
        names.push("others");
    }
    let names = if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
    format!("{family} ({access}) on {resource}{names}")
}

fn of_use(known: &Known<'_>) -> Value {
    let history = &known.history;
    json!({
        // Since when it is known in full; null if it is not.
        "since": known.since,
        // Whether it is proven that it was not used since then.
        "never": known.since.is_some() && history.used.times == 0,
        "unknown_to": known.unknown_to,
        "used": history.used,
        "permitted": history.permitted,
        "refused": history.refused,
        "user_agents": history.user_agents,
        "api_versions": history.api_versions,
        "operations": history.operations,
    })
}
