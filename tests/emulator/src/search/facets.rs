//! How the values of a field are spread over what was found.

use serde_json::{Map, Value, json};

use crate::search::filter;
use crate::search::hits::Hit;
use crate::search::order::{compare, number};

/// How many buckets are shown when nobody says.
const COUNT: usize = 10;

/// `Category,count:3,sort:value`, `Rating,values:2|4`, `Rating,interval:1`: one entry for each.
pub(super) fn of(wanted: &[String], hits: &[Hit<'_>]) -> Value {
    let facets = wanted.iter().map(|facet| {
        let (field, options) = facet.split_once(',').unwrap_or((facet, ""));
        let buckets = Options::read(options).buckets(&values(hits, field.trim()));
        (field.trim().to_owned(), Value::Array(buckets))
    });
    Value::Object(facets.collect())
}

fn values<'a>(hits: &[Hit<'a>], field: &str) -> Vec<&'a Value> {
    let all = hits.iter().flat_map(|hit| match filter::value_at(hit.document, field) {
        Value::Array(values) => values.as_slice(),
        Value::Null => &[],
        value => std::slice::from_ref(value),
    });
    all.collect()
}

#[derive(Default)]
struct Options {
    count: Option<usize>,
    sort: String,
    /// The borders of ranges.
    borders: Vec<Value>,
    interval: Option<f64>,
}

impl Options {
    fn read(text: &str) -> Self {
        let mut options = Self::default();
        for (name, value) in text.split(',').filter_map(|option| option.split_once(':')) {
            match name.trim() {
                "count" => options.count = value.trim().parse().ok(),
                "sort" => value.trim().clone_into(&mut options.sort),
                "interval" => options.interval = value.trim().parse().ok(),
                "values" => options.borders = value.split('|').map(border).collect(),
                _ => {}
            }
        }
        options
    }

    fn buckets(&self, values: &[&Value]) -> Vec<Value> {
        if !self.borders.is_empty() {
            return self.ranges(values);
        }
        let mut buckets: Vec<(Value, usize)> = Vec::new();
        for value in values {
            let value = self.start_of(value);
            match buckets.iter_mut().find(|(bucket, _)| *bucket == value) {
                Some((_, count)) => *count += 1,
                None => buckets.push((value, 1)),
            }
        }
        buckets.sort_by(|(left, left_count), (right, right_count)| {
            let by_value = compare(left, right).unwrap_or(std::cmp::Ordering::Equal);
            match self.sort.as_str() {
                "value" => by_value,
                "-value" => by_value.reverse(),
                "-count" => left_count.cmp(right_count),
                _ if self.interval.is_some() => by_value,
                _ => right_count.cmp(left_count),
            }
        });
        let buckets = buckets.into_iter().take(self.count.unwrap_or(COUNT));
        buckets.map(|(value, count)| json!({"count": count, "value": value})).collect()
    }

    /// One more than there are borders; each shows those that it has.
    fn ranges(&self, values: &[&Value]) -> Vec<Value> {
        let from = std::iter::once(None).chain(self.borders.iter().map(Some));
        let to = self.borders.iter().map(Some).chain(std::iter::once(None));
        from.zip(to)
            .map(|(from, to)| {
                let above = |value| from.is_none_or(|from| compare(value, from).is_some_and(std::cmp::Ordering::is_ge));
                let below = |value| to.is_none_or(|to| compare(value, to).is_some_and(std::cmp::Ordering::is_lt));
                let count = values.iter().filter(|value| above(value) && below(value)).count();
                let mut bucket = Map::from_iter([("count".to_owned(), json!(count))]);
                bucket.extend(from.map(|from| ("from".to_owned(), from.clone())));
                bucket.extend(to.map(|to| ("to".to_owned(), to.clone())));
                Value::Object(bucket)
            })
            .collect()
    }

    /// The value itself, or where its interval starts.
    fn start_of(&self, value: &Value) -> Value {
        match (value, self.interval) {
            (Value::Number(value), Some(interval)) if interval > 0.0 => {
                json!((number(value) / interval).floor() * interval)
            }
            _ => value.clone(),
        }
    }
}

/// A number where it is one, or a date.
fn border(text: &str) -> Value {
    text.trim().parse::<f64>().map_or_else(|_| Value::from(text.trim()), |number| json!(number))
}
