//! Where the debug information of a build id lies: `debuginfo/<build id>.debug`.
//!
//! Source: Nix `src/libstore/binary-cache-store.cc`, `index-debug-info`: one such document for each
//! `lib/debug/.build-id/<2 digits>/<the others>.debug` in a NAR. Read more strictly than there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::compression::Compression;
use crate::hash::{FileHash, NarHash};
use crate::wire_text::wire_text;

/// The longest document that is read, in bytes: a member of any characters, escaped.
pub const MAX_DEBUG_INFO_LEN: usize = 32 << 10;
/// The longest member, in bytes.
pub const MAX_MEMBER_LEN: usize = 4096;

const BUILD_ID_LEN: std::ops::RangeInclusive<usize> = 16..=128;

/// Why a text is not a part of such a document: nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DebugInfoError {
    /// Too short, too long, or not hex.
    #[error("not a build id: 16 to 128 lower-case hex digits")]
    BuildId,
    /// Not the address of a NAR, as seen from `debuginfo/`.
    #[error("the archive is not ../nar/<52 base-32 digits>.nar with the ending of a compression")]
    Archive,
    /// A path that could lead out of the NAR, or that no terminal should print.
    #[error(
        "the member is not a relative path of 1 to {MAX_MEMBER_LEN} bytes without control characters and empty, . or .. parts"
    )]
    Member,
}

/// The build id of a program or library, in hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(Box<str>);

impl BuildId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BuildId {
    type Err = DebugInfoError;

    fn from_str(text: &str) -> Result<Self, DebugInfoError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if BUILD_ID_LEN.contains(&text.len()) && text.bytes().all(digit) {
            Ok(Self(text.into()))
        } else {
            Err(DebugInfoError::BuildId)
        }
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The whole document. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebugInfo {
    /// The NAR.
    pub archive: Archive,
    /// The file in that NAR.
    pub member: Member,
}

/// A NAR's address, as seen from `debuginfo/`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Archive {
    digest: [u8; 32],
    compression: Compression,
}

impl Archive {
    /// The address that goes by the file's hash, as stock Nix writes it.
    #[must_use]
    pub const fn of_file(file_hash: &FileHash, compression: Compression) -> Self {
        Self { digest: *file_hash.as_bytes(), compression }
    }

    /// The address that goes by the hash of the NAR, as a pool writes it.
    #[must_use]
    pub const fn of_nar(nar_hash: &NarHash, compression: Compression) -> Self {
        Self { digest: *nar_hash.as_bytes(), compression }
    }

    /// The hash in the address, where stock Nix wrote it.
    #[must_use]
    pub const fn file_hash(&self) -> FileHash {
        FileHash::from_bytes(self.digest)
    }
}

impl FromStr for Archive {
    type Err = DebugInfoError;

    fn from_str(text: &str) -> Result<Self, DebugInfoError> {
        let parsed = text.strip_prefix("../nar/").and_then(|file| {
            let (digits, suffix) = file.split_once(".nar")?;
            let file_hash = FileHash::from_nix32(digits).ok()?;
            Some(Self::of_file(&file_hash, Compression::from_suffix(suffix)?))
        });
        parsed.ok_or(DebugInfoError::Archive)
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "../nar/{}.nar{}", self.file_hash().to_nix32(), self.compression.suffix())
    }
}

/// The path of a file in a NAR.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Member(Box<str>);

impl Member {
    /// The path, relative to the top of the NAR.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Member {
    type Err = DebugInfoError;

    fn from_str(text: &str) -> Result<Self, DebugInfoError> {
        let normal = text.split('/').all(|part| !["", ".", ".."].contains(&part));
        if normal && text.len() <= MAX_MEMBER_LEN && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(DebugInfoError::Member)
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

wire_text!(BuildId, "abcdef0123456789abcdef0123456789abcdef01");
wire_text!(Archive, "../nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.xz");
wire_text!(Member, "lib/debug/.build-id/ab/cdef0123456789abcdef0123456789abcdef01.debug");

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    #[test]
    fn a_build_id_is_lower_case_hex_of_some_length() {
        for len in [15, 129] {
            assert_eq!("a".repeat(len).parse::<BuildId>(), Err(DebugInfoError::BuildId), "{len}");
        }
        for bad in ["ABCDEF0123456789", "0123456789abcdeg", "0123456789abcde/", ""] {
            assert_eq!(bad.parse::<BuildId>(), Err(DebugInfoError::BuildId), "{bad}");
        }
        for len in [16, 40, 128] {
            assert_eq!("0".repeat(len).parse::<BuildId>().unwrap().as_str().len(), len);
        }
    }

    #[test]
    fn an_archive_is_a_nar_beside_debuginfo() {
        for suffix in ["", ".xz", ".zst", ".br"] {
            let text = format!("../nar/{DIGITS}.nar{suffix}");
            let archive: Archive = text.parse().unwrap();
            assert_eq!(archive.to_string(), text);
            assert_eq!(archive.file_hash().to_nix32(), DIGITS);
        }
        for bad in [
            format!("nar/{DIGITS}.nar.xz"),
            format!("../nar/../{DIGITS}.nar.xz"),
            format!("../nar/{DIGITS}.nar.exe"),
            format!("../nar/{DIGITS}"),
            format!("../nar/{}.nar", &DIGITS[1..]),
            format!("http://example.org/nar/{DIGITS}.nar"),
        ] {
            assert_eq!(bad.parse::<Archive>(), Err(DebugInfoError::Archive), "{bad}");
        }
    }

    #[test]
    fn a_member_stays_in_its_nar() {
        let long = "a".repeat(MAX_MEMBER_LEN + 1);
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a\nb",
            "a\u{9b}b",
            &long,
        ] {
            assert_eq!(bad.parse::<Member>(), Err(DebugInfoError::Member), "{bad:?}");
        }
        for good in ["a", "lib/debug/.build-id/ab/cd.debug", "..a/b..", "ä \"b\""] {
            assert_eq!(good.parse::<Member>().unwrap().as_str(), good);
        }
    }
}
