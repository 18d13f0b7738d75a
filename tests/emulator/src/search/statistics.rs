//! Statistics of an index and of the service, and the analyzer.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::search::hits::tokens;
use crate::search::service::Index;
use crate::search::{Request, refusal, reply};

pub(super) fn of_index(request: &Request<'_>) -> Result<Answer, Answer> {
    let indexes = request.azure.search.indexes();
    let index = request.index_in(&indexes)?;
    let body = json!({
        "documentCount": index.documents.len(),
        "storageSize": size(index),
        "vectorIndexSize": 0,
    });
    Ok(answer(request, "IndexStatistics", body))
}

pub(super) fn of_service(request: &Request<'_>) -> Result<Answer, Answer> {
    let indexes = request.azure.search.indexes();
    let documents: usize = indexes.values().map(|index| index.documents.len()).sum();
    let storage: usize = indexes.values().map(size).sum();
    let body = json!({
        "counters": {
            "documentCount": {"usage": documents, "quota": null},
            "indexesCount": {"usage": indexes.len(), "quota": 3},
            "indexersCount": {"usage": 0, "quota": 3},
            "dataSourcesCount": {"usage": 0, "quota": 3},
            "storageSize": {"usage": storage, "quota": 52_428_800},
            "synonymMaps": {"usage": 0, "quota": 3},
            "skillsetCount": {"usage": 0, "quota": 3},
            "vectorIndexSize": {"usage": 0, "quota": null},
        },
        "limits": {
            "maxStoragePerIndex": 52_428_800,
            "maxFieldsPerIndex": 1000,
            "maxFieldNestingDepthPerIndex": 10,
            "maxComplexCollectionFieldsPerIndex": 40,
            "maxComplexObjectsInCollectionsPerDocument": 3000,
        },
    });
    Ok(answer(request, "ServiceStatistics", body))
}

/// Every analyzer is the standard one: words in lower case.
pub(super) fn analyze(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    if !request.azure.search.indexes().contains_key(request.index()) {
        return Err(refusal::no_such_index(request.call, request.index()));
    }
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
    let tokens: Vec<Value> = tokens(text)
        .enumerate()
        .map(|(position, (start, word))| {
            json!({
                "token": word.to_lowercase(),
                "startOffset": start,
                "endOffset": start + word.len(),
                "position": position,
            })
        })
        .collect();
    Ok(answer(request, "AnalyzeResult", json!({"tokens": tokens})))
}

fn answer(request: &Request<'_>, kind: &str, body: Value) -> Answer {
    let members = match body {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let context = format!("$metadata#{}", reply::versioned(request.call, kind));
    reply::json(request, StatusCode::OK, &context, members)
}

fn size(index: &Index) -> usize {
    index.documents.values().map(|document| document.to_string().len()).sum()
}
