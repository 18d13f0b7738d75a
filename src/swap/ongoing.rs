//! A request from its coming to its end, whichever that is: told and counted once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::Desk;
use crate::listen::Upgrade;
use crate::request_line::{Outcome, Record};
use crate::tunnel::{self, Traffic};

/// A request that has not ended. When it is dropped, it has.
#[derive(Debug)]
pub(super) struct Ongoing {
    /// In a box, since it travels with the request through every future and into the answer's body.
    pub(super) record: Box<Record>,
    desk: Arc<Desk>,
    told: bool,
}

/// An answer's body that tells of its request when it ends, before its last piece can reach the client.
#[derive(Debug)]
pub struct ToldBody<B> {
    body: B,
    /// `None` where the answer is only the head of a tunnel, which tells of it when that has ended.
    ongoing: Option<Ongoing>,
}

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
        response.map(|body| ToldBody { body, ongoing: Some(self) })
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
            let end = tunnel::carry(client, TokioIo::new(upstream), self.desk.gateway.websocket_idle, &traffic).await;
            self.end(end.into());
        });
        response.map(|body| ToldBody { body, ongoing: None })
    }

    /// The head of the answer is there.
    fn begun<B>(&mut self, response: &Response<B>) {
        let record = &mut self.record;
        let by = record.verdict.as_ref().map_or("upstream", |verdict| verdict.reason());
        record.status = Some(response.status());
        if let Some(body) = &record.body {
            body.let_go();
        }
        self.desk.gateway.metrics.count(record.plane(), by, response.status());
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.record.outcome = outcome;
        self.desk.gateway.metrics.end(&self.record);
        if let Some(lines) = &self.desk.lines {
            lines.tell(&self.record);
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        let cut = self.desk.gateway.cut.load(Ordering::Relaxed);
        self.end(if cut { Outcome::Stopped } else { Outcome::ClientGone });
    }
}

// === impl ToldBody ===

impl<B: Body<Data = Bytes> + Unpin> Body for ToldBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
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
