//! Knowledge sources: where a knowledge base looks. Of the kinds that there are, an index is the one that is asked.

use serde_json::{Map, Value, json};

use super::{Kind, Unset};
use crate::answer::Answer;
use crate::search::entity::Words;
use crate::search::service::Memory;
use crate::search::{Request, entity, reply};

pub(in crate::search) static KNOWLEDGE_SOURCES: Kind = Kind {
    words: Words { collection: "knowledgesources", noun: "knowledge source" },
    title: "Knowledge source",
    missing: ["No Knowledge Source with the name '{}' was found in service '{}'."; 2],
    located: false,
    members: &[
        ("kind", Unset::Null),
        ("description", Unset::Null),
        ("encryptionKey", Unset::Null),
        (INDEX, Unset::Null),
        ("azureBlobParameters", Unset::Null),
        ("webParameters", Unset::Null),
        ("indexedOneLakeParameters", Unset::Null),
    ],
    complete,
};

const INDEX: &str = "searchIndexParameters";

/// How a source reads an index; null if it reads none.
pub(in crate::search) fn parameters(source: &Map<String, Value>) -> &Value {
    source.get(INDEX).unwrap_or(&Value::Null)
}

/// The index that a source reads, if it reads one.
pub(in crate::search) fn index_of(source: &Map<String, Value>) -> Option<&str> {
    parameters(source)["searchIndexName"].as_str()
}

/// `GET …/status`: it is always in step.
pub(in crate::search) fn status(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let source = KNOWLEDGE_SOURCES.named(request, &memory)?;
    let body = json!({
        "kind": source.text("kind"),
        "synchronizationStatus": "active",
        "synchronizationInterval": null,
        "currentSynchronizationState": null,
        "lastSynchronizationState": null,
        "statistics": null,
    });
    Ok(reply::of_type(request.call, &reply::core_type(request.call, "KnowledgeSources.KnowledgeSourceStatus"), body))
}

fn complete(definition: &mut Map<String, Value>, memory: &Memory) -> Result<(), String> {
    if entity::text(definition, "kind") != "searchIndex" {
        return Ok(());
    }
    let index = index_of(definition).unwrap_or_default();
    if !memory.indexes.contains_key(index) {
        return Err(format!("This knowledge source refers to an index '{index}' that doesn't exist"));
    }
    if let Some(Value::Object(given)) = definition.get_mut(INDEX) {
        let mut take =
            |member: &str, unset: Value| given.remove(member).filter(|value| !value.is_null()).unwrap_or(unset);
        *given = Map::from_iter([
            ("searchIndexName".to_owned(), take("searchIndexName", Value::Null)),
            ("semanticConfigurationName".to_owned(), take("semanticConfigurationName", Value::Null)),
            ("sourceDataFields".to_owned(), take("sourceDataFields", json!([]))),
            ("searchFields".to_owned(), take("searchFields", json!([]))),
        ]);
    }
    Ok(())
}
