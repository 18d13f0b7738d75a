//! The file of keys where it is: a link, another owner's mode, a volume of Kubernetes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{KEYS, done, files, keys, refused};

#[test]
fn a_link_is_followed_and_mode_and_owner_stay() {
    let directory = files(KEYS);
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("real")).unwrap();
    fs::rename(path("keys.toml"), path("real/k")).unwrap();
    symlink("real/k", path("keys.toml")).unwrap();
    fs::set_permissions(path("real/k"), Permissions::from_mode(0o604)).unwrap();
    done(&directory, &["revoke", "old-1"]);
    assert_eq!(fs::read_link(path("keys.toml")).unwrap().to_str(), Some("real/k"));
    assert_eq!(fs::metadata(path("real/k")).unwrap().permissions().mode() & 0o7777, 0o604);
    assert!(fs::read_to_string(path("real/k")).unwrap().contains("revoked = true"));
    assert_eq!(fs::read_dir(path("real")).unwrap().count(), 1, "nothing else is left there");
    // One that leads nowhere is not nothing.
    fs::remove_file(path("real/k")).unwrap();
    let (code, _, told) = keys(&directory, &["new", "--client", "x", "--resource", "ai"]);
    assert_eq!((code, told.as_str()), (Some(2), "keys.toml: cannot be read: No such file or directory (os error 2)\n"));
}

#[test]
fn a_file_that_is_not_there_is_made_for_its_owner_and_group() {
    let directory = files("");
    fs::remove_file(directory.path().join("keys.toml")).unwrap();
    done(&directory, &["new", "--client", "x", "--resource", "ai"]);
    let mode = fs::metadata(directory.path().join("keys.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    // Another one for the same resources.
    done(&directory, &["new", "--client", "y", "--resource", "ai", "--keys", "other.toml"]);
    assert!(fs::read_to_string(directory.path().join("other.toml")).unwrap().starts_with("[clients.y]\n"));
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let directory = files(KEYS);
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(path("keys.toml"), Permissions::from_mode(0o444)).unwrap();
    let told = refused(&directory, &["revoke", "old-1"]);
    assert_eq!(told, "keys.toml: is read-only, and stays as it is: chmod u+w it if it may be changed\n");
    // As a volume of Kubernetes looks.
    fs::create_dir(path("..2026_11_22")).unwrap();
    fs::rename(path("keys.toml"), path("..2026_11_22/keys.toml")).unwrap();
    symlink("..2026_11_22", path("..data")).unwrap();
    symlink("..data/keys.toml", path("keys.toml")).unwrap();
    let told = refused(&directory, &["revoke", "old-1"]);
    let fix = "leads into a volume that Kubernetes replaces as a whole: change the Secret or ConfigMap it is from";
    assert_eq!(told, format!("keys.toml: {fix}\n"));
    assert!(done(&directory, &["list"]).contains("old-1"));
}
