//! The file of keys on disk: locked while it is edited, replaced at once, as it was in all but its text.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::document::Mistakes;
use crate::whereabouts::real;

/// A file that nobody else of us edits meanwhile.
#[derive(Debug)]
pub(super) struct KeyFile {
    /// As it was named to us.
    named: PathBuf,
    /// Where it really is: links are followed, and stay.
    real: PathBuf,
    /// Its directory, which holds the lock: the file itself is another one after each edit.
    directory: File,
    before: Option<Before>,
}

/// What there was.
#[derive(Debug)]
struct Before {
    text: String,
    metadata: Metadata,
}

/// Who may read a file that is made anew. It holds no secrets, but tells who may do what.
const MODE: u32 = 0o640;

impl KeyFile {
    /// Waits until nobody else edits, and reads the file; one that does not exist is empty.
    ///
    /// # Errors
    /// What cannot be read, or cannot be edited.
    pub(super) fn open(named: &Path) -> Result<Self, Mistakes> {
        let (real, directory) = place(named)?;
        if real.parent().and_then(Path::file_name).is_some_and(|name| name.as_encoded_bytes().starts_with(b"..")) {
            let fix =
                "leads into a volume that Kubernetes replaces as a whole: change the Secret or ConfigMap it is from";
            return Err(Mistakes::of_file(named, fix));
        }
        rustix::io::retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive))
            .map_err(|error| Mistakes::of_file(named, format!("cannot be locked: {error}")))?;
        let file = Self::read(named, real, directory)?;
        if file.before.as_ref().is_some_and(|before| before.metadata.permissions().readonly()) {
            return Err(Mistakes::of_file(
                named,
                "is read-only, and stays as it is: chmod u+w it if it may be changed",
            ));
        }
        Ok(file)
    }

    /// Reads the file, whoever edits it.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn look(named: &Path) -> Result<Self, Mistakes> {
        let (real, directory) = place(named)?;
        Self::read(named, real, directory)
    }

    fn read(named: &Path, real: PathBuf, directory: File) -> Result<Self, Mistakes> {
        let before = match fs::read_to_string(&real) {
            Ok(text) => {
                Some(Before { text, metadata: fs::metadata(&real).map_err(|error| unreadable(named, &error))? })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(named, &error)),
        };
        Ok(Self { named: named.to_owned(), real, directory, before })
    }

    /// As it was named to us.
    pub(super) fn name(&self) -> &Path {
        &self.named
    }

    /// What was in it when it was opened.
    pub(super) fn text(&self) -> &str {
        self.before.as_ref().map_or("", |before| &before.text)
    }

    /// Puts another text in its place: a reader sees the one or the other, whatever happens meanwhile.
    ///
    /// # Errors
    /// What could not be written. Then everything is as it was.
    pub(super) fn replace(self, text: &str) -> Result<(), Mistakes> {
        // Editors of other kinds know no locks.
        let now = fs::read_to_string(&self.real).ok();
        if now.as_ref() != self.before.as_ref().map(|before| &before.text) {
            return Err(Mistakes::of_file(&self.named, "was changed by somebody else meanwhile: try again"));
        }
        let name = self.real.file_name().unwrap_or(OsStr::new("keys.toml")).to_string_lossy();
        let beside = self.real.with_file_name(format!(".{name}.{}", Uuid::new_v4().simple()));
        let written = self.write(&beside, text).and_then(|()| {
            fs::rename(&beside, &self.real)?;
            self.directory.sync_all()
        });
        written.map_err(|error| {
            // Half a file is of no use, and it may not be there at all.
            drop(fs::remove_file(&beside));
            Mistakes::of_file(&self.named, unwritable(&error))
        })
    }

    fn write(&self, beside: &Path, text: &str) -> io::Result<()> {
        let mode = self.before.as_ref().map_or(MODE, |before| before.metadata.mode() & 0o7777);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        if let Some(Before { metadata, .. }) = &self.before {
            let made = file.metadata()?;
            if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
                fchown(&file, Some(metadata.uid()), Some(metadata.gid()))?;
            }
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// Where a file is, or will be, and its directory.
fn place(named: &Path) -> Result<(PathBuf, File), Mistakes> {
    let real = real(named).map_err(|error| unreadable(named, &error))?;
    let directory = File::open(real.parent().unwrap_or(Path::new("/"))).map_err(|error| unreadable(named, &error))?;
    Ok((real, directory))
}

fn unreadable(named: &Path, error: &io::Error) -> Mistakes {
    Mistakes::of_file(named, format!("cannot be read: {error}"))
}

fn unwritable(error: &io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => "change it where this volume is made from".to_owned(),
        ErrorKind::PermissionDenied => "run this as its owner, who may write to its directory, too".to_owned(),
        _ => return format!("cannot be written: {error}"),
    };
    format!("cannot be written: {error}: {why}")
}
