//! Every key, as a table for people or as JSON.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use keyswap::keyring::written;
use keyswap::keys::{Grant, Key, Keys, Revoked, Targets};
use keyswap::plane::{Access, Plane};
use serde_json::{Value, json};

use super::Told;
use crate::table::table;

const HEADINGS: [&str; 8] = ["CLIENT", "ID", "STATE", "CREATED", "NOT BEFORE", "EXPIRES", "NOTE", "GRANTS"];

/// All that is known of keys, at a moment.
pub(super) fn told(keys: &Keys, now: SystemTime) -> Told {
    let keys = keys.each();
    let rows = keys.iter().map(|key| row(key, now));
    let rows: Vec<_> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let json = keys.iter().map(|key| of_key(key, now)).collect();
    Told::done(json, table(&rows))
}

/// Whose a key is that somebody has shown, and whether it is good.
pub(super) fn told_of(key: Option<&Arc<Key>>, now: SystemTime) -> Told {
    let Some(key) = key else {
        let told = Told::done(json!({ "known": false, "good": false }), "a key that is not listed\n".to_owned());
        return Told { exit: ExitCode::FAILURE, ..told };
    };
    let mut json = of_key(key, now);
    json["known"] = true.into();
    json["good"] = key.good_at(now).is_ok().into();
    let until = key.expires.filter(|_| key.good_at(now).is_ok()).map(|expires| format!(" until {}", written(expires)));
    let answer = format!("key {} of {}: {}{}\n", key.id, key.client.name, state(key, now), until.unwrap_or_default());
    let exit = if key.good_at(now).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Told { exit, ..Told::done(json, answer) }
}

fn row(key: &Key, now: SystemTime) -> [String; 8] {
    let moment = |moment: Option<SystemTime>| moment.map_or("-".to_owned(), written);
    let grants: Vec<_> = key.client.grants.iter().map(grant).collect();
    [
        key.client.name.to_string(),
        key.id.to_string(),
        state(key, now).to_owned(),
        moment(key.created),
        moment(key.not_before),
        moment(key.expires),
        key.note.as_deref().unwrap_or("-").to_owned(),
        grants.join("; "),
    ]
}

/// Whether a key is good, in the words of the request line.
pub(super) fn state(key: &Key, now: SystemTime) -> &'static str {
    match key.good_at(now) {
        Ok(()) => "good",
        Err(_) if key.revoked == Revoked::AtOnce => "revoked, cut",
        Err(why) => why,
    }
}

/// A grant in a few words: contoso: inference, files (read) for gpt-4o*.
fn grant(grant: &Grant) -> String {
    let accesses = accesses(grant);
    let narrowed =
        if accesses.len() == Access::NAMES.len() { String::new() } else { format!(" ({})", accesses.join(", ")) };
    let targets = targets(grant).map_or(String::new(), |targets| format!(" for {}", targets.join(", ")));
    format!("{}: {}{narrowed}{targets}", grant.resource.name, families(grant).join(", "))
}

pub(super) fn of_key(key: &Key, now: SystemTime) -> Value {
    let moment = |moment: Option<SystemTime>| moment.map(written);
    json!({
        "client": &*key.client.name,
        "id": &*key.id,
        "state": if key.revoked == Revoked::No { state(key, now) } else { "revoked" },
        "created": moment(key.created),
        "not_before": moment(key.not_before),
        "expires": moment(key.expires),
        "revoked": key.revoked != Revoked::No,
        "cut": key.revoked == Revoked::AtOnce,
        "note": key.note.as_deref(),
        "grants": key.client.grants.iter().map(of_grant).collect::<Vec<_>>(),
    })
}

fn of_grant(grant: &Grant) -> Value {
    let named = match grant.resource.plane {
        Plane::OpenAi => "deployments",
        Plane::Search => "indexes",
    };
    json!({
        "resource": &*grant.resource.name,
        "families": families(grant),
        "access": accesses(grant),
        // Null is all of them.
        named: targets(grant),
    })
}

fn families(grant: &Grant) -> Vec<&'static str> {
    grant.families.iter().map(|family| family.name()).collect()
}

fn accesses(grant: &Grant) -> Vec<&'static str> {
    Access::NAMES.iter().filter(|(_, access)| *grant.access.at(*access)).map(|(name, _)| *name).collect()
}

fn targets(grant: &Grant) -> Option<Vec<String>> {
    match &grant.targets {
        Targets::All => None,
        Targets::Some(globs) => Some(globs.iter().map(|glob| glob.pattern()).collect()),
    }
}
