//! Indexers: stored, run and reset. A run succeeds at once and indexes nothing, since its data source is nowhere.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::data_sources::DATA_SOURCES;
use super::skillsets::SKILLSETS;
use super::{Kind, Unset};
use crate::answer::Answer;
use crate::clock;
use crate::search::entity::{self, Words};
use crate::search::service::Memory;
use crate::search::{Request, reply};

pub(in crate::search) static INDEXERS: Kind = Kind {
    words: Words { collection: "indexers", noun: "indexer" },
    title: "Indexer",
    missing: ["Indexer '{}' was not found in service '{}'."; 2],
    located: true,
    members: &[
        ("description", Unset::Null),
        ("dataSourceName", Unset::Null),
        ("skillsetName", Unset::Null),
        ("targetIndexName", Unset::Null),
        ("disabled", Unset::Null),
        ("schedule", Unset::Null),
        ("parameters", Unset::Null),
        ("fieldMappings", Unset::List),
        ("outputFieldMappings", Unset::List),
        ("cache", Unset::Null),
        ("encryptionKey", Unset::Null),
    ],
    complete,
};

/// How many runs an indexer remembers, as the real one does.
const HISTORY: usize = 50;

/// `POST …/search.run`: 202 without a word (H16).
pub(in crate::search) fn run(request: &Request<'_>) -> Result<Answer, Answer> {
    happened(request, "success")?;
    Ok(reply::bare(request.call, StatusCode::ACCEPTED))
}

/// `POST …/search.reset`: 204 (H16). It stands in the history, too.
pub(in crate::search) fn reset(request: &Request<'_>) -> Result<Answer, Answer> {
    happened(request, "reset")?;
    Ok(reply::bare(request.call, StatusCode::NO_CONTENT))
}

/// `POST …/search.resetdocs` and `…/search.resync`: 204, and the next run would do some documents again.
pub(in crate::search) fn reset_part(request: &Request<'_>) -> Result<Answer, Answer> {
    INDEXERS.named(request, &request.azure.search.memory())?;
    Ok(reply::bare(request.call, StatusCode::NO_CONTENT))
}

/// `GET …/search.status`
pub(in crate::search) fn status(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let indexer = INDEXERS.named(request, &memory)?;
    let body = json!({
        "name": request.name(),
        "status": "running",
        "lastResult": indexer.history.first(),
        "executionHistory": indexer.history,
        "limits": {
            "maxRunTime": "P1D",
            "maxDocumentExtractionSize": 134_217_728,
            "maxDocumentContentCharactersToExtract": 4_194_304,
        },
    });
    Ok(reply::typed(request.call, "IndexerExecutionInfo", body))
}

fn happened(request: &Request<'_>, status: &str) -> Result<(), Answer> {
    let mut memory = request.azure.search.memory();
    let indexer = memory.of_mut(&INDEXERS).get_mut(request.name()).ok_or_else(|| INDEXERS.not_found(request))?;
    let now = clock::timestamp();
    indexer.history.insert(
        0,
        json!({
            "status": status,
            "errorMessage": null,
            "startTime": now,
            "endTime": now,
            "itemsProcessed": 0,
            "itemsFailed": 0,
            "initialTrackingState": null,
            "finalTrackingState": null,
            "errors": [],
            "warnings": [],
            "metrics": null,
        }),
    );
    indexer.history.truncate(HISTORY);
    Ok(())
}

fn complete(definition: &mut Map<String, Value>, memory: &Memory) -> Result<(), String> {
    let text = |member| entity::text(definition, member);
    let (source, skillset, index) = (text("dataSourceName"), text("skillsetName"), text("targetIndexName"));
    let problem = |what: &str, name: &str| format!("This indexer refers to {what} '{name}' that doesn't exist");
    if !memory.of(&DATA_SOURCES).contains_key(source) {
        return Err(problem("a data source", source));
    }
    if !memory.indexes.contains_key(index) {
        return Err(problem("an index", index));
    }
    if !skillset.is_empty() && !memory.of(&SKILLSETS).contains_key(skillset) {
        return Err(problem("a skillset", skillset));
    }
    if let Some(Value::Object(schedule)) = definition.get_mut("schedule") {
        schedule.entry("startTime").or_insert(json!("0001-01-01T00:00:00Z"));
    }
    if let Some(Value::Object(given)) = definition.get_mut("parameters") {
        let mut parameters = Map::new();
        for member in ["batchSize", "maxFailedItems", "maxFailedItemsPerBatch"] {
            parameters.insert(member.to_owned(), given.remove(member).unwrap_or(Value::Null));
        }
        parameters.insert("configuration".to_owned(), given.remove("configuration").unwrap_or(Value::Null));
        *given = parameters;
    }
    Ok(())
}
