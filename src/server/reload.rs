//! Changes that take effect while requests run: whole, or not at all.
//!
//! What was read is tried before anything is touched; if something is wrong with it, everything stays as it is, and that
//! is told until it is mended. What is taken is another generation: whatever has begun ends with the one that it began
//! with, and every worker has the new one before its number is shown.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::worker::Worker;
use crate::admin::{Generation, Visitors};
use crate::certificate::Certificates;
use crate::document::Mistakes;
use crate::egress::{Egress, Ourselves};
use crate::forward::{Pools, Replay};
use crate::listen::{Addresses, Doorway, RequestBody};
use crate::proof::Note;
use crate::request_line::RequestLines;
use crate::settings::{Drain, Settings};
use crate::sources::{Attempt, Looks, Reading, Source, look};
use crate::swap::{Gateway, SwapLayer};
use crate::token::Keeper;

/// All that a change of settings changes.
pub(super) struct Live {
    /// What cannot change before the next start is as it was at this one.
    pub(super) at_start: Settings,
    pub(super) settings: Settings,
    pub(super) egress: Egress,
    pub(super) pools: Pools<Replay<RequestBody>>,
    pub(super) workers: Vec<Worker>,
    pub(super) lines: Option<RequestLines>,
    pub(super) addresses: Addresses,
    pub(super) doorway: Doorway,
    pub(super) visitors: Arc<Visitors>,
    pub(super) keeper: Keeper,
    /// The gateway of the workers.
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    pub(super) generation: watch::Sender<Generation>,
}

/// How often files are looked at. A change is taken when two looks in a row show the same, so that no half of what
/// somebody is writing is read: it takes effect within a second or so, where two are promised.
const LOOK: Duration = Duration::from_millis(400);

/// After how long a reading that failed is tried again though nothing shows a change, as after a disk was full.
const AGAIN: Duration = Duration::from_secs(10);

/// After how long it is told that files are still being read.
const LONG: Duration = Duration::from_secs(10);

impl Live {
    /// Takes every change of the source's files, and looks anew when the process is told to (SIGHUP). Ends only if the
    /// tokens are no longer kept.
    pub(super) async fn follow(&mut self, source: &Source, mut seen: Looks, mut hang_ups: Signal) {
        // How the files looked that are in effect. One that cannot be read may hide which others there are.
        let mut in_effect = seen.clone();
        let mut failed: Option<(Instant, Mistakes)> = None;
        let mut settling = None;
        loop {
            let asked = tokio::select! {
                () = sleep(LOOK) => false,
                () = self.keeper.broken() => return,
                _ = hang_ups.recv() => true,
            };
            let files: BTreeSet<PathBuf> = seen.keys().cloned().collect();
            let Some(looked) = self.read(&mut hang_ups, move || look(&files)).await else { return };
            // Whoever cannot be looked at is another one, and then whoever reads it says what is wrong.
            let now = looked.unwrap_or_default();
            let again = match &failed {
                Some((when, _)) => when.elapsed() >= AGAIN,
                // A look took so long that this was told.
                None => self.generation.borrow().stale,
            };
            if !asked && !again {
                if now == seen {
                    settling = None;
                    continue;
                }
                if settling.as_ref() != Some(&now) {
                    settling = Some(now);
                    continue;
                }
            }
            settling = None;
            let (source, egress) = (source.clone(), self.egress.clone());
            let Some(tried) = self.read(&mut hang_ups, move || attempt(&source, &egress)).await else { return };
            let read = tried.and_then(|(attempt, egress)| {
                seen = attempt.looks;
                Ok((attempt.reading?, egress?))
            });
            match read {
                Ok((reading, egress)) => {
                    failed = None;
                    self.take(reading, egress, &changed(&in_effect, &seen));
                    in_effect.clone_from(&seen);
                }
                Err(mistakes) => {
                    // What is tried again, and is still wrong in the same way, was told before.
                    if failed.as_ref().is_none_or(|(_, told)| *told != mistakes || !again) {
                        self.refuse(&mistakes);
                    }
                    failed = Some((Instant::now(), mistakes));
                }
            }
        }
    }

    /// Reads where a disk may take its time. What takes long is told, and waited for, unless the process is told to look
    /// anew: a thread that hangs cannot be ended. `None` if the tokens are no longer kept.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        hang_ups: &mut Signal,
        read: impl FnOnce() -> T + Clone + Send + 'static,
    ) -> Option<Result<T, Mistakes>> {
        let mut reading = spawn_blocking(read.clone());
        let mut told = false;
        loop {
            tokio::select! {
                read = &mut reading => return Some(read.map_err(|_| {
                    Mistakes::of_file(Path::new("settings"), "cannot be read: keyswap panicked over them, the log has the place")
                })),
                () = self.keeper.broken() => return None,
                _ = hang_ups.recv() => reading = spawn_blocking(read.clone()),
                () = sleep(LONG), if !told => {
                    told = true;
                    let fix = format!("are still being read after {LONG:?}: look at their volumes; SIGHUP begins anew");
                    self.refuse(&Mistakes::of_file(Path::new("settings"), fix));
                }
            }
        }
    }

    /// Changes nothing. Ends only if the tokens are no longer kept.
    pub(super) async fn keep(&mut self) {
        self.keeper.broken().await;
    }

    /// Puts another generation into service.
    fn take(&mut self, reading: Reading, egress: Egress, changed: &BTreeSet<PathBuf>) {
        let Reading { settings, keys, certificates, admin_secret, notes } = reading;
        let before = self.gateway.load_full();
        let gateway = Arc::new(before.succeeding(&self.settings, &settings, keys));
        warn_of_ends(&certificates);
        warn_of_notes(&notes);
        let egress = egress.avoiding(Ourselves::new(&self.addresses, &certificates));
        self.keeper.keep(&gateway.tokens, &settings, &egress);
        // Tokens of another way to prove oneself are asked for with it at once: whoever has changed it wants to know.
        let of_changed = settings.identities.iter().filter(|identity| {
            self.settings.identity(&identity.name) == Some(identity)
                && identity.files().any(|file| changed.contains(file))
        });
        of_changed.for_each(|identity| gateway.tokens.fetch_anew(&identity.name));
        self.doorway.believe(settings.listen.proxies.clone());
        // What is still listened on must go on being served, whatever the next start will do.
        if settings.listen.https.is_some() {
            self.doorway.show(certificates);
        }
        self.visitors.expect(admin_secret);
        self.pools = self.pools.succeeding(&settings);
        let swap = swap_layer(&gateway, self.lines.as_ref());
        for worker in &self.workers {
            worker.serve(&swap, &egress, &self.pools, settings.timeouts.client);
        }
        // Nobody rides the tokens any more that only the generation before needed.
        self.keeper.retire(&gateway.tokens);
        let cut = gateway.keys.cut();
        if !cut.is_empty() {
            warn!(keys = cut.join(", "), "what ran with these keys was cut");
        }
        let at_next_start = needs_restart(&self.at_start, &settings);
        if !at_next_start.is_empty() {
            warn!(settings = at_next_start.join(", "), "these change at the next start only");
        }
        self.egress = egress;
        self.settings = settings;
        self.gateway.store(gateway.clone());
        let number = self.generation.borrow().number + 1;
        gateway.metrics.settings_taken(number);
        self.generation.send_replace(Generation { number, stale: false, at_next_start });
        info!(generation = number, keys = gateway.keys.len(), "new settings are in effect");
    }

    /// Leaves everything as it is, and says so where an operator looks.
    fn refuse(&self, mistakes: &Mistakes) {
        for mistake in &mistakes.0 {
            error!(%mistake, "new settings are refused, those before stay in effect");
        }
        self.gateway.load().metrics.settings_refused();
        self.generation.send_modify(|generation| generation.stale = true);
    }

    /// How to stop, as the settings say at the moment.
    pub(super) fn drain(&self) -> Drain {
        self.settings.drain
    }
}

/// The layer of every worker.
pub(super) fn swap_layer(gateway: &Arc<Gateway>, lines: Option<&RequestLines>) -> SwapLayer {
    let swap = SwapLayer::new(gateway.clone());
    match lines {
        Some(lines) => swap.telling(lines.lines()),
        None => swap,
    }
}

/// Tells of certificates that have ended, or will soon.
pub(super) fn warn_of_ends(certificates: &Certificates) {
    for pair in certificates.each() {
        if let Some(end) = pair.near_its_end(SystemTime::now()) {
            warn!(file = %pair.file().display(), "a certificate {end}");
        }
    }
}

/// Tells what the owners of identities should know.
pub(super) fn warn_of_notes(notes: &[Note]) {
    for Note { identity, text } in notes {
        warn!(%identity, "{text}");
    }
}

/// Where the process is told to look.
pub(super) fn hang_ups() -> io::Result<Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}

fn attempt(source: &Source, egress: &Egress) -> (Attempt, Result<Egress, Mistakes>) {
    let attempt = source.attempt();
    let egress = match &attempt.reading {
        Ok(Reading { settings, .. }) => egress.renewed(&settings.egress, settings.timeouts.egress),
        Err(_) => Ok(egress.clone()),
    };
    (attempt, egress)
}

/// The files that look otherwise than before.
fn changed(before: &Looks, now: &Looks) -> BTreeSet<PathBuf> {
    now.iter().filter(|(file, look)| before.get(*file) != Some(look)).map(|(file, _)| file.clone()).collect()
}

/// The settings that differ from those at the start and are looked at only then.
fn needs_restart(at_start: &Settings, now: &Settings) -> Vec<&'static str> {
    let https = |settings: &Settings| settings.listen.https.as_ref().map(|https| https.address);
    let (before, after) = (&at_start.listen, &now.listen);
    let differ = [
        ("listen.http", before.http != after.http),
        ("listen.https", https(at_start) != https(now)),
        ("listen.unix", before.unix != after.unix),
        ("listen.connections", before.connections != after.connections),
        ("admin.address", at_start.admin.address != now.admin.address),
        ("workers", at_start.workers != now.workers),
        ("usage", at_start.usage != now.usage),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
