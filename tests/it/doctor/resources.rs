//! The half about resources.

use azure_emulator::{Door, Emulator, Options};

use crate::gateway::run;
use crate::world::{files, keys, settings};

#[tokio::test]
async fn scratch() {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let keys = keys(&emulator).replace("[\"search-admin\"]", "[\"search-admin\"], indexes = [\"hotels\"]").replace("{ resource = \"ai\" }", "{ resource = \"ai\", allow = [\"openai\"] }");
    let directory = files(&emulator, &settings(&emulator, Door::Direct), &keys);
    let told = tokio::task::spawn_blocking(move || run(directory.path(), &["doctor"], &[])).await.unwrap();
    println!("{}\n{}\n{:?}", told.1, told.2, told.0);
    for entry in emulator.journal().entries() {
        println!("{} {} {:?}", entry.method, entry.target, entry.status);
    }
}
