//! The request that shows whether an access is allowed.
//!
//! It can change nothing and costs no token, whoever answers it: it reads, or what it wants cannot be done, since its body
//! says nothing. Azure looks at credentials first, then at roles, and at what a request says only after that: its text of a
//! missing role (A1.5b) names the operation, and no deployment. Where nothing harmless shows an access, none is sent.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::granted::Granted;
use crate::family::Family;
use crate::plane::Access;

/// A request that is safe to send, without its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    method: Method,
    path: String,
    /// What an operation wants that is a preview.
    preview: Option<(HeaderName, HeaderValue)>,
    /// What it shows if it is answered well.
    pub(super) shows: Shows,
}

/// What a good answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// The access itself.
    Access,
    /// That one may look; whether one may change what is there, nothing harmless shows.
    Looking,
    /// Nothing that is written down: a missing role alone would be known by its answer.
    NoRefusal,
}

/// The newest version of the data plane that is no preview, and the one that has assistants.
const OPENAI: &str = "api-version=2024-10-21";
const ASSISTANTS: &str = "api-version=2024-05-01-preview";
const SEARCH: &str = "api-version=2024-07-01";

/// A preview by header (azure-wire, A3).
const EVALUATIONS: (&str, &str) = ("aoai-evals", "preview");

/// A name that no deployment and no stored object has.
const NOBODY: &str = "keyswap-doctor";

/// What may stand in a segment of a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

// === impl Probe ===

impl Probe {
    /// The probe of an access; or why there is none.
    pub(super) fn of(granted: &Granted) -> Result<Self, &'static str> {
        let looking = granted.access == Access::Read;
        let target = granted.target.as_deref().map(|name| utf8_percent_encode(name, PLAIN).to_string());
        let index =
            || target.clone().ok_or("no grant names an index (indexes = [...]), and there is no request without one");
        Ok(match granted.family {
            Family::Inference => {
                let deployment = target.as_deref().unwrap_or(NOBODY);
                Self::nothing(format!("/openai/deployments/{deployment}/chat/completions?{OPENAI}"))
            }
            Family::Responses if looking => Self::get(format!("/openai/v1/responses/{NOBODY}")),
            Family::Responses => Self::nothing("/openai/v1/responses"),
            Family::Files if looking => Self::get(format!("/openai/files?{OPENAI}")),
            Family::Files => Self::nothing(format!("/openai/files?{OPENAI}")),
            Family::Batches if looking => Self::get(format!("/openai/batches?{OPENAI}&limit=1")),
            Family::Batches => Self::nothing(format!("/openai/batches?{OPENAI}")),
            Family::Assistants if looking => Self::get(format!("/openai/assistants?{ASSISTANTS}&limit=1")),
            Family::Assistants => Self::nothing(format!("/openai/assistants?{ASSISTANTS}")),
            Family::FineTuning if looking => Self::get(format!("/openai/fine_tuning/jobs?{OPENAI}&limit=1")),
            Family::FineTuning => Self::nothing(format!("/openai/fine_tuning/jobs?{OPENAI}")),
            Family::Evaluations if looking => Self::get("/openai/v1/evals?limit=1").preview(EVALUATIONS),
            Family::Evaluations => Self::nothing("/openai/v1/evals").preview(EVALUATIONS),
            Family::Realtime => {
                return Err("it would open a session. Azure wants the same role for it as for inference");
            }
            Family::RealtimeSecrets => return Err("it would make a secret"),
            Family::DocumentsRead => Self::get(format!("/indexes('{}')/docs/$count?{SEARCH}", index()?)),
            Family::DocumentsWrite => {
                let path = format!("/indexes('{}')/docs/search.index?{SEARCH}", index()?);
                Self { shows: Shows::NoRefusal, ..Self::nothing(path) }
            }
            Family::Manage => Self { shows: Shows::Looking, ..Self::get(format!("/servicestats?{SEARCH}")) },
        })
    }

    fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), preview: None, shows: Shows::Access }
    }

    /// One that wants something done, and does not say what.
    fn nothing(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    fn preview(self, (name, value): (&'static str, &'static str)) -> Self {
        let preview = (HeaderName::from_static(name), HeaderValue::from_static(value));
        Self { preview: Some(preview), ..self }
    }

    /// The request, without a credential.
    pub(super) fn request(&self) -> http::Result<Request<Full<Bytes>>> {
        let request = Request::builder().method(self.method.clone()).uri(&self.path);
        let request = match &self.preview {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        if self.method == Method::GET {
            return request.body(Full::default());
        }
        let json = HeaderValue::from_static("application/json");
        request.header(CONTENT_TYPE, json).body(Full::from("{}"))
    }
}
