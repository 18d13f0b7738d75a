//! The body of an upstream's answer, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::shelf::Lease;

/// The body of an upstream's answer. It has its connection until it has ended, and then gives it back; it breaks off
/// when the upstream is silent for too long.
#[derive(Debug)]
pub struct UpstreamBody<B: Send + 'static> {
    incoming: Incoming,
    /// `None` after the end.
    lease: Option<Lease<B>>,
    limit: Duration,
    /// When the upstream last said something, and the timer that looks at it. The timer is not reset with each frame:
    /// when it rings it sees how long the silence really is.
    spoke: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why a body broke off.
#[derive(Debug)]
pub enum Broken {
    /// The upstream's connection did.
    Lost(hyper::Error),
    /// The upstream was silent for too long.
    Silent,
}

impl<B: Send + 'static> UpstreamBody<B> {
    pub(super) fn new(incoming: Incoming, lease: Lease<B>, limit: Duration) -> Self {
        let mut body = Self { incoming, lease: Some(lease), limit, spoke: Instant::now(), timer: None };
        body.give_back_at_end();
        body
    }

    /// Whoever reads a body may stop where it says that it has ended, and not ask for more.
    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
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

impl<B: Send + 'static> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.spoke = Instant::now();
                this.give_back_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Broken::Lost(error)))),
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
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
