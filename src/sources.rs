//! Everything that is read from files, as it stands at one moment: settings, keys, certificates. And which files those
//! are, so that whoever waits for a change knows where to look.

mod look;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::certificate::Certificates;
use crate::document::Mistakes;
use crate::keys::Keys;
use crate::proof::{self, Note};
use crate::settings::{AdminSecret, KeySource, SecretSource, Settings, Single};
use crate::whereabouts::is_within;
pub(crate) use look::{Looks, look};

/// Where the settings come from: a file, or flags alone.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file that was named, if one was.
    pub file: Option<PathBuf>,
    /// The flags; they count if they name an upstream.
    pub single: Single,
}

/// What was read.
#[derive(Debug)]
pub struct Reading {
    /// The settings.
    pub settings: Settings,
    /// The keys that they point at.
    pub keys: Keys,
    /// What the https address shows; none without one.
    pub certificates: Certificates,
    /// What the admin address wants to be shown; none if nothing.
    pub admin_secret: Option<AdminSecret>,
    /// What the owners of identities should know.
    pub notes: Vec<Note>,
}

/// A reading that may have failed, and the files that it depends on.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// How the files looked just before they were read.
    pub(crate) looks: Looks,
    pub(crate) reading: Result<Reading, Mistakes>,
}

/// How often a reading begins anew since it names other files than the one before: each time somebody has just changed
/// the settings.
const ANEW: usize = 5;

// === impl Source ===

impl Source {
    /// Reads everything.
    ///
    /// # Errors
    /// Everything that is wrong with the settings; or else with the keys; or else with a certificate of ours, with the
    /// secret of the admin address, with the certificates of identities.
    pub fn read(&self) -> Result<Reading, Mistakes> {
        Reading::of(self.settings()?)
    }

    /// Reads everything, having looked at every file before.
    pub(crate) fn attempt(&self) -> Attempt {
        let mut files = self.own_files();
        for _ in 0..ANEW {
            let looks = look(&files);
            let settings = self.settings();
            let named = settings.as_ref().map(files_of).unwrap_or_default();
            if !named.is_subset(&files) {
                // These have been read without a look; the next turn has one.
                files.extend(named);
                continue;
            }
            return Attempt { looks, reading: settings.and_then(Reading::of) };
        }
        let fix = "is being changed all the time: each reading names other files";
        let looks = look(&self.own_files());
        Attempt { looks, reading: Err(Mistakes::of_file(self.name(), fix)) }
    }

    fn settings(&self) -> Result<Settings, Mistakes> {
        Settings::load(self.file.as_deref(), &self.single)
    }

    /// The file of settings, if there is one.
    fn own_files(&self) -> BTreeSet<PathBuf> {
        if self.single.upstream.is_empty() { BTreeSet::from([self.name().to_owned()]) } else { BTreeSet::new() }
    }

    fn name(&self) -> &Path {
        self.file.as_deref().unwrap_or(Settings::DEFAULT_FILE.as_ref())
    }
}

// === impl Reading ===

impl Reading {
    /// Reads what these settings point at.
    ///
    /// # Errors
    /// Everything that is wrong with the keys, or else as [`Reading::with`].
    pub fn of(settings: Settings) -> Result<Self, Mistakes> {
        let keys = Keys::read(&settings)?;
        Self::with(settings, keys)
    }

    /// The same with keys of one's own.
    ///
    /// # Errors
    /// What is wrong with the certificates, or with the secret of the admin address.
    pub fn with(settings: Settings, keys: Keys) -> Result<Self, Mistakes> {
        if let Some(file) = &settings.usage.file
            && let Some(read) = files_of(&settings).iter().find(|read| is_within(file, read))
        {
            let read = read.display();
            let fix =
                format!("lies where {read} is read from: name another file for usage.file, which can be written to");
            return Err(Mistakes::of_file(file, fix));
        }
        let https = settings.listen.https.as_ref();
        let certificates = https.map(|https| Certificates::read(&https.tls)).transpose()?.unwrap_or_default();
        let admin_secret = settings.admin.read_secret()?;
        let notes = proof::check(&settings.identities)?;
        Ok(Self { settings, keys, certificates, admin_secret, notes })
    }
}

/// The files and directories that settings name.
fn files_of(settings: &Settings) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    match &settings.keys {
        KeySource::Digests(file) | KeySource::Plain { file, .. } => files.insert(file.clone()),
    };
    if let Some(https) = &settings.listen.https {
        files.extend(https.tls.default.iter().flat_map(|pair| [pair.cert.clone(), pair.key.clone()]));
        files.extend(https.tls.directory.clone());
    }
    files.extend(settings.egress.ca.clone());
    files.extend(settings.admin.secret.as_ref().and_then(SecretSource::file).map(Path::to_owned));
    let proxys = settings.egress.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref());
    files.extend(proxys.and_then(SecretSource::file).map(Path::to_owned));
    files.extend(settings.identities.iter().flat_map(|identity| identity.files()).map(Path::to_owned));
    files
}
