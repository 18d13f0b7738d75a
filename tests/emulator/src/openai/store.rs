//! What the resource remembers: everything that one request makes and another asks for. All doors and both surfaces see
//! the same.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::openai::conversations::Conversation;
use crate::openai::files::File;
use crate::openai::fine_tuning::Job;
use crate::openai::responses::Response;
use crate::openai::stored_chats::StoredChat;
use crate::openai::threads::Thread;
use crate::openai::uploads::Upload;
use crate::openai::vector_stores::VectorStore;

/// Of each kind of object so many are kept; the oldest make room.
const LIMIT: usize = 1000;

/// All objects of the resource.
#[derive(Default)]
pub(crate) struct Store(Mutex<Objects>);

#[derive(Default)]
pub(super) struct Objects {
    pub(super) files: Collection<File>,
    pub(super) uploads: Collection<Upload>,
    pub(super) vector_stores: Collection<VectorStore>,
    pub(super) jobs: Collection<Job>,
    /// What fine-tuning has made.
    pub(super) models: Collection<Value>,
    pub(super) batches: Collection<Value>,
    pub(super) chats: Collection<StoredChat>,
    pub(super) responses: Collection<Response>,
    pub(super) conversations: Collection<Conversation>,
    pub(super) assistants: Collection<Value>,
    pub(super) threads: Collection<Thread>,
    /// The image operations that were polled and are not done.
    pub(super) images: Collection<Value>,
}

/// Objects of one kind, in the order of their making.
pub(super) struct Collection<T>(VecDeque<T>);

/// What has an id.
pub(super) trait Object {
    /// As it is shown when it is done.
    fn shown(&self) -> &Value;

    fn id(&self) -> &str {
        self.shown()["id"].as_str().unwrap_or_default()
    }
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
        Self(VecDeque::new())
    }
}

impl<T: Object> Collection<T> {
    pub(super) fn insert(&mut self, object: T) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(object);
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.0.iter().find(|object| object.id() == id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.0.iter_mut().find(|object| object.id() == id)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let place = self.0.iter().position(|object| object.id() == id)?;
        self.0.remove(place)
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The oldest first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

// === impl Object ===

impl Object for Value {
    fn shown(&self) -> &Value {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut collection = Collection::default();
        for number in 0..=LIMIT {
            collection.insert(json!({"id": number.to_string()}));
        }
        assert_eq!(collection.iter().count(), LIMIT);
        assert!(collection.get("0").is_none() && collection.get("1").is_some());
        assert!(collection.remove("1").is_some() && collection.remove("1").is_none());
    }
}
