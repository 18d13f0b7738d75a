//! The log, on standard error: everything that is not one request.
//!
//! Nobody waits for whoever reads it, not even what panics: all of it leaves through an outlet, and what finds no room
//! there is counted.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use keyswap::outlet::{Inlet, Outlet};
use prometheus_client::metrics::counter::Counter;
use tracing::error;
use tracing_subscriber::EnvFilter;

/// The running log.
pub(crate) struct Log {
    outlet: Outlet,
    lines: Arc<Lines>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Where lines are put in, and those are counted that nobody will see.
struct Lines {
    inlet: Inlet,
    dropped: Counter,
}

/// How long the end waits for the last lines to leave.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);

impl Log {
    /// Starts it, for the whole process. `RUST_LOG` says what is logged, or else `default`.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(format: Option<LogFormat>, default: &str) -> io::Result<Self> {
        let dropped = Counter::default();
        let failed = {
            let dropped = dropped.clone();
            move |_: &io::Error, left: &[u8]| {
                dropped.inc_by(left.iter().filter(|byte| **byte == b'\n').count() as u64);
            }
        };
        // Each line leaves at once, so that a crash takes as few along as can be.
        let outlet = Outlet::open("log", io::stderr(), Duration::ZERO, failed)?;
        let lines = Arc::new(Lines { inlet: outlet.inlets().open(), dropped });
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
        // A terminal has a reader; anything else has a parser.
        let terminal = io::stderr().is_terminal();
        match format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
            LogFormat::Text => log.with_target(false).with_ansi(terminal).init(),
            LogFormat::Json => log.json().flatten_event(true).with_target(false).init(),
        }
        Ok(Self { outlet, lines })
    }

    /// Has panics told here. The usual way waits for whoever reads standard error: one that hangs would stop thread after
    /// thread. Their place is told alone: their words may hold anything, a secret too.
    pub(crate) fn tell_panics() {
        panic::set_hook(Box::new(|panic| {
            let (thread, place) = (thread::current(), panic.location().map(ToString::to_string));
            error!(place, thread = thread.name(), "a part of keyswap panicked");
        }));
    }

    /// Where lines are counted that nobody will see.
    pub(crate) fn dropped(&self) -> &Counter {
        &self.lines.dropped
    }

    /// Says the last words, if there are any, and lets all leave that was said, within bounds.
    pub(crate) fn close(self, last_words: Option<&dyn Display>) {
        if let Some(words) = last_words {
            drop((&*self.lines).write_all(format!("{words}\n").as_bytes()));
        }
    }
}

/// Also where a panic ends the process: that is told here alone.
impl Drop for Log {
    fn drop(&mut self) {
        self.outlet.close(CLOSING_LIMIT);
    }
}

/// For the log, whose every line comes in one piece.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.inlet.put(|buffer| buffer.extend_from_slice(line)) {
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
