//! An answer's body, in which URLs are turned if there may be some.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::splicer::Splicer;

/// The body of an answer: as it is, or with its URLs turned.
#[derive(Debug)]
pub struct LinkedBody<U: Body>(Passage<U, U::Error>);

#[derive(Debug)]
enum Passage<U, E> {
    AsItIs(U),
    /// In a box, since almost no answer has it.
    Spliced(Box<Spliced<U, E>>),
}

#[derive(Debug)]
struct Spliced<U, E> {
    body: U,
    splicer: Splicer,
    /// How the body went on after its last piece, while what was held of it goes out.
    after: Option<Option<Result<Frame<Bytes>, E>>>,
}

impl<U: Body<Data = Bytes>> LinkedBody<U> {
    pub(crate) fn as_it_is(body: U) -> Self {
        Self(Passage::AsItIs(body))
    }

    pub(super) fn spliced(body: U, splicer: Splicer) -> Self {
        Self(Passage::Spliced(Box::new(Spliced { body, splicer, after: None })))
    }
}

impl<U: Body<Data = Bytes> + Unpin> Body for LinkedBody<U> {
    type Data = Bytes;
    type Error = U::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, U::Error>>> {
        match &mut self.0 {
            Passage::AsItIs(body) => Pin::new(body).poll_frame(cx),
            Passage::Spliced(spliced) => spliced.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Passage::AsItIs(body) => body.is_end_stream(),
            // Something may be held, and only asking tells.
            Passage::Spliced(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Passage::AsItIs(body) => body.size_hint(),
            Passage::Spliced(_) => SizeHint::default(),
        }
    }
}

impl<U: Body<Data = Bytes> + Unpin> Spliced<U, U::Error> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, U::Error>>> {
        if let Some(after) = self.after.take() {
            return Poll::Ready(after);
        }
        loop {
            let next = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => {
                        let passing = self.splicer.splice(piece);
                        if passing.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Ok(Frame::data(passing))));
                    }
                    Err(frame) => Some(Ok(frame)),
                },
                next => next,
            };
            let held = self.splicer.end();
            if held.is_empty() {
                return Poll::Ready(next);
            }
            self.after = Some(next);
            return Poll::Ready(Some(Ok(Frame::data(held))));
        }
    }
}
