//! The connections to one resource: so many and no more, kept for the next request, given back when an answer has ended.
//!
//! Each worker has a shelf of its own: a connection lives in one runtime, and is used there alone. Their number is
//! counted for all workers together, the kept ones too, since each takes a port of the NAT in front of us. A request
//! that finds none, and none may be opened, waits its turn, whichever worker it is on; meanwhile kept connections of
//! other workers are closed for it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::Connection;
use crate::settings::{Settings, UpstreamTimeouts};

/// The connections to every resource, of all workers.
#[derive(Debug)]
pub struct Pools<B> {
    limits: UpstreamTimeouts,
    of_resources: Arc<HashMap<Arc<str>, Arc<Pool<B>>>>,
    shelves: Arc<AtomicUsize>,
}

/// The connections to one resource.
#[derive(Debug)]
pub(super) struct Pool<B> {
    limits: UpstreamTimeouts,
    state: Mutex<State<B>>,
}

#[derive(Debug)]
struct State<B> {
    /// How many more may be opened.
    free: usize,
    shelves: Vec<Shelf<B>>,
    /// Who came when there was none and none could be opened, in that order.
    waiting: VecDeque<Waiting<B>>,
}

/// The kept connections of one worker, the one that was used last on top.
#[derive(Debug)]
struct Shelf<B> {
    kept: Vec<Kept<B>>,
    /// Whether a task takes away those that are too old.
    is_tended: bool,
}

#[derive(Debug)]
struct Kept<B> {
    connection: Connection<B>,
    since: Instant,
}

#[derive(Debug)]
struct Waiting<B> {
    shelf: usize,
    tell: oneshot::Sender<Turn<B>>,
}

/// What a request may go on.
#[derive(Debug)]
pub(super) enum Turn<B> {
    /// A connection that has been used before.
    Kept(Connection<B>),
    /// One that is still to be opened, in this place.
    Open(Place<B>),
}

/// The leave to have one connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Place<B>(Weak<Pool<B>>);

/// A connection while one request has it. Dropped, it closes; after its answer has ended it can be given back.
#[derive(Debug)]
pub(super) struct Lease<B> {
    connection: Connection<B>,
    pool: Arc<Pool<B>>,
    shelf: usize,
}

/// There was no turn in time.
#[derive(Debug)]
pub(super) struct NoTurn;

/// How long a request may still be on its way after its answer has ended. An upstream may answer before it has read
/// everything, and then never read on.
const SETTLING: Duration = Duration::from_secs(5);

// === impl Pools ===

impl<B> Pools<B> {
    /// No connection yet, and as many as the settings allow.
    pub fn new(settings: &Settings) -> Self {
        let limits = settings.timeouts.upstream;
        let resources = settings.resources.iter();
        let pools =
            resources.map(|resource| (resource.name.clone(), Arc::new(Pool::new(resource.connections, limits))));
        Self { limits, of_resources: Arc::new(pools.collect()), shelves: Arc::default() }
    }

    /// What upstreams, and those who wait for them, may take.
    pub(super) fn limits(&self) -> UpstreamTimeouts {
        self.limits
    }

    /// The connections to the resource of this name; `None` where the settings have none.
    pub(super) fn of(&self, resource: &str) -> Option<&Arc<Pool<B>>> {
        self.of_resources.get(resource)
    }

    /// The number of a shelf that nobody else has.
    pub(super) fn new_shelf(&self) -> usize {
        self.shelves.fetch_add(1, Ordering::Relaxed)
    }
}

impl<B> Clone for Pools<B> {
    fn clone(&self) -> Self {
        Self { limits: self.limits, of_resources: self.of_resources.clone(), shelves: self.shelves.clone() }
    }
}

// === impl Pool ===

impl<B> Pool<B> {
    fn new(connections: usize, limits: UpstreamTimeouts) -> Self {
        let state = State { free: connections, shelves: Vec::new(), waiting: VecDeque::new() };
        Self { limits, state: Mutex::new(state) }
    }

    /// Nothing that runs under this lock waits or panics.
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_too_old(&self, kept: &Kept<B>, now: Instant) -> bool {
        now >= self.due(kept)
    }

    /// When a kept connection is no longer used: Azure closes idle ones after minutes, and we want to be first; an old
    /// one may lead to an address that is no longer the resource's.
    fn due(&self, kept: &Kept<B>) -> Instant {
        (kept.since + self.limits.idle).min(kept.connection.born() + self.limits.age)
    }
}

impl<B: Send + 'static> Pool<B> {
    /// Gives a request a connection, or leave to open one.
    ///
    /// # Errors
    /// The resource had all that it may have for as long as a request waits.
    pub(super) async fn turn(self: &Arc<Self>, shelf: usize) -> Result<Turn<B>, NoTurn> {
        let turn = match self.turn_now(shelf) {
            Ok(turn) => return Ok(turn),
            Err(turn) => turn,
        };
        match timeout(self.limits.wait, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(NoTurn),
        }
    }

    /// The turn, if there is one at once; else where it will be told.
    fn turn_now(self: &Arc<Self>, shelf: usize) -> Result<Turn<B>, oneshot::Receiver<Turn<B>>> {
        // What is closed here is dropped behind the lock.
        let mut closed = Vec::new();
        let mut state = self.state();
        let now = Instant::now();
        while let Some(kept) = state.shelf(shelf).kept.pop() {
            if kept.connection.is_ready() && !self.is_too_old(&kept, now) {
                drop(state);
                return Ok(Turn::Kept(kept.connection));
            }
            closed.push(kept);
        }
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            return Ok(Turn::Open(Place(Arc::downgrade(self))));
        }
        // Those who have gone leave the queue here, too: no connection may end for long.
        state.first_waiting();
        let (tell, turn) = oneshot::channel();
        state.waiting.push_back(Waiting { shelf, tell });
        closed.extend(state.take_idlest());
        drop(state);
        Err(turn)
    }

    /// Gives a connection to one request.
    pub(super) fn lease(self: &Arc<Self>, shelf: usize, connection: Connection<B>) -> Lease<B> {
        Lease { connection, pool: self.clone(), shelf }
    }

    fn keep(self: &Arc<Self>, shelf: usize, connection: Connection<B>) {
        let kept = Kept { connection, since: Instant::now() };
        if self.is_too_old(&kept, kept.since) {
            return;
        }
        let mut state = self.state();
        match state.first_waiting().map(|waiting| waiting.shelf == shelf) {
            None => {}
            Some(true) => {
                let waiting = state.waiting.pop_front();
                drop(state);
                // If who waited goes just now, the connection closes, and its place is the next one's.
                drop(waiting.map(|waiting| waiting.tell.send(Turn::Kept(kept.connection))));
                return;
            }
            // It is of no use on another worker, but its place is.
            Some(false) => return,
        }
        let due = self.due(&kept);
        let shelved = state.shelf(shelf);
        shelved.kept.push(kept);
        if !std::mem::replace(&mut shelved.is_tended, true) {
            drop(state);
            tokio::spawn(tend(Arc::downgrade(self), shelf, due));
        }
    }

    /// Takes connections away that are too old; when the next will be, or `None` when none is left.
    fn clear(&self, shelf: usize) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        let shelf = state.shelf(shelf);
        let (closed, kept): (Vec<_>, _) = shelf.kept.drain(..).partition(|kept| self.is_too_old(kept, now));
        shelf.kept = kept;
        let next = shelf.kept.iter().map(|kept| self.due(kept)).min();
        shelf.is_tended = next.is_some();
        drop(state);
        drop(closed);
        next
    }
}

/// Looks after a worker's kept connections for as long as there are any.
async fn tend<B: Send + 'static>(pool: Weak<Pool<B>>, shelf: usize, mut due: Instant) {
    loop {
        sleep_until(due).await;
        let Some(next) = pool.upgrade().and_then(|pool| pool.clear(shelf)) else { return };
        due = next;
    }
}

// === impl State ===

impl<B> State<B> {
    fn shelf(&mut self, number: usize) -> &mut Shelf<B> {
        if self.shelves.len() <= number {
            self.shelves.resize_with(number + 1, || Shelf { kept: Vec::new(), is_tended: false });
        }
        &mut self.shelves[number]
    }

    /// The connection that has been kept for the longest time, whoever has it.
    fn take_idlest(&mut self) -> Option<Kept<B>> {
        let shelves = self.shelves.iter_mut().filter(|shelf| !shelf.kept.is_empty());
        let shelf = shelves.min_by_key(|shelf| shelf.kept.first().map(|kept| kept.since))?;
        Some(shelf.kept.remove(0))
    }

    /// Who has waited longest and is still there.
    fn first_waiting(&mut self) -> Option<&Waiting<B>> {
        while self.waiting.front().is_some_and(|waiting| waiting.tell.is_closed()) {
            self.waiting.pop_front();
        }
        self.waiting.front()
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
        let Self { mut connection, pool, shelf } = self;
        if connection.is_ready() {
            pool.keep(shelf, connection);
        } else if !connection.is_closed() {
            tokio::spawn(async move {
                if timeout(SETTLING, connection.ready()).await == Ok(true) {
                    pool.keep(shelf, connection);
                }
            });
        }
    }
}

// === impl Place ===

impl<B> Drop for Place<B> {
    fn drop(&mut self) {
        let Some(pool) = self.0.upgrade() else { return };
        let next = {
            let mut state = pool.state();
            if state.first_waiting().is_none() {
                state.free += 1;
            }
            state.waiting.pop_front()
        };
        if let Some(waiting) = next {
            // If who waited goes just now, the place comes back, is dropped here, and goes to the next.
            drop(waiting.tell.send(Turn::Open(Self(Arc::downgrade(&pool)))));
        }
    }
}
