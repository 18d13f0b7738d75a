//! Random identifiers and keys. They guard nothing but this process' own loopback doors,
//! so the standard library's hasher seeds are random enough and cannot fail.

use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};

/// 64 fresh random bits.
pub(crate) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A random version-4 UUID in lower case, as Azure writes its request ids.
pub(crate) fn uuid() -> String {
    let (high, low) = (number(), number());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff,
    )
}

/// `length` random hexadecimal digits in lower case.
pub(crate) fn hexadecimal(length: usize) -> String {
    let mut digits = String::with_capacity(length + 16);
    while digits.len() < length {
        digits += &format!("{:016x}", number());
    }
    digits.truncate(length);
    digits
}

/// `length` random letters and digits: the shape of a key.
pub(crate) fn key(length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut key = String::with_capacity(length + 10);
    while key.len() < length {
        let mut bits = number();
        for _ in 0..10 {
            key.push(char::from(ALPHABET[usize::try_from(bits % 62).unwrap_or(0)]));
            bits /= 62;
        }
    }
    key.truncate(length);
    key
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_the_shape_of_one() {
        let uuid = uuid();
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
    }

    #[test]
    fn keys_are_long_and_differ() {
        assert_eq!(key(84).len(), 84);
        assert_ne!(key(52), key(52));
    }
}
