//! Search: its parameters, by GET and by POST, and its pages.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::search::filter;
use crate::search::hits::{facets, hits};
use crate::search::order::Order;
use crate::search::selection::Selection;
use crate::search::{Request, refusal, reply};
use crate::target;

/// How many documents an answer has when nobody says (`$top`), and how many at most.
const PAGE: usize = 50;
const PAGE_LIMIT: usize = 1000;

/// The parameters of a search, from wherever they came.
pub(super) struct Query {
    pub(super) search: String,
    filter: String,
    orderby: String,
    select: String,
    /// Where to look for the words; everywhere if empty.
    pub(super) fields: String,
    facets: Vec<String>,
    pub(super) all_words: bool,
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
    let index = request.index_in(&indexes)?;
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
