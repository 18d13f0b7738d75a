//! What the search service remembers, all of it: indexes with their documents, and the other objects by their kind.
//!
//! It is bounded as a service is, by quotas: what goes beyond one is refused (B1.15).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::search::entity::Object;
use crate::search::hotels;
use crate::search::schema::Index;
use crate::search::stored::Kind;

/// As error texts name it.
pub(crate) const SERVICE_NAME: &str = "azure-emulator";

/// How many objects of one kind there may be.
pub(super) const OBJECTS: usize = 200;

/// How many documents there may be, in all indexes together.
pub(super) const DOCUMENTS: usize = 100_000;

/// One search service.
pub(crate) struct Service {
    memory: Mutex<Memory>,
}

/// All that is stored, by name.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) indexes: BTreeMap<String, Index>,
    /// By the collection of their [`Kind`] first.
    objects: BTreeMap<&'static str, BTreeMap<String, Object>>,
}

// === impl Service ===

impl Service {
    /// With the one index that is there at the start.
    pub(crate) fn with_hotels() -> Self {
        let mut memory = Memory::default();
        if let Ok(index) = hotels::index() {
            memory.indexes.insert("hotels".to_owned(), index);
        }
        Self { memory: Mutex::new(memory) }
    }

    /// Everything, for as long as the guard lives; no operation waits while it holds it.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Memory ===

impl Memory {
    /// The objects of a kind.
    pub(super) fn of(&self, kind: &Kind) -> &BTreeMap<String, Object> {
        const NONE: &BTreeMap<String, Object> = &BTreeMap::new();
        self.objects.get(kind.words.collection).unwrap_or(NONE)
    }

    pub(super) fn of_mut(&mut self, kind: &Kind) -> &mut BTreeMap<String, Object> {
        self.objects.entry(kind.words.collection).or_default()
    }

    /// How many documents all indexes have.
    pub(super) fn documents(&self) -> usize {
        self.indexes.values().map(|index| index.documents.len()).sum()
    }
}
