//! Nix's base 32: no `e`, `o`, `t` or `u`, least significant digit last.
//!
//! Source: Nix `src/libutil/base-nix-32.cc`.

use thiserror::Error;

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut digit = 0;
    while digit < 32 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// Why a text is not the base-32 spelling of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Base32Error {
    /// Too short or too long: the value is refused.
    #[error("expected {expected} base-32 characters, found {found}")]
    Length {
        /// Characters that the value takes.
        expected: usize,
        /// Characters that were there.
        found: usize,
    },
    /// A character outside the alphabet: the value is refused.
    #[error(
        "byte {byte:#04x} at offset {at} is not a Nix base-32 digit (0-9, a-z without e, o, t, u)"
    )]
    Digit {
        /// The byte met.
        byte: u8,
        /// Its offset in the text.
        at: usize,
    },
    /// The spare bits of the first digit are set, which no encoder does.
    #[error("the first digit has bits beyond the value: not the canonical spelling")]
    NonCanonical,
}

/// How many digits `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Whether `byte` is one of the 32 digits.
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    VALUES[byte as usize] < 32
}

/// Appends the spelling of `bytes` to `out`.
pub fn encode_to(bytes: &[u8], out: &mut String) {
    for digit in (0..encoded_len(bytes.len())).rev() {
        let (at, shift) = (digit * 5 / 8, digit * 5 % 8);
        let high = bytes.get(at + 1).copied().unwrap_or(0);
        let pair = u16::from_le_bytes([bytes[at], high]);
        out.push(ALPHABET[usize::from(pair >> shift & 0x1f)] as char);
    }
}

/// The spelling of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(encoded_len(bytes.len()));
    encode_to(bytes, &mut out);
    out
}

/// The bytes that `text` spells; it must be their only spelling.
///
/// # Errors
/// A wrong length, a foreign character, or set spare bits.
pub fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], Base32Error> {
    let mut out = [0; N];
    decode_into(text, &mut out)?;
    Ok(out)
}

/// Fills `out` with the bytes that `text` spells.
///
/// # Errors
/// As [`decode`].
pub fn decode_into(text: &[u8], out: &mut [u8]) -> Result<(), Base32Error> {
    let expected = encoded_len(out.len());
    if text.len() != expected {
        return Err(Base32Error::Length { expected, found: text.len() });
    }
    out.fill(0);
    for (at, &byte) in text.iter().enumerate() {
        let value = VALUES[usize::from(byte)];
        if value >= 32 {
            return Err(Base32Error::Digit { byte, at });
        }
        let bit = (expected - 1 - at) * 5;
        let shifted = u16::from(value) << (bit % 8);
        let [low, high] = shifted.to_le_bytes();
        out[bit / 8] |= low;
        match out.get_mut(bit / 8 + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return Err(Base32Error::NonCanonical),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_what_nix_spells() {
        // `nix hash to-base32` of the SHA-256 of the empty string.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let bytes: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&empty[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(encode(&bytes), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
        assert_eq!(decode::<32>(encode(&bytes).as_bytes()).unwrap().to_vec(), bytes);
    }

    #[test]
    fn refuses_spare_bits_foreign_letters_and_lengths() {
        let mut text = encode(&[0xff; 32]).into_bytes();
        assert_eq!(text[0], b'1');
        text[0] = b'2';
        assert_eq!(decode::<32>(&text), Err(Base32Error::NonCanonical));
        text[0] = b'e';
        assert_eq!(decode::<32>(&text), Err(Base32Error::Digit { byte: b'e', at: 0 }));
        assert_eq!(decode::<32>(b"00"), Err(Base32Error::Length { expected: 52, found: 2 }));
    }
}
