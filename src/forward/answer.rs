//! The body of an upstream's answer, on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::shelf::Lease;

/// The body of an upstream's answer. It has its connection until it has ended, and then gives it back; it breaks off
/// when the upstream is silent for too long.
#[derive(Debug)]
pub struct UpstreamBody<B: Send + 'static> {
    incoming: Incoming,
    /// `None` after the end.
    lease: Option<Lease<B>>,
    limit: Duration,
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
        let mut body = Self { incoming, lease: Some(lease), limit };
        body.spoke();
        body
    }

    /// The upstream has said something. Whoever reads a body may stop where it says that it has ended, and not ask for
    /// more.
    fn spoke(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        } else if let Some(lease) = &mut self.lease {
            lease.connection().patience().restart();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
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
                this.spoke();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Broken::Lost(error)))),
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(lease) = &mut this.lease else { return Poll::Pending };
                lease.connection().patience().poll_end(this.limit, cx).map(|()| Some(Err(Broken::Silent)))
            }
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
