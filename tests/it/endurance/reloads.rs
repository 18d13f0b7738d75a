//! Changes of everything that can change while it runs, good ones and broken ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, sleep, sleep_until};

use super::caller::Place;
use super::dice::Dice;
use crate::client::{raw, request_text};
use crate::gateway::{Gateway, LIMIT, run};
use crate::world::client;

/// A change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Other keys, of clients that nobody is.
    Keys,
    /// A setting that concerns no connection.
    Settings,
    /// Another way out: every connection and every token begins anew.
    Egress,
    /// What an identity proves itself with: its token is fetched at once.
    Secret,
    Certificate,
    /// No change at all, but to be read all the same.
    HangUp,
    /// A file that cannot be read; it is mended with the next change.
    Broken(&'static str),
}

/// One of each; most files can be broken.
const DECK: [Change; 10] = [
    Change::Keys,
    Change::Certificate,
    Change::Broken("keys.toml"),
    Change::Secret,
    Change::Egress,
    Change::Broken("keyswap.toml"),
    Change::HangUp,
    Change::Settings,
    Change::Broken("cert.pem"),
    Change::Broken("ca.pem"),
];

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) changes: BTreeMap<Change, usize>,
    /// The generations that asked for tokens anew.
    pub(super) asked_for_tokens: BTreeSet<u64>,
    /// The longest time until a change was in effect, or refused.
    pub(super) slowest: Duration,
}

/// Changes what a gateway reads.
pub(super) struct Changes<'g> {
    gateway: &'g Gateway,
    place: Place,
    /// More certificates that clients trust, besides the one that is there.
    certificates: PathBuf,
    generation: u64,
    refused: u64,
    done: Done,
}

/// How many certificates there are to choose from.
const CERTIFICATES: usize = 3;

/// Makes an authority for the gateway's name, and certificates of it; gives the authority, in PEM.
pub(super) fn make_certificates(directory: &Path) -> String {
    let make = |arguments: &[&str]| {
        let (code, _, told) = run(directory, arguments, &[]);
        assert_eq!(code, Some(0), "{told}");
    };
    make(&["cert", "ca", "--out", "ca", "localhost"]);
    for number in 0..CERTIFICATES {
        make(&["cert", "leaf", "--ca", "ca", "--out", &format!("tls-{number}"), "localhost"]);
    }
    fs::read_to_string(directory.join("ca/ca.pem")).unwrap()
}

impl<'g> Changes<'g> {
    pub(super) fn new(gateway: &'g Gateway, place: &Place, certificates: &Path) -> Self {
        let certificates = certificates.to_owned();
        Self { gateway, place: place.clone(), certificates, generation: 1, refused: 0, done: Done::default() }
    }

    /// Makes so many changes, evenly over this time.
    pub(super) async fn go_on(mut self, count: u32, length: Duration, mut dice: Dice) -> Done {
        let begun = Instant::now();
        let mut deck = Vec::new();
        let mut broken: Option<(&'static str, String)> = None;
        for turn in 1..=count {
            sleep_until(begun + length * turn / (count + 1)).await;
            let mended = broken.take().map(|(file, good)| {
                self.write(file, &good);
                file
            });
            if deck.is_empty() {
                deck.extend(DECK);
                dice.shuffle(&mut deck);
            }
            // What is broken at the end would be broken for whoever comes after.
            let change = deck.pop().filter(|change| turn < count || !matches!(change, Change::Broken(_)));
            let change = change.unwrap_or(Change::HangUp);
            let tried = Instant::now();
            if let Change::Broken(file) = change {
                let good = self.read(file);
                self.write(file, &format!("this = is no ] such file {turn}\n"));
                broken = Some((file, good));
                self.refused += 1;
                self.until("settings_refused_total", self.refused).await;
                assert_eq!(self.sample("settings_stale").await, Some(1));
            } else {
                self.change(change, turn, &mut dice);
                self.generation += 1;
                // Where settings could not be read, nobody knows which secrets have changed meanwhile.
                if matches!(change, Change::Egress | Change::Secret) || mended == Some("keyswap.toml") {
                    self.done.asked_for_tokens.insert(self.generation);
                }
                self.until("generation", self.generation).await;
                assert_eq!(self.sample("settings_stale").await, Some(0));
            }
            if change == Change::Certificate {
                self.is_shown().await;
            }
            self.done.slowest = self.done.slowest.max(tried.elapsed());
            *self.done.changes.entry(change).or_default() += 1;
        }
        self.done
    }

    fn change(&mut self, change: Change, turn: u32, dice: &mut Dice) {
        match change {
            Change::Keys => {
                let mut keys = self.read("keys.toml");
                keys.truncate(keys.find("[clients.nobody").unwrap_or(keys.len()));
                for number in 0..=dice.below(50) {
                    let key = format!("{turn:016x}{number:016x}");
                    keys += &client(&format!("nobody-{number}"), &key, "{ resource = \"ai\" }");
                }
                self.write("keys.toml", &keys);
            }
            Change::Settings => self.set("guessing", "delay", &format!("{}ms", 100 + turn)),
            Change::Egress => {
                self.set("timeouts", "connect", &format!("{}s", 10 + turn));
            }
            Change::Secret => {
                let secret = self.read("app.secret");
                self.write("app.secret", &secret);
            }
            Change::Certificate => {
                let directory = self.certificates.join(format!("tls-{}", dice.index(CERTIFICATES)));
                for (file, there) in [("cert.pem", "localhost.pem"), ("key.pem", "localhost.key")] {
                    self.write(file, &fs::read_to_string(directory.join(there)).unwrap());
                }
            }
            Change::HangUp => self.gateway.signal("HUP"),
            Change::Broken(_) => unreachable!("it is no change that is taken"),
        }
    }

    /// Gives a setting another value; it stands in a table of its own, on a line of its own.
    fn set(&self, table: &str, key: &str, value: &str) {
        let mut text = String::new();
        let mut here = false;
        for line in self.read("keyswap.toml").lines() {
            here = if line.starts_with('[') { line == format!("[{table}]") } else { here };
            let is_it = here && line.starts_with(&format!("{key} = "));
            writeln!(text, "{}", if is_it { format!("{key} = \"{value}\"") } else { line.to_owned() }).unwrap();
        }
        self.write("keyswap.toml", &text);
    }

    /// New connections are shown the certificate that is in the file.
    async fn is_shown(&self) {
        let stream = self.place.secure(b"http/1.1").await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let expected = CertificateDer::from_pem_slice(self.read("cert.pem").as_bytes()).unwrap();
        assert_eq!(shown, expected);
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.gateway.directory.path().join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.gateway.directory.path().join(file), text).unwrap();
    }

    async fn until(&self, sample: &str, value: u64) {
        let begun = Instant::now();
        while self.sample(sample).await != Some(value) {
            assert!(begun.elapsed() < LIMIT, "{sample} is {:?}, not {value}", self.sample(sample).await);
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn sample(&self, name: &str) -> Option<u64> {
        let page = raw(self.gateway.admin, &request_text("GET", "/metrics", &[])).await;
        let start = format!("keyswap_{name} ");
        page.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
    }
}
