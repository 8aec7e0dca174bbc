//! Patterns over the names of store paths: what a machine key may attest, what a rule speaks of.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::store_path::MAX_NAME_LEN;
use crate::wire_text::wire_text;

/// The longest pattern, in bytes: no name is longer.
pub const MAX_PATTERN_LEN: usize = MAX_NAME_LEN;

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NamePatternError {
    /// The pattern is empty or longer than [`MAX_PATTERN_LEN`].
    #[error("the pattern has {0} bytes; 1 to {MAX_PATTERN_LEN} are allowed")]
    Length(usize),
    /// It starts with a dot, which no name does.
    #[error("the pattern starts with a dot, so no name matches it")]
    LeadingDot,
    /// Two stars in a row, which say no more than one.
    #[error("two stars in a row at offset {0}; one says the same")]
    TwoStars(usize),
    /// A byte that no name holds.
    #[error(
        "byte {byte:#04x} at offset {at}; allowed are letters, digits, + - . _ ? = and the star"
    )]
    Byte {
        /// The byte met.
        byte: u8,
        /// Its offset in the pattern.
        at: usize,
    },
}

/// A pattern over the name of a store path, which is what follows the hash part and its dash.
///
/// `*` stands for any run of characters, also an empty one. Every other character stands for itself,
/// `?` too, since names may hold it. A pattern matches whole names: `linux` is one name, `linux-*` are
/// many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern(Box<str>);

impl NamePattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Characters that stand for themselves. The pattern with more of them is the closer one.
    #[must_use]
    pub fn literals(&self) -> usize {
        self.0.bytes().filter(|&byte| byte != b'*').count()
    }

    /// Whether all of `name` matches, in time linear in both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return *self.0 == *name };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let within = name.strip_prefix(start).and_then(|name| name.strip_suffix(end));
        let Some(mut within) = within else { return false };
        // The first place that fits leaves the most for what follows, so none is tried twice.
        for part in middle.split('*') {
            match within.split_once(part) {
                Some((_, after)) => within = after,
                None => return false,
            }
        }
        true
    }

    /// Whether some text matches both, however long it is. Names are not as long as any text, so two
    /// patterns may overlap that no name matches.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some((start, _)), Some((_, end))) = (self.0.split_once('*'), self.0.rsplit_once('*'))
        else {
            return other.matches(&self.0);
        };
        let (Some((other_start, _)), Some((_, other_end))) =
            (other.0.split_once('*'), other.0.rsplit_once('*'))
        else {
            return self.matches(&other.0);
        };
        // Where both begin and end alike, the first star of each has room for what stands between the
        // stars of the other.
        let starts = start.starts_with(other_start) || other_start.starts_with(start);
        starts && (end.ends_with(other_end) || other_end.ends_with(end))
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        if text.is_empty() || text.len() > MAX_PATTERN_LEN {
            return Err(NamePatternError::Length(text.len()));
        }
        if text.starts_with('.') {
            return Err(NamePatternError::LeadingDot);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=*".contains(&byte);
        if let Some((at, byte)) = text.bytes().enumerate().find(|(_, byte)| !allowed(*byte)) {
            return Err(NamePatternError::Byte { byte, at });
        }
        match text.find("**") {
            Some(at) => Err(NamePatternError::TwoStars(at)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

wire_text!(NamePattern, "linux-*");

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<NamePattern>().unwrap().matches(name)
    }

    #[test]
    fn a_star_is_any_run_and_the_rest_is_itself() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "hello-2.12"),
            ("hello-2.12", "hello-2.12"),
            ("linux-*", "linux-"),
            ("linux-*", "linux-6.6.1"),
            ("*-doc", "glibc-2.37-doc"),
            ("a*a", "aa"),
            ("a*b*c", "a-b-b-c"),
            ("a*bc*c", "abcbcc"),
            ("*?", "what?"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("hello", "hello-2.12"),
            ("linux-*", "Linux-6"),
            ("linux-*", "util-linux-2"),
            ("a*a", "a"),
            ("ab*bc", "abc"),
            ("a*b*c", "a-c-b"),
            ("a*bb*c", "abc"),
            ("a?", "ab"),
            ("a.c", "abc"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn only_characters_of_names_and_single_stars_are_read() {
        use NamePatternError::{Byte, LeadingDot, Length, TwoStars};
        for (text, error) in [
            ("", Length(0)),
            (&*"a".repeat(212), Length(212)),
            (".hidden*", LeadingDot),
            ("a**", TwoStars(1)),
            ("a b", Byte { byte: b' ', at: 1 }),
            ("[ab]", Byte { byte: b'[', at: 0 }),
            ("a/b", Byte { byte: b'/', at: 1 }),
            ("é", Byte { byte: 0xc3, at: 0 }),
        ] {
            assert_eq!(text.parse::<NamePattern>(), Err(error), "{text:?}");
        }
        let longest = "*".to_owned() + &"a".repeat(210);
        assert_eq!(longest.parse::<NamePattern>().unwrap().literals(), 210);
    }
}
