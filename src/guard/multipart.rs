//! A multipart form (RFC 7578), read as it streams past.
//!
//! Bytes go in as they come, cut anywhere; out comes where parts begin and end, and what their heads say. Nothing of a
//! part's content is kept. The reader is strict, since other readers differ: the body begins with its boundary and ends
//! with it, lines end in CRLF, the boundary stands nowhere else, a part has one name, said in one way.

mod head;
mod needle;

use memchr::memmem::find;

pub(super) use head::{Part, boundary, is_utf8, split};
use needle::Needle;

/// Reads one form, piece by piece.
#[derive(Debug)]
pub(super) struct Form {
    state: State,
    /// The boundary with its two dashes. It may stand in delimiters alone.
    boundary: Needle,
    /// The same at the beginning of a line, which ends a part.
    delimiter: Needle,
    /// The head that is being read.
    head: Vec<u8>,
}

/// What has been read of a form. What has been consumed ends just behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A part's head.
    Part(Part),
    /// A part's content, and the delimiter behind it: so many bytes.
    PartEnd(usize),
}

/// What stands before the next byte.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nothing: the boundary must follow.
    Start,
    /// A boundary, and some of the line's end or of the last dashes.
    Delimiter(Option<u8>),
    /// Some of a part's head.
    Head,
    /// Some of a part's content.
    Content,
    /// The last boundary, and some of a last line's end.
    Closed(&'static [u8]),
}

/// The largest head of a part, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// The longest delimiter between parts, in bytes: a line's end, two dashes, and the longest boundary.
pub(super) const LONGEST_DELIMITER: usize = 4 + head::LONGEST_BOUNDARY;

const NOT_A_FORM: &str = "its multipart form is not well-formed";
const STRAY_BOUNDARY: &str = "its multipart form has its boundary where no part ends";
const HEAD_TOO_LARGE: &str = "a part of its multipart form has too large a head";

impl Form {
    /// Before the first byte of a form with this boundary.
    pub(super) fn new(boundary: &str) -> Self {
        let dashed = format!("--{boundary}");
        let delimiter = Needle::new(format!("\r\n{dashed}").into_bytes());
        Self { state: State::Start, boundary: Needle::new(dashed.into_bytes()), delimiter, head: Vec::new() }
    }

    /// Reads on up to the next event: how many bytes were consumed, and the event. Without one, the piece was consumed
    /// whole.
    ///
    /// # Errors
    /// Why this is no form that everybody reads alike. Nothing may be read after that.
    pub(super) fn advance(&mut self, piece: &[u8]) -> Result<(usize, Option<Event>), &'static str> {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            let mut event = None;
            rest = tail;
            match self.state {
                State::Start => {
                    if !self.boundary.expect(byte)? {
                        continue;
                    }
                    self.state = State::Delimiter(None);
                }
                State::Delimiter(None) if matches!(byte, b'\r' | b'-') => self.state = State::Delimiter(Some(byte)),
                State::Delimiter(Some(b'\r')) if byte == b'\n' => self.state = State::Head,
                State::Delimiter(Some(b'-')) if byte == b'-' => self.state = State::Closed(b"\r\n"),
                State::Delimiter(_) => return Err(STRAY_BOUNDARY),
                State::Head => {
                    self.head.push(byte);
                    event = self.read_head()?.map(Event::Part);
                }
                State::Content => {
                    let (at_line, anywhere) = (self.delimiter.push(byte), self.boundary.push(byte));
                    if at_line {
                        self.state = State::Delimiter(None);
                        event = Some(Event::PartEnd(self.delimiter.len()));
                    } else if anywhere {
                        return Err(STRAY_BOUNDARY);
                    } else if self.delimiter.is_idle() && self.boundary.is_idle() {
                        rest = Needle::skip(rest);
                    }
                }
                State::Closed(left) => self.state = State::Closed(left.strip_prefix(&[byte]).ok_or(NOT_A_FORM)?),
            }
            if event.is_some() {
                return Ok((piece.len() - rest.len(), event));
            }
        }
        Ok((piece.len(), None))
    }

    /// Whether the last boundary has been read. A line's end alone may follow.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// What a head says, once it is whole.
    fn read_head(&mut self) -> Result<Option<Part>, &'static str> {
        if self.head.len() > LARGEST_HEAD {
            return Err(HEAD_TOO_LARGE);
        }
        let Some(lines) = self.head.strip_suffix(b"\r\n\r\n") else { return Ok(None) };
        if find(lines, self.boundary.pattern()).is_some() {
            return Err(STRAY_BOUNDARY);
        }
        let part = head::read(lines)?;
        self.head.clear();
        self.state = State::Content;
        Ok(Some(part))
    }
}

#[cfg(test)]
mod tests;
