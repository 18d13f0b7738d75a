//! The leave that a request goes on, of either kind.

use std::sync::Arc;

use super::{Passage, Permit};
use crate::settings::{CLIENTS_OWN, Resource};

/// What a request was let go on. As cheap to clone as what it holds.
#[derive(Clone, Debug)]
pub enum Way {
    /// A key's, for one operation, with a token of ours.
    Permit(Permit),
    /// For a token of the client's own.
    Passage(Passage),
}

impl Way {
    /// Where the request may go, and nowhere else.
    pub fn resource(&self) -> &Arc<Resource> {
        match self {
            Self::Permit(permit) => permit.resource(),
            Self::Passage(passage) => passage.resource(),
        }
    }

    /// Whether the request may be carried out twice without harm.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Permit(permit) => permit.is_repeatable(),
            Self::Passage(passage) => passage.is_repeatable(),
        }
    }

    /// Whose token it rides, as request lines say it.
    pub fn identity(&self) -> &str {
        match self {
            Self::Permit(permit) => permit.identity(),
            Self::Passage(_) => CLIENTS_OWN,
        }
    }
}
