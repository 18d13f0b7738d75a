//! An Entra token of a client's own.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::places::bearer;
use crate::keys::Digest;

/// An `Authorization` header that holds a token, as it came. Made here alone; nobody has looked whether it is good.
#[derive(Clone)]
pub struct ClientToken {
    /// Marked sensitive.
    header: HeaderValue,
    is_alone: bool,
}

impl ClientToken {
    /// The token of a request that brings one in `Authorization`.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let mut header = lines.next()?.clone();
        header.set_sensitive(true);
        let is_alone = lines.next().is_none() && !header.as_bytes().contains(&b',');
        Some(Self { header, is_alone })
    }

    /// Whether the header says nothing besides, so that nobody can read another token in it.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
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
