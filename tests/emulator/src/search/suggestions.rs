//! Suggest and autocomplete, by GET and POST, from the source fields of a suggester.

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::search::analysis::words;
use crate::search::highlights::{self, Marks};
use crate::search::hits::{Hit, Terms};
use crate::search::order::Order;
use crate::search::schema::{Document, Index};
use crate::search::selection::Selection;
use crate::search::{Request, filter, refusal, reply};

/// How many are given when nobody says.
const TOP: usize = 5;

/// What both operations are asked with.
struct Question {
    search: String,
    filter: String,
    select: String,
    orderby: String,
    top: usize,
    /// Around what was found, if the client wants marks.
    marks: Option<Marks>,
    /// `oneTerm`, `twoTerms` or `oneTermWithContext`.
    mode: String,
    /// Whether to tell how much of the index was searched: all of it.
    coverage: bool,
    /// The suggester's fields, or those of them that are asked for.
    fields: Vec<String>,
}

/// Documents in which a word of a source field starts with the text.
pub(super) fn suggest(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let index = request.queried(&memory)?;
    let question = Question::read(request, index)?;
    // Unlike a search, a suggestion shows only the key when nothing is selected.
    let select = if question.select.is_empty() { &index.key } else { &question.select };
    let selection =
        Selection::read(select, index).map_err(|problem| refusal::bad_expression(request.call, &problem, "$select"))?;
    let mut found = matching(request, index, &question)?;
    if !question.orderby.is_empty() {
        let order = Order::read(&question.orderby, index)
            .map_err(|problem| refusal::bad_expression(request.call, &problem, "$orderby"))?;
        let hit = |document| Hit { score: 1.0, document };
        found.sort_by(|(_, left), (_, right)| order.compare(&hit(*left), &hit(*right)));
    }
    let terms = Terms::of(&format!("{}*", question.search));
    let value = found
        .into_iter()
        .take(question.top)
        .map(|(text, document)| {
            let marked = question.marks.as_ref().and_then(|marks| highlights::marked(text, &terms, marks));
            let mut members = Map::new();
            members.insert("@search.text".to_owned(), marked.map_or_else(|| Value::from(text), Value::from));
            members.extend(selection.of(document));
            Value::Object(members)
        })
        .collect();
    let context = format!("indexes('{}')/$metadata#docs(*)", request.name());
    Ok(reply::json(request.call, StatusCode::OK, &context, question.members(value)))
}

/// The words of source fields that complete the text's last word.
pub(super) fn autocomplete(request: &Request<'_>) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    let index = request.queried(&memory)?;
    let mut question = Question::read(request, index)?;
    let before = match question.search.rsplit_once(' ') {
        Some((before, last)) => {
            let before = format!("{before} ");
            question.search = last.to_owned();
            before
        }
        None => String::new(),
    };
    let start = question.search.to_lowercase();
    let wanted_before = before.trim_end().rsplit(' ').next().unwrap_or_default().to_lowercase();
    let mut completions: Vec<String> = Vec::new();
    for (text, _) in matching(request, index, &question)? {
        let words: Vec<String> = words(text).map(|(_, word)| word.to_lowercase()).collect();
        for (place, word) in words.iter().enumerate().filter(|(_, word)| word.starts_with(&start)) {
            let in_context = place.checked_sub(1).and_then(|place| words.get(place)) == Some(&wanted_before);
            let completion = match (question.mode.as_str(), words.get(place + 1)) {
                ("twoTerms", Some(next)) => format!("{word} {next}"),
                ("oneTermWithContext", _) if !in_context && !wanted_before.is_empty() => continue,
                _ => word.clone(),
            };
            if !completions.contains(&completion) {
                completions.push(completion);
            }
        }
    }
    completions.sort();
    let value = completions
        .into_iter()
        .take(question.top)
        .map(|word| json!({"text": word, "queryPlusText": format!("{before}{word}")}))
        .collect();
    let kind = reply::versioned(request.call, "AutocompleteItem");
    let context = format!("indexes('{}')/$metadata#Collection({kind})", request.name());
    Ok(reply::json(request.call, StatusCode::OK, &context, question.members(value)))
}

/// The documents that pass the filter and have a word, in a source field, that starts with the
/// text; with the field's whole text.
fn matching<'a>(
    request: &Request<'_>,
    index: &'a Index,
    question: &Question,
) -> Result<Vec<(&'a str, &'a Document)>, Answer> {
    let filter = filter::read(&question.filter, index)
        .map_err(|problem| refusal::bad_expression(request.call, &problem, "$filter"))?;
    let start = question.search.to_lowercase();
    let documents = index.documents.values().filter_map(Value::as_object);
    let found = documents
        .filter(|document| filter.accepts(document))
        .filter_map(|document| {
            let texts = question.fields.iter().filter_map(|field| filter::value_at(document, field).as_str());
            let begins = |text: &str| {
                let text = text.to_lowercase();
                text.starts_with(&start) || words(&text).any(|(_, word)| word.starts_with(&start))
            };
            let text = texts.into_iter().find(|text| begins(text))?;
            Some((text, document))
        })
        .collect();
    Ok(found)
}

impl Question {
    fn read(request: &Request<'_>, index: &Index) -> Result<Self, Answer> {
        let body = if request.method == Method::GET { Map::new() } else { request.json()? };
        // In a body, parameters have no dollar sign, and numbers are numbers.
        let text = |name: &str| {
            let given = match body.get(name.trim_start_matches('$')) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            given.or_else(|| request.call.parameter(name)).unwrap_or_default()
        };
        let suggester = text("suggesterName");
        let Some(mut fields) = index.suggester(&suggester) else {
            let text = format!(
                "The specified suggester name '{suggester}' does not exist in this index \
                 definition.\r\nParameter name: name"
            );
            return Err(refusal::bad_request(request.call, &text));
        };
        let wanted = text("searchFields");
        if !wanted.is_empty() {
            let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
            fields.retain(|field| wanted.contains(&field.as_str()));
        }
        Ok(Self {
            search: text("search"),
            filter: text("$filter"),
            select: text("$select"),
            orderby: text("$orderby"),
            top: text("$top").parse().unwrap_or(TOP),
            marks: Some(Marks { before: text("highlightPreTag"), behind: text("highlightPostTag") })
                .filter(|marks| !marks.before.is_empty() && !marks.behind.is_empty()),
            mode: text("autocompleteMode"),
            coverage: !text("minimumCoverage").is_empty(),
            fields,
        })
    }

    fn members(&self, value: Vec<Value>) -> Map<String, Value> {
        let coverage = self.coverage.then(|| ("@search.coverage".to_owned(), json!(100.0)));
        coverage.into_iter().chain([("value".to_owned(), Value::Array(value))]).collect()
    }
}
