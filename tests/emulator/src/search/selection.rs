//! `$select`: which members of a document are shown.

use serde_json::{Value, json};

use crate::search::filter;
use crate::search::schema::{Document, Index};

/// `$select`: paths, `*`, or nothing, which is everything that is retrievable.
pub(super) struct Selection {
    paths: Vec<String>,
}

impl Selection {
    pub(super) fn read(text: &str, index: &Index) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|path| !path.is_empty() && *path != "*");
        let mut paths: Vec<String> = named.map(str::to_owned).collect();
        if let Some(unknown) = paths.iter().find(|path| index.field(path).is_none()) {
            return Err(filter::unknown_property(unknown));
        }
        if paths.is_empty() {
            paths = index
                .fields()
                .filter(|field| field["retrievable"] != false)
                .filter_map(|field| field["name"].as_str().map(str::to_owned))
                .collect();
        }
        Ok(Self { paths })
    }

    /// The selected members of `document`.
    pub(super) fn of(&self, document: &Document) -> Document {
        let mut members = Document::new();
        for path in &self.paths {
            let value = filter::value_at(document, path).clone();
            insert_at(&mut members, path, value);
        }
        members
    }
}

fn insert_at(members: &mut Document, path: &str, value: Value) {
    match path.split_once('/') {
        None => {
            members.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let below = members.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(below) = below {
                insert_at(below, rest, value);
            }
        }
    }
}
