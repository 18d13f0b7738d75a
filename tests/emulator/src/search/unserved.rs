//! Operations that the emulator does not serve. The lenient door takes them for done, so that whoever lets one through
//! without leave is caught.

use hyper::{Method, StatusCode};
use serde_json::Map;

use super::{Access, Operation, Request, reply};
use crate::answer::Answer;

const fn unserved(name: &'static str, method: Method, paths: &'static [&'static str]) -> Operation {
    Operation { name, method, paths, access: Access::Manage, run: done }
}

pub(super) const OPERATIONS: &[Operation] = &[
    // OData's way to hold any number of operations in one body.
    unserved("batch", Method::POST, &["$batch", "indexes/$batch", "indexes/{}/$batch", "indexes/{}/docs/$batch"]),
    unserved("indexers-run", Method::POST, &["indexers/{}/search.run", "indexers/{}/run"]),
    unserved("indexers-list", Method::GET, &["indexers"]),
    unserved("datasources-get", Method::GET, &["datasources/{}"]),
    unserved("datasources-put", Method::PUT, &["datasources/{}"]),
    unserved("skillsets-put", Method::PUT, &["skillsets/{}"]),
    unserved("synonymmaps-put", Method::PUT, &["synonymmaps/{}"]),
    unserved("aliases-list", Method::GET, &["aliases"]),
    unserved("aliases-put", Method::PUT, &["aliases/{}"]),
    unserved("aliases-delete", Method::DELETE, &["aliases/{}"]),
    unserved("knowledgebases-retrieve", Method::POST, &["knowledgebases/{}/retrieve"]),
];

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
fn done(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(reply::json(request, StatusCode::OK, "", Map::new()))
}
