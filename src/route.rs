//! What a request wants, read from its method, path and host: which plane, which operation, on what.
//!
//! The decision stands on one canonical form of the path (see [`path`]); the raw path is what is forwarded. Whatever
//! could be read in two ways is refused, so that no server behind us can read a request otherwise than we did.
//!
//! ```
//! use keyswap::family::Family;
//! use keyswap::route::{Route, Target};
//!
//! let (parts, ()) = http::Request::post("/openai/deployments/gpt-4o/chat/completions").body(())?.into_parts();
//! let route = Route::of(&parts).unwrap();
//! assert_eq!(route.family(), Some(Family::Inference));
//! assert_eq!(route.target(), &Target::Named("gpt-4o".into()));
//!
//! let (parts, ()) = http::Request::post("/indexes/hotels/docs/%69ndex/../search").body(())?.into_parts();
//! assert!(Route::of(&parts).is_err());
//! # Ok::<(), http::Error>(())
//! ```

mod openai;
mod path;
mod search;

pub(crate) use path::{Parameter, parameters};

use http::Method;
use http::header::{HOST, HeaderName};
use http::request::Parts;

use crate::family::Family;
use crate::plane::Plane;
use crate::refusal::Refusal;

/// What a request wants. Made here alone, from a request that can be read in one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    plane: Plane,
    family: Option<Family>,
    target: Target,
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

/// Headers by which some servers let a request say another method than its own. Azure needs none of them.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// The query parameter that does the same.
const METHOD_PARAMETER: &str = "_method";

impl Route {
    /// Reads what a request wants.
    ///
    /// # Errors
    /// [`Refusal::NoPlane`] for a path of neither plane, [`Refusal::Ambiguous`] for a request that can be read in two
    /// ways.
    pub fn of(request: &Parts) -> Result<Self, Refusal> {
        head_fits(request)?;
        one_host(request)?;
        one_method(request)?;
        let segments = path::canonical(request.uri.path()).map_err(Refusal::Ambiguous)?;
        let segments: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let first = segments.first().ok_or(Refusal::NoPlane)?;
        if openai::is_root(first) {
            let query = request.uri.query().unwrap_or_default();
            let (family, target) = openai::classify(&request.method, &segments, query)?;
            return Ok(Self { plane: Plane::OpenAi, family, target });
        }
        let Some((family, target)) = search::classify(&request.method, &segments)? else {
            return Err(Refusal::NoPlane);
        };
        Ok(Self { plane: Plane::Search, family: Some(family), target })
    }

    /// The plane whose path it is.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// The family that the operation belongs to; `None` for an operation that no rule places.
    pub fn family(&self) -> Option<Family> {
        self.family
    }

    /// What the operation works on.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

/// The largest head of a request, in bytes of its target, names and values.
pub const LARGEST_HEAD: usize = 64 * 1024;

/// The most header fields of a request.
pub const MOST_FIELDS: usize = 200;

/// The same bounds for every version of HTTP. Whoever parses has bounds of its own, to be safe and not to be exact.
fn head_fits(request: &Parts) -> Result<(), Refusal> {
    let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if request.headers.len() > MOST_FIELDS || fields.sum::<usize>() + target > LARGEST_HEAD {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(())
}

/// An absolute-form target must agree with Host, and there is one Host at most.
fn one_host(request: &Parts) -> Result<(), Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Ambiguous("it has more than one Host header"));
    }
    match (request.uri.authority(), host) {
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(Refusal::Ambiguous("its target and its Host header name different hosts"))
        }
        _ => Ok(()),
    }
}

fn one_method(request: &Parts) -> Result<(), Refusal> {
    if request.method == Method::TRACE {
        return Err(Refusal::Ambiguous("its method is TRACE, whose answer would show the gateway's own token"));
    }
    let header = METHOD_OVERRIDES.iter().any(|name| request.headers.contains_key(name));
    let parameter = parameters(request.uri.query().unwrap_or_default())
        .any(|parameter| parameter.name().eq_ignore_ascii_case(METHOD_PARAMETER));
    if header || parameter { Err(Refusal::Ambiguous("it asks for another method than its own")) } else { Ok(()) }
}
