//! The connections to one resource, of all workers together: so many and no more.
//!
//! Kept ones count too, whoever keeps them (see [`Shelf`]), since each takes a port of the NAT in front of us. A request
//! that finds none on its own worker's shelf, where none may be opened, waits its turn; meanwhile a kept connection of
//! another worker is closed for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::HashMap;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::shelf::Shelf;
use crate::settings::{Resource, Settings, UpstreamTimeouts};

/// The connections to every resource, of all workers.
#[derive(Debug)]
pub struct Pools<B> {
    limits: UpstreamTimeouts,
    of_resources: Arc<HashMap<Arc<str>, Shared<B>>>,
}

/// A resource, and the pool that all workers have for it.
#[derive(Debug)]
struct Shared<B> {
    resource: Arc<Resource>,
    pool: Arc<Pool<B>>,
}

/// The connections to one resource.
#[derive(Debug)]
pub(super) struct Pool<B> {
    state: Mutex<State<B>>,
    /// Whether anybody waits: workers look at it after every answer, and must not wait for each other there.
    is_waited_for: AtomicBool,
}

#[derive(Debug)]
struct State<B> {
    /// How many there may be.
    limit: usize,
    /// How many there are, and are just being opened.
    taken: usize,
    /// Who came when there was none and none could be opened, in that order.
    waiting: VecDeque<Waiting<B>>,
    shelves: Vec<Weak<Shelf<B>>>,
}

#[derive(Debug)]
struct Waiting<B> {
    shelf: Weak<Shelf<B>>,
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

// === impl Pools ===

impl<B> Pools<B> {
    /// No connection yet, and as many as the settings allow.
    pub fn new(settings: &Settings) -> Self {
        Self { limits: settings.timeouts.upstream, of_resources: Arc::default() }.succeeding(settings)
    }

    /// The pools of other settings. The connections that a resource has count there, too.
    #[must_use]
    pub fn succeeding(&self, settings: &Settings) -> Self {
        let pools = settings.resources.iter().map(|resource| {
            let before = self.of_resources.get(&resource.name).map(|shared| shared.pool.clone());
            let pool = before.unwrap_or_else(|| Arc::new(Pool::new()));
            pool.resize(resource.connections);
            (resource.name.clone(), Shared { resource: resource.clone(), pool })
        });
        Self { limits: settings.timeouts.upstream, of_resources: Arc::new(pools.collect()) }
    }

    /// What upstreams, and those who wait for them, may take.
    pub(super) fn limits(&self) -> UpstreamTimeouts {
        self.limits
    }

    /// A shelf for one worker in each pool, by the resource's name: the one that is there, if it leads to the same place.
    pub(super) fn shelves(&self, there: impl Fn(&str) -> Option<Arc<Shelf<B>>>) -> HashMap<Arc<str>, Arc<Shelf<B>>> {
        let shelves = self.of_resources.iter().map(|(name, Shared { resource, pool })| {
            let shelf = there(name).filter(|shelf| shelf.leads_to(resource)).unwrap_or_else(|| {
                let shelf = Arc::new(Shelf::new(resource.clone(), pool.clone(), self.limits));
                pool.state().shelves.push(Arc::downgrade(&shelf));
                shelf
            });
            (name.clone(), shelf)
        });
        shelves.collect()
    }
}

impl<B> Clone for Pools<B> {
    fn clone(&self) -> Self {
        Self { limits: self.limits, of_resources: self.of_resources.clone() }
    }
}

// === impl Pool ===

impl<B> Pool<B> {
    fn new() -> Self {
        let state = State { limit: 0, taken: 0, waiting: VecDeque::new(), shelves: Vec::new() };
        Self { state: Mutex::new(state), is_waited_for: AtomicBool::new(false) }
    }

    /// Allows so many from now on. Where there are more, they are not replaced when they close.
    fn resize(self: &Arc<Self>, limit: usize) {
        let mut state = self.state();
        state.limit = limit;
        let next = state.admit();
        drop(state);
        self.tell(next);
    }

    /// Gives their places to those whose turn it is.
    fn tell(self: &Arc<Self>, next: Vec<Waiting<B>>) {
        for waiting in next {
            // If who waited goes just now, the place comes back, is dropped here, and goes to the next.
            drop(waiting.tell.send(Turn::Open(Place(Arc::downgrade(self)))));
        }
    }

    /// Nothing that runs under this lock waits or panics. A shelf's own may be taken under it, not the other way round.
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to open a connection; else where a request of this shelf will be told of its turn.
    pub(super) fn place(self: &Arc<Self>, shelf: &Arc<Shelf<B>>) -> Result<Place<B>, oneshot::Receiver<Turn<B>>> {
        let mut state = self.state();
        if state.taken < state.limit {
            state.taken += 1;
            return Ok(Place(Arc::downgrade(self)));
        }
        // Those who have gone leave the queue here, too: no connection may end for long.
        state.first_waiting();
        let (tell, turn) = oneshot::channel();
        state.waiting.push_back(Waiting { shelf: Arc::downgrade(shelf), tell });
        // Before the shelves are looked at: whatever is kept after that is kept by somebody who sees this.
        self.is_waited_for.store(true, Ordering::Relaxed);
        let idlest = state.take_idlest();
        drop(state);
        // It is closed behind the lock, and its place goes to whoever is first.
        drop(idlest);
        Err(turn)
    }

    /// Whether a request waits for its turn.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_waited_for.load(Ordering::Relaxed)
    }

    /// Gives a connection of this shelf to who waits first, or its place: on another worker the connection itself is of no
    /// use.
    pub(super) fn serve(&self, shelf: &Shelf<B>) {
        let mut state = self.state();
        let Some(first) = state.first_waiting() else {
            self.is_waited_for.store(false, Ordering::Relaxed);
            return;
        };
        let is_own = std::ptr::eq(first.shelf.as_ptr(), shelf);
        let Some(connection) = shelf.take() else { return };
        let first = if is_own { state.waiting.pop_front() } else { None };
        drop(state);
        // If who waited goes just now, the connection closes, and its place is the next one's.
        drop(first.map(|waiting| waiting.tell.send(Turn::Kept(connection))));
    }
}

// === impl State ===

impl<B> State<B> {
    /// Who has waited longest and is still there.
    fn first_waiting(&mut self) -> Option<&Waiting<B>> {
        while self.waiting.front().is_some_and(|waiting| waiting.tell.is_closed()) {
            self.waiting.pop_front();
        }
        self.waiting.front()
    }

    /// Takes those from the queue for whom there is a place, and the places for them.
    fn admit(&mut self) -> Vec<Waiting<B>> {
        let mut next = Vec::new();
        while self.taken < self.limit && self.first_waiting().is_some() {
            self.taken += 1;
            next.extend(self.waiting.pop_front());
        }
        next
    }

    /// The connection that has been kept for the longest time, whoever has it.
    fn take_idlest(&mut self) -> Option<Connection<B>> {
        self.shelves.retain(|shelf| shelf.strong_count() > 0);
        let shelves: Vec<_> = self.shelves.iter().filter_map(Weak::upgrade).collect();
        loop {
            let idle = shelves.iter().filter_map(|shelf| Some((shelf.idle_since()?, shelf)));
            let (_, shelf) = idle.min_by_key(|(since, _)| *since)?;
            // Its own worker may have been faster; then the next is as good.
            if let Some(idlest) = shelf.take_idlest() {
                return Some(idlest);
            }
        }
    }
}

// === impl Place ===

impl<B> Drop for Place<B> {
    fn drop(&mut self) {
        let Some(pool) = self.0.upgrade() else { return };
        let mut state = pool.state();
        state.taken -= 1;
        let next = state.admit();
        if state.waiting.is_empty() {
            pool.is_waited_for.store(false, Ordering::Relaxed);
        }
        drop(state);
        pool.tell(next);
    }
}
