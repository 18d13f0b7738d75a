//! `$filter`, the part of OData that people write: comparisons, `and`, `or`, `not`, parentheses,
//! a boolean field alone, `search.in`, and `any`/`all` over collections.

use std::cmp::Ordering;

use serde_json::Value;

use crate::search::order::compare;
use crate::search::schema::{Document, Index};

mod parser;

/// A condition on documents.
#[derive(Debug)]
pub(super) enum Filter {
    Always,
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Path, Comparison, Value),
    In(Path, Vec<String>),
    Any(Path, String, Box<Filter>),
    All(Path, String, Box<Filter>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// `Address/City`, or the variable of a lambda, alone or followed by a path.
type Path = String;

/// The filter in `text`; an error is the service's own text, without its frame.
pub(super) fn read(text: &str, index: &Index) -> Result<Filter, String> {
    if text.trim().is_empty() { Ok(Filter::Always) } else { parser::parse(text, index) }
}

/// What stands at `path` in `document`; null if nothing does.
pub(super) fn value_at<'a>(document: &'a Document, path: &str) -> &'a Value {
    let mut names = path.split('/');
    let first = names.next().and_then(|name| document.get(name));
    let found = names.try_fold(first.unwrap_or(&Value::Null), |value, name| value.get(name));
    found.unwrap_or(&Value::Null)
}

pub(super) fn unknown_property(name: &str) -> String {
    format!("Could not find a property named '{name}' on type 'search.document'.")
}

// === impl Filter ===

impl Filter {
    /// Whether `document` passes.
    pub(super) fn accepts(&self, document: &Document) -> bool {
        self.holds(document, &[])
    }

    /// `variables`: what the variables of lambdas stand for.
    fn holds(&self, document: &Document, variables: &[(&str, &Value)]) -> bool {
        let value = |path: &str| resolve(document, variables, path);
        let items = |path: &str| match value(path) {
            Value::Array(items) => items.as_slice(),
            _ => &[],
        };
        let inside = |name: &str, item: &Value, filter: &Self| {
            let mut inner = variables.to_vec();
            inner.push((name, item));
            filter.holds(document, &inner)
        };
        match self {
            Self::Always => true,
            Self::And(left, right) => left.holds(document, variables) && right.holds(document, variables),
            Self::Or(left, right) => left.holds(document, variables) || right.holds(document, variables),
            Self::Not(filter) => !filter.holds(document, variables),
            Self::Compare(path, comparison, wanted) => comparison.holds(value(path), wanted),
            Self::In(path, wanted) => {
                value(path).as_str().is_some_and(|text| wanted.iter().any(|wanted| wanted == text))
            }
            Self::Any(path, name, filter) => items(path).iter().any(|item| inside(name, item, filter)),
            Self::All(path, name, filter) => items(path).iter().all(|item| inside(name, item, filter)),
        }
    }
}

fn resolve<'a>(document: &'a Document, variables: &[(&str, &'a Value)], path: &str) -> &'a Value {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let bound = variables.iter().rfind(|(name, _)| *name == first);
    match bound {
        None => value_at(document, path),
        Some((_, value)) if rest.is_empty() => value,
        Some((_, value)) => value.as_object().map_or(&Value::Null, |item| value_at(item, rest)),
    }
}

// === impl Comparison ===

impl Comparison {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    /// A comparison of size with null is false, of equality is not.
    fn holds(self, value: &Value, wanted: &Value) -> bool {
        let ordering = compare(value, wanted);
        let sized = ordering.filter(|_| !value.is_null() && !wanted.is_null());
        match self {
            Self::Eq => ordering.is_some_and(Ordering::is_eq),
            Self::Ne => ordering.is_none_or(Ordering::is_ne),
            Self::Gt => sized.is_some_and(Ordering::is_gt),
            Self::Ge => sized.is_some_and(Ordering::is_ge),
            Self::Lt => sized.is_some_and(Ordering::is_lt),
            Self::Le => sized.is_some_and(Ordering::is_le),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::hotels;

    fn found(text: &str) -> usize {
        let index = hotels::index().expect("an index");
        let filter = read(text, &index).expect(text);
        let documents = index.documents.values().filter_map(Value::as_object);
        documents.filter(|document| filter.accepts(document)).count()
    }

    #[test]
    fn comparisons_combine() {
        let all = 120;
        assert_eq!(found(""), all);
        assert_eq!(found("HotelId eq '7'"), 1);
        assert_eq!(found("Rating ge 3") + found("Rating lt 3"), all);
        assert_eq!(found("ParkingIncluded"), 40);
        assert_eq!(found("not ParkingIncluded and Rating ge 0"), 80);
        assert_eq!(found("ParkingIncluded eq true or ParkingIncluded eq false"), all);
        assert_eq!(found("(Address/City eq 'Seattle')"), 20);
        assert_eq!(found("Address/City ne null"), all);
        assert_eq!(found("LastRenovationDate ge 1970-01-01T00:00:00Z"), all);
        assert_eq!(found("search.in(Address/City, 'Seattle|New York', '|')"), 40);
        assert_eq!(found("Tags/any(t: t eq 'wifi')") + found("Tags/all(t: t ne 'wifi')"), all);
        assert_eq!(found("HotelName eq 'It''s not there'"), 0);
    }

    #[test]
    fn errors_are_the_services_own() {
        let index = hotels::index().expect("an index");
        let error = |text| read(text, &index).expect_err("no filter");
        assert_eq!(
            error("This is not a valid filter."),
            "Syntax error at position 7 in 'This is not a valid filter.'."
        );
        assert_eq!(error("Nothing eq 1"), "Could not find a property named 'Nothing' on type 'search.document'.");
    }
}
