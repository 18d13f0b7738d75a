//! Aliases: other names for indexes, good wherever documents are meant.

use serde_json::{Map, Value};

use super::{Kind, Unset};
use crate::search::entity::Words;
use crate::search::service::Memory;

pub(in crate::search) static ALIASES: Kind = Kind {
    words: Words { collection: "aliases", noun: "alias" },
    title: "Alias",
    missing: [
        "No alias with the name '{}' was found in service '{}'.",
        "No alias with the name '{}' was found in a service named '{}'.",
    ],
    located: true,
    members: &[("indexes", Unset::List)],
    complete,
};

/// The index that `name` stands for: the one so called, or the one of that alias.
pub(in crate::search) fn resolve<'n>(memory: &'n Memory, name: &'n str) -> &'n str {
    if memory.indexes.contains_key(name) {
        return name;
    }
    memory.of(&ALIASES).get(name).and_then(|alias| index_of(&alias.definition)).unwrap_or(name)
}

fn complete(definition: &mut Map<String, Value>, memory: &Memory) -> Result<(), String> {
    match index_of(definition) {
        Some(index) if memory.indexes.contains_key(index) => Ok(()),
        Some(index) => Err(format!("This alias refers to an index '{index}' that doesn't exist")),
        None => Err("The request is invalid. Details: alias : An alias must have exactly one index.\r\n".to_owned()),
    }
}

fn index_of(definition: &Map<String, Value>) -> Option<&str> {
    match definition.get("indexes")?.as_array()?.as_slice() {
        [index] => index.as_str(),
        _ => None,
    }
}
