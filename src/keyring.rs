//! `keyswap keys`: the file of keys, changed by commands, for people who review what has changed.
//!
//! An edit holds the file's lock from its reading to its writing. What it comes to is read as the server will read it
//! before it takes the place of what was: an edit is whole and good, or there is none. A key itself is shown to the one
//! who asked for it, once, and goes nowhere else.

mod edit;
mod evidence;
mod file;
mod import;
mod moment;
mod narrow;
mod page;
mod proposal;
mod shape;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::document::{Mistake, Mistakes};
use crate::keys::{Digest, Key, Keys, Revoked};
use crate::plane::Plane;
use crate::settings::{KeySource, Settings};
pub use evidence::{Evidence, Heard, Informant, Known, Unheard};
use file::KeyFile;
pub use import::{Found, Imported};
pub use moment::{parse_moment, parse_term, written};
use page::{Fields, Page};
pub use proposal::{Outcome, Proposal, Role};
pub use shape::Shape;

/// A file of keys that is being edited. Nobody else of us edits it meanwhile; nothing is written before
/// [`Keyring::save`].
#[derive(Debug)]
pub struct Keyring {
    settings: Settings,
    file: KeyFile,
    page: Page,
    /// As they are, with what was edited so far.
    keys: Keys,
    now: OffsetDateTime,
}

/// Whose a key will be.
#[derive(Clone, Debug, clap::Args)]
pub struct Owner {
    /// Whose it is: a client that is there already, or a new one
    #[arg(long, value_name = "NAME")]
    pub client: String,

    /// What a new client may call, by its name in the settings; more than once for several. The only one of the plane if
    /// not given
    #[arg(long = "resource", value_name = "NAME")]
    pub resources: Vec<String>,

    /// What a new client may do there: families of operations or presets; by default inference, or documents
    #[arg(long, value_name = "FAMILY", value_delimiter = ',')]
    pub allow: Vec<String>,
}

/// What a new key looks like.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Looks {
    /// The plane whose clients will use it, openai or search: their keys look different. The client's own if it has one
    #[arg(long, value_name = "PLANE", value_parser = parse_plane)]
    pub plane: Option<Plane>,

    /// How many characters it has, where the plane's usual shape is not wanted
    #[arg(long, value_name = "LENGTH")]
    pub shape: Option<Shape>,
}

/// What is written beside a key's digest.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Labels {
    /// Its name in the log; made of the client's name and today's date if not given
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,

    /// What else is written there.
    #[command(flatten)]
    pub particulars: Particulars,
}

/// What is written beside a key's digest, whatever it is called.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Particulars {
    /// From when on it is no longer good: a day in UTC, like 2027-01-31, or a moment, like 2027-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    pub expires: Option<OffsetDateTime>,

    /// What its owners want to know of it later
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// A key that was made. It is nowhere else.
#[derive(Debug)]
pub struct Made {
    /// Its name in the log.
    pub id: String,
    /// The key itself.
    pub key: Zeroizing<String>,
}

/// A client's key that stays for a while beside a new one.
#[derive(Debug)]
pub struct Former {
    /// Its name in the log.
    pub id: Arc<str>,
    /// Until when it is good.
    pub until: SystemTime,
}

/// How many keys of a client may be good at once: one to change over to.
const LIVE: usize = 2;

impl Keyring {
    /// Opens the file that the settings name, and waits for others that edit it.
    ///
    /// # Errors
    /// What is wrong with it already, or why it cannot be edited.
    pub fn open(settings: Settings) -> Result<Self, Mistakes> {
        Self::of(settings, KeyFile::open)
    }

    /// Reads the file that the settings name, to see what an edit would come to. It may be one that cannot be edited.
    ///
    /// # Errors
    /// What is wrong with it already.
    pub fn look(settings: Settings) -> Result<Self, Mistakes> {
        Self::of(settings, KeyFile::look)
    }

    fn of(settings: Settings, open: impl Fn(&Path) -> Result<KeyFile, Mistakes>) -> Result<Self, Mistakes> {
        let named = match &settings.keys {
            KeySource::Digests(file) => file,
            KeySource::Plain { file, .. } => {
                return Err(Mistakes::of_file(file, "holds plain keys, which are edited by hand"));
            }
        };
        let file = open(named)?;
        let keys = Keys::parse(named, file.text(), &settings)?;
        let page = Page::read(named, file.text())?;
        Ok(Self { page, keys, file, settings, now: OffsetDateTime::now_utc() })
    }

    /// Makes a key for a client, which is added if it is new.
    ///
    /// # Errors
    /// What was asked for and cannot be; or two keys that the client has already.
    pub fn add(&mut self, owner: &Owner, looks: Looks, labels: &Labels) -> Result<Made, Mistakes> {
        let client = &owner.client;
        self.welcome(owner, looks.plane)?;
        let live = self.live(client);
        if live.len() >= LIVE {
            return Err(refused("--client", too_many(client, &live)));
        }
        self.make(client, looks, labels)
    }

    /// Makes a client's second key, and has the first expire.
    ///
    /// # Errors
    /// A client that has no good key or two of them, or what was asked for and cannot be.
    pub fn rotate(
        &mut self,
        client: &str,
        keep: Duration,
        looks: Looks,
        labels: &Labels,
    ) -> Result<(Made, Former), Mistakes> {
        self.known(client)?;
        let live = self.live(client);
        let first = match &live[..] {
            [first] => first.clone(),
            [] => return Err(refused("CLIENT", format!("{client} has no good key: make one with keyswap keys new"))),
            _ => return Err(refused("CLIENT", too_many(client, &live))),
        };
        let until = SystemTime::from(self.now).checked_add(keep);
        let until = until.filter(|until| *until < SystemTime::from(LAST));
        let until = until.ok_or_else(|| refused("--keep", format!("is too long: until {} at most", written(LAST))))?;
        let until = first.expires.map_or(until, |expires| expires.min(until));
        let made = self.make(client, looks, labels)?;
        self.set_expires(&first, until.into())?;
        Ok((made, Former { id: first.id.clone(), until }))
    }

    /// Takes a key back: its next request is refused. With [`Revoked::AtOnce`] what runs with it is cut, too.
    ///
    /// # Errors
    /// A key that is not there.
    pub fn revoke(&mut self, id: &str, how: Revoked) -> Result<Arc<Key>, Mistakes> {
        let key = self.key(id)?;
        self.set(&key, "revoked", true.into())?;
        if how == Revoked::AtOnce {
            self.set(&key, "cut", true.into())?;
        }
        Ok(key)
    }

    /// Says from when on a key is no longer good.
    ///
    /// # Errors
    /// A key that is not there, or one that would be good again where its client has two others.
    pub fn expire(&mut self, id: &str, at: OffsetDateTime) -> Result<Arc<Key>, Mistakes> {
        let key = self.key(id)?;
        let before = self.live(&key.client.name);
        self.set_expires(&key, at)?;
        if before.len() >= LIVE && self.live(&key.client.name).len() > before.len() {
            return Err(refused("KEY-ID", too_many(&key.client.name, &before)));
        }
        Ok(key)
    }

    /// Writes what was edited, if the server will take it.
    ///
    /// # Errors
    /// What the server would find wrong with it, or why it cannot be written: then nothing was.
    pub fn save(self) -> Result<(), Mistakes> {
        let text = self.page.text();
        Keys::parse(&self.as_it_would_be(), &text, &self.settings)?;
        self.file.replace(&text)
    }

    /// Whatever is wrong then is wrong with the edit, not with the file.
    fn as_it_would_be(&self) -> PathBuf {
        format!("{} (as it would be; nothing was written)", self.file.name().display()).into()
    }

    /// Makes a key for a client that is there.
    fn make(&mut self, client: &str, looks: Looks, labels: &Labels) -> Result<Made, Mistakes> {
        let shape = self.shape(client, looks)?;
        let broken = || Mistakes::of_file(Path::new("system"), "has no randomness to make a key of");
        let key = shape.fresh().ok_or_else(broken)?;
        let id = self.enter(client, &key, labels)?;
        Ok(Made { id, key })
    }
}

/// The last moment that can be written.
const LAST: OffsetDateTime = OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT);

fn too_many(client: &str, live: &[Arc<Key>]) -> String {
    let until = |key: &Arc<Key>| match key.expires {
        Some(expires) => format!("{} (until {})", key.id, written(expires)),
        None => key.id.to_string(),
    };
    let keys = live.iter().map(until).collect::<Vec<_>>().join(", ");
    format!("{client} has {} good keys already: {keys}: revoke one with keyswap keys revoke", live.len())
}

/// What somebody asked for and cannot have, by the argument that asked.
fn refused(place: &str, fix: impl Into<String>) -> Mistakes {
    Mistakes(vec![Mistake { file: "command line".into(), at: None, place: place.to_owned(), fix: fix.into() }])
}

fn parse_plane(text: &str) -> Result<Plane, String> {
    let named = Plane::NAMES.iter().find(|(name, _)| *name == text);
    named.map(|(_, plane)| *plane).ok_or_else(|| "must be openai or search".to_owned())
}
