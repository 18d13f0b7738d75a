//! The process: threads, sockets, signals.
//!
//! A control runtime does everything that is not a request: it accepts, fetches tokens, serves the admin address, waits
//! for signals. Each worker is a thread with a runtime, a service and upstream connections of its own. They share the
//! keys, the tokens and the counters, and nothing that a worker would have to wait for.

mod expiry;
mod reload;
mod worker;

use std::future::pending;
use std::io::Write;
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
use tokio::task::JoinSet;
use tracing::field::display;
use tracing::{error, info, warn};

use crate::admin::{self, Generation, Visitors};
use crate::document::Mistakes;
use crate::egress::{Egress, Ourselves};
use crate::forward::Pools;
use crate::listen::{self, Addresses, Dispatch, Doorway, Listener, Phase};
use crate::request_line::{Format, RequestLines};
use crate::settings::Settings;
use crate::sources::{Looks, Reading, Source};
use crate::swap::Gateway;
use reload::{Live, hang_ups, swap_layer, warn_of_ends, warn_of_notes};
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
        let Self {
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
            visitors,
            source,
        } = self;
        let broken = |error: std::io::Error| Broken(error.to_string());
        let (phase, phases) = watch::channel(Phase::Serving);
        let pools = Pools::new(&settings);
        let swap = swap_layer(&gateway, lines.as_ref());
        let workers = (0..settings.workers.get())
            .map(|n| Worker::start(n, &swap, &egress, &pools, settings.timeouts.client, phases.clone()));
        let mut workers = workers.collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let dispatch =
            Dispatch::new(workers.iter_mut().filter_map(Worker::intake).collect(), settings.listen.connections);
        let first = Generation { number: 1, stale: false, at_next_start: Vec::new() };
        gateway.metrics.settings_taken(first.number);
        let (generation, generations) = watch::channel(first);
        let mut live = {
            let _control = control.enter();
            Live {
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
                visitors: visitors.clone(),
                generation,
            }
        };

        let served = control.block_on(async {
            let hang_ups = hang_ups().map_err(broken)?;
            let mut accepting = JoinSet::new();
            for listener in listeners {
                accepting.spawn(listener.accept(dispatch.clone()));
            }
            drop(dispatch);
            let endings = expiry::watch(live.gateway.clone(), generations.clone());
            let mut writing = tokio::spawn(keep_usage(live.gateway.clone()));
            let router = admin::router(live.gateway.clone(), phases, generations, visitors, log_dropped);
            let mut admin = tokio::spawn(axum::serve(admin, router).into_future());
            let Addresses { http, https, unix } = live.addresses.clone();
            let (http, https) = (http.map(display), https.map(display));
            let unix = unix.as_ref().map(|path| display(path.display()));
            let keys = live.gateway.load().keys.len();
            info!(http, https, unix, admin = %admin_address, keys, "serving");

            let following = async {
                match source {
                    Some((source, looks)) => live.follow(&source, looks, hang_ups).await,
                    None => live.keep().await,
                }
            };
            tokio::select! {
                () = told(&mut stops) => {}
                () = following => return Err(Broken("a token task ended".to_owned())),
                Some(_) = accepting.join_next() => return Err(Broken("an accept loop ended".to_owned())),
                _ = &mut admin => return Err(Broken("the admin address is no longer served".to_owned())),
                never = endings => match never {},
                _ = &mut writing => return Err(Broken("the use of keys is no longer written down".to_owned())),
            }
            let drain = live.drain();
            info!(delay_s = drain.delay.as_secs(), deadline_s = drain.deadline.as_secs(), "stopping");
            phase.send_replace(Phase::Closing);
            tokio::select! {
                () = tokio::time::sleep(drain.delay) => {}
                Some(()) = stops.recv() => return Ok(Ended::AtOnce),
            }
            accepting.shutdown().await;
            phase.send_replace(Phase::Stopping);
            let idle = async {
                for worker in &mut live.workers {
                    worker.idle().await;
                }
            };
            tokio::select! {
                () = idle => Ok(Ended::Drained),
                () = tokio::time::sleep(drain.deadline) => Ok(Ended::DeadlinePassed),
                Some(()) = stops.recv() => Ok(Ended::AtOnce),
            }
        });
        // Whatever still runs is dropped with its worker's runtime, and that is nobody's doing but ours.
        let gateway = live.gateway.load_full();
        gateway.cut_off();
        let Live { workers, lines, .. } = live;
        for worker in workers {
            worker.end();
        }
        gateway.usage.close();
        // Whoever still reads a file may never end, and nobody waits for it any more.
        control.shutdown_background();
        // Every request has ended now; the last of them are still to be told.
        if let Some(lines) = lines {
            lines.close();
        }
        match &served {
            Ok(Ended::Drained) => info!("stopped: every request was answered"),
            Ok(Ended::DeadlinePassed) => warn!("stopped: the deadline has passed, what still ran was cut"),
            Ok(Ended::AtOnce) => warn!("stopped at once, as asked"),
            Err(Broken(what)) => error!("stopped: {what}"),
        }
        served.map(drop)
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

/// Has the use of keys written down again and again, where nobody waits for a disk.
async fn keep_usage(gateway: Arc<ArcSwap<Gateway>>) {
    let Some(pace) = gateway.load().usage.pace() else { return pending().await };
    loop {
        tokio::time::sleep(pace).await;
        let gateway = gateway.load_full();
        // A panic is told where it happens, and the next time may be better.
        drop(tokio::task::spawn_blocking(move || gateway.keep_usage()).await);
    }
}

/// Waits until a stop is asked for. Where nobody can, that is never.
async fn told(stops: &mut mpsc::UnboundedReceiver<()>) {
    if stops.recv().await.is_none() {
        pending::<()>().await;
    }
}

/// How a stop that was asked for came to its end.
enum Ended {
    Drained,
    DeadlinePassed,
    AtOnce,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
