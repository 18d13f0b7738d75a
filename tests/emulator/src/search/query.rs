//! Search: what is found, what is said of it, and in which pages.

mod parameters;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::exchange::Call;
use crate::search::filter::{self, Filter};
use crate::search::hits::{self, Hit, Terms};
use crate::search::order::Order;
use crate::search::schema::Index;
use crate::search::selection::Selection;
use crate::search::semantic::Semantic;
use crate::search::{Request, facets, highlights, refusal, reply, vectors};
use crate::target;
use parameters::Parameters;

/// How many documents an answer has when nobody says (`$top`), and how many at most.
const PAGE: usize = 50;
const PAGE_LIMIT: usize = 1000;

/// Where the next page is: its URL, and what to send there if it is to be posted.
type Link = (String, Option<Map<String, Value>>);

/// `GET …/docs?search=…`
pub(super) fn by_get(request: &Request<'_>) -> Result<Answer, Answer> {
    let link = |skip: usize, top: Option<usize>| {
        let mut link = format!("{}/indexes('{}')/docs?", request.call.origin, request.name());
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
    run(request, &Parameters::of_get(request.call), link)
}

/// `POST …/docs/search.post.search`
pub(super) fn by_post(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    // Only a POST is told how to go on by POST: the same body, its members sorted.
    let link = |skip: usize, top: Option<usize>| {
        let version = request.call.parameter("api-version").unwrap_or_default();
        let link = format!(
            "{}/indexes('{}')/docs/search.post.search?api-version={}",
            request.call.origin,
            request.name(),
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
    run(request, &Parameters::of_body(body.clone()), link)
}

/// `link` makes the next page's link from its `skip` and `top`.
fn run(
    request: &Request<'_>,
    asked: &Parameters,
    link: impl Fn(usize, Option<usize>) -> Link,
) -> Result<Answer, Answer> {
    let call = request.call;
    let memory = request.azure.search.memory();
    let index = request.queried(&memory)?;
    let bad = |parameter: &'static str| move |problem: String| refusal::bad_expression(call, &problem, parameter);
    let filter = filter::read(asked.text("filter"), index).map_err(bad("$filter"))?;
    let selection = Selection::read(asked.text("select"), index).map_err(bad("$select"))?;
    let order = Order::read(asked.text("orderby"), index).map_err(bad("$orderby"))?;
    let semantic = Semantic::read(call, &asked.given, index)?;
    check(call, asked, index)?;

    let terms = asked.terms();
    let mut hits = found(call, asked, index, &terms, &filter)?;
    hits.sort_by(|left, right| order.compare(left, right));

    let total = hits.len();
    let size = asked.top.unwrap_or(PAGE).min(PAGE_LIMIT);
    let page = hits.iter().skip(asked.skip).take(size);
    let value: Vec<Value> = page
        .map(|hit| {
            let mut members = Map::from_iter([("@search.score".to_owned(), json!(hit.score))]);
            members.extend(semantic.iter().flat_map(|semantic| semantic.of_hit(index, hit)));
            if let Some(highlights) = highlights::of(hit.document, asked.text("highlight"), &terms, &asked.marks) {
                members.insert("@search.highlights".to_owned(), highlights);
            }
            members.extend(selection.of(hit.document));
            Value::Object(members)
        })
        .collect();

    let end = asked.skip + value.len();
    // With `$top` the caller asked for no more than that.
    let left = asked.top.map(|top| top - value.len().min(top));
    let more = end < total && !value.is_empty() && left != Some(0);
    let mut members = Map::new();
    let mut member = |name: &str, value: Option<Value>| members.extend(value.map(|value| (name.to_owned(), value)));
    let (link, next) = more.then(|| link(end, left)).unzip();
    member("@odata.count", asked.count.then(|| json!(total)));
    let coverage = asked.given.get("minimumCoverage").filter(|wanted| wanted.is_number());
    member("@search.coverage", coverage.map(|_| json!(100.0)));
    member("@search.facets", (!asked.facets.is_empty()).then(|| facets::of(&asked.facets, &hits)));
    member("@search.answers", semantic.and_then(|semantic| semantic.answers(index, &hits)));
    member("@search.nextPageParameters", next.flatten().map(Value::Object));
    member("value", Some(Value::Array(value)));
    member("@odata.nextLink", link.map(Value::from));
    let context = format!("indexes('{}')/$metadata#docs(*)", request.name());
    Ok(reply::json(call, StatusCode::OK, &context, members))
}

/// By words, by nearness, or by both, fused.
fn found<'i>(
    call: &Call<'_>,
    asked: &Parameters,
    index: &'i Index,
    terms: &Terms,
    filter: &Filter,
) -> Result<Vec<Hit<'i>>, Answer> {
    let mut rankings = Vec::new();
    for query in vectors::read(&asked.given) {
        rankings.push(query.find(call, index, filter)?);
    }
    if rankings.is_empty() || !asked.text("search").is_empty() {
        let mut by_words = hits::find(index, terms, filter);
        if rankings.is_empty() {
            return Ok(by_words);
        }
        by_words.sort_by(|left, right| right.score.total_cmp(&left.score));
        rankings.push(by_words);
    }
    match rankings.len() {
        1 => Ok(rankings.pop().unwrap_or_default()),
        _ => Ok(vectors::fuse(rankings)),
    }
}

/// What a search may be refused for besides its expressions.
fn check(call: &Call<'_>, asked: &Parameters, index: &Index) -> Result<(), Answer> {
    let search = asked.text("search");
    // What opens must close: a regular expression, a phrase, a group.
    let odd = |sign: char| !search.matches(sign).count().is_multiple_of(2);
    let open = search.matches('(').count() != search.matches(')').count();
    if asked.text("queryType") == "full" && (odd('/') || odd('"') || open) {
        let text = format!(
            "Failed to parse query string at line 1, column {}. See https://aka.ms/azure-search-full-query for supported \
             syntax.",
            search.chars().count() + 1
        );
        return Err(refusal::bad_request(call, &text));
    }
    let profile = asked.text("scoringProfile");
    let profiles = index.object.definition.get("scoringProfiles").and_then(Value::as_array);
    if !profile.is_empty() && !profiles.into_iter().flatten().any(|known| known["name"] == profile) {
        let text = format!(
            "Scoring profile '{profile}' does not exist in this index definition.\r\nParameter name: scoringProfile"
        );
        return Err(refusal::bad_request(call, &text));
    }
    Ok(())
}
