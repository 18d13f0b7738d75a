//! One index: its fields, what the service adds to its definition, and its documents.

use serde_json::{Map, Value, json};

use crate::search::entity::{self, Object};

/// A document: members in the order of the index's fields.
pub(super) type Document = Map<String, Value>;

/// One index and its documents.
pub(super) struct Index {
    /// Its definition, as the service gives it back.
    pub(super) object: Object,
    /// The name of the key field.
    pub(super) key: String,
    /// By key, in the order of their arrival.
    pub(super) documents: Map<String, Value>,
}

impl Index {
    /// Completes a definition with what the service adds. An error is the service's own text.
    pub(super) fn define(name: &str, given: &Map<String, Value>) -> Result<Self, String> {
        let invalid = |text: String| format!("The request is invalid. Details: index : {text}\r\n");
        let fields = given.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let keys: Vec<&str> =
            fields.iter().filter(|field| field["key"] == true).filter_map(|field| field["name"].as_str()).collect();
        let [key] = keys.as_slice() else {
            return Err(invalid(format!(
                "Found {} key fields in index '{name}'. Each index must have exactly one key field.",
                keys.len()
            )));
        };
        let key = (*key).to_owned();
        let fields: Vec<Value> = fields.iter().map(complete_field).collect();

        let mut definition = Map::new();
        definition.insert("name".to_owned(), Value::from(name));
        for (member, default) in [
            ("description", Value::Null),
            ("defaultScoringProfile", Value::Null),
            ("fields", Value::Array(fields)),
            ("scoringProfiles", json!([])),
            ("corsOptions", Value::Null),
            ("suggesters", json!([])),
            ("analyzers", json!([])),
            ("normalizers", json!([])),
            ("tokenizers", json!([])),
            ("tokenFilters", json!([])),
            ("charFilters", json!([])),
            ("encryptionKey", Value::Null),
            ("similarity", json!({"@odata.type": "#Microsoft.Azure.Search.BM25Similarity", "k1": null, "b": null})),
            ("semantic", Value::Null),
            ("vectorSearch", Value::Null),
        ] {
            let value = match given.get(member) {
                Some(value) if member != "fields" && !value.is_null() => value.clone(),
                _ => default,
            };
            definition.insert(member.to_owned(), value);
        }
        entity::hide_secrets(&mut definition);
        Ok(Self { object: Object::new(definition), key, documents: Map::new() })
    }

    /// The top-level fields, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Value> {
        self.object.definition.get("fields").and_then(Value::as_array).into_iter().flatten()
    }

    /// The field at `path` (`Address/City`).
    pub(super) fn field(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('/');
        let first = names.next()?;
        let top = self.fields().find(|field| field["name"] == first)?;
        names.try_fold(top, |field, name| {
            let below = field["fields"].as_array()?;
            below.iter().find(|field| field["name"] == name)
        })
    }

    /// The source fields of a suggester.
    pub(super) fn suggester(&self, name: &str) -> Option<Vec<String>> {
        let suggesters = self.object.definition.get("suggesters")?.as_array()?;
        let suggester = suggesters.iter().find(|suggester| suggester["name"] == name)?;
        let fields = suggester["sourceFields"].as_array()?;
        Some(fields.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Stores a whole document; missing fields become null or empty. Says whether it is new.
    pub(super) fn put(&mut self, mut given: Document) -> bool {
        let mut document = Document::new();
        for field in self.fields() {
            let Some(name) = field["name"].as_str() else {
                continue;
            };
            let collection = field["type"].as_str().is_some_and(|kind| kind.starts_with("Collection("));
            let missing = if collection { json!([]) } else { Value::Null };
            let value = given.remove(name).unwrap_or(missing);
            document.insert(name.to_owned(), value);
        }
        let key = document.get(&self.key).and_then(Value::as_str);
        let key = key.unwrap_or_default().to_owned();
        self.documents.insert(key, Value::Object(document)).is_none()
    }
}

/// A field with all its attributes, in the service's order.
fn complete_field(given: &Value) -> Value {
    let kind = given["type"].as_str().unwrap_or("Edm.String");
    let text = matches!(kind, "Edm.String" | "Collection(Edm.String)");
    let complex = kind.ends_with("ComplexType") || kind.ends_with("ComplexType)");
    let attribute = |name: &str, default: Value| match &given[name] {
        Value::Null => default,
        value => value.clone(),
    };
    if complex {
        let below = given["fields"].as_array();
        let below: Vec<Value> = below.into_iter().flatten().map(complete_field).collect();
        return json!({"name": given["name"], "type": kind, "fields": below});
    }
    json!({
        "name": given["name"],
        "type": kind,
        "searchable": attribute("searchable", json!(text)),
        "filterable": attribute("filterable", json!(true)),
        "retrievable": attribute("retrievable", json!(true)),
        "stored": attribute("stored", json!(true)),
        "sortable": attribute("sortable", json!(!kind.starts_with("Collection("))),
        "facetable": attribute("facetable", json!(true)),
        "key": attribute("key", json!(false)),
        "indexAnalyzer": attribute("indexAnalyzer", Value::Null),
        "searchAnalyzer": attribute("searchAnalyzer", Value::Null),
        "analyzer": attribute("analyzer", Value::Null),
        "normalizer": attribute("normalizer", Value::Null),
        "dimensions": attribute("dimensions", Value::Null),
        "vectorSearchProfile": attribute("vectorSearchProfile", Value::Null),
        "vectorEncoding": attribute("vectorEncoding", Value::Null),
        "synonymMaps": attribute("synonymMaps", json!([])),
    })
}
