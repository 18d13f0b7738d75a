//! How files look from outside: enough to see that one has changed, whoever changed it and in whatever way.
//!
//! Names are followed to what they lead to, so that a link that leads elsewhere is a change: Kubernetes swaps one for all
//! files of a volume. Nothing is watched: a notice of the system's would have to follow every link on the way, and does
//! not come at all from some file systems.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How each file looked.
pub(crate) type Looks = BTreeMap<PathBuf, Look>;

/// How a file looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// There was none, or none that we may see.
    Missing,
    File(Traits),
    /// Its entries, by their names.
    Directory(BTreeMap<OsString, Option<Traits>>),
}

/// What changes of a file when it is written to, or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// Looks at files and directories.
pub(crate) fn look(files: &BTreeSet<PathBuf>) -> Looks {
    files.iter().map(|file| (file.clone(), Look::at(file))).collect()
}

impl Look {
    fn at(file: &Path) -> Self {
        let Ok(metadata) = std::fs::metadata(file) else { return Self::Missing };
        if !metadata.is_dir() {
            return Self::File(Traits::of(&metadata));
        }
        let Ok(entries) = std::fs::read_dir(file) else { return Self::Missing };
        let entries = entries.filter_map(Result::ok);
        Self::Directory(entries.map(|entry| (entry.file_name(), Traits::at(&entry.path()))).collect())
    }
}

impl Traits {
    fn at(file: &Path) -> Option<Self> {
        std::fs::metadata(file).ok().as_ref().map(Self::of)
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir, read_to_string, rename, write};
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn every_way_to_change_a_file_shows() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        create_dir(at("v1")).unwrap();
        create_dir(at("v2")).unwrap();
        create_dir(at("names")).unwrap();
        for file in ["plain", "v1/keys", "v2/keys", "names/a.pem"] {
            write(at(file), "same length").unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/keys", at("keys")).unwrap();
        // Times of files are as coarse as the system's tick: it is old.
        File::options().write(true).open(at("plain")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let files = ["plain", "keys", "names", "missing"].map(at);
        let seen = || look(&files.clone().into());
        let before = seen();
        assert_eq!(seen(), before, "a look changes nothing");
        read_to_string(at("keys")).unwrap();
        assert_eq!(seen(), before, "nor does reading");

        let steps: [(&str, &dyn Fn()); 6] = [
            ("written in place", &|| write(at("plain"), "SAME LENGTH").unwrap()),
            ("replaced", &|| {
                write(at("new"), "same length").unwrap();
                rename(at("new"), at("plain")).unwrap();
            }),
            ("the link of a volume swapped", &|| {
                symlink("v2", at("..data_tmp")).unwrap();
                rename(at("..data_tmp"), at("..data")).unwrap();
            }),
            ("one more in a directory", &|| write(at("names/b.pem"), "").unwrap()),
            ("one changed in a directory", &|| write(at("names/a.pem"), "longer than before").unwrap()),
            ("it came to be", &|| write(at("missing"), "").unwrap()),
        ];
        let mut last = before;
        for (what, step) in steps {
            step();
            let now = seen();
            assert_ne!(now, last, "{what}");
            last = now;
        }
    }
}
