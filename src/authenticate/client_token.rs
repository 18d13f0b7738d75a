//! An Entra token of a client's own.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::places::bearer;
use crate::keys::Digest;
use crate::refusal::Refusal;

/// An `Authorization` header that holds a token, as it came. Made here alone; nobody has looked whether it is good.
#[derive(Clone)]
pub struct ClientToken {
    /// Marked sensitive.
    header: HeaderValue,
}

impl ClientToken {
    /// The token of a request that brings one in `Authorization`.
    ///
    /// # Errors
    /// [`Refusal::Ambiguous`] where that header says anything besides.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        match (lines.next(), lines.next()) {
            (Some(line), None) if !line.as_bytes().contains(&b',') => {
                let mut header = line.clone();
                header.set_sensitive(true);
                Ok(Self { header })
            }
            _ => Err(Refusal::Ambiguous("it says more in Authorization than one token")),
        }
    }

    /// The value of `Authorization`, byte for byte as it came, marked sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The digest of the token alone.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(bearer(self.header.as_bytes()).unwrap_or_default())
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientToken")
    }
}
