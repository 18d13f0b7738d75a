//! One line for each request, on standard output, when its answer has ended: the only place where a request is told.
//!
//! A [`Record`] is what is known of a request, and knows the names of its fields; a [`Format`] is how it is written; an
//! [`Outlet`] takes it out of the process. `tracing` is for everything that is not one request: an event with these
//! fields would cost a request ten times as much.
//!
//! No field has a place where legacy clients put keys: the path comes without its query, and as far as it can be read, so
//! that nobody's query is in it. What clients choose is bounded and escaped.

mod format;
mod record;

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing::warn;

pub use format::Format;
pub(crate) use record::{Outcome, Record, Upstream};

use crate::outlet::{Inlet, Inlets, Outlet};

/// Takes request lines to a file, for all workers.
#[derive(Debug)]
pub struct RequestLines {
    outlet: Outlet,
    format: Format,
    losses: Arc<Losses>,
}

/// The way that lines take, for whoever starts workers.
#[derive(Clone, Debug)]
pub struct Lines {
    inlets: Inlets,
    format: Format,
    losses: Arc<Losses>,
}

/// What one worker writes its lines with: it waits for no other worker, and none for it.
#[derive(Debug)]
pub(crate) struct Pen {
    inlet: Inlet,
    format: Format,
    losses: Arc<Losses>,
}

/// The lines that nobody will see.
#[derive(Debug)]
struct Losses {
    dropped: Counter,
    since: Instant,
    /// When the next warning may be given, in seconds after `since`.
    next_warning: AtomicU64,
    /// Whether nobody is there to read a line, and this was said.
    abandoned: AtomicBool,
}

/// How long lines may gather before they leave together. One write for each would cost more than the line itself.
const PACE: Duration = Duration::from_millis(20);

/// How long a stop waits for the last lines to leave.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);

/// The seconds between two warnings of lost lines: a flood of them would be a cost of its own.
const BETWEEN_WARNINGS: u64 = 60;

/// The names of all fields, in the order in which a line has them. A field of which nothing is known is left out.
pub fn fields() -> Vec<&'static str> {
    let mut names = Vec::new();
    let (head, ()) = http::Request::new(()).into_parts();
    Record::of(&head, http::HeaderValue::from_static("")).each(|field, _| names.push(field.name));
    names
}

/// Appends what is known of a request, the JSON object of its line.
pub(crate) fn write_json(record: &Record, bytes: &mut Vec<u8>) {
    Format::Json.write(record, bytes);
    // Not the end of the line.
    bytes.pop();
}

// === impl RequestLines ===

impl RequestLines {
    /// Opens a way into `file`. Lines that are lost on it are counted in `dropped`.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn open(file: impl Write + Send + 'static, format: Format, dropped: Counter) -> io::Result<Self> {
        let losses = Arc::new(Losses {
            dropped,
            since: Instant::now(),
            next_warning: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
        });
        let failed = {
            let losses = losses.clone();
            move |error: &io::Error, left: &[u8]| losses.of_write(error, left)
        };
        let outlet = Outlet::open("request-lines", file, PACE, failed)?;
        Ok(Self { outlet, format, losses })
    }

    /// The way that lines take.
    pub fn lines(&self) -> Lines {
        Lines { inlets: self.outlet.inlets().clone(), format: self.format, losses: self.losses.clone() }
    }

    /// Lets the last lines leave, within bounds.
    pub fn close(self) {
        self.outlet.close(CLOSING_LIMIT);
    }
}

// === impl Lines ===

impl Lines {
    /// A pen for one worker.
    pub(crate) fn pen(&self) -> Pen {
        Pen { inlet: self.inlets.open(), format: self.format, losses: self.losses.clone() }
    }
}

// === impl Pen ===

impl Pen {
    /// Tells of a request; never waits.
    pub(crate) fn tell(&self, record: &Record) {
        if !self.inlet.put(|buffer| self.format.write(record, buffer)) {
            self.losses.of_line();
        }
    }
}

// === impl Losses ===

impl Losses {
    fn of_line(&self) {
        self.dropped.inc();
        self.warn("they are not read fast enough");
    }

    fn of_write(&self, error: &io::Error, left: &[u8]) {
        let lines = left.iter().filter(|byte| **byte == b'\n').count();
        self.dropped.inc_by(lines as u64);
        if error.kind() != ErrorKind::BrokenPipe {
            self.warn(&error.to_string());
        } else if !self.abandoned.swap(true, Ordering::Relaxed) {
            warn!("request lines are dropped from now on: nobody reads them any more");
        }
    }

    fn warn(&self, why: &str) {
        let now = self.since.elapsed().as_secs();
        let due = self.next_warning.load(Ordering::Relaxed);
        let claim =
            || self.next_warning.compare_exchange(due, now + BETWEEN_WARNINGS, Ordering::Relaxed, Ordering::Relaxed);
        if now >= due && !self.abandoned.load(Ordering::Relaxed) && claim().is_ok() {
            warn!(dropped = self.dropped.get(), why, "request lines are dropped");
        }
    }
}
