//! The body of an upstream's answer, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of an upstream's answer. It holds the place of its connection until it has ended, and breaks off when the
/// upstream is silent for too long.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    limit: Duration,
    /// When the upstream last said something, and the timer that looks at it. The timer is not reset with each frame:
    /// when it rings it sees how long the silence really is.
    spoke: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    _connection: OwnedSemaphorePermit,
}

/// Why a body broke off.
#[derive(Debug)]
pub enum Broken {
    /// The upstream's connection did.
    Lost(hyper::Error),
    /// The upstream was silent for too long.
    Silent,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, connection: OwnedSemaphorePermit, limit: Duration) -> Self {
        Self { incoming, limit, spoke: Instant::now(), timer: None, _connection: connection }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let due = self.spoke + self.limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.spoke = Instant::now();
                Poll::Ready(frame.map(|frame| frame.map_err(Broken::Lost)))
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Some(Err(Broken::Silent))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(error) => error.fmt(f),
            Self::Silent => f.write_str("the upstream was silent for too long"),
        }
    }
}

impl std::error::Error for Broken {}
