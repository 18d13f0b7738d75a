//! A worker: a thread that carries requests.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tower::Layer;

use crate::egress::Egress;
use crate::forward::{Forward, Pools, Replay};
use crate::listen::{Accepted, Connections, Phase, RequestBody};
use crate::settings::ClientTimeouts;
use crate::swap::SwapLayer;

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    intake: Option<mpsc::Sender<Accepted>>,
    idle: oneshot::Receiver<()>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// How many accepted connections may wait for a worker.
const WAITING: usize = 1024;

impl Worker {
    /// Starts the `n`th worker.
    pub(super) fn start(
        n: usize,
        swap: SwapLayer,
        egress: Egress,
        pools: Pools<Replay<RequestBody>>,
        timeouts: ClientTimeouts,
        phase: watch::Receiver<Phase>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (intake, accepted) = mpsc::channel(WAITING);
        let (tell_idle, idle) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = carry(&swap, &egress, pools, timeouts, phase, accepted) => drop(tell_idle.send(())),
                    _ = ended => {}
                }
            });
            // A name look-up cannot be cut short, and nobody waits for it any more.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(format!("worker-{n}")).spawn(work)?;
        Ok(Self { intake: Some(intake), idle, end, thread })
    }

    /// Where to hand connections; to be had once. When it is dropped, the worker takes no more.
    pub(super) fn intake(&mut self) -> Option<mpsc::Sender<Accepted>> {
        self.intake.take()
    }

    /// Waits until the worker has no connection left, after its intake was dropped.
    pub(super) async fn idle(&mut self) {
        // An error means that its thread is gone, and with it every connection.
        drop((&mut self.idle).await);
    }

    /// Ends the worker, whatever still runs.
    pub(super) fn end(self) {
        drop(self.end);
        drop(self.thread.join());
    }
}

/// Serves connections until no more come and the last has ended.
async fn carry(
    swap: &SwapLayer,
    egress: &Egress,
    pools: Pools<Replay<RequestBody>>,
    timeouts: ClientTimeouts,
    phase: watch::Receiver<Phase>,
    mut accepted: mpsc::Receiver<Accepted>,
) {
    let service = swap.layer(Forward::new(egress, &pools));
    let connections = Connections::new(service, phase, timeouts, swap.mishaps());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accepted.recv() => match accepted {
                Some(accepted) => drop(open.spawn(connections.clone().serve(accepted))),
                None => break,
            },
            Some(_) = open.join_next() => {}
        }
    }
    while open.join_next().await.is_some() {}
}
