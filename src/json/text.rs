//! What stands in a string of JSON, cut anywhere: escapes, and characters in UTF-8.

use std::str::from_utf8;

use super::{Malformed, NOT_JSON};

/// What has been read of an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// The backslash.
    Backslash,
    /// `\u`, and all but so many of its digits.
    Digits(u8),
}

/// A character that has been read in part.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    bytes: [u8; 4],
    length: usize,
}

const NOT_UTF8: Malformed = "its JSON is not UTF-8";

impl Escape {
    /// Takes the next byte; `None` where the escape has ended.
    pub(super) fn read(self, byte: u8) -> Result<Option<Self>, Malformed> {
        match (self, byte) {
            (Self::Backslash, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(None),
            (Self::Backslash, b'u') => Ok(Some(Self::Digits(4))),
            (Self::Digits(1), digit) if digit.is_ascii_hexdigit() => Ok(None),
            (Self::Digits(left), digit) if digit.is_ascii_hexdigit() => Ok(Some(Self::Digits(left - 1))),
            _ => Err(NOT_JSON),
        }
    }
}

impl Utf8 {
    /// Reads on. Control characters are no text of JSON.
    pub(super) fn read(&mut self, run: &[u8]) -> Result<(), Malformed> {
        // Without a way out of the loop it looks at many bytes at once.
        if run.iter().fold(false, |found, byte| found | (*byte < b' ')) {
            return Err(NOT_JSON);
        }
        let mut rest = run;
        while self.length > 0 {
            let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
            rest = tail;
            self.extend(byte)?;
        }
        let Err(error) = from_utf8(rest) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(NOT_UTF8);
        }
        // The last character is cut off.
        let (_, begun) = rest.split_at(error.valid_up_to());
        begun.iter().try_for_each(|byte| self.extend(*byte))
    }

    /// Whether the text may end here.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.length == 0 { Ok(()) } else { Err(NOT_UTF8) }
    }

    /// Takes the next byte of a character; forgets it where it is whole.
    fn extend(&mut self, byte: u8) -> Result<(), Malformed> {
        *self.bytes.get_mut(self.length).ok_or(NOT_UTF8)? = byte;
        self.length += 1;
        match from_utf8(self.bytes.get(..self.length).unwrap_or_default()) {
            Ok(_) => self.length = 0,
            Err(error) if error.error_len().is_some() => return Err(NOT_UTF8),
            Err(_) => {}
        }
        Ok(())
    }
}
