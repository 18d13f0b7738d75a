//! What a token says of itself: Entra's, or a service account's.
//!
//! Nobody here can verify it: the keys are its issuer's, and the judge is Azure. It is read as the hint that it is.

use std::time::{Duration, SystemTime};

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
        Self::of_token(header.to_str().ok()?.strip_prefix("Bearer ")?)
    }

    /// What stands in a token.
    pub(super) fn of_token(token: &str) -> Option<Self> {
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

    /// The roles that its application was assigned, in the words of the audience's: none of Azure's.
    pub(super) fn roles(&self) -> Option<String> {
        let roles = self.0.get("roles")?.as_array()?;
        let roles: Vec<_> = roles.iter().filter_map(Value::as_str).collect();
        fit(&roles.join(", "))
    }

    /// When it ends.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        let seconds = self.0.get("exp")?.as_u64()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// A claim that is a text, or the first of several, fit for a line.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let claim = self.0.get(name)?;
        fit(claim.as_str().or_else(|| claim.get(0)?.as_str())?)
    }
}

/// A text that is fit for a line, or nothing.
fn fit(text: &str) -> Option<String> {
    let fits = |c: &char| c.is_ascii_graphic() || *c == ' ';
    Some(text.chars().filter(fits).take(LONGEST).collect()).filter(|text: &String| !text.is_empty())
}
