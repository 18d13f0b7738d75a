//! The file that the use of keys is written to: of one process alone, and replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Moment, Page};
use crate::whereabouts::real;

/// A file that no other process writes to.
#[derive(Debug)]
pub(super) struct UseFile {
    /// Where it really is: links are followed, and stay.
    real: PathBuf,
    /// It is locked for as long as this is there. The file itself is another one after each writing.
    _lock: File,
}

/// What was in the file.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Page(Box<Page>),
    /// What was left of a page, and why it is none. It was renamed to this.
    Broken(String, PathBuf),
}

/// Nobody else may read it: it tells who does what, and by the beginnings of digests a key that is easily guessed can be
/// told from others.
const MODE: u32 = 0o600;

impl UseFile {
    /// Takes the file for this process, and reads it.
    ///
    /// # Errors
    /// Why it cannot be had, as a clause about it. It is as it was then.
    pub(super) fn open(named: &Path) -> Result<(Self, Found), String> {
        let real = real(named).map_err(|error| unwritable(&error))?;
        let lock = OpenOptions::new().create(true).append(true).mode(MODE).open(with(&real, ".lock"));
        let lock = lock.map_err(|error| unwritable(&error))?;
        match rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err("is another keyswap's: each needs one of its own".to_owned());
            }
            Err(error) => return Err(format!("cannot be locked: {error}")),
        }
        let file = Self { real, _lock: lock };
        let found = file.read()?;
        Ok((file, found))
    }

    fn read(&self) -> Result<Found, String> {
        let why = match fs::read(&self.real) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            // A directory must not be moved out of anybody's way.
            Err(error) if error.kind() == ErrorKind::IsADirectory => return Err("is a directory".to_owned()),
            Err(error) => return Err(format!("cannot be read: {error}")),
            Ok(text) if text.is_empty() => return Ok(Found::Nothing),
            Ok(text) => match Page::parse(&String::from_utf8_lossy(&text)) {
                Ok(page) => return Ok(Found::Page(Box::new(page))),
                Err(_) if !is_ours(&text) => return Err("is something else, and stays: name another one".to_owned()),
                Err(why) => why,
            },
        };
        let aside = self.aside();
        match fs::rename(&self.real, &aside) {
            Ok(()) => Ok(Found::Broken(why, aside)),
            Err(error) => Err(format!("{why}; and it cannot be renamed: {error}")),
        }
    }

    /// Puts a page in its place: a reader sees the one before or this, whatever happens meanwhile.
    ///
    /// # Errors
    /// Why it cannot be written. It is as it was then.
    pub(super) fn write(&self, page: &Page) -> Result<(), String> {
        let written = serde_json::to_vec_pretty(page).map_err(io::Error::from).and_then(|text| self.replace(&text));
        written.map_err(|error| unwritable(&error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let beside = with(&self.real, ".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&beside)?;
        file.write_all(text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, &self.real)?;
        let parent = self.real.parent().unwrap_or(Path::new("/"));
        File::open(parent)?.sync_all()
    }

    /// A name beside the file's that nothing has yet.
    fn aside(&self) -> PathBuf {
        let mut now = Moment::now().to_string();
        now.retain(|sign| sign.is_ascii_alphanumeric());
        let name = with(&self.real, &format!(".broken-{now}"));
        let more = (2..).map(|n: u32| with(&name, &format!("-{n}")));
        let mut names = std::iter::once(name.clone()).chain(more);
        names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or(name)
    }
}

/// Whether it can be what is left of a page, or one of another version: it begins as all of them do, or was never filled,
/// as after a crash of the machine.
fn is_ours(text: &[u8]) -> bool {
    let inside = text.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.starts_with(b"\"version\"")) || text.iter().all(|byte| *byte == 0)
}

/// The same name with something behind it.
fn with(name: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(more);
    name.into()
}

fn unwritable(error: &io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => ": name a file on a volume that can be written to",
        ErrorKind::PermissionDenied => ": keyswap must be able to write to its directory, too",
        ErrorKind::NotFound => ": its directory must be there",
        _ => "",
    };
    format!("cannot be written: {error}{why}")
}
