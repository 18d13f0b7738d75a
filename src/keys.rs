//! Whose key is it, and what may it do: the allowlist.
//!
//! Keys are held as SHA-256 digests and looked up by digest, so neither memory nor a timing tells one. They are long
//! and random, as Azure's own are: a slow hash would protect nothing and cost every request.

mod expiry;
mod file;
mod plain;
mod samples;
mod weak;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use foldhash::HashMap;
use tokio_util::sync::CancellationToken;
use wildmatch::WildMatch;

use crate::document::Mistakes;
use crate::family::{Families, Family};
use crate::plane::Access;
use crate::settings::{ByAccess, KeySource, Resource, Settings};
use crate::usage::{Listed, Uses};
use expiry::Announcement;
pub use expiry::Ending;
#[cfg(test)]
pub(crate) use file::tests::SETTINGS;

/// Every key that is known, by digest.
#[derive(Debug, Default)]
pub struct Keys {
    by_digest: HashMap<Digest, Arc<Key>>,
    /// How long before the end of a key its operator is told.
    notice: Duration,
}

/// The SHA-256 digest of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// One key of a client. The key itself is nowhere in memory.
///
/// What every request needs comes first: where many keys are in use, each comes from memory, line by line.
#[derive(Debug)]
#[repr(C)] // keeps the order
pub struct Key {
    /// Whether it was taken back.
    pub revoked: Revoked,
    /// From when on it is no longer good; never if `None`.
    pub expires: Option<SystemTime>,
    /// What it was used for, for as long as it is listed.
    pub(crate) uses: Arc<Uses>,
    /// Whose it is.
    pub client: Arc<Client>,
    /// Cancelled when whatever runs with it must end. The same for as long as the key is listed, whatever else changes.
    pub(crate) cut: CancellationToken,
    /// From when on it is good; always if `None`.
    pub not_before: Option<SystemTime>,
    /// What answers to its client say of its end, if they shall.
    announcement: Option<Box<Announcement>>,
    /// Its name in the log, never a part of it.
    pub id: Arc<str>,
    /// When it was made or came to be listed, if somebody has written that down. Nothing depends on it.
    pub created: Option<SystemTime>,
    /// What its owners want to know of it.
    pub note: Option<Arc<str>>,
}

/// Whether a key was taken back, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revoked {
    /// It is good.
    #[default]
    No,
    /// The next request is refused; what runs may end as it would.
    ForRequests,
    /// What runs is cut, too: for emergencies.
    AtOnce,
}

/// Somebody we gave keys to.
#[derive(Debug)]
pub struct Client {
    /// Its name in the log.
    pub name: Arc<str>,
    /// What its keys may do.
    pub grants: Vec<Grant>,
}

/// What a client may do on one resource.
#[derive(Debug)]
pub struct Grant {
    /// The resource.
    pub resource: Arc<Resource>,
    /// The operations.
    pub families: Families,
    /// How deep they may reach.
    pub access: ByAccess<bool>,
    /// The deployments, or the indexes.
    pub targets: Targets,
    /// Whose tokens its requests ride.
    pub identity: ByAccess<Arc<str>>,
}

/// Names of deployments or indexes: all, or those that fit a glob. Case does not count, as Azure does not let two
/// names differ by case alone.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Every name, and what has none.
    All,
    /// The names that fit one of these.
    Some(Arc<[WildMatch]>),
}

/// What makes a key too weak to be listed, and what to do. No text holds anything of the key.
pub(crate) fn weakness(key: &str) -> Option<String> {
    weak::weakness(key, &samples::Samples::new())
}

// === impl Keys ===

impl Keys {
    /// Reads the keys that the settings point at.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its place and its fix.
    pub fn read(settings: &Settings) -> Result<Self, Mistakes> {
        match &settings.keys {
            KeySource::Digests(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Mistakes::of_file(path, format!("cannot be read: {error}")))?;
                Self::parse(path, &text, settings)
            }
            KeySource::Plain { file, allow } => plain::read(file, allow, settings),
        }
    }

    /// Reads `text` as if it were the content of the `keys.toml` at `path`.
    ///
    /// # Errors
    /// As [`Keys::read`].
    pub(crate) fn parse(path: &Path, text: &str, settings: &Settings) -> Result<Self, Mistakes> {
        file::parse(path, text, settings)
    }

    /// Every key: by the name of its client, then in the order in which they were made.
    pub fn each(&self) -> Vec<&Arc<Key>> {
        let mut keys: Vec<_> = self.by_digest.values().collect();
        keys.sort_by(|a, b| a.order().cmp(&b.order()));
        keys
    }

    /// The same, each with the beginning of its digest, by which those who serve know it.
    pub(crate) fn each_by_digest(&self) -> Vec<(String, &Arc<Key>)> {
        let mut keys: Vec<_> = self.by_digest.iter().map(|(digest, key)| (digest.beginning(), key)).collect();
        keys.sort_by(|(_, a), (_, b)| a.order().cmp(&b.order()));
        keys
    }

    /// The key whose text this is, good or not.
    pub fn find(&self, text: &[u8]) -> Option<&Arc<Key>> {
        self.by_digest.get(&Digest::of(text))
    }

    /// Takes the place of the keys before: what runs with one of those, or will begin to in this moment, is cut if that key
    /// is now to be cut, and if not, goes on.
    pub(crate) fn take_over(&mut self, before: &Self) {
        for (digest, key) in &mut self.by_digest {
            let Some(earlier) = before.by_digest.get(digest) else { continue };
            // Nobody else has any of them yet.
            let Some(key) = Arc::get_mut(key) else { continue };
            key.uses = earlier.uses.clone();
            // A key that is good again has to do with nothing that was cut.
            let is_good_again = earlier.cut.is_cancelled() && key.revoked != Revoked::AtOnce;
            if !is_good_again {
                key.cut = earlier.cut.clone();
            }
        }
    }

    /// Every key, for the book of their uses.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let listed = |(digest, key): (&Digest, &Arc<Key>)| Listed {
            client: key.client.name.clone(),
            id: key.id.clone(),
            sha256: digest.beginning(),
            uses: key.uses.clone(),
        };
        self.by_digest.iter().map(listed).collect()
    }

    /// Cuts whatever runs with keys that are to be cut; gives their names.
    pub(crate) fn cut(&self) -> Vec<&str> {
        let cut = self.by_digest.values().filter(|key| key.revoked == Revoked::AtOnce && !key.cut.is_cancelled());
        cut.map(|key| {
            key.cut.cancel();
            &*key.id
        })
        .collect()
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether no key is known, so that every request will be refused.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// The clients, each once, in the order of their names.
    pub fn clients(&self) -> Vec<&Arc<Client>> {
        let mut clients: Vec<_> = self.by_digest.values().map(|key| &key.client).collect();
        clients.sort_by(|a, b| a.name.cmp(&b.name));
        clients.dedup_by(|a, b| Arc::ptr_eq(a, b));
        clients
    }

    /// Takes a key in; gives back the one that has the same digest already.
    fn insert(&mut self, digest: Digest, key: Key) -> Option<Arc<Key>> {
        if let Some(other) = self.by_digest.get(&digest) {
            return Some(other.clone());
        }
        self.by_digest.insert(digest, Arc::new(key));
        None
    }
}

// === impl Digest ===

impl Digest {
    /// The digest of a key.
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text).as_ref());
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// Its first 16 digits, which no two keys share.
    pub(crate) fn beginning(&self) -> String {
        self.0.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits, as `keys.toml` takes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

// === impl Key ===

impl Key {
    /// A key that is good at any time.
    pub(crate) fn new(id: impl Into<Arc<str>>, client: Arc<Client>) -> Self {
        Self {
            id: id.into(),
            client,
            created: None,
            note: None,
            not_before: None,
            expires: None,
            revoked: Revoked::No,
            cut: CancellationToken::new(),
            uses: Arc::new(Uses::new()),
            announcement: None,
        }
    }

    /// What keys are sorted by: the names of their clients, then the order in which they were made.
    fn order(&self) -> (&str, Option<SystemTime>, &str) {
        (&self.client.name, self.created, &self.id)
    }

    /// Whether the key is good at a moment, or will be: neither taken back nor expired.
    pub(crate) fn lives_at(&self, now: SystemTime) -> bool {
        matches!(self.good_at(now), Ok(()) | Err("not-yet-valid"))
    }

    /// Whether the key is good at a moment, and if not, why: for the log alone.
    ///
    /// # Errors
    /// `"revoked"`, `"expired"` or `"not-yet-valid"`.
    pub fn good_at(&self, now: SystemTime) -> Result<(), &'static str> {
        if self.revoked != Revoked::No {
            Err("revoked")
        } else if self.expires.is_some_and(|expires| now >= expires) {
            Err("expired")
        } else if self.not_before.is_some_and(|not_before| now < not_before) {
            Err("not-yet-valid")
        } else {
            Ok(())
        }
    }

    /// Whether it can ever be refused: it has an end or a beginning, or was taken back.
    pub(crate) fn has_bounds(&self) -> bool {
        self.expires.is_some() || self.not_before.is_some() || self.revoked != Revoked::No
    }
}

// === impl Grant ===

impl Grant {
    /// The accesses that its operations can come to.
    pub fn accesses(&self) -> impl Iterator<Item = Access> {
        let within = self.families.iter().flat_map(Family::accesses).copied();
        let within: Vec<_> = within.filter(|access| *self.access.at(*access)).collect();
        Access::NAMES.iter().map(|(_, access)| *access).filter(move |access| within.contains(access))
    }
}

// === impl Targets ===

impl Targets {
    /// The names that fit one of `globs`, in which `*` stands for any run of characters and `?` for one.
    pub fn fitting<'g>(globs: impl IntoIterator<Item = &'g str>) -> Self {
        let globs: Vec<_> = globs.into_iter().map(WildMatch::new_case_insensitive).collect();
        if globs.iter().any(|glob| glob.pattern() == "*") { Self::All } else { Self::Some(globs.into()) }
    }

    /// Those that are written out: no globs.
    pub(crate) fn exact(&self) -> Vec<String> {
        let globs: &[WildMatch] = match self {
            Self::All => &[],
            Self::Some(globs) => globs,
        };
        globs.iter().map(WildMatch::pattern).filter(|name| !name.contains(['*', '?'])).collect()
    }

    /// Whether a name is among them; `None` is what has no name, and only all names together cover it.
    pub fn cover(&self, name: Option<&str>) -> bool {
        match (self, name) {
            (Self::All, _) => true,
            (Self::Some(globs), Some(name)) => globs.iter().any(|glob| glob.matches(name)),
            (Self::Some(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_sha256sum_writes_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(empty), Some(Digest::of(b"")));
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::parse(&empty.to_uppercase()), Some(Digest::of(b"")));
        assert_eq!(Digest::parse(&empty[1..]), None);
        assert_eq!(Digest::parse(&empty.replace('e', "g")), None);
    }

    #[test]
    fn a_glob_covers_names_and_never_what_has_none() {
        let some = Targets::fitting(["gpt-4o*", "whisper"]);
        assert!(some.cover(Some("GPT-4o-mini")));
        assert!(some.cover(Some("whisper")));
        assert!(!some.cover(Some("whisper-2")));
        assert!(!some.cover(None));
        assert!(Targets::fitting(["x", "*"]).cover(None));
        assert!(!Targets::fitting([]).cover(Some("x")));
        assert_eq!(some.exact(), ["whisper"]);
    }
}
