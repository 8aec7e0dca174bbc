//! Store directories and the paths in them.
//!
//! Source: Nix `src/libstore/path.cc`; Guix spells its paths the same way under `/gnu/store`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::base32;
use crate::hash::PathKey;
use crate::wire_text::wire_text;

/// Digits of a store path's hash part.
pub const HASH_PART_LEN: usize = 32;
/// The longest name after the hash part and its dash, in bytes.
pub const MAX_NAME_LEN: usize = 211;
/// The longest store directory, in bytes.
pub const MAX_STORE_DIR_LEN: usize = 255;

/// Why a text is not a store path, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StorePathError {
    /// The hash part is not 32 base-32 digits.
    #[error("not a hash part: {0}")]
    HashPart(#[from] base32::Base32Error),
    /// No dash after the hash part.
    #[error("no dash after the 32 characters of the hash part")]
    NoDash,
    /// The name is empty or longer than [`MAX_NAME_LEN`].
    #[error("the name has {0} bytes; 1 to {MAX_NAME_LEN} are allowed")]
    NameLength(usize),
    /// The name starts with a dot.
    #[error("the name starts with a dot")]
    LeadingDot,
    /// A byte that no name holds.
    #[error(
        "byte {byte:#04x} at offset {at} of the name; allowed are letters, digits and + - . _ ? ="
    )]
    NameByte {
        /// The byte met.
        byte: u8,
        /// Its offset in the name.
        at: usize,
    },
    /// The directory is not absolute, not normal, too long, or holds odd characters.
    #[error(
        "not a store directory: an absolute, normal path of at most {MAX_STORE_DIR_LEN} plain characters is needed"
    )]
    StoreDir,
    /// The path is in another store than the one asked for.
    #[error("not in the store directory {0}")]
    OtherStore(StoreDir),
}

/// A store directory such as `/nix/store` or `/gnu/store`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Arc<str>);

impl StoreDir {
    /// `/nix/store`.
    #[must_use]
    pub fn nix() -> Self {
        Self("/nix/store".into())
    }

    /// `/gnu/store`.
    #[must_use]
    pub fn guix() -> Self {
        Self("/gnu/store".into())
    }

    /// The directory, absolute, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreDir {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        // `;`, `,` and `:` separate the parts of a fingerprint and of key lines.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b";,:\"\\%?#".contains(&byte);
        let normal = text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        });
        if !normal || text.len() > MAX_STORE_DIR_LEN || !text.bytes().all(plain) {
            return Err(StorePathError::StoreDir);
        }
        Ok(Self(text.into()))
    }
}

/// The 32 base-32 digits that begin a store path's base name: 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashPart([u8; 20]);

impl HashPart {
    /// The hash part with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for HashPart {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        Ok(Self(base32::decode(text.as_bytes())?))
    }
}

impl fmt::Display for HashPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

/// A store path without its directory: hash part, dash, name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseName(Box<str>);

impl BaseName {
    /// The whole base name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 32 characters, decoded.
    #[must_use]
    pub fn hash_part(&self) -> HashPart {
        let digits = &self.0.as_bytes()[..HASH_PART_LEN];
        HashPart(base32::decode(digits).unwrap_or_else(|_| unreachable!("checked when parsed")))
    }

    /// What follows the hash part and its dash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_PART_LEN + 1..]
    }
}

impl FromStr for BaseName {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let bytes = text.as_bytes();
        let digits = bytes.get(..HASH_PART_LEN).unwrap_or(bytes);
        base32::decode::<20>(digits)?;
        let name = match bytes.get(HASH_PART_LEN..) {
            Some([b'-', name @ ..]) => name,
            _ => return Err(StorePathError::NoDash),
        };
        check_name(name)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn check_name(name: &[u8]) -> Result<(), StorePathError> {
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Err(StorePathError::NameLength(name.len()));
    }
    if name[0] == b'.' {
        return Err(StorePathError::LeadingDot);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    match name.iter().position(|&byte| !allowed(byte)) {
        Some(at) => Err(StorePathError::NameByte { byte: name[at], at }),
        None => Ok(()),
    }
}

/// A full store path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    dir: StoreDir,
    base: BaseName,
}

impl StorePath {
    /// The path called `base` in `dir`.
    #[must_use]
    pub fn new(dir: StoreDir, base: BaseName) -> Self {
        Self { dir, base }
    }

    /// Parses a path that must be in `dir`.
    ///
    /// # Errors
    /// Another directory, or a malformed base name.
    pub fn parse_in(dir: &StoreDir, text: &str) -> Result<Self, StorePathError> {
        let base = text
            .strip_prefix(dir.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::OtherStore(dir.clone()))?;
        Ok(Self { dir: dir.clone(), base: base.parse()? })
    }

    /// The store directory.
    #[must_use]
    pub fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// The path without its directory.
    #[must_use]
    pub fn base(&self) -> &BaseName {
        &self.base
    }

    /// By what the ledger names this path.
    #[must_use]
    pub fn key(&self) -> PathKey {
        PathKey::of(self.to_string().as_bytes())
    }
}

impl FromStr for StorePath {
    type Err = StorePathError;

    fn from_str(text: &str) -> Result<Self, StorePathError> {
        let (dir, base) = text.rsplit_once('/').ok_or(StorePathError::StoreDir)?;
        Ok(Self { dir: dir.parse()?, base: base.parse()? })
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.dir, self.base)
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

wire_text!(StoreDir, "/nix/store");
wire_text!(HashPart, "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz");
wire_text!(BaseName, "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12");
wire_text!(StorePath, "/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12");

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz";

    #[test]
    fn a_path_prints_as_it_was_read() {
        for dir in ["/nix/store", "/gnu/store", "/home/me/own-store"] {
            let text = format!("{dir}/{HASH}-hello-2.12+git_1?=x");
            let path: StorePath = text.parse().unwrap();
            assert_eq!(path.to_string(), text);
            assert_eq!(path.base().hash_part().to_string(), HASH);
            assert_eq!(path.base().name(), "hello-2.12+git_1?=x");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let long = format!("{HASH}-{}", "a".repeat(212));
        for base in [
            "",
            HASH,
            "short-x",
            &format!("{HASH}-"),
            &format!("{HASH}-.hidden"),
            &format!("{HASH}-a/b"),
            &format!("{HASH}-a\nb"),
            &format!("{HASH}-a b"),
            &format!("{HASH}_x"),
            &long,
            "eh7qgvs4kgzsn8a6rb273saxyqh4jxlz-x",
        ] {
            assert!(base.parse::<BaseName>().is_err(), "{base:?}");
        }
        for dir in
            ["", "nix/store", "/nix/store/", "/nix/../store", "/nix//store", "/a;b", "/a,b", "/a\n"]
        {
            assert!(dir.parse::<StoreDir>().is_err(), "{dir:?}");
        }
        let other = format!("/gnu/store/{HASH}-x");
        assert!(StorePath::parse_in(&StoreDir::nix(), &other).is_err());
    }
}
