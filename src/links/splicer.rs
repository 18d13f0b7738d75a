//! JSON as it streams past, in which the URLs of its top level are turned.
//!
//! The reader says where the [`FIELDS`] and their texts stand. Only the beginning of such a text is held, until it is
//! clear whose URL it is; everything else passes at once, and no byte is written anew but a URL's beginning: numbers,
//! escapes and blanks stay as they came. Where the JSON breaks, the rest passes as it is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::base::Base;
use super::{FIELDS, origin};
use crate::json::{Event, TopLevel};
use crate::settings::Resource;

/// Turns the URLs of one JSON object, piece by piece.
#[derive(Debug)]
pub(super) struct Splicer {
    reader: TopLevel,
    stage: Stage,
    /// Where a URL must point to be turned.
    resource: Arc<Resource>,
    /// How it begins then.
    base: Base,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is to be turned here.
    Elsewhere,
    /// In the name of a member, which is kept as it stands.
    Name(Vec<u8>),
    /// Behind the name of one whose text is a URL.
    UrlNext,
    /// In that text: what was read of it is held.
    Url(Vec<u8>),
    /// The JSON broke.
    Broken,
}

/// The longest name that is kept, in bytes: the longest of ours, every character an escape, and the quote behind it.
const LONGEST_NAME: usize = 6 * 15 + 1;

/// The longest scheme and authority that are read, in characters. A host's name has up to 253.
const LONGEST_ORIGIN: usize = 300;

/// What the closing quote of a string stands for; no URL has it.
const END: u8 = b'"';

/// What characters stand for that no scheme and no host has, and no end of them is: those that only an escape can write.
const STRANGE: u8 = 0;

/// What is known of the beginning of a string that should be a URL.
#[derive(Debug, PartialEq, Eq)]
enum Begin {
    /// It is not all there.
    Cut,
    /// Scheme and authority take so many bytes as they stand.
    Of(usize, Vec<u8>),
    /// It is too long for any.
    Nobody,
}

impl Splicer {
    pub(super) fn new(resource: Arc<Resource>, base: Base) -> Self {
        Self { reader: TopLevel::new(), stage: Stage::Elsewhere, resource, base }
    }

    /// Takes the next piece; gives what may pass of it and of what was held, which may be nothing.
    pub(super) fn splice(&mut self, piece: Bytes) -> Bytes {
        if matches!(self.stage, Stage::Broken) {
            return piece;
        }
        // What passes, once that is something else than the piece's own beginning.
        let mut out = matches!(self.stage, Stage::Url(_)).then(BytesMut::new);
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let advanced = self.reader.advance(rest);
            let (read, left) = rest.split_at(advanced.map_or(rest.len(), |(consumed, _)| consumed));
            rest = left;
            if let Stage::Url(held) = &mut self.stage {
                held.extend_from_slice(read);
                if let Some(passing) = self.turned() {
                    out.get_or_insert_default().extend_from_slice(&passing);
                    self.stage = Stage::Elsewhere;
                }
            } else if let Some(out) = &mut out {
                out.extend_from_slice(read);
            }
            let Ok((_, event)) = advanced else {
                if let Some(out) = &mut out {
                    out.extend_from_slice(&self.end());
                }
                self.stage = Stage::Broken;
                break;
            };
            self.follow(read, event);
            if matches!(self.stage, Stage::Url(_)) && out.is_none() {
                out = Some(BytesMut::from(&piece[..piece.len() - rest.len()]));
            }
        }
        out.map_or(piece, BytesMut::freeze)
    }

    /// What is held where the answer ends, or breaks off: it passes as it came.
    pub(super) fn end(&mut self) -> Bytes {
        match std::mem::replace(&mut self.stage, Stage::Elsewhere) {
            Stage::Url(held) => held.into(),
            _ => Bytes::new(),
        }
    }

    /// Follows the names, to where the next text is a URL.
    fn follow(&mut self, read: &[u8], event: Option<Event>) {
        if let Stage::Name(name) = &mut self.stage {
            name.extend_from_slice(read.get(..LONGEST_NAME + 1 - name.len()).unwrap_or(read));
        }
        match (event, &self.stage) {
            (Some(Event::Name), _) => self.stage = Stage::Name(Vec::new()),
            (Some(Event::Quote), Stage::Name(name)) if is_field(name) => self.stage = Stage::UrlNext,
            (Some(Event::Text), Stage::UrlNext) => self.stage = Stage::Url(Vec::new()),
            // A text that has ended was looked at; a name that goes on is kept; a blank before the text is nothing.
            (None, _) | (Some(Event::Quote), Stage::Elsewhere) => {}
            (Some(_), _) => self.stage = Stage::Elsewhere,
        }
    }

    /// What passes of the text that is held, once it is clear whose URL it is.
    fn turned(&self) -> Option<Vec<u8>> {
        let Stage::Url(held) = &self.stage else { return None };
        match begin(held) {
            Begin::Cut => None,
            Begin::Of(length, url) if origin::is_of(&self.resource.endpoint, &url) => {
                let (_, rest) = held.split_at(length);
                Some([self.base.as_bytes(), rest].concat())
            }
            Begin::Of(..) | Begin::Nobody => Some(held.clone()),
        }
    }
}

/// Whether a name, as it stands with its closing quote, is one of ours.
fn is_field(raw: &[u8]) -> bool {
    let (mut rest, mut name) = (raw, Vec::new());
    while let Some((byte, length)) = character(rest) {
        if byte == END {
            return FIELDS.iter().any(|field| field.as_bytes() == name);
        }
        name.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// Reads a string's text, from behind its opening quote, up to the end of a URL's scheme and authority.
fn begin(raw: &[u8]) -> Begin {
    let (mut rest, mut url, mut slashes) = (raw, Vec::new(), 0);
    while let Some((byte, length)) = character(rest) {
        if byte == END || origin::is_end(byte, &mut slashes) {
            return Begin::Of(raw.len() - rest.len(), url);
        }
        if url.len() == LONGEST_ORIGIN {
            return Begin::Nobody;
        }
        url.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    Begin::Cut
}

/// The first character of a string's rest, and how many bytes it takes as it stands; `None` if it is cut.
fn character(raw: &[u8]) -> Option<(u8, usize)> {
    match raw {
        [b'\\', b'u', digits @ ..] => {
            let digits = str::from_utf8(digits.get(..4)?).ok().filter(|digits| !digits.starts_with('+'));
            let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            Some((code.filter(|code| code.is_ascii() && *code != END).unwrap_or(STRANGE), 6))
        }
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', _, ..] => Some((STRANGE, 2)),
        [b'\\'] | [] => None,
        [byte, ..] => Some((*byte, 1)),
    }
}

#[cfg(test)]
mod tests;
