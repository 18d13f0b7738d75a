//! Where a file really is, whatever it is called.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a file really is, or will be: links are followed, so that what replaces it leaves them as they are.
///
/// # Errors
/// Its directory is not there, or it is a link that leads nowhere.
pub(crate) fn real(named: &Path) -> io::Result<PathBuf> {
    // A link that leads nowhere is there, too, and must not be taken for nothing.
    if fs::symlink_metadata(named).is_ok() {
        return fs::canonicalize(named);
    }
    let name = named.file_name().ok_or(ErrorKind::InvalidInput)?;
    let parent = named.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::canonicalize(parent)?.join(name))
}

/// Whether a file is, or will be, this other one, or lies in it, by whatever names and links.
pub(crate) fn is_within(file: &Path, other: &Path) -> bool {
    // What is not there yet is nobody else's, unless they call it the same.
    file == other || real(file).is_ok_and(|file| real(other).is_ok_and(|other| file.starts_with(other)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_and_those_that_lead_nowhere_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(directory.path()).unwrap();
        let at = |name: &str| home.join(name);
        fs::write(at("file"), "").unwrap();
        for (target, link) in [("file", "link"), ("link", "again"), ("nothing", "lost")] {
            symlink(at(target), at(link)).unwrap();
        }
        for (named, found) in [("file", "file"), ("link", "file"), ("again", "file"), ("new", "new")] {
            assert_eq!(real(&at(named)).unwrap(), at(found), "{named}");
        }
        for lost in ["lost", "no-directory/new"] {
            assert_eq!(real(&at(lost)).unwrap_err().kind(), ErrorKind::NotFound, "{lost}");
        }
    }
}
