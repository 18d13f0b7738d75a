//! Synonym maps, in the one format that there is: rules of Solr's. Searches do not heed them.

use serde_json::{Map, Value};

use super::{Kind, Unset};
use crate::search::entity::{self, Words};
use crate::search::service::Memory;

pub(in crate::search) static SYNONYM_MAPS: Kind = Kind {
    words: Words { collection: "synonymmaps", noun: "synonym map" },
    title: "Synonym map",
    missing: [
        "No synonymMap with the name '{}' was found in service '{}'.",
        "No synonymMap with the name '{}' was found in a service named '{}'.",
    ],
    located: true,
    members: &[("format", Unset::Null), ("synonyms", Unset::Null), ("encryptionKey", Unset::Null)],
    complete,
};

fn complete(definition: &mut Map<String, Value>, _: &Memory) -> Result<(), String> {
    let rules = entity::text(definition, "synonyms").lines().zip(1..);
    for (rule, line) in rules {
        if rule.matches("=>").count() > 1 {
            return Err(format!(
                "Syntax error in line {line}: '{rule}'. Only one explicit mapping (=>) can be specified in a synonym rule."
            ));
        }
    }
    Ok(())
}
