//! Spans of time as a policy writes them: `90s`, `30m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Why a text is not a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a span of time: a whole number from 1 to 99999, and s, m, h or d")]
pub struct AgeError;

/// A span of time, of a second or more, in the unit in which it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Age {
    /// A day, as a policy that says nothing else has it: `24h`.
    pub(super) const DAY: Self = Self { count: 24, unit: Unit::Hours };

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        let unit = match self.unit {
            Unit::Seconds => 1,
            Unit::Minutes => 60,
            Unit::Hours => 60 * 60,
            Unit::Days => 24 * 60 * 60,
        };
        u64::from(self.count) * unit
    }
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let (last, unit) = match text.as_bytes().last() {
            Some(b's') => ('s', Unit::Seconds),
            Some(b'm') => ('m', Unit::Minutes),
            Some(b'h') => ('h', Unit::Hours),
            Some(b'd') => ('d', Unit::Days),
            _ => return Err(AgeError),
        };
        let digits = text.strip_suffix(last).ok_or(AgeError)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if !plain || digits.len() > 5 {
            return Err(AgeError);
        }
        Ok(Self { count: digits.parse().map_err(|_| AgeError)?, unit })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Seconds => 's',
            Unit::Minutes => 'm',
            Unit::Hours => 'h',
            Unit::Days => 'd',
        };
        write!(f, "{}{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_spelling_and_keeps_its_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            ("24h", 86_400),
            ("7d", 604_800),
            ("99999d", 8_639_913_600),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!((age.seconds(), age.to_string().as_str()), (seconds, text));
        }
        for text in ["", "s", "0s", "01s", "+1s", "1.5h", "1w", "1", "24 h", "100000s", "1é", "H"]
        {
            assert_eq!(text.parse::<Age>(), Err(AgeError), "{text}");
        }
    }
}
