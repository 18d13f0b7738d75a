//! A request body that can be sent a second time, if it was small.
//!
//! The frames are kept by reference as they stream past, up to [`LIMIT`]; nothing is copied and nothing waits. Once the
//! limit is passed, or the answer has begun, they are let go.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

/// The largest body that is kept, in bytes.
const LIMIT: usize = 64 * 1024;

/// Whether all of a body is sure to be kept.
pub(super) fn is_small(body: &impl Body) -> bool {
    body.size_hint().upper().is_some_and(|upper| upper <= LIMIT as u64)
}

/// A request body on its way: the client's own, or one that was kept.
#[derive(Debug)]
pub struct Replay<B>(Sending<B>);

#[derive(Debug)]
enum Sending<B> {
    /// The client's body, kept as it streams.
    First { body: B, held: Held },
    /// What was kept of it, once more; `left` is the length of the frames that are still to be sent, in bytes.
    Again { frames: std::vec::IntoIter<Bytes>, left: u64 },
}

/// What has been kept of a body.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<Keeping>>);

#[derive(Debug, Default)]
struct Keeping {
    frames: Vec<Bytes>,
    size: usize,
    /// How many bytes have streamed past, kept or not.
    read: u64,
    /// Whether the body has ended within the limit, so that the frames are all of it.
    whole: bool,
    /// Whether there was too much, or something that cannot be kept.
    lost: bool,
}

impl<B: Body<Data = Bytes>> Replay<B> {
    /// The client's body, and the handle on what is kept of it.
    pub fn first(body: B) -> (Self, Held) {
        let held = Held::default();
        if body.is_end_stream() {
            held.with(|keeping| keeping.whole = true);
        }
        (Self(Sending::First { body, held: held.clone() }), held)
    }

    /// The body once more; `None` if it was too long, or has not ended yet.
    pub fn again(held: &Held) -> Option<Self> {
        held.with(|keeping| {
            let whole = keeping.whole && !keeping.lost;
            let left = keeping.size as u64;
            whole.then(|| Self(Sending::Again { frames: keeping.frames.clone().into_iter(), left }))
        })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Replay<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            Sending::First { body, held } => {
                // The end may be known only by the stream's own word, after its last frame.
                let frame = ready!(Pin::new(body).poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => held.keep(frame),
                    Some(Err(_)) => held.with(|keeping| keeping.lost = true),
                    None => held.with(|keeping| keeping.whole = true),
                }
                Poll::Ready(frame)
            }
            Sending::Again { frames, left } => {
                let frame = frames.next();
                *left -= frame.as_ref().map_or(0, |frame| frame.remaining() as u64);
                Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Sending::First { body, held } => {
                let ended = body.is_end_stream();
                if ended {
                    // hyper asks this instead of polling for an end that it can know.
                    held.with(|keeping| keeping.whole = true);
                }
                ended
            }
            Sending::Again { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Sending::First { body, .. } => body.size_hint(),
            Sending::Again { left, .. } => SizeHint::with_exact(*left),
        }
    }
}

impl Held {
    /// How many bytes of the body were read so far.
    pub(crate) fn read(&self) -> u64 {
        self.with(|keeping| keeping.read)
    }

    /// Keeps nothing any more: the answer is there, and nothing will be sent again.
    pub(crate) fn let_go(&self) {
        self.with(Keeping::let_go);
    }

    fn keep(&self, frame: &Frame<Bytes>) {
        self.with(|keeping| {
            keeping.read += frame.data_ref().map_or(0, |data| data.len() as u64);
            match frame.data_ref() {
                Some(data) if !keeping.lost && keeping.size + data.len() <= LIMIT => {
                    keeping.size += data.len();
                    keeping.frames.push(data.clone());
                }
                // Too much, or trailers: it cannot be sent again.
                _ => keeping.let_go(),
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Keeping) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keeping {
    fn let_go(&mut self) {
        self.lost = true;
        self.frames = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    async fn sent_twice(body: Vec<u8>) -> (Bytes, Option<Bytes>) {
        let (first, held) = Replay::first(Full::new(Bytes::from(body)));
        let once = first.collect().await.unwrap().to_bytes();
        let again = Replay::<Full<Bytes>>::again(&held);
        let again = match again {
            Some(again) => Some(again.collect().await.unwrap().to_bytes()),
            None => None,
        };
        (once, again)
    }

    #[tokio::test]
    async fn a_small_body_can_be_sent_again_and_a_large_one_cannot() {
        let small = vec![7; LIMIT];
        assert_eq!(sent_twice(small.clone()).await, (small.clone().into(), Some(small.into())));
        let large = vec![7; LIMIT + 1];
        assert_eq!(sent_twice(large.clone()).await, (large.into(), None));
        assert_eq!(sent_twice(Vec::new()).await, (Bytes::new(), Some(Bytes::new())));
    }

    #[test]
    fn a_body_that_has_not_ended_cannot_be_sent_again() {
        let (_first, held) = Replay::first(Full::new(Bytes::from_static(b"half")));
        assert!(Replay::<Full<Bytes>>::again(&held).is_none());
    }
}
