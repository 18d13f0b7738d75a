//! The tokens of an examination: each is fetched once, when somebody first needs it, and whoever needs it, too, waits for
//! the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::egress::Egress;
use crate::settings::Settings;
use crate::token::{Fetched, Purpose, fetch};

/// What came of every fetch.
#[derive(Debug)]
pub(super) struct Tokens {
    settings: Arc<Settings>,
    egress: Egress,
    fetched: Mutex<HashMap<Purpose, Arc<OnceCell<Option<Fetched>>>>>,
}

impl Tokens {
    pub(super) fn new(settings: Arc<Settings>, egress: Egress) -> Self {
        Self { settings, egress, fetched: Mutex::default() }
    }

    /// What comes of fetching a token for this, within ten seconds once it has begun; `None` for an identity that the
    /// settings do not have.
    pub(super) async fn fetched(&self, purpose: &Purpose) -> Option<Fetched> {
        let cell = {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            fetched.entry(purpose.clone()).or_default().clone()
        };
        let fetching = || async {
            let identity = self.settings.identity(&purpose.identity)?;
            Some(fetch(&identity.kind, &self.egress, &purpose.scope).await)
        };
        cell.get_or_init(fetching).await.clone()
    }
}
