//! Where the use of keys is written down: `[usage]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{limit, path};
use crate::document::Section;
use crate::whereabouts::is_within;

/// Where the use of keys is written down, so that it outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The file, of this one process alone. Without one the use of keys is forgotten at the end of the process.
    pub file: Option<PathBuf>,
    /// How often it is written, if there is anything new: what a crash may cost.
    pub every: Duration,
}

impl Usage {
    /// Twice a minute, if there is a file.
    pub const DEFAULT: Self = Self { file: None, every: Duration::from_secs(30) };

    /// The default serves where a mistake is noted, too: the file of settings is refused then.
    pub(super) fn read(section: &Section<'_>, base: &Path, settings: &Path) -> Self {
        let file = section.get("file").and_then(|value| {
            let file = path(&value, base)?;
            if is_within(&file, settings) {
                value.wrong("is the file of these settings: name one of its own, which keyswap makes");
            }
            Some(file)
        });
        Self { file, every: limit(section, "every", Self::DEFAULT.every) }
    }
}
