//! Clients that say hello take turns.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// The turns of a worker's clients of TLS. To answer a hello is the work of a handshake, and a rush of them must not keep
/// the worker from its streams.
#[derive(Clone, Debug)]
pub(super) struct Handshakes(Arc<Semaphore>);

/// How many hellos are answered before the worker looks at its streams again.
const AT_ONCE: usize = 8;

impl Handshakes {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Answers a hello when it is its turn. The turn ends when all others had theirs: what is left of the handshake waits
    /// for the client, who may take its time.
    pub(super) async fn take_turn<T>(&self, answer: impl FnOnce() -> T) -> T {
        // Nobody closes it.
        let _turn = self.0.acquire().await;
        let answered = answer();
        yield_now().await;
        answered
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn the_ninth_waits_until_a_turn_has_ended() {
        let cx = &mut Context::from_waker(Waker::noop());
        let (handshakes, answered) = (Handshakes::new(), Cell::new(0));
        let answer = || handshakes.take_turn(|| answered.set(answered.get() + 1));
        let mut first = pin!(answer());
        assert_eq!((first.as_mut().poll(cx), answered.get()), (Poll::Pending, 1));
        let mut others: Vec<_> = (2..=9).map(|_| Box::pin(answer())).collect();
        for other in &mut others {
            assert_eq!(other.as_mut().poll(cx), Poll::Pending);
        }
        assert_eq!(answered.get(), 8, "the ninth was answered with the rest");
        assert_eq!((first.as_mut().poll(cx), answered.get()), (Poll::Ready(()), 8));
        let mut ninth = others.pop().unwrap();
        assert_eq!((ninth.as_mut().poll(cx), answered.get()), (Poll::Pending, 9));
        assert_eq!(ninth.as_mut().poll(cx), Poll::Ready(()));
    }
}
