//! What the resource remembers: everything that one request makes and another asks for. All doors and both surfaces see
//! the same.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::openai::files::File;
use crate::openai::responses::Response;

/// Of each kind of object so many are kept; the oldest make room.
const LIMIT: usize = 1000;

/// All objects of the resource.
#[derive(Default)]
pub(crate) struct Store(Mutex<Objects>);

#[derive(Default)]
pub(super) struct Objects {
    pub(super) files: Collection<File>,
    pub(super) batches: Collection<Value>,
    pub(super) responses: Collection<Response>,
    /// The image operations that were polled and are not done.
    pub(super) images: HashSet<String>,
}

/// Objects of one kind by their ids, in the order of their making.
pub(super) struct Collection<T> {
    objects: VecDeque<(String, T)>,
}

// === impl Store ===

impl Store {
    /// For as long as the guard lives; no operation waits while it holds it.
    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        // A panic elsewhere leaves whole objects behind: nothing to protect against.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Collection ===

impl<T> Default for Collection<T> {
    fn default() -> Self {
        Self { objects: VecDeque::new() }
    }
}

impl<T> Collection<T> {
    pub(super) fn insert(&mut self, id: &str, object: T) {
        if self.objects.len() == LIMIT {
            self.objects.pop_front();
        }
        self.objects.push_back((id.to_owned(), object));
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.objects.iter().find_map(|(key, object)| (key == id).then_some(object))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.objects.iter_mut().find_map(|(key, object)| (key == id).then_some(object))
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let place = self.objects.iter().position(|(key, _)| key == id)?;
        self.objects.remove(place).map(|(_, object)| object)
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.objects.iter().map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut collection = Collection::default();
        for number in 0..=LIMIT {
            collection.insert(&number.to_string(), number);
        }
        assert_eq!(collection.iter().count(), LIMIT);
        assert_eq!((collection.get("0"), collection.get("1")), (None, Some(&1)));
        assert_eq!((collection.remove("1"), collection.remove("1")), (Some(1), None));
    }
}
