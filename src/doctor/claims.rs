//! What an Entra token says of itself.
//!
//! Nobody here can verify it: the keys are Entra's, and the judge is Azure. It is read as the hint that it is.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::HeaderValue;
use serde_json::Value;

/// The payload of a token, not verified.
pub(super) struct Claims(Value);

/// No claim is shown any further than this, in bytes.
const LONGEST: usize = 200;

impl Claims {
    /// What stands in `Bearer ...`. `None` where it is no JWT, which Azure may well take.
    pub(super) fn of(header: &HeaderValue) -> Option<Self> {
        let token = header.to_str().ok()?.strip_prefix("Bearer ")?;
        let payload = token.split('.').nth(1)?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok().filter(Value::is_object).map(Self)
    }

    /// Who it is for Azure's roles.
    pub(super) fn object_id(&self) -> Option<String> {
        self.text("oid")
    }

    /// The tenant.
    pub(super) fn tenant(&self) -> Option<String> {
        self.text("tid")
    }

    /// The application: as version 1 calls it, or version 2.
    pub(super) fn application(&self) -> Option<String> {
        self.text("appid").or_else(|| self.text("azp"))
    }

    /// Whom it is for.
    pub(super) fn audience(&self) -> Option<String> {
        self.text("aud")
    }

    /// A claim that is a text, fit for a line.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.as_str()?;
        let fits = |c: &char| c.is_ascii_graphic() || *c == ' ';
        Some(text.chars().filter(fits).take(LONGEST).collect()).filter(|text: &String| !text.is_empty())
    }
}
