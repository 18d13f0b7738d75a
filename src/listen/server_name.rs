//! The name that a client asked for when its connection began.

use std::sync::Arc;

/// The name in a TLS handshake (SNI). It says as much as a `Host`
/// header does: what the client wants, and not who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ServerName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}
