//! A worker: a thread that carries requests.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use http::Request;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tower::{Layer, Service};

use crate::egress::Egress;
use crate::forward::{Forward, Pools, Replay};
use crate::listen::{Accepted, Connections, Phase, RequestBody};
use crate::settings::ClientTimeouts;
use crate::swap::{Swap, SwapLayer};

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    serving: Arc<ArcSwap<Serving>>,
    intake: Option<mpsc::Sender<Accepted>>,
    idle: Option<oneshot::Receiver<()>>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What a worker serves with, until the settings change.
#[derive(Debug)]
struct Serving {
    swap: Swap<Forward<Replay<RequestBody>>>,
    forward: Forward<Replay<RequestBody>>,
    timeouts: ClientTimeouts,
}

/// The service of a worker: what it serves with at the moment. A request that has begun ends with what it began with.
#[derive(Clone, Debug)]
struct Current(Arc<ArcSwap<Serving>>);

/// How many accepted connections may wait for a worker.
const WAITING: usize = 1024;

impl Worker {
    /// Starts the `n`th worker.
    pub(super) fn start(
        n: usize,
        swap: &SwapLayer,
        egress: &Egress,
        pools: &Pools<Replay<RequestBody>>,
        timeouts: ClientTimeouts,
        phase: watch::Receiver<Phase>,
    ) -> io::Result<Self> {
        let forward = Forward::new(egress, pools);
        let serving = Serving { swap: swap.layer(forward.clone()), forward, timeouts };
        let serving = Arc::new(ArcSwap::from_pointee(serving));
        let (relay, relayed) = watch::channel(*phase.borrow());
        let connections = Connections::new(Current(serving.clone()), relayed, timeouts, swap.mishaps());
        let current = serving.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (intake, accepted) = mpsc::channel(WAITING);
        let (tell_idle, idle) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = carry(&connections, &current, accepted) => drop(tell_idle.send(())),
                    never = relay_phases(&relay, phase) => match never {},
                    _ = ended => {}
                }
            });
            // A name look-up cannot be cut short, and nobody waits for it any more.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("worker-{n}")).spawn(work)?;
        Ok(Self { serving, intake: Some(intake), idle: Some(idle), end, thread })
    }

    /// Serves with these from the next request on. Connections that are kept upstream stay so where they lead to the same
    /// place.
    pub(super) fn serve(
        &self,
        swap: &SwapLayer,
        egress: &Egress,
        pools: &Pools<Replay<RequestBody>>,
        timeouts: ClientTimeouts,
    ) {
        let forward = self.serving.load().forward.succeeding(egress, pools);
        self.serving.store(Arc::new(Serving { swap: swap.layer(forward.clone()), forward, timeouts }));
    }

    /// Where to hand connections; to be had once. When it is dropped, the worker takes no more.
    pub(super) fn intake(&mut self) -> Option<mpsc::Sender<Accepted>> {
        self.intake.take()
    }

    /// Waits until the worker has ended, and tells its name: that is when it has no connection left, after its intake was
    /// dropped, or when it broke. To be had once.
    pub(super) fn at_work(&mut self) -> impl Future<Output = String> + Send + use<> {
        let (idle, name) = (self.idle.take(), self.thread.thread().name().unwrap_or_default().to_owned());
        async move {
            if let Some(idle) = idle {
                // An error means that its thread is gone, and with it every connection.
                drop(idle.await);
            }
            name
        }
    }

    /// Ends the worker, whatever still runs.
    pub(super) fn end(self) {
        drop(self.end);
        drop(self.thread.join());
    }
}

/// Tells the connections of one worker what all workers are told. Each request looks at the phase, and each step of a
/// connection waits for the next: at what all of them shared, the workers would wait for each other. A sender that is gone
/// says nothing: whoever drops it ends the workers.
async fn relay_phases(relay: &watch::Sender<Phase>, mut phase: watch::Receiver<Phase>) -> Infallible {
    while phase.changed().await.is_ok() {
        let now = *phase.borrow_and_update();
        relay.send_replace(now);
    }
    pending().await
}

/// Serves connections until no more come and the last has ended.
async fn carry(connections: &Connections<Current>, current: &ArcSwap<Serving>, mut accepted: mpsc::Receiver<Accepted>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accepted.recv() => match accepted {
                Some(accepted) => {
                    let timeouts = current.load().timeouts;
                    drop(open.spawn(connections.within(timeouts).serve(accepted)));
                }
                None => break,
            },
            Some(_) = open.join_next() => {}
        }
    }
    while open.join_next().await.is_some() {}
}

impl Service<Request<RequestBody>> for Current {
    type Response = <Swap<Forward<Replay<RequestBody>>> as Service<Request<RequestBody>>>::Response;
    type Error = Infallible;
    type Future = <Swap<Forward<Replay<RequestBody>>> as Service<Request<RequestBody>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        self.0.load().swap.answer(request)
    }
}
