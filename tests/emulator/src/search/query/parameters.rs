//! The parameters of a search, under the names that they have in a body: whether they came in one or in the query.

use serde_json::{Map, Value, json};

use crate::exchange::Call;
use crate::search::entity;
use crate::search::highlights::Marks;
use crate::search::hits::Terms;
use crate::target;

/// What every search is asked with; what is semantic or near is read by those who answer it.
pub(super) struct Parameters {
    pub(super) given: Map<String, Value>,
    pub(super) facets: Vec<String>,
    pub(super) marks: Marks,
    pub(super) count: bool,
    pub(super) skip: usize,
    pub(super) top: Option<usize>,
}

impl Parameters {
    /// Of a GET: its names may have a dollar sign, some come several times, and all are texts.
    pub(super) fn of_get(call: &Call<'_>) -> Self {
        let mut given = Map::new();
        for (name, value) in target::parameters(call.query) {
            match name.trim_start_matches('$') {
                "facet" => append(&mut given, "facets", value),
                "scoringParameter" => append(&mut given, "scoringParameters", value),
                "highlight" => {
                    let all = match given.get("highlight").and_then(Value::as_str) {
                        Some(first) => format!("{first},{value}"),
                        None => value,
                    };
                    given.insert("highlight".to_owned(), Value::from(all));
                }
                name @ ("skip" | "top" | "minimumCoverage" | "count") => {
                    let value = serde_json::from_str(&value).unwrap_or(Value::Null);
                    given.insert(name.to_owned(), value);
                }
                name => {
                    given.insert(name.to_owned(), Value::from(value));
                }
            }
        }
        Self::of_body(given)
    }

    pub(super) fn of_body(given: Map<String, Value>) -> Self {
        let number = |name: &str| given.get(name).and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok());
        let facets = given.get("facets").and_then(Value::as_array).into_iter().flatten();
        let facets = facets.filter_map(|facet| facet.as_str().map(str::to_owned)).collect();
        let mut marks = Marks::default();
        for (name, mark) in [("highlightPreTag", &mut marks.before), ("highlightPostTag", &mut marks.behind)] {
            if let Some(given) = given.get(name).and_then(Value::as_str) {
                given.clone_into(mark);
            }
        }
        let count = given.get("count") == Some(&Value::Bool(true));
        let (skip, top) = (number("skip").unwrap_or(0), number("top"));
        Self { facets, marks, count, skip, top, given }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        entity::text(&self.given, name)
    }

    pub(super) fn terms(&self) -> Terms {
        let search = self.text("search");
        let fields = self.text("searchFields").split(',').map(|field| field.trim().to_owned());
        Terms {
            fields: fields.filter(|field| !field.is_empty()).collect(),
            all: self.text("searchMode") == "all" || search.contains(" AND "),
            ..Terms::of(search)
        }
    }
}

fn append(given: &mut Map<String, Value>, name: &str, value: String) {
    if let Value::Array(values) = given.entry(name).or_insert(json!([])) {
        values.push(Value::from(value));
    }
}
