//! A number of JSON, cut anywhere.

use super::{Malformed, NOT_JSON, State};

/// What has been read of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    /// A leading zero, which nothing but a fraction or an exponent may follow.
    Zero,
    Integer,
    Point,
    Fraction,
    /// The letter of the exponent.
    Exponent,
    /// The sign of the exponent.
    Sign,
    Power,
}

impl Number {
    pub(super) fn begin(byte: u8) -> Result<Self, Malformed> {
        match byte {
            b'-' => Ok(Self::Minus),
            b'0' => Ok(Self::Zero),
            b'1'..=b'9' => Ok(Self::Integer),
            _ => Err(NOT_JSON),
        }
    }

    /// Reads on to the first byte that belongs to no number; says what is left from there.
    pub(super) fn read(mut self, piece: &[u8]) -> Result<(&[u8], Self), Malformed> {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            self = match (self, byte) {
                (Self::Minus, b'0') => Self::Zero,
                (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
                (Self::Zero | Self::Integer, b'.') => Self::Point,
                (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
                (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
                (Self::Exponent, b'+' | b'-') => Self::Sign,
                (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
                (_, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => return Err(NOT_JSON),
                _ => break,
            };
            rest = tail;
        }
        Ok((rest, self))
    }

    /// What a number has come to that ends here.
    pub(super) fn end(self) -> Result<State, Malformed> {
        match self {
            Self::Zero | Self::Integer | Self::Fraction | Self::Power => Ok(State::AfterValue),
            Self::Minus | Self::Point | Self::Exponent | Self::Sign => Err(NOT_JSON),
        }
    }
}
