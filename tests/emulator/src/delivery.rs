//! An answer on its way out: piece by piece, with pauses, to its end or to where a fault says.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use tokio::time::Sleep;

use crate::answer::Answer;
use crate::journal::Record;
use crate::wire::Wire;

/// How the body ends.
pub(crate) enum Ending {
    /// As HTTP wants it.
    Whole,
    /// Never: after so many bytes nothing more comes (`None` is half of the body).
    Stall(Option<usize>),
    /// The connection is broken after so many bytes; with a wire by a reset, else by a FIN.
    Break(Option<usize>, Option<Arc<Wire>>),
    /// Whole, but then the connection ends, which nothing announced.
    HangUp(Arc<Wire>),
    /// A websocket's, after its first message, in a close of this code.
    CloseFrame(u16),
}

/// The body type of all answers.
pub(crate) struct Delivery {
    pieces: VecDeque<Bytes>,
    length: Option<u64>,
    pause: Option<Duration>,
    sleeping: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Before breaking a connection, everything handed over so far is given time to leave.
    flushed: bool,
    record: Option<Record>,
}

/// The error that makes hyper break a connection.
#[derive(Debug)]
pub(crate) struct Broken;

impl Delivery {
    /// The head of an answer that opens a websocket, whose journal entry goes on with it.
    pub(crate) fn head(answer: Answer) -> Result<Response<Self>, Broken> {
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        let nothing = Self {
            pieces: VecDeque::new(),
            length: Some(0),
            pause: None,
            sleeping: None,
            ending: Ending::Whole,
            flushed: false,
            record: None,
        };
        response.body(nothing).map_err(|_| Broken)
    }

    /// The response for `answer`. `pause` stands between the pieces of an event stream.
    pub(crate) fn of(
        mut answer: Answer,
        ending: Ending,
        pause: Duration,
        record: Record,
    ) -> Result<Response<Self>, Broken> {
        let status = answer.status;
        record.note(|entry| entry.status = Some(status.as_u16()));
        let mut body = answer.take_pieces();
        if let Ending::Stall(byte) | Ending::Break(byte, _) = &ending {
            let whole: usize = body.pieces.iter().map(Bytes::len).sum();
            keep_first(&mut body.pieces, byte.unwrap_or(whole / 2));
        }
        let mut response = Response::builder().status(status);
        if let Some(reason) = answer.reason {
            response = response.extension(ReasonPhrase::from_static(reason.as_bytes()));
        }
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response
            .body(Self {
                pieces: body.pieces,
                length: body.length,
                pause: (body.paced && !pause.is_zero()).then_some(pause),
                sleeping: None,
                ending,
                flushed: false,
                record: Some(record),
            })
            .map_err(|_| Broken)
    }
}

/// Keeps the first `count` bytes of `pieces`.
fn keep_first(pieces: &mut VecDeque<Bytes>, count: usize) {
    let mut room = count;
    pieces.retain_mut(|piece| {
        piece.truncate(room);
        room -= piece.len();
        !piece.is_empty()
    });
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(sleep) = &mut self.sleeping {
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.sleeping = None;
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.sleeping = self.pause.map(|pause| Box::pin(tokio::time::sleep(pause)));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &self.ending {
            Ending::Whole | Ending::HangUp(_) | Ending::CloseFrame(_) => Poll::Ready(None),
            // No waker: only the client can end this.
            Ending::Stall(_) => Poll::Pending,
            Ending::Break(..) if !self.flushed => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Break(_, wire) => {
                if let Some(wire) = wire {
                    wire.reset();
                }
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && matches!(self.ending, Ending::Whole | Ending::HangUp(_) | Ending::CloseFrame(_))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Delivery {
    /// hyper drops a body when it has all of it, or when the client is gone; what is left here
    /// tells which.
    fn drop(&mut self) {
        let ended = match &self.ending {
            Ending::HangUp(wire) => {
                // The head has left, without a word of this.
                wire.hang_up();
                self.pieces.is_empty()
            }
            Ending::Whole | Ending::CloseFrame(_) => self.pieces.is_empty(),
            Ending::Stall(_) => false,
            Ending::Break(..) => self.flushed,
        };
        if let Some(record) = self.record.take().filter(|_| ended) {
            record.end();
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the emulator breaks this connection on purpose")
    }
}

impl std::error::Error for Broken {}
