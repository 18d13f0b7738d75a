//! What `keyswap keys narrow` proposes: a diff for those who review it, and what they should know beside it.

use std::process::ExitCode;

use keyswap::document::Mistakes;
use keyswap::keyring::{Evidence, Informant, Keyring, Outcome, Proposal, Role};
use keyswap::settings::Settings;
use keyswap::usage::Moment;
use serde_json::{Value, json};

use super::used::{Asked, asked, of_evidence};
use super::{Told, wrong};

/// A month has a day on which what happens once a month happens.
const A_MONTH: u64 = 31;

/// Proposes narrower grants, and writes them if that is wanted.
pub(super) fn narrow(settings: Settings, client: Option<&str>, from: &Asked, write: bool) -> Result<Told, Mistakes> {
    let informants = informants(&settings, from)?;
    let evidence = from.evidence(&informants)?;
    if !evidence.unheard.is_empty() {
        let besides = asked(&evidence) + "so nothing is proposed: what was seen there would be refused\n";
        let json = merged(of_evidence(&evidence), json!({ "written": false, "diff": "", "clients": [] }));
        return Ok(Told { besides, exit: ExitCode::FAILURE, ..Told::done(json, String::new()) });
    }
    let mut keyring = if write { Keyring::open(settings)? } else { Keyring::look(settings)? };
    let proposals = keyring.narrow(client, &evidence)?;
    let diff = keyring.diff();
    if write && !diff.is_empty() {
        keyring.save()?;
    }
    Ok(told(&proposals, diff, &evidence, write))
}

/// Who is asked: whoever is named, else the file that the settings name.
fn informants(settings: &Settings, from: &Asked) -> Result<Vec<Informant>, Mistakes> {
    if !from.from.is_empty() {
        return Ok(from.from.clone());
    }
    let missing =
        "is missing: name those who serve, like http://keyswap:9090, or the file that one keeps ([usage] file)";
    let file = settings.usage.file.clone().ok_or_else(|| wrong("--from", missing))?;
    Ok(vec![Informant::File(file)])
}

fn told(proposals: &[Proposal], diff: String, evidence: &Evidence, write: bool) -> Told {
    let written = write && !diff.is_empty();
    let mut besides = asked(evidence);
    proposals.iter().for_each(|proposal| besides.push_str(&words(proposal)));
    if written {
        besides.push_str("written: a keyswap that runs follows it\n");
    }
    let is_proven = |proposal: &Proposal| !matches!(proposal.outcome, Outcome::UnknownTo(_) | Outcome::Foreign);
    let is_anything =
        proposals.iter().any(|proposal| matches!(proposal.outcome, Outcome::Narrower | Outcome::AlreadyLeast));
    let exit = if is_anything && proposals.iter().all(is_proven) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let clients: Vec<_> = proposals.iter().map(of_proposal).collect();
    let json = merged(of_evidence(evidence), json!({ "written": written, "diff": diff, "clients": clients }));
    Told { besides, exit, ..Told::done(json, diff) }
}

/// What is said of a client.
fn words(proposal: &Proposal) -> String {
    let Proposal { client, since, outcome, notes, roles } = proposal;
    let since = since.map_or(String::new(), |since| format!(" since {since}, {}", term(since)));
    let mut told = match outcome {
        Outcome::Narrower => format!("{client}: narrowed to what was seen{since}\n"),
        Outcome::AlreadyLeast => format!("{client}: as narrow as can be, for what was seen{since}\n"),
        Outcome::Unused(keys) => {
            let revoke = keys.iter().map(|key| format!("keyswap keys revoke {key}")).collect::<Vec<_>>().join("; ");
            let cure = if keys.is_empty() {
                "None of its keys is good".to_owned()
            } else {
                format!("If that is long enough, take its keys back: {revoke}")
            };
            format!("{client}: nothing to narrow: never used{since}. {cure}\n")
        }
        Outcome::NothingPermitted => {
            format!("{client}: nothing to narrow: it came{since}, and did nothing that its grants let through\n")
        }
        Outcome::UnknownTo(who) => {
            format!(
                "{client}: not narrowed: {} does not know all of its keys: other settings are in effect there\n",
                who.join(", ")
            )
        }
        Outcome::TooMuch => format!("{client}: not narrowed: it did more kinds of things than are remembered\n"),
        Outcome::Foreign => {
            format!("{client}: not narrowed: another version of keyswap has seen what this one has no word for\n")
        }
    };
    notes.iter().for_each(|note| told.push_str(&format!("  {note}\n")));
    if matches!(outcome, Outcome::Narrower | Outcome::AlreadyLeast) {
        roles.iter().for_each(|role| told.push_str(&format!("  {}\n", words_of_role(role))));
    }
    told
}

/// How long that is, and what may be missing for it.
fn term(since: Moment) -> String {
    let age = since.age(Moment::now());
    let days = age.as_secs() / (24 * 60 * 60);
    match days {
        0 => format!("for {} h only: what is done once a month was not seen", age.as_secs() / (60 * 60)),
        1..A_MONTH => format!("for {days} d only: what is done once a month was perhaps not seen"),
        _ => format!("for {days} d"),
    }
}

fn words_of_role(role: &Role) -> String {
    let Role { role, identity, resource, for_others } = role;
    let besides = match &for_others[..] {
        [] => String::new(),
        others => format!("; other clients need {} there, too", others.join(", ")),
    };
    format!("role: {role}, for identity {identity} on {resource}{besides}")
}

fn of_proposal(proposal: &Proposal) -> Value {
    let Proposal { client, since, outcome, notes, roles } = proposal;
    let word = match outcome {
        Outcome::Narrower => "narrower",
        Outcome::AlreadyLeast => "already-least",
        Outcome::Unused(_) => "unused",
        Outcome::NothingPermitted => "nothing-permitted",
        Outcome::UnknownTo(_) => "unknown-somewhere",
        Outcome::TooMuch => "too-much",
        Outcome::Foreign => "foreign",
    };
    let of_role = |Role { role, identity, resource, for_others }: &Role| json!({ "role": role, "identity": &**identity, "resource": &**resource, "for_others": for_others });
    let roles: Vec<_> = roles.iter().map(of_role).collect();
    json!({ "client": &**client, "since": since, "outcome": word, "notes": notes, "roles": roles })
}

/// One object with the members of both.
fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
