//! Absolute URLs in answers come back to us: Azure names itself in them, and a client that follows one would bring its
//! key to a resource that takes no keys.
//!
//! A URL is turned when, and only when, it points at the upstream that the request went to: same scheme, same host, same
//! port. It then begins as the URL began by which the client reached us ([`base`]), and every other byte of it stays. What
//! points elsewhere (the signed links of pictures) or nowhere (a relative `Location`) passes.
//!
//! # Where they stand
//! In headers of either plane: [`holds_url`]. In JSON on Azure AI Search alone, in the top level's [`FIELDS`] of
//! answers that are no errors: nothing else that was recorded of either service holds one (azure-wire, A3, B3, H6, H11,
//! H12). Such an answer streams through a [`splicer`], whatever its size; fields inside documents are never touched.
//!
//! # What that costs an answer
//! It loses its `Content-Length`, since how many URLs will be turned is known at its end. Its `ETag` stays: Search's names
//! a stored object, and not the bytes. Encoded JSON could not be read, so those requests ask for `identity`; an answer that
//! comes encoded nevertheless passes as it is. All other answers pass as they were: errors, streams of events, answers to
//! HEAD, the whole of Azure OpenAI's JSON.
//!
//! Nothing at all is done where the client calls the resource by its own host: its URLs are right already.

mod base;
mod body;
mod origin;
mod splicer;

use std::cell::OnceCell;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;

pub use body::LinkedBody;

use crate::authorize::Permit;
use crate::listen::{Arrival, PublicUrl};
use crate::plane::Plane;
use base::Base;
use splicer::Splicer;

/// The fields of the top level whose texts are URLs, the longest first.
const FIELDS: [&str; 2] = ["@odata.nextLink", "@odata.context"];

/// What is known of how a client reached us, besides its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    is_secure: bool,
    public_url: Option<PublicUrl>,
}

/// The links in the answer to a request.
#[derive(Debug)]
pub(crate) struct Links<'w> {
    head: &'w Parts,
    reached: &'w Reached,
    permit: &'w Permit,
    /// Made when somebody asks; `None` where nothing is to be turned.
    base: OnceCell<Option<Base>>,
}

/// What an answer's body can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// No links of ours.
    Other,
    /// JSON that may have some.
    Json,
    /// The same, but encoded.
    EncodedJson,
}

impl Reached {
    /// Reads what the listener said of a request.
    pub(crate) fn of(request: &Parts) -> Self {
        let arrival = request.extensions.get::<Arrival>();
        Self {
            is_secure: arrival.is_some_and(|arrival| arrival.entrance.tls.is_some()),
            public_url: arrival.and_then(|arrival| arrival.public_url.clone()),
        }
    }
}

impl<'w> Links<'w> {
    /// Those in the answer to the request with this head, as the client sent it.
    pub(crate) fn of(head: &'w Parts, reached: &'w Reached, permit: &'w Permit) -> Self {
        Self { head, reached, permit, base: OnceCell::new() }
    }

    /// The request, which asks for an answer that can be read, if there may be links in it.
    pub(crate) fn asked_for<B>(&self, mut request: Request<B>) -> Request<B> {
        if self.plane() == Plane::Search && self.base().is_some() {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        request
    }

    /// Whether there may be links in an answer that cannot be read: it came encoded, though it was asked for otherwise.
    pub(crate) fn are_hidden_in<U: Body>(&self, response: &Response<U>) -> bool {
        self.content(response.status(), response.headers(), response.body()) == Content::EncodedJson
            && self.base().is_some()
    }

    /// Turns those of the headers, and lets the body turn its own as it streams.
    pub(crate) fn turn<U: Body<Data = Bytes>>(&self, response: Response<U>) -> Response<LinkedBody<U>> {
        let (mut head, body) = response.into_parts();
        self.turn_headers(&mut head.headers);
        let content = self.content(head.status, &head.headers, &body);
        let base = if content == Content::Json { self.base() } else { None };
        let body = match base {
            Some(base) => {
                head.headers.remove(CONTENT_LENGTH);
                LinkedBody::spliced(body, Splicer::new(self.permit.resource().clone(), base.clone()))
            }
            None => LinkedBody::as_it_is(body),
        };
        Response::from_parts(head, body)
    }

    fn turn_headers(&self, headers: &mut HeaderMap) {
        // Almost always there is none, and one look at the names tells.
        if !headers.keys().any(holds_url) {
            return;
        }
        let Some(base) = self.base() else { return };
        for (_, value) in headers.iter_mut().filter(|(name, _)| holds_url(name)) {
            let (begin, rest) = origin::split(value.as_bytes());
            if origin::is_of(&self.permit.resource().endpoint, begin)
                && let Ok(turned) = HeaderValue::from_bytes(&[base.as_bytes(), rest].concat())
            {
                *value = turned;
            }
        }
    }

    /// By plane, status and kind. Everything of Azure OpenAI is told by its plane alone.
    fn content<U: Body>(&self, status: StatusCode, headers: &HeaderMap, body: &U) -> Content {
        if self.plane() != Plane::Search || !status.is_success() || body.is_end_stream() || !is_json(headers) {
            return Content::Other;
        }
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            Content::Json
        } else {
            Content::EncodedJson
        }
    }

    fn plane(&self) -> Plane {
        self.permit.plane()
    }

    fn base(&self) -> Option<&Base> {
        self.base.get_or_init(|| Base::of(self.head, self.reached, self.permit)).as_ref()
    }
}

/// Whether a header's value is a URL of the resource's own.
fn holds_url(name: &HeaderName) -> bool {
    matches!(name.as_str(), "location" | "operation-location" | "azure-asyncoperation" | "odata-entityid")
}

/// As Search writes it: with parameters, of which none changes what JSON is (H13).
fn is_json(headers: &HeaderMap) -> bool {
    const JSON: &[u8] = b"application/json";
    let Some(content_type) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let (kind, parameters) = content_type.split_at(JSON.len().min(content_type.len()));
    kind.eq_ignore_ascii_case(JSON) && parameters.first().is_none_or(|byte| matches!(byte, b';' | b' ' | b'\t'))
}
