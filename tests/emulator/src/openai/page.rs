//! Lists: `limit`, `order`, `after` and `before`, as all kinds of objects have them.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::exchange::Call;
use crate::openai::refusal;

/// How many there are on a page that does not say, and how many there can be on one.
const USUAL: usize = 20;
const MOST: usize = 100;

/// One page of a list.
pub(super) struct Page {
    pub(super) data: Vec<Value>,
    pub(super) has_more: bool,
}

impl Page {
    /// Of `objects` in the order of their making; the newest come first, unless the request says otherwise.
    pub(super) fn of<'o>(call: &Call<'_>, objects: impl Iterator<Item = &'o Value>) -> Result<Self, Answer> {
        let limit = limit(call)?;
        let mut objects: Vec<&Value> = objects.collect();
        if call.parameter("order").as_deref() != Some("asc") {
            objects.reverse();
        }
        let place = |id: String| objects.iter().position(|object| object["id"] == id);
        let (data, has_more) = if let Some(before) = call.parameter("before") {
            let end = place(before).unwrap_or(0);
            (&objects[end.saturating_sub(limit)..end], end > limit)
        } else {
            let start = match call.parameter("after") {
                Some(after) => place(after).map_or(objects.len(), |place| place + 1),
                None => 0,
            };
            let end = objects.len().min(start + limit);
            (&objects[start..end], end < objects.len())
        };
        Ok(Self { data: data.iter().map(|object| (*object).clone()).collect(), has_more })
    }

    /// `{"object":"list",...}`, as most kinds have it.
    pub(super) fn list(self) -> Value {
        let id = |object: Option<&Value>| object.map_or(Value::Null, |object| object["id"].clone());
        let (first, last) = (id(self.data.first()), id(self.data.last()));
        json!({
            "object": "list",
            "data": self.data,
            "first_id": first,
            "last_id": last,
            "has_more": self.has_more,
        })
    }
}

fn limit(call: &Call<'_>) -> Result<usize, Answer> {
    let Some(text) = call.parameter("limit") else {
        return Ok(USUAL);
    };
    let refuse =
        |what: &str, code: &str| Err(refusal::invalid(call, &format!("Invalid 'limit': {what}"), "limit", code));
    match text.parse::<usize>() {
        Ok(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Ok(0) => {
            refuse("integer below minimum value. Expected a value >= 1, but got 0 instead.", "integer_below_min_value")
        }
        Ok(limit) => refuse(
            &format!("integer above maximum value. Expected a value <= {MOST}, but got {limit} instead."),
            "integer_above_max_value",
        ),
        Err(_) => refuse("expected an integer, but got a string instead.", "invalid_type"),
    }
}
