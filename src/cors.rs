//! Scripts of web pages (the Fetch standard, CORS). A browser asks first, in a preflight, whether a page may send what
//! it is about to. That question brings no key, so it is answered here for the pages that the settings name, and never
//! forwarded. What the page gets after that it may read, if the answer says so.

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;

use crate::settings;

/// The pages whose scripts are answered.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

/// What a browser says of the page that asks.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its origin, if that is one of those that are answered.
    origin: Option<HeaderValue>,
    /// What it wants to send, if this is a preflight.
    preflight: Option<Wish>,
}

#[derive(Debug)]
struct Wish {
    method: HeaderValue,
    headers: Option<HeaderValue>,
}

/// How long a browser may remember what it was told, in seconds; none does for longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Every header of an answer may be read: Azure's and ours tell nothing that its body would not.
const EXPOSED: HeaderValue = HeaderValue::from_static("*");

impl Cors {
    /// Those of the settings.
    pub fn of(settings: &settings::Cors) -> Self {
        Self { origins: settings.origins.clone() }
    }

    /// Who asks.
    pub(crate) fn page(&self, request: &Parts) -> Page {
        let headers = &request.headers;
        let origin = headers.get(ORIGIN);
        let wish = || {
            origin?;
            let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.clone();
            Some(Wish { method, headers: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned() })
        };
        let preflight = if request.method == Method::OPTIONS { wish() } else { None };
        let origin = origin.filter(|origin| self.origins.contains(origin)).cloned();
        Page { origin, preflight }
    }

    /// Writes into an answer what the browser has to know. What the upstream has said of it stays.
    pub(crate) fn tell(&self, page: &Page, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        // An answer that some cache keeps for one page is not for another.
        answer.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = &page.origin else { return };
        answer.entry(ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(origin.clone());
        let Some(wish) = &page.preflight else {
            answer.entry(ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(EXPOSED);
            return;
        };
        // It decides nothing here what is sent then: that is looked at when it comes, with its key.
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, wish.method.clone());
        if let Some(headers) = &wish.headers {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        for asked in [ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
            answer.append(VARY, asked.into());
        }
    }
}

// === impl Page ===

impl Page {
    /// Whether its browser asks in advance.
    pub(crate) fn is_preflight(&self) -> bool {
        self.preflight.is_some()
    }

    /// Whether it is one of those that are answered.
    pub(crate) fn is_welcome(&self) -> bool {
        self.origin.is_some()
    }
}
