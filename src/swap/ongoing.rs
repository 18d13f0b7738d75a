//! A request from its coming to its end, whichever that is: told and counted once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};

use super::Desk;
use crate::request_line::{Outcome, Record};

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
    ongoing: Ongoing,
}

// === impl Ongoing ===

impl Ongoing {
    pub(super) fn begin(record: Record, desk: Arc<Desk>) -> Self {
        desk.gateway.metrics.begin();
        Self { record: Box::new(record), desk, told: false }
    }

    /// The request has its answer, whose body is still to be sent.
    pub(super) fn answered<B: Body>(mut self, response: Response<B>) -> Response<ToldBody<B>> {
        let record = &mut self.record;
        let by = record.verdict.as_ref().map_or("upstream", |verdict| verdict.reason());
        record.status = Some(response.status());
        if let Some(body) = &record.body {
            body.let_go();
        }
        self.desk.gateway.metrics.count(record.plane(), by, response.status());
        if record.method() == Some(&Method::HEAD) || response.body().is_end_stream() {
            self.end(Outcome::Complete);
        }
        response.map(|body| ToldBody { body, ongoing: self })
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
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.ongoing.record.bytes_out += length as u64;
                // hyper does not ask for an end that it can know.
                if self.body.is_end_stream() {
                    self.ongoing.end(Outcome::Complete);
                }
            }
            Some(Err(_)) => self.ongoing.end(Outcome::UpstreamBroke),
            None => self.ongoing.end(Outcome::Complete),
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
