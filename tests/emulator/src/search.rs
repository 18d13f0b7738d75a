//! Azure AI Search: who may come in, and which operation it is.
//!
//! The order is: credentials, then the operation, then what this principal may do, then the
//! api-version, then the operation's own checks.

use hyper::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::azure::Azure;
use crate::credentials::{self, Key};
use crate::directory::Judgement;
use crate::exchange::Call;
use crate::lenient::{self, Reading};
use crate::options::SearchStack;
use crate::{Door, Plane, target};

mod analysis;
mod documents;
mod entity;
mod facets;
mod filter;
mod highlights;
mod hits;
mod hotels;
mod indexes;
mod operations;
mod order;
mod query;
mod refusal;
mod reply;
mod route;
mod schema;
mod selection;
mod semantic;
mod service;
mod stack;
mod statistics;
mod stored;
mod suggestions;
mod unserved;
mod vectors;

pub(crate) use refusal::NAMES as FAULTS;
pub(crate) use service::Service;

use operations::{Access, Operation};
use schema::Index;
use service::Memory;

/// What an operation gets: everything before it was in order.
struct Request<'a> {
    azure: &'a Azure,
    call: &'a Call<'a>,
    /// The method that counts: the lenient door lets it be overridden.
    method: Method,
    /// What stood for each `{}` in the path, decoded: an index, a document key.
    names: Vec<String>,
}

/// Who is asking.
enum Caller {
    AdminKey,
    QueryKey,
    Principal(String),
}

/// Answers one request.
pub(crate) fn answer(azure: &Azure, call: &Call<'_>) -> Answer {
    of_stack(azure, decide(azure, call).unwrap_or_else(|refusal| refusal))
}

/// Answers by name.
pub(crate) fn on_demand(azure: &Azure, name: &str, call: &Call<'_>) -> Option<Answer> {
    Some(of_stack(azure, refusal::on_demand(name, call)?))
}

fn of_stack(azure: &Azure, answer: Answer) -> Answer {
    match azure.options.search_stack {
        SearchStack::Current => answer,
        SearchStack::Until2022 => stack::until_2022(answer),
    }
}

fn decide(azure: &Azure, call: &Call<'_>) -> Result<Answer, Answer> {
    let lenient = call.door == Door::Lenient;
    let (method, segments) = if lenient {
        let Reading { method, segments } = lenient::read(&call.method, call.path, call.query, call.headers);
        (method, route::of_careless(segments))
    } else {
        (call.method.clone(), route::read_raw(call.path))
    };
    let found = if lenient {
        find_leniently(&method, &segments)
    } else {
        route::find(operations::all(), &method, &segments, false)
    };
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
    // What is managed counts as done at the lenient door when it is reached, whatever is there or is said in the body:
    // what matters there is who let it through.
    if lenient && matches!(operation.access, Access::Manage | Access::Retrieve) {
        call.record.note(|entry| entry.completed = true);
    }
    let answer = (operation.run)(&Request { azure, call, method, names })?;
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
    let found = route::find(operations::all(), method, &segments, false);
    let (operation, names) = found.or_else(|| route::find(unserved::OPERATIONS.iter(), method, &segments, false))?;
    Some((operation.name, names.into_iter().next()))
}

/// Ignores case, and knows what is not served besides.
fn find_leniently(method: &Method, segments: &[route::Segment]) -> Option<(&'static Operation, Vec<String>)> {
    route::find(operations::all(), method, segments, true)
        .or_else(|| route::find(unserved::OPERATIONS.iter(), method, segments, true))
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

// === impl Request ===

impl Request<'_> {
    /// The first name in the path: of an index or another object.
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The index in the path, if it exists.
    fn index<'m>(&self, memory: &'m Memory) -> Result<&'m Index, Answer> {
        memory.indexes.get(self.name()).ok_or_else(|| self.no_such_index())
    }

    /// B1.9.
    fn no_such_index(&self) -> Answer {
        let refusal = match self.azure.options.search_stack {
            SearchStack::Current => refusal::no_such_index,
            SearchStack::Until2022 => refusal::no_such_index_then,
        };
        refusal(self.call, &self.method, self.name())
    }

    /// The index whose documents are meant: it may be called by an alias.
    fn queried<'m>(&self, memory: &'m Memory) -> Result<&'m Index, Answer> {
        let index = memory.indexes.get(stored::aliases::resolve(memory, self.name()));
        index.ok_or_else(|| refusal::index_not_served(self.call, self.name()))
    }

    /// The same, to be written to.
    fn queried_mut<'m>(&self, memory: &'m mut Memory) -> Result<&'m mut Index, Answer> {
        let name = stored::aliases::resolve(memory, self.name()).to_owned();
        memory.indexes.get_mut(&name).ok_or_else(|| refusal::index_not_served(self.call, self.name()))
    }

    /// The body, which must be a JSON object.
    fn json(&self) -> Result<serde_json::Map<String, Value>, Answer> {
        serde_json::from_slice(&self.call.body).map_err(|_| {
            let text = "The request is invalid. Details: The request body is not a valid JSON object.\r\n";
            refusal::bad_request(self.call, text)
        })
    }
}
