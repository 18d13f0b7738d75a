//! A request from its coming to its end, whichever that is: told and counted once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{BoxError, Desk};
use crate::forward::Held;
use crate::listen::{Revocable, Upgrade};
use crate::metrics::UPSTREAM;
use crate::request_line::{Outcome, Record};
use crate::tunnel::{self, Traffic};

/// A request that has not ended. When it is dropped, it has.
#[derive(Debug)]
pub(super) struct Ongoing {
    /// In a box, since it travels with the request through every future and into the answer's body.
    pub(super) record: Box<Record>,
    pub(super) desk: Arc<Desk>,
    told: bool,
}

/// An answer's body that tells of its request when it ends, before its last piece can reach the client.
#[derive(Debug)]
pub struct ToldBody<B> {
    body: B,
    /// `None` where the request is told of elsewhere: by the tunnel that it has become, when that has ended, or before its
    /// answer.
    ongoing: Option<Ongoing>,
    /// The wait for the key to be cut, once there was something else to wait for. Most answers are there at once.
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

/// The key of a request was revoked at once, and its answer broken off.
#[derive(Debug)]
struct Cut;

/// The two connections of a websocket that is open upstream.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) client: Upgrade,
    pub(super) upstream: Upgraded,
}

// === impl Ongoing ===

impl Ongoing {
    pub(super) fn begin(record: Record, desk: Arc<Desk>) -> Self {
        desk.gateway.metrics.begin();
        Self { record: Box::new(record), desk, told: false }
    }

    /// The request has its answer, whose body is still to be sent.
    pub(super) fn answered<B: Body>(mut self, response: Response<B>) -> Response<ToldBody<B>> {
        self.begun(&response);
        if self.record.method() == Some(&Method::HEAD) || response.body().is_end_stream() {
            self.end(Outcome::Complete);
        }
        response.map(|body| ToldBody { body, ongoing: Some(self), cut: None })
    }

    /// The request has ended before its answer: its client went away.
    pub(super) fn unheard<B>(self, response: Response<B>) -> Response<ToldBody<B>> {
        // What ends without having been told of is told so: that its client has gone.
        drop(self);
        response.map(|body| ToldBody { body, ongoing: None, cut: None })
    }

    /// The request has become a tunnel, which is open when this answer has reached the client. It lives beside its
    /// connection, as long as it likes.
    pub(super) fn opened<B>(mut self, response: Response<B>, tunnel: Tunnel) -> Response<ToldBody<B>> {
        self.begun(&response);
        let traffic = Arc::<Traffic>::default();
        self.record.tunnel = Some(traffic.clone());
        self.desk.gateway.metrics.open_websocket();
        tokio::spawn(async move {
            let Tunnel { client, upstream } = tunnel;
            // A client that went before it was told is gone.
            let Ok(client) = client.take().await else { return };
            let cut = self.cut().cloned().unwrap_or_default();
            let carried = tunnel::carry(client, TokioIo::new(upstream), self.desk.gateway.websocket_idle, &traffic);
            let (outcome, client) = tokio::select! {
                (end, client) = carried => (end.into(), client),
                () = cut.cancelled() => (Outcome::Revoked, None),
            };
            self.end(outcome);
            drop(self);
            if let Some(client) = client {
                client.close().await;
            }
        });
        response.map(|body| ToldBody { body, ongoing: None, cut: None })
    }

    /// The head of the answer is there.
    fn begun<B>(&mut self, response: &Response<B>) {
        let record = &mut self.record;
        let by = record.verdict.as_ref().map_or(UPSTREAM, |verdict| verdict.reason());
        record.status = Some(response.status());
        record.tell_key();
        if let Some(body) = &record.body {
            body.let_go();
        }
        self.desk.gateway.metrics.count(record.plane(), by, response.status());
    }

    /// What cuts the request off when its key is revoked at once. Nothing cuts off what we say ourselves.
    fn cut(&self) -> Option<&CancellationToken> {
        let key = self.record.key.as_ref().filter(|_| self.record.verdict.is_none());
        key.map(|key| &key.cut)
    }

    fn is_cut(&self) -> bool {
        self.cut().is_some_and(CancellationToken::is_cancelled)
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.record.outcome = outcome;
        if self.record.status.is_none() {
            self.record.tell_key();
        }
        self.desk.gateway.metrics.end(&self.record);
        self.desk.gateway.recorder.keep(&self.record);
        if let Some(pen) = &self.desk.pen {
            pen.tell(&self.record);
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        self.end(if self.desk.gateway.is_cut_off() {
            Outcome::Stopped
        } else if self.is_cut() {
            Outcome::Revoked
        } else {
            Outcome::ClientGone
        });
    }
}

// === impl ToldBody ===

impl<B: Body<Data = Bytes> + Unpin> Body for ToldBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        // A client that is slower than the upstream would not see it before the end.
        if let Some(ongoing) = this.ongoing.as_mut().filter(|ongoing| ongoing.is_cut()) {
            ongoing.end(Outcome::Revoked);
            return Poll::Ready(Some(Err(Cut.into())));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let Some(ongoing) = &mut this.ongoing else { return Poll::Pending };
            let cut =
                this.cut.get_or_insert_with(|| Box::pin(ongoing.cut().cloned().unwrap_or_default().cancelled_owned()));
            return cut.as_mut().poll(cx).map(|()| {
                ongoing.end(Outcome::Revoked);
                Some(Err(Cut.into()))
            });
        };
        let frame = frame.map(|frame| frame.map_err(Into::into));
        let Some(ongoing) = &mut this.ongoing else { return Poll::Ready(frame) };
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                ongoing.record.answered += length as u64;
                // hyper does not ask for an end that it can know.
                if this.body.is_end_stream() {
                    ongoing.end(Outcome::Complete);
                }
            }
            // A request that its client breaks off takes its answer along.
            Some(Err(_)) if ongoing.record.body.as_ref().is_some_and(Held::is_broken) => {
                ongoing.end(Outcome::ClientGone);
            }
            Some(Err(_)) => ongoing.end(Outcome::UpstreamBroke),
            None => ongoing.end(Outcome::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Revocable for ToldBody<B> {
    fn revoked(&self) -> Option<CancellationToken> {
        self.ongoing.as_ref()?.cut().cloned()
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the key was revoked")
    }
}

impl std::error::Error for Cut {}
