//! How much an index holds, and the service.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::search::schema::Index;
use crate::search::service::OBJECTS;
use crate::search::stored::aliases::ALIASES;
use crate::search::stored::data_sources::DATA_SOURCES;
use crate::search::stored::indexers::INDEXERS;
use crate::search::stored::skillsets::SKILLSETS;
use crate::search::stored::synonym_maps::SYNONYM_MAPS;
use crate::search::{Request, reply};

/// What a service of the smallest tier says that it can hold, in bytes: nobody holds us to it.
const STORAGE: usize = 52_428_800;

pub(super) fn of_index(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let statistics = statistics(request.index(&memory)?);
    Ok(reply::typed(request.call, "IndexStatistics", statistics))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
pub(super) fn of_all_indexes(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let all = memory.indexes.iter().map(|(name, index)| {
        let mut statistics = statistics(index);
        statistics["name"] = Value::from(name.as_str());
        statistics
    });
    let all: Vec<Value> = all.collect();
    Ok(reply::typed(request.call, "ListIndexStatsSummary", json!({"value": all})))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
pub(super) fn of_service(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let count = |kind| json!({"usage": memory.of(kind).len(), "quota": OBJECTS});
    let storage: usize = memory.indexes.values().map(storage).sum();
    let mut counters = json!({
            "documentCount": {"usage": memory.documents(), "quota": null},
            "indexesCount": {"usage": memory.indexes.len(), "quota": OBJECTS},
            "indexersCount": count(&INDEXERS),
            "dataSourcesCount": count(&DATA_SOURCES),
            "storageSize": {"usage": storage, "quota": STORAGE},
            "synonymMaps": count(&SYNONYM_MAPS),
            "skillsetCount": count(&SKILLSETS),
            "vectorIndexSize": {"usage": memory.indexes.values().map(vector_size).sum::<usize>(), "quota": null},
    });
    // Aliases are counted since they are no preview any more.
    if request.call.parameter("api-version").unwrap_or_default().as_str() >= "2026" {
        counters["aliasesCount"] = count(&ALIASES);
    }
    let body = json!({
        "counters": counters,
        "limits": {
            "maxStoragePerIndex": STORAGE,
            "maxFieldsPerIndex": 1000,
            "maxFieldNestingDepthPerIndex": 10,
            "maxComplexCollectionFieldsPerIndex": 40,
            "maxComplexObjectsInCollectionsPerDocument": 3000,
        },
    });
    Ok(reply::typed(request.call, "ServiceStatistics", body))
}

fn statistics(index: &Index) -> Value {
    json!({
        "documentCount": index.documents.len(),
        "storageSize": storage(index),
        "vectorIndexSize": vector_size(index),
    })
}

fn storage(index: &Index) -> usize {
    index.documents.values().map(|document| document.to_string().len()).sum()
}

/// Four bytes for each number of each vector.
fn vector_size(index: &Index) -> usize {
    let fields = index.fields().filter_map(|field| field["dimensions"].as_u64());
    let numbers: u64 = fields.sum();
    index.documents.len() * usize::try_from(numbers).unwrap_or(0) * 4
}
