//! What time it is, for tokens: by two clocks, since each alone is wrong at times.
//!
//! The wall clock can be set back, and a token would seem to live longer than it does. The steady one stands still
//! while the machine sleeps, and so would the token's life. Hence a [`Moment`] is a pair, and it has come when either
//! clock says so. Nothing else in these modules asks for the time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells the time. The steady half is tokio's clock, so that it and the timers agree.
#[derive(Clone)]
pub(super) struct Clock {
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// A point in time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    wall: SystemTime,
    steady: Instant,
}

// === impl Clock ===

impl Clock {
    /// With this wall clock instead of the machine's.
    #[cfg(test)]
    pub(super) fn with_wall(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(wall) }
    }

    pub(super) fn now(&self) -> Moment {
        Moment { wall: (self.wall)(), steady: Instant::now() }
    }
}

impl Default for Clock {
    /// The machine's.
    fn default() -> Self {
        Self { wall: Arc::new(SystemTime::now) }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

// === impl Moment ===

impl Moment {
    /// This much later.
    pub(super) fn after(self, wait: Duration) -> Self {
        Self { wall: self.wall + wait, steady: self.steady + wait }
    }

    /// How long it is from now until then: by the clock that has less left, and zero once either is past it.
    pub(super) fn left(self, now: Self) -> Duration {
        let wall = self.wall.duration_since(now.wall).unwrap_or_default();
        wall.min(self.steady.saturating_duration_since(now.steady))
    }

    /// How long after the beginning of 1970 it is, by the wall clock.
    pub(super) fn since_1970(self) -> Duration {
        self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// How long it is from this moment to a time of the wall clock.
    pub(super) fn until(self, wall: SystemTime) -> Duration {
        wall.duration_since(self.wall).unwrap_or_default()
    }
}
