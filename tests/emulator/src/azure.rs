//! What all doors share: the directory, the planes' memories, the journal, what to answer next.

use std::sync::atomic::AtomicU64;

use crate::directory::Directory;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::openai::Store;
use crate::options::Options;
use crate::search::Service;

/// One small Azure. Every listener looks at the same one.
pub(crate) struct Azure {
    pub(crate) options: Options,
    pub(crate) directory: Directory,
    pub(crate) openai: Store,
    pub(crate) search: Service,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// How many connections were accepted so far.
    pub(crate) connections: AtomicU64,
}

impl Azure {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            directory: Directory::new(&options),
            openai: Store::default(),
            search: Service::with_hotels(),
            journal: Journal::new(options.journal_limit),
            faults: Faults::default(),
            connections: AtomicU64::new(0),
            options,
        }
    }
}
