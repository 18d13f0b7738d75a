//! What h2 says by itself, and no client should hear.
//!
//! - 431, without a word, to a list of header fields that is larger than it takes. It cannot be put in our words, since h2
//!   keeps count of what it has sent. Its connection ends instead, as h2 itself ends one whose list is larger still.
//! - CANCEL, where a stream is ended from outside. To node (20 and 22) that is a clean end, and so a whole answer: any other
//!   error is said in its place.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::mishap::{Cause, Witness};

/// A stream on which h2 writes, and nothing that is not to be said.
#[derive(Debug)]
pub(super) struct Worded<S> {
    io: S,
    witness: Witness,
    frames: Frames,
    /// How much of what is to be written was looked at already.
    seen: usize,
    /// What is not to be said, and what may still be written before it.
    ahead: Option<(usize, Unsaid)>,
    /// What is left to write of the frame that ends the connection.
    farewell: &'static [u8],
}

/// What is not to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsaid {
    /// A whole answer without words, from its first byte on.
    Answer,
    /// The one byte that makes a reset a cancellation.
    Cancel,
}

/// Where h2 is in its frames.
#[derive(Clone, Debug, Default)]
struct Frames {
    /// The head of the frame that has begun, and how much of it there is.
    head: [u8; FRAME_HEAD],
    known: usize,
    /// How much of a payload is still to come.
    payload: usize,
    /// The highest stream whose answer has begun. h2 answers without words before it takes in another stream, so that such an
    /// answer is above all others, and trailers never are.
    answered: u32,
}

/// The size of a frame's head, in bytes.
const FRAME_HEAD: usize = 9;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// The errors of a reset; all that there are fit into the last of its bytes.
const INTERNAL_ERROR: u8 = 2;
const CANCEL: u8 = 8;

/// The flag of a stream's last frame.
const END_STREAM: u8 = 1;

/// The least size of an answer of ours without a body, packed as it may be: our id of the request is another each time.
const LEAST_ANSWER: usize = 16;

/// GOAWAY for all streams there may be, with ENHANCE_YOUR_CALM and the text that h2 has for it.
const FAREWELL: &[u8] = b"\0\0\x21\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0bheader_list_way_too_large";

impl<S: AsyncWrite + Unpin> Worded<S> {
    pub(super) fn new(io: S, witness: Witness) -> Self {
        Self { io, witness, frames: Frames::default(), seen: 0, ahead: None, farewell: FAREWELL }
    }

    /// Looks at what was not seen yet of what is to be written: h2 offers again what the stream did not take.
    fn look(&mut self, parts: &[IoSlice<'_>]) {
        let mut passed = 0;
        for part in parts {
            let known = self.seen.saturating_sub(passed).min(part.len());
            if let Some((at, unsaid)) = self.frames.advance(&part[known..]) {
                let at = passed + known + at;
                self.ahead = Some((at, unsaid));
                self.seen = at + 1;
                return;
            }
            passed += part.len();
        }
        self.seen = self.seen.max(passed);
    }

    /// Says why the connection ends, and ends it.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.witness.ended(Cause::HeadTooLarge);
        while !self.farewell.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, self.farewell))?;
            self.farewell = self.farewell.get(written..).unwrap_or_default();
        }
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        Poll::Ready(Err(ErrorKind::ConnectionAborted.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.ahead.is_none() {
            this.look(parts);
        }
        let written = match &mut this.ahead {
            None => ready!(Pin::new(&mut this.io).poll_write_vectored(cx, parts))?,
            Some((0, Unsaid::Answer)) => return this.poll_farewell(cx),
            Some((0, Unsaid::Cancel)) => {
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, &[INTERNAL_ERROR]))?;
                this.ahead = None;
                written
            }
            Some((left, _)) => {
                let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, &first[..first.len().min(*left)]))?;
                *left -= written;
                written
            }
        };
        this.seen -= written.min(this.seen);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl Frames {
    /// Goes on by these bytes, or up to what is not to be said: its place in them.
    fn advance(&mut self, bytes: &[u8]) -> Option<(usize, Unsaid)> {
        let mut at = 0;
        while at < bytes.len() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len() - at);
                self.payload -= skipped;
                at += skipped;
                if self.payload == 0 && self.kind() == RST_STREAM && bytes[at - 1] == CANCEL {
                    return Some((at - 1, Unsaid::Cancel));
                }
                continue;
            }
            self.head[self.known] = bytes[at];
            self.known = (self.known + 1) % FRAME_HEAD;
            at += 1;
            if self.known == 0 && self.enter() {
                return Some((at.saturating_sub(FRAME_HEAD), Unsaid::Answer));
            }
        }
        None
    }

    fn kind(&self) -> u8 {
        self.head[3]
    }

    /// Takes in a frame whose head is known. Says whether it is a whole answer, and none of ours.
    fn enter(&mut self) -> bool {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.payload = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        let stream = u32::from_be_bytes(stream);
        let ends = flags & END_STREAM != 0;
        if kind != HEADERS || stream <= self.answered {
            return false;
        }
        self.answered = stream;
        ends && self.payload < LEAST_ANSWER
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::listen::Entrance;

    const DATA: u8 = 0;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// The answer without words is found wherever it stands, however the bytes come; nothing of ours is taken for it.
    #[test]
    fn an_answer_without_words_is_found_in_front_of_its_frame() {
        const END_HEADERS: u8 = 4;
        let answer = [b'x'; 60];
        let before = [
            frame(4, 0, 0, &[0; 12]),
            frame(HEADERS, END_HEADERS, 1, &answer),
            frame(DATA, 0, 1, &[1; 200]),
            // Another answer, which has no body.
            frame(HEADERS, END_HEADERS | END_STREAM, 3, &answer),
            // Trailers, as short as can be.
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xbe]),
            frame(RST_STREAM, 0, 5, &[0; 4]),
        ]
        .concat();
        let wordless = frame(HEADERS, END_HEADERS | END_STREAM, 7, &[0x48, 0x82, 0x68, 0x1f]);
        let all = [before.clone(), wordless].concat();
        assert_eq!(Frames::default().advance(&before), None);
        for cut in 0..=before.len() {
            let mut frames = Frames::default();
            assert_eq!(frames.advance(&all[..cut]), None, "{cut}");
            assert_eq!(frames.advance(&all[cut..]), Some((before.len() - cut, Unsaid::Answer)), "{cut}");
        }
    }

    /// Whoever cancels its requests, or is answered out of turn, has no answer that is taken for one without words.
    #[test]
    fn trailers_are_never_above_all_answers() {
        let mut frames = Frames::default();
        for stream in [1, 9, 3] {
            assert_eq!(frames.advance(&frame(HEADERS, 4, stream, &[b'x'; 60])), None);
        }
        for stream in [3, 1, 9] {
            assert_eq!(frames.advance(&frame(HEADERS, 5, stream, &[0xbe])), None, "trailers of {stream}");
        }
        assert_eq!(frames.advance(&frame(HEADERS, 5, 11, &[0xbe])), Some((0, Unsaid::Answer)));
    }

    /// Takes so many bytes at once.
    struct Narrow(usize, Vec<u8>);

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.1.extend(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// However the bytes come and go, no stream is cancelled, and everything else is as it was.
    #[test]
    fn a_cancellation_is_an_error() {
        let said = |cancel: u8| {
            [
                frame(DATA, 0, 1, &[CANCEL; 4]),
                frame(RST_STREAM, 0, 3, &[0, 0, 0, cancel]),
                frame(RST_STREAM, 0, 5, &[0, 0, 0, 0]),
                frame(RST_STREAM, 0, 7, &[0, 0, 0, cancel]),
                frame(DATA, END_STREAM, 1, &[CANCEL; 8]),
            ]
            .concat()
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for width in 1..=40 {
            for offered in [1, 7, 13, 1000] {
                let witness = Witness::new(None, Entrance { listener: "https", tls: None }, Arc::new(|_| ()));
                let mut worded = Worded::new(Narrow(width, Vec::new()), witness);
                let said_by_h2 = said(CANCEL);
                let mut left = &said_by_h2[..];
                while !left.is_empty() {
                    let offered = &left[..left.len().min(offered)];
                    let Poll::Ready(Ok(written)) = Pin::new(&mut worded).poll_write(&mut cx, offered) else { panic!() };
                    left = &left[written..];
                }
                assert_eq!(worded.io.1, said(INTERNAL_ERROR), "{width} {offered}");
            }
        }
    }
}
