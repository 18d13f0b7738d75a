//! Which documents fit a search text, how well, and how their values are spread.

use serde_json::{Map, Value, json};

use crate::search::filter::{self, Filter};
use crate::search::query::Query;
use crate::search::service::{Document, Index};

/// A document that was found.
pub(super) struct Hit<'a> {
    pub(super) score: f64,
    pub(super) document: &'a Document,
}

/// The documents that pass `filter` and fit the words of `query`, in the order of their arrival.
pub(super) fn hits<'a>(index: &'a Index, query: &Query, filter: &Filter) -> Vec<Hit<'a>> {
    let words: Vec<String> = query
        .search
        .split_whitespace()
        .map(|word| word.trim_matches(['+', '"', '(', ')']).to_lowercase())
        .filter(|word| !word.is_empty() && word != "*")
        .collect();
    let fields: Vec<&str> = query.fields.split(',').map(str::trim).filter(|field| !field.is_empty()).collect();
    let documents = index.documents.values().filter_map(Value::as_object);
    documents
        .filter(|document| filter.accepts(document))
        .filter_map(|document| {
            let score = score(index, document, &fields, &words, query.all_words)?;
            Some(Hit { score, document })
        })
        .collect()
}

/// How well a document fits; `None` if not at all. No words fit everything.
fn score(index: &Index, document: &Document, fields: &[&str], words: &[String], all: bool) -> Option<f64> {
    if words.is_empty() {
        return Some(1.0);
    }
    let mut texts = Vec::new();
    if fields.is_empty() {
        for field in index.fields().filter(|field| field["searchable"] != false) {
            let name = field["name"].as_str().unwrap_or_default();
            collect_texts(document.get(name).unwrap_or(&Value::Null), &mut texts);
        }
    } else {
        for field in fields {
            collect_texts(filter::value_at(document, field), &mut texts);
        }
    }
    let counts: Vec<usize> = words
        .iter()
        .map(|word| {
            let all_tokens = texts.iter().flat_map(|text| tokens(text));
            all_tokens.filter(|(_, token)| fits(word, &token.to_lowercase())).count()
        })
        .collect();
    let found = counts.iter().filter(|count| **count > 0).count();
    let enough = if all { found == words.len() } else { found > 0 };
    let sum = counts.iter().map(|count| u32::try_from(*count).unwrap_or(0)).sum::<u32>();
    enough.then(|| f64::from(sum) * 0.5)
}

/// A word of a query may end in `*`.
fn fits(word: &str, token: &str) -> bool {
    match word.strip_suffix('*') {
        Some(start) => token.starts_with(start),
        None => token == word,
    }
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// The words of a text, each with the byte where it starts.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = move |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| (start(word), word))
}

/// `Category,count:3`: the values of a field and how often they occur, most frequent first.
pub(super) fn facets(wanted: &[String], hits: &[Hit<'_>]) -> Value {
    let mut facets = Map::new();
    for facet in wanted {
        let mut parts = facet.split(',');
        let field = parts.next().unwrap_or_default();
        let limit = parts.find_map(|part| part.trim().strip_prefix("count:")?.parse().ok()).unwrap_or(10);
        let mut buckets: Vec<(Value, usize)> = Vec::new();
        for hit in hits {
            let value = filter::value_at(hit.document, field);
            let values = match value {
                Value::Array(values) => values.as_slice(),
                Value::Null => &[],
                value => std::slice::from_ref(value),
            };
            for value in values {
                match buckets.iter_mut().find(|(bucket, _)| bucket == value) {
                    Some((_, count)) => *count += 1,
                    None => buckets.push((value.clone(), 1)),
                }
            }
        }
        buckets.sort_by(|(_, left), (_, right)| right.cmp(left));
        let buckets = buckets.into_iter().take(limit);
        let buckets = buckets.map(|(value, count)| json!({"count": count, "value": value}));
        facets.insert(field.to_owned(), buckets.collect());
    }
    Value::Object(facets)
}
