//! Which documents fit a search text, and how well.

use serde_json::Value;

use crate::search::analysis::words;
use crate::search::filter::{self, Filter};
use crate::search::schema::{Document, Index};

/// A document that was found.
pub(super) struct Hit<'a> {
    pub(super) score: f64,
    pub(super) document: &'a Document,
}

/// What is looked for, and where.
pub(super) struct Terms {
    /// In lower case; one may end in `*`. None are in every document.
    pub(super) words: Vec<String>,
    /// Everywhere, if empty.
    pub(super) fields: Vec<String>,
    /// One is not enough.
    pub(super) all: bool,
}

impl Terms {
    /// The words of a search text, without the signs of its syntax.
    pub(super) fn of(text: &str) -> Self {
        let words = text
            .split_whitespace()
            .filter(|word| !["AND", "OR", "&&", "||", "|"].contains(word))
            .map(|word| {
                // `field:word~1^2` of the full syntax.
                let word = word.rsplit(':').next().unwrap_or_default();
                let word = word.split(['^', '~']).next().unwrap_or_default();
                word.trim_matches(['+', '"', '(', ')', '/', '?', '.', ',', '!']).to_lowercase()
            })
            .filter(|word| !word.is_empty() && word != "*")
            .collect();
        Self { words, fields: Vec::new(), all: false }
    }

    /// Whether a word of a document is one of these.
    pub(super) fn has(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.words.iter().any(|wanted| fits(wanted, &word))
    }
}

/// The documents that pass `filter` and fit the terms, in the order of their arrival.
pub(super) fn find<'a>(index: &'a Index, terms: &Terms, filter: &Filter) -> Vec<Hit<'a>> {
    let documents = index.documents.values().filter_map(Value::as_object);
    documents
        .filter(|document| filter.accepts(document))
        .filter_map(|document| Some(Hit { score: score(index, document, terms)?, document }))
        .collect()
}

/// How well a document fits; `None` if not at all. No words fit everything.
fn score(index: &Index, document: &Document, terms: &Terms) -> Option<f64> {
    if terms.words.is_empty() {
        return Some(1.0);
    }
    let texts = if terms.fields.is_empty() {
        texts(index, document)
    } else {
        let mut texts = Vec::new();
        for field in &terms.fields {
            collect_texts(filter::value_at(document, field), &mut texts);
        }
        texts
    };
    let counts: Vec<usize> = terms
        .words
        .iter()
        .map(|word| {
            let all = texts.iter().flat_map(|text| words(text));
            all.filter(|(_, token)| fits(word, &token.to_lowercase())).count()
        })
        .collect();
    let found = counts.iter().filter(|count| **count > 0).count();
    let enough = if terms.all { found == terms.words.len() } else { found > 0 };
    let sum = counts.iter().map(|count| u32::try_from(*count).unwrap_or(0)).sum::<u32>();
    enough.then(|| f64::from(sum) * 0.5)
}

/// All that can be searched in a document, one after the other.
pub(super) fn whole_text(index: &Index, document: &Document) -> String {
    texts(index, document).join(". ")
}

fn texts<'a>(index: &Index, document: &'a Document) -> Vec<&'a str> {
    let mut texts = Vec::new();
    for field in index.fields().filter(|field| field["searchable"] != false) {
        let name = field["name"].as_str().unwrap_or_default();
        collect_texts(document.get(name).unwrap_or(&Value::Null), &mut texts);
    }
    texts
}

/// A word of a query may end in `*`.
fn fits(word: &str, token: &str) -> bool {
    match word.strip_suffix('*') {
        Some(start) => token.starts_with(start),
        None => token == word,
    }
}

pub(super) fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}
