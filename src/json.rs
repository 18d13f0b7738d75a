//! The top level of a JSON object, read as it streams past.
//!
//! Bytes go in as they come, cut anywhere; out comes where the members' names and texts stand. No byte is kept, whatever
//! the size of the object: who wants a name or a text gathers it.
//!
//! The reader is strict (RFC 8259), since who decides by what it saw must have seen what every other reader sees. It takes
//! one object in UTF-8 and nothing around it: no byte order mark, no comment, no control character in a string, no second
//! document, no more than [`DEEPEST`] levels. What strings mean is left alone: escapes are checked, not undone.

mod number;
mod text;

use memchr::memchr2;

use number::Number;
use text::{Escape, Utf8};

/// How deep values may lie within each other. Readers differ in what they take: 64 levels and more.
const DEEPEST: usize = 256;

/// Reads one object, piece by piece.
#[derive(Debug)]
pub(crate) struct TopLevel {
    state: State,
    open: Open,
    utf8: Utf8,
}

/// What has been read of the top level. What has been consumed ends just behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The opening quote of a member's name.
    Name,
    /// The opening quote of a member's value, which is a text.
    Text,
    /// The closing quote of the name or the text.
    Quote,
    /// The first byte of a member's value, which is no text.
    Value,
}

/// Why it is no such object: a clause about a request's body.
pub(crate) type Malformed = &'static str;

const NOT_JSON: Malformed = "its JSON is not well-formed";
const TOO_DEEP: Malformed = "its JSON is nested too deeply";

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing, and an object must follow.
    Start,
    /// The brace of an object.
    ObjectOpened,
    /// The bracket of an array.
    ArrayOpened,
    /// A comma in an object.
    BeforeName,
    /// A name.
    BeforeColon,
    /// A colon, or a comma in an array.
    BeforeValue,
    /// A value.
    AfterValue,
    /// Some of a name, and of an escape in it.
    InName(Option<Escape>),
    /// Some of a text, and of an escape in it.
    InText(Option<Escape>),
    /// Some of a number.
    InNumber(Number),
    /// Some of `true`, `false` or `null`, of which this is left.
    InWord(&'static [u8]),
    /// The whole object.
    Closed,
}

/// The objects and arrays that are open, a bit for each.
#[derive(Debug, Default)]
struct Open {
    depth: usize,
    objects: [u64; DEEPEST / 64],
}

impl TopLevel {
    /// Before the first byte.
    pub(crate) fn new() -> Self {
        Self { state: State::Start, open: Open::default(), utf8: Utf8::default() }
    }

    /// Reads on up to the next event of the top level: how many bytes were consumed, and the event. Without one, the
    /// piece was consumed whole.
    ///
    /// # Errors
    /// Why this is no object that everybody reads alike. Nothing may be read after that.
    pub(crate) fn advance(&mut self, piece: &[u8]) -> Result<(usize, Option<Event>), Malformed> {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            let top = self.open.depth == 1;
            let event = match self.state {
                State::InName(escape) | State::InText(escape) => {
                    let (left, ended) = self.string(rest, escape)?;
                    rest = left;
                    ended.then_some(Event::Quote)
                }
                State::InNumber(number) => {
                    let (left, number) = number.read(rest)?;
                    rest = left;
                    self.state = if rest.is_empty() { State::InNumber(number) } else { number.end()? };
                    None
                }
                _ => {
                    rest = tail;
                    self.token(byte)?
                }
            };
            if let Some(event) = event.filter(|_| top) {
                return Ok((piece.len() - rest.len(), Some(event)));
            }
        }
        Ok((piece.len(), None))
    }

    /// Whether the object has closed, so that blanks alone may follow.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Takes one byte that is not within a string or a number.
    fn token(&mut self, byte: u8) -> Result<Option<Event>, Malformed> {
        if let State::InWord(left) = self.state {
            let left = left.strip_prefix(&[byte]).ok_or(NOT_JSON)?;
            self.state = if left.is_empty() { State::AfterValue } else { State::InWord(left) };
            return Ok(None);
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(None);
        }
        match (self.state, byte) {
            (State::Start, b'{') => {
                self.state = State::ObjectOpened;
                self.open.push(true)?;
                Ok(None)
            }
            (State::ObjectOpened | State::BeforeName, b'"') => {
                self.state = State::InName(None);
                Ok(Some(Event::Name))
            }
            (State::BeforeColon, b':') => {
                self.state = State::BeforeValue;
                Ok(None)
            }
            (State::AfterValue, b',') => {
                self.state = if self.open.is_object() { State::BeforeName } else { State::BeforeValue };
                Ok(None)
            }
            (State::ObjectOpened | State::AfterValue, b'}') if self.open.is_object() => {
                self.close();
                Ok(None)
            }
            (State::ArrayOpened | State::AfterValue, b']') if !self.open.is_object() => {
                self.close();
                Ok(None)
            }
            (State::ArrayOpened | State::BeforeValue, byte) => self.value(byte).map(Some),
            _ => Err(NOT_JSON),
        }
    }

    /// Takes the first byte of a value.
    fn value(&mut self, byte: u8) -> Result<Event, Malformed> {
        self.state = match byte {
            b'"' => State::InText(None),
            b't' => State::InWord(b"rue"),
            b'f' => State::InWord(b"alse"),
            b'n' => State::InWord(b"ull"),
            b'{' | b'[' => {
                self.open.push(byte == b'{')?;
                if byte == b'{' { State::ObjectOpened } else { State::ArrayOpened }
            }
            _ => State::InNumber(Number::begin(byte)?),
        };
        Ok(if byte == b'"' { Event::Text } else { Event::Value })
    }

    fn close(&mut self) {
        self.open.pop();
        self.state = if self.open.depth == 0 { State::Closed } else { State::AfterValue };
    }

    /// Reads on in a name or a text; says what is left of the piece, and whether its closing quote was consumed.
    fn string<'p>(&mut self, piece: &'p [u8], escape: Option<Escape>) -> Result<(&'p [u8], bool), Malformed> {
        let (mut rest, mut escape) = (piece, escape);
        loop {
            if let Some(begun) = escape {
                let Some((&byte, tail)) = rest.split_first() else { break };
                escape = begun.read(byte)?;
                rest = tail;
                continue;
            }
            let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            if !run.is_empty() {
                self.utf8.read(run)?;
            }
            let Some((&byte, tail)) = tail.split_first() else {
                rest = tail;
                break;
            };
            self.utf8.end()?;
            rest = tail;
            if byte == b'"' {
                let name = matches!(self.state, State::InName(_));
                self.state = if name { State::BeforeColon } else { State::AfterValue };
                return Ok((rest, true));
            }
            escape = Some(Escape::Backslash);
        }
        self.state = match self.state {
            State::InName(_) => State::InName(escape),
            _ => State::InText(escape),
        };
        Ok((rest, false))
    }
}

// === impl Open ===

impl Open {
    fn push(&mut self, object: bool) -> Result<(), Malformed> {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        let word = self.objects.get_mut(word).ok_or(TOO_DEEP)?;
        *word = *word & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Whether the innermost is an object.
    fn is_object(&self) -> bool {
        let Some(last) = self.depth.checked_sub(1) else { return false };
        self.objects.get(last / 64).is_some_and(|word| word >> (last % 64) & 1 == 1)
    }
}

#[cfg(test)]
pub(crate) mod tests;
