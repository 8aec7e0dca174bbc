//! Realisations: which store path an output of a content-addressed derivation turned out to be.
//!
//! Source: Nix `src/libstore/realisation.cc`, from 2.8 to 2.34. They lie in a binary cache as
//! `realisations/<id>.doi`. What is signed is the JSON without its signatures: no white space, and
//! the keys in order. Newer versions always leave `dependentRealisations` empty.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::str::FromStr;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::hash::KeyId;
use crate::key::{KeyName, PublicKey};
use crate::narinfo::MAX_SIGNATURES;
use crate::signature::{NamedSignature, Signature};
use crate::store_path::{BaseName, StorePathError, check_name};
use crate::wire_text::wire_text;

/// The longest realisation that is read, in bytes.
pub const MAX_REALISATION_LEN: usize = 256 << 10;

const HASH_LEN: usize = 64;

/// Why something is not a realisation, or not a signed one: nothing is believed or kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RealisationError {
    /// The id does not begin with the hash of a derivation.
    #[error("the id is not sha256:<64 lower-case hex digits>!<output>")]
    Id,
    /// The output's name holds something that no name holds.
    #[error("the output: {0}")]
    Output(#[from] StorePathError),
    /// More than [`MAX_SIGNATURES`] signatures.
    #[error("{0} signatures; at most {MAX_SIGNATURES} are allowed")]
    TooManySignatures(usize),
    /// A signature does not verify.
    #[error("the signature by {0} does not verify over what the realisation says")]
    Signature(KeyName),
}

/// One output of one derivation: `sha256:<hash of the derivation>!<name of the output>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrvOutput(Box<str>);

impl DrvOutput {
    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DrvOutput {
    type Err = RealisationError;

    fn from_str(text: &str) -> Result<Self, RealisationError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let parts = text.strip_prefix("sha256:").and_then(|rest| rest.split_once('!'));
        let (hash, output) = parts.ok_or(RealisationError::Id)?;
        if hash.len() != HASH_LEN || !hash.bytes().all(digit) {
            return Err(RealisationError::Id);
        }
        check_name(output.as_bytes())?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DrvOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is said of an output. Its [fingerprint](Self::fingerprint) is what signers sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realisation {
    /// The output.
    pub id: DrvOutput,
    /// The path it turned out to be.
    pub out_path: BaseName,
    /// Which outputs that path refers to, and the paths those had turned out to be.
    pub dependencies: BTreeMap<DrvOutput, BaseName>,
}

impl Realisation {
    /// The exact text that is signed.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut out = self.open_json();
        out.push('}');
        out
    }

    // Neither ids nor base names hold a character that JSON would escape.
    fn open_json(&self) -> String {
        let mut out = String::from("{\"dependentRealisations\":{");
        for (at, (id, path)) in self.dependencies.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"{id}\":\"{path}\"");
        }
        let _ = write!(out, "}},\"id\":\"{}\",\"outPath\":\"{}\"", self.id, self.out_path);
        out
    }
}

/// A realisation as it was read. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct SignedRealisation {
    /// What the signatures are over.
    pub realisation: Realisation,
    /// The signatures, as they came.
    pub signatures: Vec<NamedSignature>,
}

impl SignedRealisation {
    /// The JSON, byte for byte as Nix writes it.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = self.realisation.open_json();
        out.push_str(",\"signatures\":[");
        for (at, line) in self.signatures.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"{line}\"");
        }
        out.push_str("]}");
        out
    }

    /// Checks the signatures, strictly; those under names that have no key are dropped.
    ///
    /// # Errors
    /// A signature that is not that of the key with its name.
    pub fn verify<'k>(
        self,
        key_of: impl Fn(&KeyName) -> Option<&'k PublicKey>,
    ) -> Result<VerifiedRealisation, RealisationError> {
        let message = self.realisation.fingerprint();
        let mut signatures = Vec::new();
        for line in self.signatures {
            let Some(key) = key_of(line.name()) else { continue };
            if key.name() != line.name() || !key.verifies(message.as_bytes(), line.signature()) {
                return Err(RealisationError::Signature(line.name().clone()));
            }
            signatures.push((key.id(), *line.signature()));
        }
        Ok(VerifiedRealisation { realisation: self.realisation, signatures })
    }
}

/// A realisation with signatures that verify over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRealisation {
    realisation: Realisation,
    signatures: Vec<(KeyId, Signature)>,
}

impl VerifiedRealisation {
    /// What was signed.
    #[must_use]
    pub fn realisation(&self) -> &Realisation {
        &self.realisation
    }

    /// By whom.
    #[must_use]
    pub fn signatures(&self) -> &[(KeyId, Signature)] {
        &self.signatures
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    #[serde(default, deserialize_with = "each_once")]
    dependent_realisations: BTreeMap<DrvOutput, BaseName>,
    id: DrvOutput,
    out_path: BaseName,
    #[serde(default)]
    signatures: Vec<NamedSignature>,
}

impl TryFrom<Wire> for SignedRealisation {
    type Error = RealisationError;

    fn try_from(wire: Wire) -> Result<Self, RealisationError> {
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(RealisationError::TooManySignatures(wire.signatures.len()));
        }
        let dependencies = wire.dependent_realisations;
        let realisation = Realisation { id: wire.id, out_path: wire.out_path, dependencies };
        Ok(Self { realisation, signatures: wire.signatures })
    }
}

/// A map whose keys stand once: of two, each reader would take another.
fn each_once<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<DrvOutput, BaseName>, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<DrvOutput, BaseName>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of base names by ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((id, path)) = entries.next_entry::<DrvOutput, BaseName>()? {
                if let Some(repeated) = map.insert(id, path) {
                    return Err(A::Error::custom(format!("a second path beside {repeated}")));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(EachOnce)
}

wire_text!(
    DrvOutput,
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855!out"
);
