//! A search for one text in bytes that come in pieces (Knuth, Morris and Pratt).

use memchr::memchr2;

use super::NOT_A_FORM;

/// A text to find, and how much of it the last bytes are.
#[derive(Debug)]
pub(super) struct Needle {
    pattern: Vec<u8>,
    /// For each length of a beginning: the longest shorter beginning that it ends with.
    fallback: Vec<usize>,
    matched: usize,
}

impl Needle {
    pub(super) fn new(pattern: Vec<u8>) -> Self {
        let mut needle = Self { pattern: Vec::with_capacity(pattern.len()), fallback: vec![0], matched: 0 };
        for (n, byte) in pattern.into_iter().enumerate() {
            // What the text up to here ends with, found as anything else is: by searching it in itself.
            if n > 0 {
                needle.step(byte);
            }
            needle.pattern.push(byte);
            needle.fallback.push(needle.matched);
        }
        needle.matched = 0;
        needle
    }

    /// Takes the next byte; says whether the text ends with it. Then the search begins anew.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        self.step(byte);
        let found = self.matched == self.pattern.len();
        if found {
            self.matched = 0;
        }
        found
    }

    /// Takes the next byte, which must go on with the text; says whether the text ends with it.
    pub(super) fn expect(&mut self, byte: u8) -> Result<bool, &'static str> {
        let before = self.matched;
        let found = self.push(byte);
        if found || self.matched == before + 1 { Ok(found) } else { Err(NOT_A_FORM) }
    }

    /// Whether nothing of the text has been seen.
    pub(super) fn is_idle(&self) -> bool {
        self.matched == 0
    }

    /// What is left from the next byte that can begin a delimiter or a boundary.
    pub(super) fn skip(piece: &[u8]) -> &[u8] {
        let next = memchr2(b'\r', b'-', piece).unwrap_or(piece.len());
        piece.split_at(next).1
    }

    pub(super) fn len(&self) -> usize {
        self.pattern.len()
    }

    pub(super) fn pattern(&self) -> &[u8] {
        &self.pattern
    }

    fn step(&mut self, byte: u8) {
        while self.pattern.get(self.matched) != Some(&byte) {
            if self.matched == 0 {
                return;
            }
            self.matched = self.fallback.get(self.matched).copied().unwrap_or(0);
        }
        self.matched += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_wherever_it_ends() {
        for pattern in ["a", "aab", "----a", "ababac", "aaaa"] {
            for text in ["", "aab", "aaab", "-----a", "abababac", "aaaaaaaa", "xaabaab"] {
                let mut needle = Needle::new(pattern.into());
                let found: Vec<_> = text.bytes().map(|byte| needle.push(byte)).collect();
                let first = text.find(pattern).map(|at| at + pattern.len() - 1);
                assert_eq!(found.iter().position(|found| *found), first, "{pattern} in {text}");
            }
        }
    }
}
