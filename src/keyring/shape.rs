//! What a key looks like: as Azure's own do, since some programs check that.

use aws_lc_rs::rand;
use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::plane::Plane;

/// The looks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Letters and digits, as Azure OpenAI's newer keys
    #[value(name = "84")]
    Letters84,
    /// Hexadecimal digits, as Azure OpenAI's older keys
    #[value(name = "32")]
    Hex32,
    /// Letters and digits, as Azure AI Search's keys
    #[value(name = "52")]
    Letters52,
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Shape {
    /// What the clients of a plane expect.
    pub(crate) fn of(plane: Plane) -> Self {
        match plane {
            Plane::OpenAi => Self::Letters84,
            Plane::Search => Self::Letters52,
        }
    }

    /// A new key, from the system's randomness; `None` if the system has none to give.
    pub(crate) fn fresh(self) -> Option<Zeroizing<String>> {
        let (alphabet, length): (&[u8], _) = match self {
            Self::Letters84 => (LETTERS, 84),
            Self::Hex32 => (HEX, 32),
            Self::Letters52 => (LETTERS, 52),
        };
        // A byte beyond the last whole multiple would make the first characters likelier than the others.
        let fair = 256 - 256 % alphabet.len();
        let mut key = Zeroizing::new(String::with_capacity(length));
        let mut bytes = Zeroizing::new([0; 64]);
        while key.len() < length {
            rand::fill(&mut bytes[..]).ok()?;
            let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
            let room = length - key.len();
            key.extend(drawn.take(room).map(|byte| char::from(alphabet[byte % alphabet.len()])));
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_have_their_length_and_use_their_whole_alphabet() {
        for (shape, length, variety) in [(Shape::Letters84, 84, 62), (Shape::Hex32, 32, 16), (Shape::Letters52, 52, 62)]
        {
            let keys: Vec<_> = (0..200).map(|_| shape.fresh().unwrap()).collect();
            assert!(keys.iter().all(|key| key.len() == length));
            assert_eq!(keys.iter().flat_map(|key| key.chars()).collect::<BTreeSet<_>>().len(), variety);
            assert_eq!(keys.iter().map(|key| key.as_str()).collect::<BTreeSet<_>>().len(), 200);
        }
    }
}
