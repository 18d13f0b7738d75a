//! `$orderby`, and which of two values is the greater.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::search::filter;
use crate::search::hits::Hit;
use crate::search::schema::Index;

/// `$orderby`; without one, the score.
pub(super) struct Order {
    /// `None` is the score.
    parts: Vec<(Option<String>, bool)>,
}

impl Order {
    pub(super) fn read(text: &str, index: &Index) -> Result<Self, String> {
        let mut parts = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, descending) = match part.rsplit_once(' ') {
                Some((field, "desc")) => (field.trim(), true),
                Some((field, "asc")) => (field.trim(), false),
                _ => (part, false),
            };
            if field == "search.score()" {
                parts.push((None, descending));
            } else if index.field(field).is_some() {
                parts.push((Some(field.to_owned()), descending));
            } else {
                return Err(filter::unknown_property(field));
            }
        }
        if parts.is_empty() {
            parts.push((None, true));
        }
        Ok(Self { parts })
    }

    pub(super) fn compare(&self, left: &Hit<'_>, right: &Hit<'_>) -> Ordering {
        for (field, descending) in &self.parts {
            let ordering = match field {
                None => left.score.total_cmp(&right.score),
                Some(field) => {
                    let [left, right] = [left, right].map(|hit| filter::value_at(hit.document, field));
                    compare(left, right).unwrap_or(Ordering::Equal)
                }
            };
            let ordering = if *descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

/// Null comes first; what is of different types cannot be compared.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Null, _) => Some(Ordering::Less),
        (_, Value::Null) => Some(Ordering::Greater),
        (Value::Number(left), Value::Number(right)) => Some(number(left).total_cmp(&number(right))),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// What a number amounts to.
pub(super) fn number(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}
