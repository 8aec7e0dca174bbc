//! A claim: "store path P has NAR hash H, NAR size N and references R", and the exact bytes that
//! its signers sign.
//!
//! The same thing can be claimed in Nix's words and in Guix's: these are two claims with one
//! [meaning](Claim::meaning), and whoever counts votes counts meanings.
//!
//! Source of the Nix spelling: Nix `src/libstore/path-info.cc`, `ValidPathInfo::fingerprint`.

mod guix;

use std::borrow::Cow;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::base32;
use crate::hash::{ClaimId, HashError, NarHash};
use crate::store_path::{BaseName, StorePath, StorePathError};

pub use self::guix::{GuixText, GuixTextError};

/// The most references one claim may name.
pub const MAX_REFERENCES: usize = 8192;

/// Why a text or a set of fields is not a claim.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Not five fields between semicolons, the first of them `1`.
    #[error("not a fingerprint: 1;<store path>;<NAR hash>;<NAR size>;<references> is needed")]
    Shape,
    /// The store path or a reference is malformed or in another store.
    #[error("{what}: {source}")]
    Path {
        /// Which of them.
        what: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// The NAR hash is malformed or in another spelling.
    #[error("NAR hash: {0}")]
    Hash(#[from] HashError),
    /// The size is zero, or not a plain decimal number.
    #[error("the NAR size must be a decimal number above 0 without leading zeros")]
    Size,
    /// Too many references.
    #[error("{0} references; at most {MAX_REFERENCES} are allowed")]
    TooManyReferences(usize),
    /// The same reference twice.
    #[error("reference {0} is named twice")]
    DuplicateReference(BaseName),
    /// The fields are right, but the text is not how they are spelled.
    #[error("not the canonical spelling of its own fields")]
    NonCanonical,
    /// It begins as Guix's do, and is none.
    #[error(transparent)]
    Guix(#[from] GuixTextError),
}

/// In whose words a claim is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// As a fingerprint, which Nix signs with Ed25519.
    #[default]
    Nix,
    /// As a narinfo up to its signature, which Guix signs with ECDSA.
    Guix,
}

/// What a signer says of a store path. Two claims are equal when their signed bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    path: StorePath,
    nar_hash: NarHash,
    nar_size: NonZeroU64,
    references: Vec<BaseName>,
    /// In Guix's words, these.
    guix: Option<Box<str>>,
}

impl Claim {
    /// Makes the claim in Nix's words; `references` may come in any order, but none twice.
    ///
    /// # Errors
    /// A size of zero, too many references, or a repeated one.
    pub fn new(
        path: StorePath,
        nar_hash: NarHash,
        nar_size: u64,
        mut references: Vec<BaseName>,
    ) -> Result<Self, ClaimError> {
        let nar_size = NonZeroU64::new(nar_size).ok_or(ClaimError::Size)?;
        if references.len() > MAX_REFERENCES {
            return Err(ClaimError::TooManyReferences(references.len()));
        }
        references.sort_unstable();
        if let Some(pair) = references.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ClaimError::DuplicateReference(pair[0].clone()));
        }
        Ok(Self { path, nar_hash, nar_size, references, guix: None })
    }

    /// Reads the signed bytes back; they must be the only spelling of what they say.
    ///
    /// # Errors
    /// Anything that no signer of a valid claim would have signed.
    pub fn parse(signed: &[u8]) -> Result<Self, ClaimError> {
        let text = std::str::from_utf8(signed).map_err(|_| ClaimError::Shape)?;
        if GuixText::may_be(text) {
            return GuixText::parse(text)?.into_claim();
        }
        let fields: Vec<&str> = text.split(';').collect();
        let &["1", path, hash, size, references] = fields.as_slice() else {
            return Err(ClaimError::Shape);
        };
        let path: StorePath =
            path.parse().map_err(|source| ClaimError::Path { what: "store path", source })?;
        let references = parse_references(&path, references)?;
        let claim = Self::new(path, hash.parse()?, parse_size(size)?, references)?;
        if claim.signed_bytes().as_bytes() == signed {
            Ok(claim)
        } else {
            Err(ClaimError::NonCanonical)
        }
    }

    /// The same in Nix's words.
    #[must_use]
    pub fn in_nix(&self) -> Self {
        Self { guix: None, ..self.clone() }
    }

    /// The same in Guix's words, as `guix publish` has them for a path with this deriver. A claim in
    /// Guix's words stays as it is.
    #[must_use]
    pub fn in_guix(&self, deriver: Option<&BaseName>) -> Self {
        let text = self.guix.clone().unwrap_or_else(|| guix::print(self, deriver).into());
        Self { guix: Some(text), ..self.clone() }
    }

    /// The same in the words of this dialect.
    #[must_use]
    pub fn in_dialect(&self, dialect: Dialect, deriver: Option<&BaseName>) -> Self {
        match dialect {
            Dialect::Nix => self.in_nix(),
            Dialect::Guix => self.in_guix(deriver),
        }
    }

    /// What Guix's words say beside the claim itself; nothing, in Nix's words.
    #[must_use]
    pub fn guix_text(&self) -> Option<GuixText> {
        // It was read before, or printed by this crate.
        GuixText::parse(self.guix.as_deref()?).ok()
    }

    /// In whose words it is made.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.guix.is_some() { Dialect::Guix } else { Dialect::Nix }
    }

    /// The bytes a signer signs. Nothing wraps or pre-hashes them.
    #[must_use]
    pub fn signed_bytes(&self) -> Cow<'_, str> {
        match &self.guix {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.fingerprint()),
        }
    }

    fn fingerprint(&self) -> String {
        let dir = self.path.dir().as_str();
        let reference_len = |r: &BaseName| dir.len() + r.as_str().len() + 2;
        let references: usize = self.references.iter().map(reference_len).sum();
        let mut out = String::with_capacity(dir.len() + 400 + references);
        out.push_str("1;");
        out.push_str(dir);
        out.push('/');
        out.push_str(self.path.base().as_str());
        out.push_str(";sha256:");
        base32::encode_to(self.nar_hash.as_bytes(), &mut out);
        out.push(';');
        out.push_str(&self.nar_size.to_string());
        out.push(';');
        for (at, reference) in self.references.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(dir);
            out.push('/');
            out.push_str(reference.as_str());
        }
        out
    }

    /// The claim's identity: the hash of its signed bytes.
    #[must_use]
    pub fn id(&self) -> ClaimId {
        ClaimId::of(self.signed_bytes().as_bytes())
    }

    /// What is claimed, whatever the words: the identity of the same claim in Nix's words.
    #[must_use]
    pub fn meaning(&self) -> ClaimId {
        ClaimId::of(self.fingerprint().as_bytes())
    }

    /// Whether both say the same of the same path, whatever the words.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.path, self.nar_hash, self.nar_size, &self.references)
            == (&other.path, other.nar_hash, other.nar_size, &other.references)
    }

    /// The store path spoken of.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// The NAR it is said to have.
    #[must_use]
    pub fn nar_hash(&self) -> NarHash {
        self.nar_hash
    }

    /// The size of that NAR, uncompressed, in bytes.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.nar_size.get()
    }

    /// The paths it refers to, sorted, itself included where it does.
    #[must_use]
    pub fn references(&self) -> &[BaseName] {
        &self.references
    }
}

/// Reads a size as fingerprints and narinfos spell it.
pub(crate) fn parse_size(text: &str) -> Result<u64, ClaimError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().map_err(|_| ClaimError::Size) } else { Err(ClaimError::Size) }
}

fn parse_references(path: &StorePath, text: &str) -> Result<Vec<BaseName>, ClaimError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let parse = |reference| {
        StorePath::parse_in(path.dir(), reference)
            .map(|path| path.base().clone())
            .map_err(|source| ClaimError::Path { what: "reference", source })
    };
    text.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const PATH: &str = "/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";
    const REFERENCE: &str = "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8";

    #[test]
    fn the_fingerprint_is_spelled_as_nix_does() {
        let text = format!("1;{PATH};{HASH};226560;{REFERENCE},{PATH}");
        let claim = Claim::parse(text.as_bytes()).unwrap();
        assert_eq!(claim.references().len(), 2);
        assert_eq!(claim.signed_bytes(), text);
        assert_eq!(claim.id(), ClaimId::of(text.as_bytes()));
        let alone = format!("1;{PATH};{HASH};112;");
        assert_eq!(Claim::parse(alone.as_bytes()).unwrap().signed_bytes(), alone);
    }

    #[test]
    fn there_is_one_spelling() {
        let hex = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in [
            format!("2;{PATH};{HASH};112;"),
            format!("1;{PATH};{HASH};112"),
            format!("1;{PATH};{HASH};112;;"),
            format!("1;{PATH};{HASH};0;"),
            format!("1;{PATH};{HASH};0112;"),
            format!("1;{PATH};{HASH};+112;"),
            format!("1;{PATH};{HASH};99999999999999999999;"),
            format!("1;{PATH};{hex};112;"),
            format!("1;{PATH};{HASH};112;{PATH},{REFERENCE}"),
            format!("1;{PATH};{HASH};112;{PATH},{PATH}"),
            format!("1;{PATH};{HASH};112;,{PATH}"),
            format!("1;{PATH};{HASH};112;/gnu{}", &REFERENCE[4..]),
            format!("1;{PATH};{HASH};112;\n"),
        ] {
            assert!(Claim::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
