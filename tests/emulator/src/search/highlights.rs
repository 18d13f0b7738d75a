//! The sentences in which something was found, with marks around what was found.

use serde_json::{Map, Value, json};

use crate::search::analysis::words;
use crate::search::filter;
use crate::search::hits::{Terms, collect_texts};
use crate::search::schema::Document;

/// How many sentences of one field are shown when nobody says.
const SENTENCES: usize = 5;

/// What stands before and behind a found word.
#[derive(Clone)]
pub(super) struct Marks {
    pub(super) before: String,
    pub(super) behind: String,
}

impl Default for Marks {
    fn default() -> Self {
        Self { before: "<em>".to_owned(), behind: "</em>".to_owned() }
    }
}

/// `Description-3,Category`: for each field the marked sentences; `None` if there is none in any.
pub(super) fn of(document: &Document, wanted: &str, terms: &Terms, marks: &Marks) -> Option<Value> {
    let mut highlights = Map::new();
    for field in wanted.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let counted = field.rsplit_once('-').and_then(|(field, count)| Some((field, count.parse().ok()?)));
        let (field, count) = counted.unwrap_or((field, SENTENCES));
        let mut texts = Vec::new();
        collect_texts(filter::value_at(document, field), &mut texts);
        let marked = texts.iter().flat_map(|text| sentences(text)).filter_map(|text| marked(text, terms, marks));
        let marked: Vec<String> = marked.take(count).collect();
        if !marked.is_empty() {
            highlights.insert(field.to_owned(), json!(marked));
        }
    }
    (!highlights.is_empty()).then_some(Value::Object(highlights))
}

/// The text with its found words marked; `None` if there are none.
pub(super) fn marked(text: &str, terms: &Terms, marks: &Marks) -> Option<String> {
    let Marks { before, behind } = marks;
    let (mut marked, mut rest) = (String::with_capacity(text.len() + 20), 0);
    for (start, word) in words(text).filter(|(_, word)| terms.has(word)) {
        marked.push_str(text.get(rest..start).unwrap_or_default());
        marked.push_str(&format!("{before}{word}{behind}"));
        rest = start + word.len();
    }
    marked.push_str(text.get(rest..).unwrap_or_default());
    (rest > 0).then_some(marked)
}

/// The sentences of a text, each with its full stop.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(". ").map(str::trim_end)
}
