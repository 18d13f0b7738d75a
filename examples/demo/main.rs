//! The main job, on loopback, with nothing but this machine: an Azure that takes no keys (the emulator), keyswap in
//! front of it, and a tour of what a legacy client sees.
//!
//! - `cargo run --release --example demo` makes the tour, then stays up and prints lines to paste.
//! - `-- --once` ends after the tour; the exit status is 0 only if every step did what it should.
//! - `-- --json` prints one line of JSON when ready, then runs until SIGTERM or SIGINT.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

mod stage;
mod tour;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use stage::Stage;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stage = Stage::set().await?;
    let well = match argument.as_str() {
        "--json" => {
            stage.wait_until_ready().await?;
            println!("{}", stage.as_json());
            true
        }
        "--once" => tour::make(&stage).await?,
        "" => {
            let well = tour::make(&stage).await?;
            tour::invite(&stage);
            well
        }
        other => return Err(format!("unknown argument {other}: --once, --json or none").into()),
    };
    if argument != "--once" {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    stage.strike().await?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
