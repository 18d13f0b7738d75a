//! Keys that clients have already: as Azure's own command line prints them, as a Secret of Kubernetes holds them, or one a
//! line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Keyring, Labels, Mistake, Mistakes, Owner, Particulars, Plane};
use crate::keys::weakness;

/// Keys that were found somewhere.
#[derive(Debug)]
pub struct Found {
    keys: Vec<FoundKey>,
    /// The plane that they are for, where their place tells.
    plane: Option<Plane>,
    /// What such keys may do at Azure, if that is less than what a client may do by default.
    allow: Option<&'static str>,
}

#[derive(Debug)]
struct FoundKey {
    /// Where it was, without the key.
    file: PathBuf,
    line: Option<usize>,
    place: String,
    /// What it is called there.
    label: String,
    key: Zeroizing<String>,
}

/// A key that is listed now.
#[derive(Debug)]
pub struct Imported {
    /// Its name in the log.
    pub id: String,
    /// Whether it was listed already, for the same client.
    pub was_there: bool,
}

impl Found {
    /// Finds the keys in a text that came from standard input: JSON of `az cognitiveservices account keys list`,
    /// `az search admin-key show` or `az search query-key list`, or one a line.
    ///
    /// # Errors
    /// Another text.
    pub fn in_text(text: &str) -> Result<Self, Mistakes> {
        let file = PathBuf::from("standard input");
        if text.trim_start().starts_with(['{', '[']) {
            return Self::in_json(&file, text);
        }
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let keys = lines.map(|(n, line)| FoundKey {
            file: file.clone(),
            line: Some(n + 1),
            place: String::new(),
            label: "imported".to_owned(),
            key: Zeroizing::new(line.trim().to_owned()),
        });
        Self { keys: keys.collect(), plane: None, allow: None }.some(&file)
    }

    /// Finds the keys in the files of a directory, as a Secret of Kubernetes is mounted, or in one of its files.
    ///
    /// # Errors
    /// What cannot be read, or has no key.
    pub fn in_files(path: &Path) -> Result<Self, Mistakes> {
        let broken = |error: std::io::Error| Mistakes::of_file(path, format!("cannot be read: {error}"));
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = fs::read_dir(path).map_err(broken)?.filter_map(Result::ok).map(|entry| entry.path());
            files = entries.filter(|file| file.is_file() && !name(file).starts_with('.')).collect();
            files.sort();
        }
        let read = |file: PathBuf| {
            let text = fs::read_to_string(&file).map(Zeroizing::new);
            let text = text.map_err(|error| Mistakes::of_file(&file, format!("cannot be read: {error}")))?;
            let key = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
            Ok(FoundKey { label: name(&file), file, line: None, place: String::new(), key })
        };
        let keys = files.into_iter().map(read).collect::<Result<_, Mistakes>>()?;
        Self { keys, plane: None, allow: None }.some(path)
    }

    fn in_json(file: &Path, text: &str) -> Result<Self, Mistakes> {
        let json: Value = serde_json::from_str(text).map_err(|error| {
            let fix = format!("is no JSON: line {}, column {}", error.line(), error.column());
            Mistakes::of_file(file, fix)
        })?;
        let named = |place: &str, label: &str, key: &Value| {
            let key = Zeroizing::new(key.as_str()?.to_owned());
            Some(FoundKey { file: file.to_owned(), line: None, place: place.to_owned(), label: label.to_owned(), key })
        };
        let pair = |[first, second]: [&str; 2]| {
            Some(vec![named(first, first, json.get(first)?)?, named(second, second, json.get(second)?)?])
        };
        let listed = |list: &Vec<Value>| {
            let keys = list.iter().enumerate().map(|(n, item)| {
                let label = item.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
                named(&format!("[{n}].key"), label.unwrap_or("query"), item.get("key")?)
            });
            keys.collect::<Option<Vec<_>>>()
        };
        let found = if let Some(keys) = pair(["key1", "key2"]) {
            Self { keys, plane: Some(Plane::OpenAi), allow: None }
        } else if let Some(keys) = pair(["primaryKey", "secondaryKey"]) {
            Self { keys, plane: Some(Plane::Search), allow: None }
        } else if let Some(keys) = json.as_array().and_then(listed) {
            Self { keys, plane: Some(Plane::Search), allow: Some("search-query") }
        } else {
            let fix = "is JSON without keys: give it what az cognitiveservices account keys list, az search admin-key show \
                       or az search query-key list prints";
            return Err(Mistakes::of_file(file, fix));
        };
        found.some(file)
    }

    fn some(self, file: &Path) -> Result<Self, Mistakes> {
        if self.keys.is_empty() { Err(Mistakes::of_file(file, "holds no key")) } else { Ok(self) }
    }
}

impl Keyring {
    /// Lists keys that a client has already, so that it changes nothing. There may be more than two. Those that are listed
    /// already stay as they are.
    ///
    /// # Errors
    /// A weak key, a key of somebody else's, or what was asked for and cannot be.
    pub fn import(
        &mut self,
        owner: &Owner,
        found: &Found,
        particulars: &Particulars,
    ) -> Result<Vec<Imported>, Mistakes> {
        let weak = found.keys.iter().filter_map(|found| Some(found.wrong(weakness(&found.key)?))).collect::<Vec<_>>();
        if !weak.is_empty() {
            return Err(Mistakes(weak));
        }
        let mut owner = owner.clone();
        if let Some(allow) = found.allow.filter(|_| owner.allow.is_empty() && !self.is_known(&owner.client)) {
            owner.allow.push(allow.to_owned());
        }
        self.welcome(&owner, found.plane)?;
        found.keys.iter().map(|found| self.import_one(&owner.client, found, particulars)).collect()
    }

    fn import_one(&mut self, client: &str, found: &FoundKey, particulars: &Particulars) -> Result<Imported, Mistakes> {
        if let Some(key) = self.keys.find(found.key.as_bytes()) {
            if *key.client.name == *client {
                return Ok(Imported { id: key.id.to_string(), was_there: true });
            }
            let fix = format!("is the key {} of {} already: one key, one owner", key.id, key.client.name);
            return Err(Mistakes(vec![found.wrong(fix)]));
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let label: String = found.label.chars().map(plain).collect();
        let id = Some(self.free_id(&format!("{client}-{label}")));
        let id = self.enter(client, &found.key, &Labels { id, particulars: particulars.clone() })?;
        Ok(Imported { id, was_there: false })
    }
}

impl FoundKey {
    fn wrong(&self, fix: String) -> Mistake {
        let at = self.line.map(|line| (line, 1));
        Mistake { file: self.file.clone(), at, place: self.place.clone(), fix }
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
