//! Operations that the emulator does not serve. The lenient door takes them for done, so that whoever lets one through
//! without leave is caught.

use hyper::{Method, StatusCode};
use serde_json::Map;

use super::operations::{Operation, manages};
use super::{Request, reply};
use crate::answer::Answer;

// OData's way to hold any number of operations in one body.
pub(super) const OPERATIONS: &[Operation] = &[manages(
    "batch",
    Method::POST,
    &["$batch", "indexes/$batch", "indexes/{}/$batch", "indexes/{}/docs/$batch"],
    done,
)];

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
fn done(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(reply::json(request.call, StatusCode::OK, "", Map::new()))
}
