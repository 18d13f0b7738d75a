//! The map in `src/lib.rs` is true: a module imports only what is declared above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn modules_import_only_what_is_declared_above_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = fs::read_to_string(source.join("lib.rs")).unwrap();
    let order: Vec<&str> = map.lines().filter_map(declared).collect();
    assert!(order.len() > 15, "the map has lost its modules: {order:?}");

    let mut checked = 0;
    let mut upward = Vec::new();
    for (place, module) in order.iter().enumerate() {
        for file in files(&source, module) {
            let text = fs::read_to_string(&file).unwrap();
            for imported in imports(&text) {
                let known = order.iter().position(|name| *name == imported);
                let known = known
                    .unwrap_or_else(|| panic!("{} names crate::{imported}, which is not in the map", file.display()));
                checked += 1;
                if known > place {
                    upward.push(format!("{} imports crate::{imported}, declared below {module}", file.display()));
                }
            }
        }
    }
    assert!(checked > 80, "only {checked} imports were seen");
    assert_eq!(upward, Vec::<String>::new());

    let named: BTreeSet<_> = order.iter().map(|name| (*name).to_owned()).collect();
    let there: BTreeSet<_> = fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "lib" && name != "main")
        .collect();
    assert_eq!(named, there, "what is in src/ and what is in the map");
}

/// The module that a line of the map declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(';')
}

/// The files of a module: its own, and those in its directory, however deep.
fn files(directory: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = vec![directory.join(format!("{module}.rs"))];
    let rooms = directory.join(module);
    if let Ok(entries) = fs::read_dir(&rooms) {
        let names = entries.map(|entry| entry.unwrap().path());
        for room in names.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
            files.extend(self::files(&rooms, room.file_stem().unwrap().to_str().unwrap()));
        }
    }
    files
}

/// The modules of our own that a file names, in imports, paths and links of its docs.
fn imports(text: &str) -> Vec<&str> {
    // What a module's docs point at is for the reader, and may lie anywhere.
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .filter(|name| !name.is_empty())
        .collect()
}
