//! `keyswap keys`: its command line, and what it says. The key alone goes to standard output, whatever is said of it to
//! standard error: KEY=$(keyswap keys new ...) holds the key.

#[path = "keys/input.rs"]
mod input;
#[path = "keys/list.rs"]
mod list;
#[path = "keys/narrow.rs"]
mod narrow;
#[path = "keys/used.rs"]
mod used;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use keyswap::document::{Mistake, Mistakes};
use keyswap::keyring::{
    Former, Found, Imported, Keyring, Labels, Looks, Made, Owner, Particulars, parse_moment, parse_term, written,
};
use keyswap::keys::{Keys, Revoked};
use keyswap::settings::{KeySource, Settings};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{EXIT_MISTAKES, complain, help};
use used::Asked;

/// Make keys, rotate them, take them back: in the file of keys, which a running keyswap follows
///
/// The file holds digests, never keys. Every edit keeps its comments and its order, is whole or not at all, and is read as
/// the server will read it before it is written.
#[derive(Args)]
#[command(after_long_help = help::KEYS)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
    /// Say it as JSON, on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

/// Where the keys are.
#[derive(Args)]
struct Place {
    /// The file of settings, which names the file of keys and what can be granted
    #[arg(long, value_name = "FILE", env = "KEYSWAP_CONFIG", default_value = Settings::DEFAULT_FILE, global = true)]
    config: PathBuf,
    /// Another file of keys than the settings name, for the same resources
    #[arg(long, value_name = "FILE", global = true)]
    keys: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Make a key and print it, once; its client is added if it is new
    ///
    /// A client may have two good keys at once, so that it can change over; keyswap keys rotate makes the second.
    #[command(after_long_help = help::KEYS_NEW)]
    New {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        looks: Looks,
        #[command(flatten)]
        labels: Labels,
    },
    /// Show every key: whose it is, whether it is good, what it may do; or, with --from, when it was last used and for what
    ///
    /// A key that was never used was never used since the moment that is shown beside it.
    #[command(after_long_help = help::KEYS_LIST)]
    List {
        #[command(flatten)]
        asked: Asked,
    },
    /// Propose the least grants for what a client was seen to do, as a diff to review, and name the roles in Azure for them
    ///
    /// What was refused is no part of it, and what is not known in full is not narrowed. Without --from it is read from the
    /// file that the settings name in [usage].
    #[command(after_long_help = help::KEYS_NARROW)]
    Narrow {
        /// The client; all of them if not given
        client: Option<String>,
        #[command(flatten)]
        asked: Asked,
        /// Write it to the file of keys, too
        #[arg(long)]
        write: bool,
    },
    /// Make a client's second key and print it, once; the first one expires after a while
    #[command(after_long_help = help::KEYS_ROTATE)]
    Rotate {
        /// The client, as keyswap keys list shows it
        client: String,
        /// How long the first key is still good, like 7d or 12h; never longer than it was
        #[arg(long, value_name = "TIME", value_parser = parse_term, default_value = "7d")]
        keep: Duration,
        #[command(flatten)]
        looks: Looks,
        #[command(flatten)]
        labels: Labels,
    },
    /// Take a key back: its next request is refused, what runs with it ends as it would
    #[command(after_long_help = help::KEYS_REVOKE)]
    Revoke {
        /// The key's id, as keyswap keys list shows it
        #[arg(value_name = "KEY-ID")]
        id: String,
        /// Cut what runs with it, too: for emergencies
        #[arg(long)]
        now: bool,
    },
    /// Say when a key expires
    #[command(after_long_help = help::KEYS_EXPIRE)]
    Expire {
        /// The key's id, as keyswap keys list shows it
        #[arg(value_name = "KEY-ID")]
        id: String,
        #[command(flatten)]
        when: When,
    },
    /// Read a key from standard input, and say whose it is and whether it is good
    ///
    /// It is never taken as an argument, which everybody on the machine could see.
    #[command(after_long_help = help::KEYS_VERIFY)]
    Verify {
        // Taken only to be refused: clap's own refusal would repeat it.
        #[arg(hide = true)]
        argument: Vec<OsString>,
    },
    /// List keys that a client has already, so that it changes nothing: from standard input, or from files
    ///
    /// Standard input has one key a line, or what one of these prints: az cognitiveservices account keys list, az search
    /// admin-key show, az search query-key list. Keys that are listed already for the client stay as they are. A new client
    /// with query keys gets the preset search-query if --allow does not say more.
    #[command(after_long_help = help::KEYS_IMPORT)]
    Import {
        #[command(flatten)]
        owner: Owner,
        /// A directory whose files are the keys, as a Secret of Kubernetes is mounted, or one such file
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
        #[command(flatten)]
        particulars: Particulars,
        // As above.
        #[arg(hide = true)]
        argument: Vec<OsString>,
    },
}

/// When a key expires.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct When {
    /// A day in UTC, like 2027-01-31, whose beginning is meant, or a moment, like 2027-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    at: Option<OffsetDateTime>,
    /// A time from now, like 30d or 12h
    #[arg(long = "in", value_name = "TIME", value_parser = parse_term)]
    after: Option<Duration>,
}

/// What is said when it is done.
struct Told {
    /// For standard output: all that there is, if somebody wants JSON.
    json: Value,
    /// For standard output.
    answer: String,
    /// For standard error: about the answer.
    besides: String,
    /// The exit status.
    exit: ExitCode,
}

impl Command {
    /// Does it, and says so.
    pub(super) fn run(&self) -> ExitCode {
        match self.settings().and_then(|settings| self.action.act(settings)) {
            Ok(told) => self.tell(&told),
            Err(mistakes) => complain(&mistakes, EXIT_MISTAKES.into()),
        }
    }

    fn settings(&self) -> Result<Settings, Mistakes> {
        let mut settings = Settings::read(&self.place.config)?;
        if let Some(keys) = &self.place.keys {
            settings.keys = KeySource::Digests(keys.clone());
        }
        Ok(settings)
    }

    fn tell(&self, told: &Told) -> ExitCode {
        let (answer, besides) =
            if self.json { (&format!("{}\n", told.json), "") } else { (&told.answer, &*told.besides) };
        let mut out = std::io::stdout();
        let written = out.write_all(answer.as_bytes()).and_then(|()| out.flush());
        drop(std::io::stderr().write_all(besides.as_bytes()));
        match written {
            Ok(()) => told.exit,
            Err(error) => {
                complain(&format!("it is done, but standard output takes no word of it: {error}"), ExitCode::FAILURE)
            }
        }
    }
}

impl Action {
    fn act(&self, settings: Settings) -> Result<Told, Mistakes> {
        match self {
            Self::New { owner, looks, labels } => {
                let mut keyring = Keyring::open(settings)?;
                let made = keyring.add(owner, *looks, labels)?;
                keyring.save()?;
                Ok(told_made(&owner.client, &made, labels, None))
            }
            Self::List { asked } if asked.from.is_empty() => Ok(list::told(&Keys::read(&settings)?, SystemTime::now())),
            Self::List { asked } => {
                let keys = Keys::read(&settings)?;
                Ok(used::told(&keys, &asked.evidence(&asked.from)?, SystemTime::now()))
            }
            Self::Narrow { client, asked, write } => narrow::narrow(settings, client.as_deref(), asked, *write),
            Self::Rotate { client, keep, looks, labels } => {
                let mut keyring = Keyring::open(settings)?;
                let (made, former) = keyring.rotate(client, *keep, *looks, labels)?;
                keyring.save()?;
                Ok(told_made(client, &made, labels, Some(&former)))
            }
            Self::Revoke { id, now } => {
                let how = if *now { Revoked::AtOnce } else { Revoked::ForRequests };
                let mut keyring = Keyring::open(settings)?;
                let key = keyring.revoke(id, how)?;
                keyring.save()?;
                let cut = if *now { ", and what runs with it is cut" } else { "" };
                let client = &key.client.name;
                let json = json!({ "client": &**client, "id": id, "revoked": true, "cut": now });
                Ok(Told::done(json, format!("key {id} of {client}: revoked{cut}\n")))
            }
            Self::Expire { id, when } => {
                let mut keyring = Keyring::open(settings)?;
                let at = when.moment();
                let key = keyring.expire(id, at)?;
                keyring.save()?;
                let (client, at) = (&key.client.name, written(at));
                let json = json!({ "client": &**client, "id": id, "expires": at });
                Ok(Told::done(json, format!("key {id} of {client}: good until {at}\n")))
            }
            Self::Verify { argument } | Self::Import { argument, .. } if !argument.is_empty() => {
                Err(input::as_argument())
            }
            Self::Import { owner, from, particulars, .. } => {
                let found = match from {
                    Some(path) => Found::in_files(path)?,
                    None => Found::in_text(&input::text()?)?,
                };
                // Only now, lest others wait for whoever types.
                let mut keyring = Keyring::open(settings)?;
                let imported = keyring.import(owner, &found, particulars)?;
                keyring.save()?;
                Ok(told_imported(&owner.client, &imported, particulars))
            }
            Self::Verify { .. } => {
                Ok(list::told_of(Keys::read(&settings)?.find(input::key()?.as_bytes()), SystemTime::now()))
            }
        }
    }
}

impl Told {
    fn done(json: Value, answer: String) -> Self {
        Self { json, answer, besides: String::new(), exit: ExitCode::SUCCESS }
    }
}

impl When {
    fn moment(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc();
        // Beyond all years is late enough to be refused.
        let after = self.after.map(|after| now.checked_add(after.try_into().unwrap_or(time::Duration::MAX)));
        self.at.or(after.flatten()).unwrap_or(OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT))
    }
}

/// What is wrong with an argument.
fn wrong(argument: &str, fix: &str) -> Mistakes {
    Mistakes(vec![Mistake { file: "command line".into(), at: None, place: argument.to_owned(), fix: fix.to_owned() }])
}

fn told_imported(client: &str, imported: &[Imported], particulars: &Particulars) -> Told {
    let lines = imported.iter().map(|Imported { id, was_there }| {
        let until = particulars.expires.map(|expires| format!(", good until {}", written(expires)));
        let how = if *was_there { "there already" } else { &format!("imported{}", until.unwrap_or_default()) };
        format!("key {id} of {client}: {how}\n")
    });
    let of_one = |Imported { id, was_there }: &Imported| {
        let mut json = json!({ "id": id, "was_there": was_there });
        if let Some(expires) = particulars.expires.filter(|_| !was_there) {
            json["expires"] = written(expires).into();
        }
        json
    };
    let keys: Vec<_> = imported.iter().map(of_one).collect();
    Told::done(json!({ "client": client, "keys": keys }), lines.collect())
}

fn told_made(client: &str, made: &Made, labels: &Labels, former: Option<&Former>) -> Told {
    let Made { id, key } = made;
    let mut json = json!({ "client": client, "id": id, "key": **key });
    let mut besides = format!("key {id} of {client}: shown this once, and kept nowhere\n");
    if let Some(expires) = labels.particulars.expires {
        json["expires"] = written(expires).into();
        besides.push_str(&format!("it is good until {}\n", written(expires)));
    }
    if let Some(Former { id, until }) = former {
        json["former"] = json!({ "id": &**id, "expires": written(*until) });
        besides.push_str(&format!("key {id}, which {client} has had, is good until {}\n", written(*until)));
    }
    Told { besides, ..Told::done(json, format!("{}\n", **key)) }
}
