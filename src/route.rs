//! What a request wants, read from its method, path and host: which plane, which operation, on what, and the resource,
//! where it names one.
//!
//! The decision stands on one canonical form of the path (see [`path`]); the raw path is what is forwarded. Whatever
//! could be read in two ways is refused, so that no server behind us can read a request otherwise than we did.
//!
//! A resource is named by its host, in the request or when its connection began, or by its own name before the path. The plane is read from the path alone: so the
//! answer to a wrong key tells nothing of the resources that there are.
//!
//! ```
//! use keyswap::family::Family;
//! use keyswap::route::{Hosts, Route, Target};
//!
//! let hosts = Hosts::default();
//! let (parts, ()) = http::Request::post("/openai/deployments/gpt-4o/chat/completions").body(())?.into_parts();
//! let route = Route::of(&parts, &hosts).unwrap();
//! assert_eq!(route.family(), Some(Family::Inference));
//! assert_eq!(route.target(), &Target::Named("gpt-4o".into()));
//! assert_eq!(route.prefix(), None);
//!
//! let (parts, ()) = http::Request::get("/contoso-search/indexes/hotels/docs").body(())?.into_parts();
//! let route = Route::of(&parts, &hosts).unwrap();
//! assert_eq!(route.prefix().map(|prefix| prefix.name()), Some("contoso-search"));
//!
//! let (parts, ()) = http::Request::post("/indexes/hotels/docs/%69ndex/../search").body(())?.into_parts();
//! assert!(Route::of(&parts, &hosts).is_err());
//! # Ok::<(), http::Error>(())
//! ```

mod head;
mod hosts;
mod openai;
mod path;
mod search;

use std::sync::Arc;

use http::Method;
use http::request::Parts;

pub use head::{LARGEST_HEAD, MOST_FIELDS};
pub use hosts::Hosts;
pub(crate) use path::{Parameter, hidden_names, parameters, readable};

use crate::family::Family;
use crate::listen::Arrival;
use crate::plane::{Access, Plane};
use crate::refusal::Refusal;
use crate::websocket;

/// What a request wants. Made here alone, from a request that can be read in one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    plane: Plane,
    operation: Option<(Family, Access)>,
    target: Target,
    server_name: Option<Arc<str>>,
    host: Option<Arc<str>>,
    prefix: Option<Prefix>,
    websocket: bool,
    repeatable: bool,
}

/// The deployment or index that a request works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The path names it.
    Named(String),
    /// The path names none, and the body does, as its `model`.
    InBody,
    /// Neither does: the operation is about all of them, or nobody can tell.
    Unnamed,
    /// The operation works on none, such as the list of models.
    Untouched,
}

/// The first segment of a path that names a resource there. It is for us: what is forwarded begins after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    name: String,
    length: usize,
}

impl Route {
    /// Reads what a request wants.
    ///
    /// # Errors
    /// [`Refusal::NoPlane`] for a path of neither plane, [`Refusal::Ambiguous`] for a request that can be read in two
    /// ways, [`Refusal::HeadTooLarge`].
    pub fn of(request: &Parts, hosts: &Hosts) -> Result<Self, Refusal> {
        let host = head::check(request)?;
        let raw = request.uri.path();
        let segments = path::canonical(raw).map_err(Refusal::Ambiguous)?;
        let segments: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let (prefix, segments, plane) = below_prefix(&segments).ok_or(Refusal::NoPlane)?;
        let (family, target) = match plane {
            Plane::OpenAi => openai::classify(&request.method, segments, request.uri.query().unwrap_or_default())?,
            Plane::Search => search::classify(&request.method, segments)?,
        };
        let named = |host| hosts.find(host, plane).cloned();
        let server_name = request.extensions.get::<Arrival>().and_then(|arrival| arrival.server_name.as_ref());
        Ok(Self {
            plane,
            operation: family.map(|family| (family, family.access(&request.method))),
            target,
            websocket: family == Some(Family::Realtime) && websocket::is_asked_for(request),
            repeatable: request.method == Method::GET
                || matches!(family, Some(Family::Inference | Family::DocumentsRead)),
            server_name: server_name.and_then(|name| named(name.as_str())),
            host: host.and_then(named),
            prefix: prefix.map(|name| Prefix { name: name.to_owned(), length: path::first_length(raw) }),
        })
    }

    /// The plane whose path it is.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// The family that the operation belongs to; `None` for an operation that no rule places.
    pub fn family(&self) -> Option<Family> {
        self.operation.map(|(family, _)| family)
    }

    /// The family, and how deep the operation reaches.
    pub fn operation(&self) -> Option<(Family, Access)> {
        self.operation
    }

    /// What the operation works on.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The resource for whose host the connection was made, by the name in its TLS handshake.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether it opens a websocket of the realtime API; nothing else that asks for one gets it.
    pub fn opens_websocket(&self) -> bool {
        self.websocket
    }

    /// Whether it may be carried out twice without harm: it reads, or it asks a model.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// The resource whose host was called.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The resource, there or not, whose name stands before the path.
    pub fn prefix(&self) -> Option<&Prefix> {
        self.prefix.as_ref()
    }
}

/// A path without the resource's name that may stand before it: that name, the rest, and the plane by its first word.
fn below_prefix<'s, 'p>(segments: &'s [&'p str]) -> Option<(Option<&'p str>, &'s [&'p str], Plane)> {
    // `indexes('hotels')` is the word `indexes`.
    let plane = |segment: &&str| Plane::of_root(segment.split_once('(').map_or(*segment, |(word, _)| word));
    let (first, rest) = segments.split_first()?;
    match plane(first) {
        Some(plane) => Some((None, segments, plane)),
        None => Some((Some(*first), rest, rest.first().and_then(plane)?)),
    }
}

// === impl Prefix ===

impl Prefix {
    /// The name, decoded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes of the raw path it takes, with the slashes before it.
    pub fn length(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests, and whether each may be sent once more.
    type Requests<'a> = &'a [(&'a Method, &'a str, bool)];

    fn read(method: &Method, path: &str) -> Route {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        Route::of(&request.into_parts().0, &Hosts::default()).unwrap()
    }

    /// GET of any family, what is asked of a model, and what is searched; what else there is must not be done twice. Each
    /// family has a request that is not GET, if there is one.
    #[test]
    fn what_may_be_sent_once_more_is_listed_by_family() {
        let (get, post, put) = (&Method::GET, &Method::POST, &Method::PUT);
        let (patch, delete, head) = (&Method::PATCH, &Method::DELETE, &Method::HEAD);
        let table: &[(Family, Requests<'_>)] = &[
            (
                Family::Inference,
                &[
                    (post, "/openai/deployments/d/chat/completions", true),
                    (post, "/openai/v1/chat/completions", true),
                    (post, "/openai/v1/embeddings", true),
                    (post, "/openai/images/generations", true),
                    (post, "/models/chat/completions", true),
                    (post, "/anthropic/v1/messages", true),
                    (get, "/openai/models", true),
                    (head, "/openai/models", true),
                ],
            ),
            (
                Family::Responses,
                &[
                    (post, "/openai/v1/responses", false),
                    (delete, "/openai/v1/responses/r", false),
                    (post, "/openai/v1/conversations", false),
                    (post, "/openai/v1/chat/completions/c", false),
                    (head, "/openai/v1/responses/r", false),
                    (get, "/openai/v1/responses/r", true),
                ],
            ),
            (
                Family::Files,
                &[
                    (post, "/openai/v1/files", false),
                    (put, "/openai/v1/uploads/u", false),
                    (delete, "/openai/v1/vector_stores/v", false),
                    (get, "/openai/v1/files/f/content", true),
                ],
            ),
            (
                Family::Batches,
                &[
                    (post, "/openai/v1/batches", false),
                    (post, "/openai/deployments/d/batches", false),
                    (post, "/anthropic/v1/messages/batches", false),
                    (get, "/openai/v1/batches/b", true),
                ],
            ),
            (
                Family::Assistants,
                &[
                    (post, "/openai/assistants", false),
                    (post, "/openai/threads/t/runs", false),
                    (delete, "/openai/threads/t", false),
                    (get, "/openai/threads/t", true),
                ],
            ),
            (
                Family::FineTuning,
                &[
                    (post, "/openai/v1/fine_tuning/jobs", false),
                    (delete, "/openai/models/m", false),
                    (get, "/openai/v1/fine_tuning/jobs", true),
                ],
            ),
            (Family::Evaluations, &[(post, "/openai/v1/evals", false), (get, "/openai/v1/evals", true)]),
            // A websocket begins with GET, and nothing else of this family is one.
            (Family::Realtime, &[(get, "/openai/v1/realtime", true)]),
            (
                Family::RealtimeSecrets,
                &[
                    (post, "/openai/v1/realtime/client_secrets", false),
                    (post, "/openai/v1/realtime", false),
                    (get, "/openai/realtimeapi/sessions", true),
                ],
            ),
            (
                Family::DocumentsRead,
                &[
                    (post, "/indexes('i')/docs/search.post.search", true),
                    (post, "/indexes/i/docs/search", true),
                    (post, "/indexes/i/docs/suggest", true),
                    (post, "/indexes/i/docs/autocomplete", true),
                    (get, "/indexes/i/docs", true),
                ],
            ),
            // What GET there is of documents is reading them.
            (
                Family::DocumentsWrite,
                &[(post, "/indexes('i')/docs/search.index", false), (post, "/indexes/i/docs/index", false)],
            ),
            (
                Family::Manage,
                &[
                    (post, "/indexes", false),
                    (put, "/indexes/i", false),
                    (patch, "/indexes/i", false),
                    (delete, "/indexes/i/docs/k", false),
                    (post, "/indexers('x')/search.run", false),
                    (head, "/indexes/i/docs", false),
                    (get, "/servicestats", true),
                ],
            ),
        ];
        let named: Vec<_> = table.iter().map(|(family, _)| (family.name(), *family)).collect();
        assert_eq!(named, Family::NAMES, "each family once");
        for (family, requests) in table {
            for (method, path, repeatable) in *requests {
                let route = read(method, path);
                assert_eq!(route.family(), Some(*family), "{method} {path}");
                assert_eq!(route.is_repeatable(), *repeatable, "{method} {path}");
            }
        }
        // What no rule places is of no family, and is refused before anything is sent.
        let route = read(post, "/openai/v1/something/new");
        assert_eq!((route.family(), route.is_repeatable()), (None, false));
    }
}
