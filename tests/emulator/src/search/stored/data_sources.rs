//! Data sources: where an indexer reads. The service forgets their connection strings at once, as far as anybody sees.

use serde_json::{Map, Value};

use super::{Kind, Unset};
use crate::search::entity::{self, Words};
use crate::search::service::Memory;

pub(in crate::search) static DATA_SOURCES: Kind = Kind {
    words: Words { collection: "datasources", noun: "data source" },
    title: "Data source",
    missing: [
        "No data source with the name '{}' was found in service '{}'.",
        "No datasource with the name '{}' was found in a service named '{}'.",
    ],
    located: true,
    members: &[
        ("description", Unset::Null),
        ("type", Unset::Null),
        ("subtype", Unset::Null),
        ("credentials", Unset::Null),
        ("container", Unset::Null),
        ("dataChangeDetectionPolicy", Unset::Null),
        ("dataDeletionDetectionPolicy", Unset::Null),
        ("encryptionKey", Unset::Null),
    ],
    complete,
};

const TYPES: [&str; 8] =
    ["azuresql", "cosmosdb", "azureblob", "azuretable", "mysql", "adlsgen2", "onelake", "sharepoint"];

/// Recorded in 2026, for a key that was no base64.
const UNREADABLE: &str = "Connection string could not be parsed. It must be in one of the following formats: \
    'ResourceId=[resource ID string];' or 'DefaultEndpointsProtocol=https;AccountName=[your storage \
    account];AccountKey=[your account key];' or 'BlobEndpoint=[your blob endpoint URI];SharedAccessSignature=[your account \
    shared access token];' or 'ContainerSharedAccessUri=[your container shared access token with read and list \
    permissions]'";

fn complete(definition: &mut Map<String, Value>, _: &Memory) -> Result<(), String> {
    let kind = entity::text(definition, "type");
    if !TYPES.contains(&kind) {
        return Err(format!("Data source type '{kind}' is not supported"));
    }
    let connection = definition.get("credentials").and_then(|credentials| credentials["connectionString"].as_str());
    // A client that sends back what it was shown has none, or says so, and keeps the old one.
    let connection = connection.filter(|connection| *connection != "<unchanged>");
    if kind == "azureblob" && connection.is_some_and(|connection| !is_readable(connection)) {
        return Err(UNREADABLE.to_owned());
    }
    if let Some(Value::Object(container)) = definition.get_mut("container") {
        container.entry("query").or_insert(Value::Null);
    }
    Ok(())
}

fn is_readable(connection: &str) -> bool {
    let part = |wanted: &str| {
        let mut parts = connection.split(';').filter_map(|part| part.split_once('='));
        parts.find_map(|(name, value)| (name.trim() == wanted).then_some(value.trim()))
    };
    let key = part("AccountKey").is_some_and(|key| !key.is_empty() && key.len().is_multiple_of(4));
    let signed = part("BlobEndpoint").is_some() && part("SharedAccessSignature").is_some();
    part("ResourceId").is_some()
        || (part("AccountName").is_some() && key)
        || signed
        || part("ContainerSharedAccessUri").is_some()
}
