//! The connections to one resource that one worker keeps for its next requests.
//!
//! A connection lives in one runtime, and is used there alone; so each worker has a shelf of its own, and waits for no
//! other when it takes one or puts one back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::connection::Connection;
use super::pool::{Pool, Turn};
use crate::settings::{Resource, UpstreamTimeouts};

/// What one worker keeps.
#[derive(Debug)]
pub(super) struct Shelf<B> {
    resource: Arc<Resource>,
    pool: Arc<Pool<B>>,
    limits: UpstreamTimeouts,
    row: Mutex<Row<B>>,
}

#[derive(Debug)]
struct Row<B> {
    /// The one that was used last stands last.
    kept: Vec<Kept<B>>,
    /// Whether a task takes away those that are too old.
    is_tended: bool,
}

#[derive(Debug)]
struct Kept<B> {
    connection: Connection<B>,
    since: Instant,
}

/// A connection while one request has it. Dropped, it closes; after its answer has ended it can be given back.
#[derive(Debug)]
pub(super) struct Lease<B> {
    connection: Connection<B>,
    shelf: Arc<Shelf<B>>,
}

/// There was no turn in time.
#[derive(Debug)]
pub(super) struct NoTurn;

/// How long a request may still be on its way after its answer has ended. An upstream may answer before it has read
/// everything, and then never read on.
const SETTLING: Duration = Duration::from_secs(5);

// === impl Shelf ===

impl<B> Shelf<B> {
    pub(super) fn new(resource: Arc<Resource>, pool: Arc<Pool<B>>, limits: UpstreamTimeouts) -> Self {
        Self { resource, pool, limits, row: Mutex::new(Row { kept: Vec::new(), is_tended: false }) }
    }

    /// Whether what it keeps is what would be opened to a resource.
    pub(super) fn leads_to(&self, resource: &Resource) -> bool {
        self.resource.endpoint == resource.endpoint && self.resource.address == resource.address
    }

    /// Gives a request a connection, or leave to open one.
    ///
    /// # Errors
    /// The resource had all that it may have for as long as a request waits.
    pub(super) async fn turn(self: &Arc<Self>) -> Result<Turn<B>, NoTurn> {
        if let Some(connection) = self.take() {
            return Ok(Turn::Kept(connection));
        }
        match self.pool.place(self) {
            Ok(place) => Ok(Turn::Open(place)),
            Err(turn) => timeout(self.limits.wait, turn).await.map_err(|_| NoTurn)?.map_err(|_| NoTurn),
        }
    }

    /// Gives a connection to one request.
    pub(super) fn lease(self: &Arc<Self>, connection: Connection<B>) -> Lease<B> {
        Lease { connection, shelf: self.clone() }
    }

    /// The connection that was used last, of those that can still be.
    pub(super) fn take(&self) -> Option<Connection<B>> {
        // What is closed here is dropped behind the lock.
        let mut closed = Vec::new();
        let mut row = self.row();
        let now = Instant::now();
        while let Some(kept) = row.kept.pop() {
            if kept.connection.is_ready() && now < self.due(&kept) {
                drop(row);
                return Some(kept.connection);
            }
            closed.push(kept);
        }
        None
    }

    /// Since when the first of them has been kept.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.row().kept.first().map(|kept| kept.since)
    }

    /// The one that has been kept for the longest time.
    pub(super) fn take_idlest(&self) -> Option<Connection<B>> {
        let mut row = self.row();
        (!row.kept.is_empty()).then(|| row.kept.remove(0).connection)
    }

    /// Nothing that runs under this lock waits or panics.
    fn row(&self) -> MutexGuard<'_, Row<B>> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a kept connection is no longer used: Azure closes idle ones after minutes, and we want to be first; an old
    /// one may lead to an address that is no longer the resource's.
    fn due(&self, kept: &Kept<B>) -> Instant {
        (kept.since + self.limits.idle).min(kept.connection.born() + self.limits.age)
    }

    /// Takes connections away that are too old; when the next will be, or `None` when none is left.
    fn clear(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut row = self.row();
        let (closed, kept): (Vec<_>, _) = row.kept.drain(..).partition(|kept| now >= self.due(kept));
        row.kept = kept;
        let next = row.kept.iter().map(|kept| self.due(kept)).min();
        row.is_tended = next.is_some();
        drop(row);
        drop(closed);
        next
    }
}

impl<B: Send + 'static> Shelf<B> {
    fn keep(self: &Arc<Self>, connection: Connection<B>) {
        let kept = Kept { connection, since: Instant::now() };
        let due = self.due(&kept);
        if kept.since >= due {
            return;
        }
        let was_tended = {
            let mut row = self.row();
            row.kept.push(kept);
            std::mem::replace(&mut row.is_tended, true)
        };
        if !was_tended {
            tokio::spawn(tend(Arc::downgrade(self), due));
        }
        // After it was put there: see Pool::place.
        if self.pool.is_waited_for() {
            self.pool.serve(self);
        }
    }
}

/// Looks after a worker's kept connections for as long as there are any.
async fn tend<B: Send + 'static>(shelf: Weak<Shelf<B>>, mut due: Instant) {
    loop {
        sleep_until(due).await;
        let Some(next) = shelf.upgrade().and_then(|shelf| shelf.clear()) else { return };
        due = next;
    }
}

// === impl Lease ===

impl<B> Lease<B> {
    pub(super) fn connection(&mut self) -> &mut Connection<B> {
        &mut self.connection
    }
}

impl<B: Send + 'static> Lease<B> {
    /// Keeps the connection for the next request, once this one has left it.
    pub(super) fn give_back(self) {
        let Self { mut connection, shelf } = self;
        if connection.is_ready() {
            shelf.keep(connection);
        } else if !connection.is_closed() {
            tokio::spawn(async move {
                if timeout(SETTLING, connection.ready()).await == Ok(true) {
                    shelf.keep(connection);
                }
            });
        }
    }
}
