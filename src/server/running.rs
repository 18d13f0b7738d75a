//! A server at work, from its first connection to its end.

use std::future::pending;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::field::display;
use tracing::info;

use super::reload::{Live, hang_ups};
use super::{Broken, expiry};
use crate::admin;
use crate::listen::{Addresses, Dispatch, Listener, Phase};
use crate::sources::{Looks, Source};
use crate::swap::Gateway;

/// What runs while a server serves.
pub(super) struct Running {
    pub(super) live: Live,
    /// Each worker's name, when it has ended.
    pub(super) at_work: JoinSet<String>,
    pub(super) phase: watch::Sender<Phase>,
}

/// What is bound, and served by nobody yet.
pub(super) struct Doors {
    pub(super) listeners: Vec<Listener>,
    /// Where connections go.
    pub(super) dispatch: Dispatch,
    pub(super) admin: TcpListener,
    pub(super) log_dropped: Counter,
    /// What is followed, and how it looked when it was read.
    pub(super) source: Option<(Source, Looks)>,
}

/// How a stop that was asked for came to its end.
#[derive(Debug)]
pub(super) enum Ended {
    Drained,
    DeadlinePassed,
    AtOnce,
}

impl Running {
    /// Serves until a stop is asked for, and has come to its end.
    ///
    /// # Errors
    /// A part that can never end has ended.
    pub(super) async fn serve(
        &mut self,
        doors: Doors,
        stops: &mut mpsc::UnboundedReceiver<()>,
    ) -> Result<Ended, Broken> {
        let broken = |what: &str| Err(Broken(what.to_owned()));
        let Doors { listeners, dispatch, admin, log_dropped, source } = doors;
        let live = &mut self.live;
        let hang_ups = hang_ups().map_err(|error| Broken(error.to_string()))?;
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(listener.accept(dispatch.clone()));
        }
        // Workers take no more when all listeners are gone.
        drop(dispatch);
        let generations = live.generation.subscribe();
        let endings = expiry::watch(live.gateway.clone(), generations.clone());
        let mut writing = tokio::spawn(keep_usage(live.gateway.clone()));
        let admin_address = admin.local_addr().ok().map(display);
        let (phases, visitors) = (self.phase.subscribe(), live.visitors.clone());
        let router = admin::router(live.gateway.clone(), phases, generations, visitors, log_dropped);
        let mut admin = tokio::spawn(axum::serve(admin, router).into_future());
        let Addresses { http, https, unix } = live.addresses.clone();
        let (http, https) = (http.map(display), https.map(display));
        let unix = unix.as_ref().map(|path| display(path.display()));
        let keys = live.gateway.load().keys.len();
        info!(http, https, unix, admin = admin_address, keys, "serving");

        let following = async {
            match source {
                Some((source, looks)) => live.follow(&source, looks, hang_ups).await,
                None => live.keep().await,
            }
        };
        tokio::select! {
            () = told(stops) => {}
            () = following => return broken("a token task ended"),
            // Its part of all connections would be dropped.
            Some(worker) = self.at_work.join_next() => {
                return broken(&format!("{} ended", worker.as_deref().unwrap_or("a worker")));
            }
            Some(_) = accepting.join_next() => return broken("an accept loop ended"),
            _ = &mut admin => return broken("the admin address is no longer served"),
            never = endings => match never {},
            _ = &mut writing => return broken("the use of keys is no longer written down"),
        }
        Ok(self.drain(accepting, stops).await)
    }

    /// Stops as the settings say: takes new connections for a while, then none, and waits for those there are.
    async fn drain(&mut self, mut accepting: JoinSet<()>, stops: &mut mpsc::UnboundedReceiver<()>) -> Ended {
        let drain = self.live.drain();
        info!(delay_s = drain.delay.as_secs(), deadline_s = drain.deadline.as_secs(), "stopping");
        self.phase.send_replace(Phase::Closing);
        tokio::select! {
            () = sleep(drain.delay) => {}
            Some(()) = stops.recv() => return Ended::AtOnce,
        }
        accepting.shutdown().await;
        self.phase.send_replace(Phase::Stopping);
        let idle = async { while self.at_work.join_next().await.is_some() {} };
        tokio::select! {
            () = idle => Ended::Drained,
            () = sleep(drain.deadline) => Ended::DeadlinePassed,
            Some(()) = stops.recv() => Ended::AtOnce,
        }
    }

    /// Ends what still runs, and tells of it.
    pub(super) fn end(self, control: Runtime) {
        // It is dropped with its worker's runtime, and that is nobody's doing but ours.
        let gateway = self.live.gateway.load_full();
        gateway.cut_off();
        let Live { workers, lines, .. } = self.live;
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
    }
}

/// Has the use of keys written down again and again, where nobody waits for a disk.
async fn keep_usage(gateway: Arc<ArcSwap<Gateway>>) {
    let Some(pace) = gateway.load().usage.pace() else { return pending().await };
    loop {
        sleep(pace).await;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::super::Server;
    use super::*;

    const SETTINGS: &str = r#"
keys = "keys.toml"
workers = 2
[listen]
http = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[identities.app]
kind = "client-secret"
tenant = "contoso.onmicrosoft.com"
client_id = "11111111-2222-3333-4444-555555555555"
secret_file = "secret"
[resources.ai]
endpoint = "https://contoso.openai.azure.com"
identity = "app"
"#;

    /// A server that has started. Its settings are followed, or not.
    fn started(followed: bool) -> (Runtime, Running, Doors) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyswap.toml");
        fs::write(&file, SETTINGS).unwrap();
        // Without a key nobody is asked for a token.
        fs::write(folder.path().join("keys.toml"), "").unwrap();
        let server = Server::follow(Source { file: Some(file), ..Source::default() }).unwrap();
        let source = server.source.filter(|_| followed);
        Server { source, ..server }.start().unwrap()
    }

    /// Why a server stops that was harmed after its start.
    fn broken_by(harm: fn(&mut Live), followed: bool) -> String {
        let (control, mut running, doors) = started(followed);
        {
            let _control = control.enter();
            harm(&mut running.live);
        }
        let (_stop, mut stops) = mpsc::unbounded_channel();
        let served = control
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), running.serve(doors, &mut stops)).await });
        running.end(control);
        served.expect("it is noticed").unwrap_err().to_string()
    }

    #[test]
    fn a_worker_that_ends_is_noticed() {
        assert_eq!(broken_by(|live| live.workers.remove(1).end(), true), "worker-1 ended");
    }

    #[test]
    fn a_token_task_that_ends_is_noticed_whether_settings_are_followed_or_not() {
        for followed in [true, false] {
            assert_eq!(broken_by(|live| live.keeper.lose_one(), followed), "a token task ended");
        }
    }

    #[test]
    fn settings_over_which_something_panics_are_refused() {
        let (control, mut running, _doors) = started(true);
        let refused = control.block_on(async {
            let mut hang_ups = hang_ups().unwrap();
            running.live.read(&mut hang_ups, || panic!("as written")).await.unwrap().unwrap_err()
        });
        let told = "settings: cannot be read: keyswap panicked over them, the log has the place";
        assert_eq!(refused.to_string(), told);
        running.end(control);
    }
}
