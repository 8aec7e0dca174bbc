//! The compressions a NAR may come in, and their names in narinfos and file names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// How a NAR is compressed. The pool keeps the one its first uploader chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// LZMA2 in the xz container.
    Xz,
    /// bzip2.
    Bzip2,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// Brotli, RFC 7932; Nix calls it `br`.
    #[serde(rename = "br")]
    Brotli,
    /// LZMA in the lzip container, which Guix likes.
    Lzip,
}

/// A compression that no version of Nix or Guix is known to write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown compression {0:?}; known: none, xz, bzip2, gzip, zstd, br, lzip")]
pub struct UnknownCompression(pub String);

impl Compression {
    /// Every compression, in the order of [`number`](Self::number).
    pub const ALL: [Self; 7] =
        [Self::None, Self::Xz, Self::Bzip2, Self::Gzip, Self::Zstd, Self::Brotli, Self::Lzip];

    /// The name in a narinfo's `Compression:` line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Lzip => "lzip",
        }
    }

    /// What follows `.nar` in the file name, with its dot.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Lzip => ".lzip",
        }
    }

    /// The compression whose [`suffix`](Self::suffix) this is.
    #[must_use]
    pub fn from_suffix(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.suffix() == suffix)
    }

    /// A number for records on disk. It never changes meaning.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The compression with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// What the first bytes of a file say it is, for uploads whose name does not:
    /// Nix writes gzip and plain NARs both as `.nar`.
    #[must_use]
    pub fn sniff(start: &[u8]) -> Self {
        if start.starts_with(&[0x1f, 0x8b]) { Self::Gzip } else { Self::None }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| UnknownCompression(name.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suffixes_and_numbers_lead_back() {
        for compression in Compression::ALL {
            assert_eq!(compression.name().parse(), Ok(compression));
            assert_eq!(Compression::from_suffix(compression.suffix()), Some(compression));
            assert_eq!(Compression::from_number(compression.number()), Some(compression));
        }
        assert_eq!(Compression::from_number(7), None);
        assert!("zst".parse::<Compression>().is_err());
    }
}
