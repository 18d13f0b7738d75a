//! `keyswap doctor`, from outside: the real binary against the emulator, which is told what to be wrong.

mod identities;
mod resources;
mod ways;

use std::fs;
use std::sync::Arc;

use azure_emulator::{Door, Emulator, Fault, Options, Plane};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::run;
use crate::world;

/// An Azure, and the files of a keyswap that is not running.
pub(crate) struct Practice {
    pub(crate) emulator: Emulator,
    pub(crate) directory: Arc<TempDir>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// What it came to.
pub(crate) struct Word {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Practice {
    /// The usual settings and keys, after these changes.
    pub(crate) async fn open(
        options: Options,
        settings: impl FnOnce(String, &Emulator) -> String,
        keys: impl FnOnce(String, &Emulator) -> String,
    ) -> Self {
        let emulator = Emulator::start(options).await.unwrap();
        let settings = settings(world::settings(&emulator, Door::Behind), &emulator);
        let keys = keys(world::keys(&emulator), &emulator);
        let directory = world::files(&emulator, &settings, &keys);
        Self { emulator, directory, environment: Vec::new() }
    }

    /// The usual ones.
    pub(crate) async fn usual() -> Self {
        Self::open(Options::default(), |settings, _| settings, |keys, _| keys).await
    }

    pub(crate) fn write(&self, file: &str, content: &str) {
        fs::write(self.directory.path().join(file), content).unwrap();
    }

    /// Asks it.
    pub(crate) async fn doctor(&self, arguments: &[&str]) -> Word {
        let (directory, environment) = (self.directory.clone(), self.environment.clone());
        let arguments: Vec<_> = ["doctor"].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        // The emulator answers on this thread meanwhile.
        let running = tokio::task::spawn_blocking(move || {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            run(directory.path(), &arguments, &environment)
        });
        let (status, out, err) = running.await.unwrap();
        Word { status, out, err }
    }

    /// What it says of the identity `app`.
    pub(crate) async fn word_on_app(&self) -> Word {
        self.doctor(&["--only", "identities.app"]).await
    }

    /// The same for programs.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let word = self.doctor(&[&["--json"], arguments].concat()).await;
        serde_json::from_str(&word.out).unwrap_or_else(|error| panic!("{error} in {}{}", word.out, word.err))
    }
}

#[tokio::test]
async fn scratch() {
    let practice = Practice::usual().await;
    let word = practice.doctor(&[]).await;
    println!("{:?}\n{}{}", word.status, word.out, word.err);
    println!("{:#}", practice.json(&["--only", "identities.app"]).await);
    for fault in ["expired-secret", "429", "html", "wrong-audience", "expired-token"] {
        practice.emulator.next(Plane::Entra, Fault::named(fault), 2).unwrap();
        let word = practice.word_on_app().await;
        println!("{:?}\n{}{}", word.status, word.out, word.err);
    }
    panic!();
}
