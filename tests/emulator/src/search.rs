//! Azure AI Search: who may come in, which operation it is, and the table of all operations (B3).
//!
//! The order is: credentials, then the operation, then what this principal may do, then the
//! api-version, then the operation's own checks.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::azure::Azure;
use crate::credentials::{self, Key};
use crate::directory::{Judgement, Role};
use crate::exchange::Call;
use crate::lenient::{self, Reading};
use crate::{Door, Plane, target};

mod documents;
mod filter;
mod hits;
mod hotels;
mod indexes;
mod order;
mod query;
mod refusal;
mod reply;
mod route;
mod selection;
mod service;
mod statistics;
mod suggestions;
mod unserved;

pub(crate) use refusal::{NAMES as FAULTS, on_demand};
pub(crate) use service::Service;

use service::Index;

/// What an operation gets: everything before it was in order.
struct Request<'a> {
    azure: &'a Azure,
    call: &'a Call<'a>,
    /// The method that counts: the lenient door lets it be overridden.
    method: Method,
    /// What stood for each `{}` in the path, decoded: an index, a document key.
    names: Vec<String>,
}

/// One line of the table.
struct Operation {
    name: &'static str,
    method: Method,
    /// `{}` stands for one name, as a segment or in `('…')`.
    paths: &'static [&'static str],
    access: Access,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
}

/// What an operation does, hence which key or role it takes (B2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadDocuments,
    WriteDocuments,
    Manage,
}

/// Who is asking.
enum Caller {
    AdminKey,
    QueryKey,
    Principal(String),
}

/// All operations. To add one, add a line; the first path that fits counts.
const OPERATIONS: &[Operation] = &[
    Operation {
        name: "docs-search",
        method: Method::GET,
        paths: &["indexes/{}/docs"],
        access: Access::ReadDocuments,
        run: query::by_get,
    },
    Operation {
        name: "docs-search",
        method: Method::POST,
        paths: &["indexes/{}/docs/search.post.search", "indexes/{}/docs/search"],
        access: Access::ReadDocuments,
        run: query::by_post,
    },
    Operation {
        name: "docs-suggest",
        method: Method::GET,
        paths: &["indexes/{}/docs/search.suggest", "indexes/{}/docs/suggest"],
        access: Access::ReadDocuments,
        run: suggestions::suggest,
    },
    Operation {
        name: "docs-suggest",
        method: Method::POST,
        paths: &["indexes/{}/docs/search.post.suggest", "indexes/{}/docs/suggest"],
        access: Access::ReadDocuments,
        run: suggestions::suggest,
    },
    Operation {
        name: "docs-autocomplete",
        method: Method::GET,
        paths: &["indexes/{}/docs/search.autocomplete", "indexes/{}/docs/autocomplete"],
        access: Access::ReadDocuments,
        run: suggestions::autocomplete,
    },
    Operation {
        name: "docs-autocomplete",
        method: Method::POST,
        paths: &["indexes/{}/docs/search.post.autocomplete", "indexes/{}/docs/autocomplete"],
        access: Access::ReadDocuments,
        run: suggestions::autocomplete,
    },
    Operation {
        name: "docs-count",
        method: Method::GET,
        paths: &["indexes/{}/docs/$count"],
        access: Access::ReadDocuments,
        run: documents::count,
    },
    Operation {
        name: "docs-lookup",
        method: Method::GET,
        paths: &["indexes/{}/docs/{}"],
        access: Access::ReadDocuments,
        run: documents::lookup,
    },
    Operation {
        name: "docs-index",
        method: Method::POST,
        paths: &["indexes/{}/docs/search.index", "indexes/{}/docs/index"],
        access: Access::WriteDocuments,
        run: documents::index,
    },
    Operation {
        name: "index-list",
        method: Method::GET,
        paths: &["indexes"],
        access: Access::Manage,
        run: indexes::list,
    },
    Operation {
        name: "index-create",
        method: Method::POST,
        paths: &["indexes"],
        access: Access::Manage,
        run: indexes::create,
    },
    Operation {
        name: "index-get",
        method: Method::GET,
        paths: &["indexes/{}"],
        access: Access::Manage,
        run: indexes::get,
    },
    Operation {
        name: "index-put",
        method: Method::PUT,
        paths: &["indexes/{}"],
        access: Access::Manage,
        run: indexes::put,
    },
    Operation {
        name: "index-delete",
        method: Method::DELETE,
        paths: &["indexes/{}"],
        access: Access::Manage,
        run: indexes::delete,
    },
    Operation {
        name: "index-stats",
        method: Method::GET,
        paths: &["indexes/{}/search.stats", "indexes/{}/stats"],
        access: Access::Manage,
        run: statistics::of_index,
    },
    Operation {
        name: "index-analyze",
        method: Method::POST,
        paths: &["indexes/{}/search.analyze", "indexes/{}/analyze"],
        access: Access::Manage,
        run: statistics::analyze,
    },
    Operation {
        name: "servicestats",
        method: Method::GET,
        paths: &["servicestats"],
        access: Access::Manage,
        run: statistics::of_service,
    },
];

/// Answers one request.
pub(crate) fn answer(azure: &Azure, call: &Call<'_>) -> Answer {
    decide(azure, call).unwrap_or_else(|refusal| refusal)
}

fn decide(azure: &Azure, call: &Call<'_>) -> Result<Answer, Answer> {
    let lenient = call.door == Door::Lenient;
    let (method, segments) = if lenient {
        let Reading { method, segments } = lenient::read(&call.method, call.path, call.query, call.headers);
        (method, route::of_careless(segments))
    } else {
        (call.method.clone(), route::read_raw(call.path))
    };
    let found =
        if lenient { find_leniently(&method, &segments) } else { route::find(OPERATIONS, &method, &segments, false) };
    if let Some((operation, names)) = &found {
        call.record.note(|entry| {
            entry.operation = Some(operation.name);
            entry.subject = names.first().cloned();
        });
    }

    let caller = authenticate(azure, call)?;
    let Some((operation, names)) = found else {
        return Err(refusal::no_such_path(call));
    };
    authorize(azure, call, &caller, operation.access)?;
    if !target::is_api_version(&call.parameter("api-version").unwrap_or_default()) {
        return Err(refusal::api_version(call));
    }
    let request = Request { azure, call, method, names };
    let answer = (operation.run)(&request)?;
    call.record.note(|entry| entry.completed = true);
    Ok(answer)
}

/// What a careless server takes a request for: the operation's name, and the index or other thing that its path names.
pub(crate) fn recognise_leniently(reading: Reading) -> Option<(&'static str, Option<String>)> {
    let (operation, names) = find_leniently(&reading.method, &route::of_careless(reading.segments))?;
    Some((operation.name, names.into_iter().next()))
}

/// The same of a careful server.
pub(crate) fn recognise(method: &Method, raw_path: &str) -> Option<(&'static str, Option<String>)> {
    let segments = route::read_raw(raw_path);
    let found = route::find(OPERATIONS, method, &segments, false);
    let (operation, names) = found.or_else(|| route::find(unserved::OPERATIONS, method, &segments, false))?;
    Some((operation.name, names.into_iter().next()))
}

/// Ignores case, and knows what is not served besides.
fn find_leniently(method: &Method, segments: &[route::Segment]) -> Option<(&'static Operation, Vec<String>)> {
    route::find(OPERATIONS, method, segments, true)
        .or_else(|| route::find(unserved::OPERATIONS, method, segments, true))
}

fn authenticate(azure: &Azure, call: &Call<'_>) -> Result<Caller, Answer> {
    let options = &azure.options;
    // "If you provide both in the same request, the API key is used" (B1).
    if let Some(key) = credentials::key(call.headers, call.query) {
        if call.door != Door::KeysEnabled {
            return Err(refusal::keys_disabled(call, options.key_refusal));
        }
        return match key {
            Key::Header(key) if key == options.keys.search_admin => Ok(Caller::AdminKey),
            Key::Query(key) if key == options.keys.search_admin => Err(refusal::admin_key_in_query(call)),
            Key::Header(key) | Key::Query(key) if key == options.keys.search_query => Ok(Caller::QueryKey),
            Key::Header(_) | Key::Query(_) => Err(refusal::wrong_key(call)),
        };
    }
    if !call.headers.contains_key(hyper::header::AUTHORIZATION) {
        return Err(refusal::no_credential(call, options.no_credential));
    }
    let judged = credentials::bearer(call.headers)
        .map_or(Judgement::Foreign, |token| azure.directory.judge(token, Plane::Search));
    match judged {
        Judgement::Fit(object_id) => {
            call.record.note(|entry| entry.principal = Some(object_id.clone()));
            Ok(Caller::Principal(object_id))
        }
        Judgement::Unfit | Judgement::Foreign => Err(refusal::bad_token(call, options.bearer_refusal)),
    }
}

fn authorize(azure: &Azure, call: &Call<'_>, caller: &Caller, access: Access) -> Result<(), Answer> {
    match caller {
        Caller::AdminKey => Ok(()),
        Caller::QueryKey if access == Access::ReadDocuments => Ok(()),
        Caller::QueryKey => Err(refusal::wrong_key(call)),
        Caller::Principal(object_id) if azure.directory.has_any_role(object_id, access.roles()) => Ok(()),
        Caller::Principal(_) => Err(refusal::role_missing(call, azure.options.role_refusal)),
    }
}

// === impl Access ===

impl Access {
    /// One of these is enough.
    fn roles(self) -> &'static [Role] {
        match self {
            Self::ReadDocuments => &[Role::SearchIndexDataReader, Role::SearchIndexDataContributor],
            Self::WriteDocuments => &[Role::SearchIndexDataContributor],
            Self::Manage => &[Role::SearchServiceContributor],
        }
    }
}

// === impl Request ===

impl Request<'_> {
    /// The name of the index in the path.
    fn index(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The index in the path, if it exists.
    fn index_in<'i>(&self, indexes: &'i BTreeMap<String, Index>) -> Result<&'i Index, Answer> {
        indexes.get(self.index()).ok_or_else(|| refusal::no_such_index(self.call, self.index()))
    }

    /// The body, which must be a JSON object.
    fn json(&self) -> Result<serde_json::Map<String, Value>, Answer> {
        serde_json::from_slice(&self.call.body).map_err(|_| {
            let text = "The request is invalid. Details: The request body is not a valid JSON object.\r\n";
            refusal::bad_request(self.call, text)
        })
    }
}
