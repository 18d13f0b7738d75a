//! Which connections had been used before: a request that is lost on one of them was perhaps never seen.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Extensions, Response};
use hyper_util::client::legacy::connect::{Connected, HttpInfo};

/// The local addresses of connections that have brought an answer. hyper's client tells of a lost request neither
/// whether its connection was new, nor anything else that would name it.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<HashSet<SocketAddr>>>);

/// Connections come and go, and nobody tells when one goes: beyond this many, all are forgotten. One that is forgotten
/// counts as new, and its requests are not sent again.
const MOST: usize = 4096;

impl Kept {
    /// Notes the connection that brought an answer.
    pub(super) fn note<B>(&self, answer: &Response<B>) {
        if let Some(connection) = answer.extensions().get::<HttpInfo>() {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= MOST {
                kept.clear();
            }
            kept.insert(connection.local_addr());
        }
    }

    /// Whether a connection has brought an answer before.
    pub(super) fn knows(&self, connection: &Connected) -> bool {
        let mut extensions = Extensions::new();
        connection.get_extras(&mut extensions);
        let address = extensions.get::<HttpInfo>().map(HttpInfo::local_addr);
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        address.is_some_and(|address| kept.contains(&address))
    }
}
