//! What an identity proves itself with, read anew for each fetch.
//!
//! It stands in files, and a file may be on a volume that hangs. Whoever fetches shares its thread with much else, so
//! the reading has one of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Denial;
use super::assertion::Assertion;
use crate::document::Mistakes;
use crate::proof::ClientCertificate;
use crate::settings::{Application, IdentityKind, UserAssigned};
use crate::token::clock::Clock;

/// What whoever gives tokens is shown.
pub(super) enum Proof {
    /// Nothing: it is where we run. Of the identities there it may be one that is named.
    Place(Option<UserAssigned>),
    /// Nothing: somebody is logged in there, to this tenant if it is named.
    Login(Option<String>),
    /// An application's secret.
    Secret(Application, Zeroizing<String>),
    /// What stands in a secret's place.
    Assertion(Application, Assertion),
}

/// The reading of one issuer.
#[derive(Default)]
pub(super) struct Reading(Mutex<UnderWay>);

#[derive(Default)]
struct UnderWay {
    reading: Option<(JoinHandle<Result<Proof, Denial>>, Instant)>,
    /// How many were given up in a row.
    given_up: u32,
}

/// How long the first reading that hangs is waited for before another one is begun; each further one twice as long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Proof {
    /// Reads it. May wait for a disk.
    fn read(kind: &IdentityKind, clock: &Clock) -> Result<Self, Denial> {
        match kind {
            IdentityKind::ManagedIdentity { user_assigned } => Ok(Self::Place(user_assigned.clone())),
            IdentityKind::AzureCli { tenant } => Ok(Self::Login(tenant.clone())),
            IdentityKind::WorkloadIdentity { application, token_file } => {
                let assertion = Assertion::federated(token_file).map_err(Denial::refused)?;
                Ok(Self::Assertion(application.clone(), assertion))
            }
            IdentityKind::ClientSecret { application, secret } => {
                Ok(Self::Secret(application.clone(), secret.read().map_err(Denial::refused)?))
            }
            IdentityKind::ClientCertificate { application, files, send_chain } => {
                let wrong = |mistakes: Mistakes| Denial::refused(mistakes.to_string());
                let certificate = ClientCertificate::read(files, *send_chain).map_err(wrong)?;
                certificate.timely().map_err(wrong)?;
                let assertion = Assertion::signed(application, &certificate, clock.now()).map_err(Denial::refused)?;
                Ok(Self::Assertion(application.clone(), assertion))
            }
        }
    }
}

impl Reading {
    /// Reads what this kind proves itself with. A reading that hangs is waited for by those who come later: its thread
    /// cannot be ended, and one more at each try would be many. It is given up in the end, since the volume may be another
    /// by then.
    pub(super) async fn of(&self, kind: &Arc<IdentityKind>, clock: &Clock) -> Result<Proof, Denial> {
        if kind.files().next().is_none() {
            return Proof::read(kind, clock);
        }
        let UnderWay { reading, given_up } = &mut *self.0.lock().await;
        match reading {
            // What has been read by now may be old.
            Some((before, _)) if before.is_finished() => *reading = None,
            Some((_, begun)) if begun.elapsed() >= PATIENCE * (1 << (*given_up).min(10)) => {
                *reading = None;
                *given_up += 1;
            }
            _ => {}
        }
        let (under_way, _) = reading.get_or_insert_with(|| {
            let (kind, clock) = (kind.clone(), clock.clone());
            (spawn_blocking(move || Proof::read(&kind, &clock)), Instant::now())
        });
        let read = under_way.await;
        (*reading, *given_up) = (None, 0);
        read.unwrap_or_else(|_: JoinError| Err(Denial::unavailable("what the identity proves itself with is absurd")))
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::settings::SecretSource;

    #[tokio::test]
    async fn a_file_that_hangs_is_read_by_one_thread_however_often_it_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.secret");
        mknodat(CWD, &file, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let application = Application { tenant: "t".into(), client_id: "c".into(), authority: "https://a".into() };
        let kind = IdentityKind::ClientSecret { application, secret: SecretSource::File(file.clone()) };
        let (kind, reading, clock) = (Arc::new(kind), Reading::default(), Clock::default());
        for _ in 0..5 {
            let tried = tokio::time::timeout(Duration::from_millis(10), reading.of(&kind, &clock)).await;
            assert!(tried.is_err(), "nobody writes to it");
        }
        // One reader has what one writer writes: a second one would wait for another writer.
        let written = file.clone();
        let writing = spawn_blocking(move || fs::write(written, "hunter2\n").unwrap());
        assert!(matches!(reading.of(&kind, &clock).await, Ok(Proof::Secret(_, secret)) if *secret == "hunter2"));
        writing.await.unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, "another").unwrap();
        assert!(matches!(reading.of(&kind, &clock).await, Ok(Proof::Secret(_, secret)) if *secret == "another"));
    }
}
