//! The process: threads, sockets, signals.
//!
//! A control runtime does everything that is not a request: it accepts, fetches tokens, serves the admin address, waits
//! for signals. Each worker is a thread with a runtime, a service and upstream connections of its own. They share the
//! keys, the tokens and the counters, and nothing that a worker would have to wait for.

mod expiry;
mod reload;
mod running;
mod worker;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::admin::{Generation, Visitors};
use crate::document::Mistakes;
use crate::egress::{Egress, Ourselves};
use crate::forward::Pools;
use crate::listen::{self, Addresses, Dispatch, Doorway, Listener, Phase};
use crate::request_line::{Format, RequestLines};
use crate::settings::Settings;
use crate::sources::{Looks, Reading, Source};
use crate::swap::Gateway;
use reload::{Live, swap_layer, warn_of_ends, warn_of_notes};
use running::{Doors, Ended, Running};
use worker::Worker;

/// A gateway that has bound its addresses and serves none of them yet.
#[derive(Debug)]
pub struct Server {
    control: Runtime,
    settings: Settings,
    egress: Egress,
    gateway: Arc<Gateway>,
    lines: Option<RequestLines>,
    /// How many lines of the log were dropped.
    log_dropped: Counter,
    doorway: Doorway,
    listeners: Vec<Listener>,
    admin: TcpListener,
    addresses: Addresses,
    admin_address: SocketAddr,
    visitors: Arc<Visitors>,
    /// What is followed, and how it looked when it was read.
    source: Option<(Source, Looks)>,
}

/// Why a server stopped that nobody had asked to.
#[derive(Debug)]
pub struct Broken(String);

impl Server {
    /// Reads what a source leads to, binds every address, and will follow the source: its changes take effect while the
    /// server runs.
    ///
    /// # Errors
    /// Whatever is wrong with what is read; and as [`Server::bind`].
    pub fn follow(source: Source) -> Result<Self, Mistakes> {
        let attempt = source.attempt();
        let server = Self::bind(attempt.reading?)?;
        Ok(Self { source: Some((source, attempt.looks)), ..server })
    }

    /// Binds every address, for settings that do not change.
    ///
    /// # Errors
    /// An address that cannot be bound, or a CA file that cannot be used.
    pub fn bind(reading: Reading) -> Result<Self, Mistakes> {
        let Reading { settings, keys, certificates, admin_secret, notes } = reading;
        allow_open_files();
        let control = Builder::new_current_thread().enable_all().build();
        let control = control.map_err(|error| Mistakes::of_file(Path::new("control runtime"), error.to_string()))?;
        let egress = Egress::new(&settings.egress, settings.timeouts.egress)?;
        warn_of_ends(&certificates);
        warn_of_notes(&notes);
        let doorway = Doorway::new(&settings.listen, certificates.clone());
        let (listeners, addresses) = control.block_on(listen::bind(&settings.listen, &doorway))?;
        let egress = egress.avoiding(Ourselves::new(&addresses, &certificates));
        let wrong = |error: std::io::Error| {
            Mistakes::of_file(Path::new("admin"), format!("cannot listen on {}: {error}", settings.admin.address))
        };
        let admin = control.block_on(TcpListener::bind(settings.admin.address)).map_err(wrong)?;
        let admin_address = admin.local_addr().map_err(wrong)?;
        let visitors = Visitors::of(&settings.admin, admin_secret);
        let gateway = Arc::new(Gateway::new(&settings, keys));
        gateway.keep_usage();
        let (lines, log_dropped, source) = (None, Counter::default(), None);
        Ok(Self {
            control,
            settings,
            egress,
            gateway,
            lines,
            log_dropped,
            doorway,
            listeners,
            admin,
            addresses,
            admin_address,
            visitors: Arc::new(visitors),
            source,
        })
    }

    /// Tells of every request in a line of this file. Nothing is told of them otherwise.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn telling_requests(self, file: impl Write + Send + 'static, format: Format) -> Result<Self, Broken> {
        let dropped = self.gateway.metrics.lines_dropped().clone();
        let lines = RequestLines::open(file, format, dropped).map_err(|error| Broken(error.to_string()))?;
        Ok(Self { lines: Some(lines), ..self })
    }

    /// Shows at the admin address how many lines of the log nobody will see; whoever writes the log counts them there.
    #[must_use]
    pub fn counting_lost_log(self, dropped: Counter) -> Self {
        Self { log_dropped: dropped, ..self }
    }

    /// Where clients connect, ports settled.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where health and metrics are served, port settled.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Serves until SIGTERM or SIGINT, then stops as the settings say; a second signal ends it at once.
    ///
    /// # Errors
    /// A part that can never end has ended.
    pub fn run_until_signalled(self) -> Result<(), Broken> {
        let (send, stops) = mpsc::unbounded_channel();
        let signals = {
            // Signals are registered before anything is served, so that none is lost.
            let _control = self.control.enter();
            let on = |kind| signal(kind).map_err(|error| Broken(format!("signals cannot be received: {error}")));
            (on(SignalKind::terminate())?, on(SignalKind::interrupt())?)
        };
        self.control.spawn(async move {
            let (mut terminate, mut interrupt) = signals;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if send.send(()).is_err() {
                    break;
                }
            }
        });
        self.run(stops)
    }

    /// Serves until it is told to stop, for programs that handle signals themselves: the first message begins the
    /// stop, the second ends it at once. Without a sender it serves forever.
    ///
    /// # Errors
    /// A part that can never end has ended.
    pub fn run(self, mut stops: mpsc::UnboundedReceiver<()>) -> Result<(), Broken> {
        let (control, mut running, doors) = self.start().map_err(|error| Broken(error.to_string()))?;
        let served = control.block_on(running.serve(doors, &mut stops));
        running.end(control);
        match &served {
            Ok(Ended::Drained) => info!("stopped: every request was answered"),
            Ok(Ended::DeadlinePassed) => warn!("stopped: the deadline has passed, what still ran was cut"),
            Ok(Ended::AtOnce) => warn!("stopped at once, as asked"),
            Err(Broken(what)) => error!("stopped: {what}"),
        }
        served.map(drop)
    }

    /// Starts the workers and all else that runs, behind doors that are not open yet.
    fn start(self) -> io::Result<(Runtime, Running, Doors)> {
        let Self { control, settings, egress, gateway, lines, doorway, listeners, admin, addresses, visitors, .. } =
            self;
        let (phase, phases) = watch::channel(Phase::Serving);
        let pools = Pools::new(&settings);
        let swap = swap_layer(&gateway, lines.as_ref());
        let workers = (0..settings.workers.get())
            .map(|n| Worker::start(n, &swap, &egress, &pools, settings.timeouts.client, phases.clone()));
        let mut workers = workers.collect::<Result<Vec<_>, _>>()?;
        let intakes = workers.iter_mut().filter_map(Worker::intake).collect();
        let dispatch = Dispatch::new(intakes, settings.listen.connections);
        let first = Generation { number: 1, stale: false, at_next_start: Vec::new() };
        gateway.metrics.settings_taken(first.number);
        let in_control = control.enter();
        let at_work = workers.iter_mut().map(Worker::at_work).collect();
        let live = Live {
            keeper: gateway.tokens.keep(&settings, &egress),
            gateway: Arc::new(ArcSwap::new(gateway)),
            at_start: settings.clone(),
            settings,
            egress,
            pools,
            workers,
            lines,
            addresses,
            doorway,
            visitors,
            generation: watch::Sender::new(first),
        };
        drop(in_control);
        let doors = Doors { listeners, dispatch, admin, log_dropped: self.log_dropped, source: self.source };
        Ok((control, Running { live, at_work, phase }, doors))
    }
}

/// Raises the limit of open files to what the system allows: its usual 1024 is for programs that use `select`.
fn allow_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files stays as it is");
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
