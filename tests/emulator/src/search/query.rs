//! Search: which documents, in which order, which of their fields, and where the next page is.

use std::cmp::Ordering;

use hyper::StatusCode;
use serde_json::{Map, Number, Value, json};

use crate::answer::Answer;
use crate::search::filter::{self, Filter};
use crate::search::service::{Document, Index};
use crate::search::{Request, refusal, reply};
use crate::target;

/// How many documents an answer has when nobody says (`$top`), and how many at most.
const PAGE: usize = 50;
const PAGE_LIMIT: usize = 1000;

/// The parameters of a search, from wherever they came.
struct Query {
    search: String,
    filter: String,
    orderby: String,
    select: String,
    fields: String,
    facets: Vec<String>,
    all_words: bool,
    count: bool,
    skip: usize,
    top: Option<usize>,
}

/// `GET …/docs?search=…`
pub(super) fn by_get(request: &Request<'_>) -> Result<Answer, Answer> {
    let get = |name: &str| {
        let bare = || request.call.parameter(name.trim_start_matches('$'));
        request.call.parameter(name).or_else(bare)
    };
    let text = |name: &str| get(name).unwrap_or_default();
    let number = |name: &str| get(name).and_then(|value| value.parse().ok());
    let query = Query {
        search: text("search"),
        filter: text("$filter"),
        orderby: text("$orderby"),
        select: text("$select"),
        fields: text("searchFields"),
        facets: target::parameters(request.call.query)
            .filter_map(|(name, value)| (name == "facet").then_some(value))
            .collect(),
        all_words: text("searchMode") == "all",
        count: text("$count") == "true",
        skip: number("$skip").unwrap_or(0),
        top: number("$top"),
    };
    let link = |skip: usize, top: Option<usize>| {
        let mut link = format!("{}/indexes('{}')/docs?", request.call.origin, request.index());
        for (name, value) in target::parameters(request.call.query) {
            if !matches!(name.as_str(), "$skip" | "$top") {
                link.push_str(&format!("{}={}&", target::encode(&name), target::encode(&value)));
            }
        }
        link.push_str(&format!("$skip={skip}"));
        if let Some(top) = top {
            link.push_str(&format!("&$top={top}"));
        }
        (link, None)
    };
    run(request, &query, link)
}

/// `POST …/docs/search.post.search`
pub(super) fn by_post(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let number = |name: &str| {
        let value = body.get(name).and_then(Value::as_u64);
        value.and_then(|value| usize::try_from(value).ok())
    };
    let facets = body.get("facets").and_then(Value::as_array);
    let query = Query {
        search: text("search"),
        filter: text("filter"),
        orderby: text("orderby"),
        select: text("select"),
        fields: text("searchFields"),
        facets: facets.into_iter().flatten().filter_map(|facet| facet.as_str().map(str::to_owned)).collect(),
        all_words: text("searchMode") == "all",
        count: body.get("count") == Some(&Value::Bool(true)),
        skip: number("skip").unwrap_or(0),
        top: number("top"),
    };
    // Only a POST is told how to go on by POST: the same body, its members sorted.
    let link = |skip: usize, top: Option<usize>| {
        let version = request.call.parameter("api-version").unwrap_or_default();
        let link = format!(
            "{}/indexes('{}')/docs/search.post.search?api-version={}",
            request.call.origin,
            request.index(),
            target::encode(&version),
        );
        let mut next = body.clone();
        next.insert("skip".to_owned(), json!(skip));
        if let Some(top) = top {
            next.insert("top".to_owned(), json!(top));
        }
        next.sort_keys();
        (link, Some(next))
    };
    run(request, &query, link)
}

/// `link` makes the next page's URL and parameters from its `skip` and `top`.
fn run(
    request: &Request<'_>,
    query: &Query,
    link: impl Fn(usize, Option<usize>) -> (String, Option<Map<String, Value>>),
) -> Result<Answer, Answer> {
    let call = request.call;
    let indexes = request.azure.search.indexes();
    let index = indexes.get(request.index()).ok_or_else(|| refusal::no_such_index(call, request.index()))?;
    let filter =
        filter::read(&query.filter, index).map_err(|problem| refusal::bad_expression(call, &problem, "$filter"))?;
    let selection =
        Selection::read(&query.select, index).map_err(|problem| refusal::bad_expression(call, &problem, "$select"))?;
    let order =
        Order::read(&query.orderby, index).map_err(|problem| refusal::bad_expression(call, &problem, "$orderby"))?;

    let mut hits = hits(index, query, &filter);
    hits.sort_by(|left, right| order.compare(left, right));

    let total = hits.len();
    let size = query.top.unwrap_or(PAGE).min(PAGE_LIMIT);
    let page = hits.iter().skip(query.skip).take(size);
    let value: Vec<Value> = page
        .map(|hit| {
            let mut members = Map::new();
            members.insert("@search.score".to_owned(), json!(hit.score));
            members.extend(selection.of(hit.document));
            Value::Object(members)
        })
        .collect();

    let end = query.skip + value.len();
    // With `$top` the caller asked for no more than that.
    let left = query.top.map(|top| top - value.len().min(top));
    let more = end < total && !value.is_empty() && left != Some(0);
    let mut members = Map::new();
    if query.count {
        members.insert("@odata.count".to_owned(), json!(total));
    }
    if !query.facets.is_empty() {
        members.insert("@search.facets".to_owned(), facets(&query.facets, &hits));
    }
    let next = more.then(|| link(end, left));
    if let Some((_, Some(parameters))) = &next {
        let parameters = Value::Object(parameters.clone());
        members.insert("@search.nextPageParameters".to_owned(), parameters);
    }
    members.insert("value".to_owned(), Value::Array(value));
    if let Some((link, _)) = next {
        members.insert("@odata.nextLink".to_owned(), Value::from(link));
    }
    let context = format!("indexes('{}')/$metadata#docs(*)", request.index());
    Ok(reply::json(request, StatusCode::OK, &context, members))
}

/// A document that was found.
struct Hit<'a> {
    score: f64,
    document: &'a Document,
}

fn hits<'a>(index: &'a Index, query: &Query, filter: &Filter) -> Vec<Hit<'a>> {
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
fn facets(wanted: &[String], hits: &[Hit<'_>]) -> Value {
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

/// `$orderby`; without one, the score.
struct Order {
    /// `None` is the score.
    parts: Vec<(Option<String>, bool)>,
}

impl Order {
    fn read(text: &str, index: &Index) -> Result<Self, String> {
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

    fn compare(&self, left: &Hit<'_>, right: &Hit<'_>) -> Ordering {
        for (field, descending) in &self.parts {
            let ordering = match field {
                None => left.score.total_cmp(&right.score),
                Some(field) => compare(filter::value_at(left.document, field), filter::value_at(right.document, field)),
            };
            let ordering = if *descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

/// Null comes first; unlike things are equal.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Number(left), Value::Number(right)) => number(left).total_cmp(&number(right)),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

fn number(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

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
