//! A sidecar's key file: plain keys, one a line. They are hashed as they are read and kept nowhere.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::file::named;
use super::samples::Samples;
use super::weak::weakness;
use super::{Client, Digest, Grant, Key, Keys, Targets};
use crate::document::{Mistake, Mistakes};
use crate::family::Families;
use crate::plane::Plane;
use crate::settings::{ByAccess, Settings};

/// The name of the client that all keys of the file belong to.
const CLIENT: &str = "sidecar";

/// Reads the file. Every key gets the same grant on every resource: `allow`, or the plane's default.
pub(super) fn read(file: &Path, allow: &[String], settings: &Settings) -> Result<Keys, Mistakes> {
    let whole = |fix: String| Mistakes::of_file(file, fix);
    let mode = std::fs::metadata(file).map_err(|error| whole(format!("cannot be read: {error}")))?.permissions().mode();
    if mode & 0o006 != 0 {
        return Err(whole(format!("is open to every user (mode {:03o}): chmod 600 it", mode & 0o777)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| whole(format!("cannot be read: {error}")))?;
    let text = Zeroizing::new(text);
    let client = Arc::new(Client { name: CLIENT.into(), grants: grants(allow, settings)? });
    let samples = Samples::new();
    let mut keys = Keys::default();
    let mut mistakes = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let key = line.trim();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        let mut wrong = |fix: String| {
            let at = Some((n + 1, 1));
            mistakes.push(Mistake { file: file.to_owned(), at, place: String::new(), fix });
        };
        if let Some(fix) = weakness(key, &samples) {
            wrong(fix);
            continue;
        }
        let entry = Key::new(format!("line-{}", n + 1), client.clone());
        if let Some(other) = keys.insert(Digest::of(key.as_bytes()), entry) {
            wrong(format!("the same key as {}: remove one", other.id));
        }
    }
    if mistakes.is_empty() && keys.is_empty() {
        return Err(whole("holds no key: write one a line".to_owned()));
    }
    if mistakes.is_empty() { Ok(keys) } else { Err(Mistakes(mistakes)) }
}

fn grants(allow: &[String], settings: &Settings) -> Result<Vec<Grant>, Mistakes> {
    let mut mistakes = Vec::new();
    // A word must fit one of the planes that are there; a resource takes the words of its own plane.
    let planes: Vec<_> = settings.resources.iter().map(|resource| resource.plane).collect();
    for word in allow {
        let known = planes.iter().map(|plane| named(word, Some(*plane)));
        if let Some(Err(fix)) = known.reduce(Result::or) {
            let place = "--allow".to_owned();
            mistakes.push(Mistake { file: "command line".into(), at: None, place, fix });
        }
    }
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    let families = |plane: Plane| {
        let words = allow.iter().filter_map(|word| named(word, Some(plane)).ok());
        words.reduce(Families::and).unwrap_or(Families::default_for(plane))
    };
    Ok(settings
        .resources
        .iter()
        .map(|resource| Grant {
            resource: resource.clone(),
            families: families(resource.plane),
            access: ByAccess::always(true),
            targets: Targets::All,
            identity: resource.identity.clone(),
        })
        .collect())
}
