//! Keys of signers: Nix's, and Guix's.
//!
//! A key's identity is its [`KeyId`]; its name is what Nix looks it up by, and what people call it. A
//! line has name, colon and base 64 for a key of Nix's, `name:ecdsa:` and hex digits for one of Guix's.
//! Sources: Nix `src/libutil/signature/local-keys.cc`; the digits are those that Guix prints.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::claim::Dialect;
use crate::guix::ecdsa::{EcdsaKey, EcdsaKeyError, EcdsaSecret, EcdsaSignature};
use crate::guix::key_file;
use crate::hash::{KeyId, from_hex};
use crate::signature::{NamedSignature, Signature};
use crate::wire_text::wire_text;

mod point;

pub use point::KeyPoint;

/// What stands between name and digits of a Guix key.
const ECDSA: &str = "ecdsa:";

/// The longest name of a key, in bytes.
pub const MAX_KEY_NAME_LEN: usize = 128;

/// Why a text is not a key. The text is never part of the message: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The name is empty, too long, or holds characters that a URL or a narinfo cannot carry.
    #[error(
        "not a key name: 1 to {MAX_KEY_NAME_LEN} letters, digits or . _ + @ -, starting with a letter or digit"
    )]
    Name,
    /// There is no colon between name and key.
    #[error("no colon between the key's name and its base 64")]
    NoColon,
    /// The part after the colon is not the canonical base 64 of so many bytes.
    #[error("expected the base 64 of {expected} bytes after the colon")]
    Base64 {
        /// How many bytes such a key has.
        expected: usize,
    },
    /// The bytes are not a point of the curve, or not its canonical spelling.
    #[error("not the canonical encoding of a point on the curve")]
    NotAPoint,
    /// A point of small order, for which anybody can make signatures.
    #[error("the key has small order: signatures by it prove nothing")]
    SmallOrder,
    /// The public half of a secret key does not belong to its secret half.
    #[error("the public half does not belong to the secret half")]
    Halves,
    /// A key of Guix's, where only one of Nix's can be.
    #[error("not an Ed25519 key")]
    NotEd25519,
    /// A key of Guix's that is none.
    #[error("the part after ecdsa: {0}")]
    Ecdsa(#[from] EcdsaKeyError),
    /// The digits of a key of Guix's are others, or not as many.
    #[error("expected 64 upper-case hex digits after ecdsa:")]
    Hex,
}

/// The name of a key, such as `cache.example.org-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Box<str>);

impl KeyName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@-".contains(&byte);
        let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if starts && text.len() <= MAX_KEY_NAME_LEN && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::Name)
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named public key: canonical, and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: KeyName,
    key: Public,
}

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Ed25519(KeyPoint),
    Ecdsa(EcdsaKey),
}

impl PublicKey {
    /// Names the Ed25519 key with these 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] and [`KeyError::SmallOrder`].
    pub fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Ok(Self { name, key: Public::Ed25519(KeyPoint::from_bytes(bytes)?) })
    }

    /// Names a key of Guix's, whose files have no names.
    #[must_use]
    pub fn of_guix(name: KeyName, key: EcdsaKey) -> Self {
        Self { name, key: Public::Ecdsa(key) }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's identity.
    #[must_use]
    pub fn id(&self) -> KeyId {
        const ED25519: [u8; 1] = [1];
        match &self.key {
            Public::Ed25519(key) => {
                let digest = Sha256::new().chain_update(ED25519).chain_update(key.as_bytes());
                KeyId::from_bytes(digest.finalize().into())
            }
            Public::Ecdsa(key) => key.id(),
        }
    }

    /// In which words its holder makes claims.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.key {
            Public::Ed25519(_) => Dialect::Nix,
            Public::Ecdsa(_) => Dialect::Guix,
        }
    }

    /// An Ed25519 key without its name.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`], for a key of Guix's.
    pub fn point(&self) -> Result<&KeyPoint, KeyError> {
        match &self.key {
            Public::Ed25519(key) => Ok(key),
            Public::Ecdsa(_) => Err(KeyError::NotEd25519),
        }
    }

    /// A key of Guix's without its name.
    #[must_use]
    pub fn guix(&self) -> Option<&EcdsaKey> {
        match &self.key {
            Public::Ed25519(_) => None,
            Public::Ecdsa(key) => Some(key),
        }
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        match &self.key {
            Public::Ed25519(key) => key.as_bytes(),
            Public::Ecdsa(key) => key.as_bytes(),
        }
    }

    /// Whether `signature` is this key's over `message`: see [`KeyPoint::verifies`], and for a key of
    /// Guix's [`EcdsaKey::verifies`].
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        match &self.key {
            Public::Ed25519(key) => key.verifies(message, signature),
            Public::Ecdsa(key) => EcdsaSignature::from_bytes(signature.as_bytes())
                .is_some_and(|it| key.verifies(&Sha256::digest(message).into(), &it)),
        }
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(line: &str) -> Result<Self, KeyError> {
        let (name, encoded) = line.split_once(':').ok_or(KeyError::NoColon)?;
        let Some(digits) = encoded.strip_prefix(ECDSA) else {
            let (name, bytes) = parse_line::<32>(line)?;
            return Self::from_bytes(name, &bytes);
        };
        let bytes = from_hex(digits.as_bytes()).and_then(|it| <[u8; 32]>::try_from(it).ok());
        let lower = digits.bytes().any(|digit| digit.is_ascii_lowercase());
        let bytes = bytes.filter(|_| !lower).ok_or(KeyError::Hex)?;
        Ok(Self::of_guix(name.parse()?, EcdsaKey::from_bytes(&bytes)?))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Public::Ed25519(key) => write!(f, "{}:{}", self.name, STANDARD.encode(key.as_bytes())),
            Public::Ecdsa(key) => {
                write!(f, "{}:{ECDSA}", self.name)?;
                key.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
            }
        }
    }
}

/// A named secret key, Nix's or Guix's. Wiped when dropped.
pub struct SecretKey {
    name: KeyName,
    key: Secret,
}

enum Secret {
    Ed25519(SigningKey),
    Ecdsa(EcdsaSecret),
}

impl SecretKey {
    /// Names the Ed25519 key that grows from `seed`, 32 bytes of a good random source.
    #[must_use]
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        Self { name, key: Secret::Ed25519(SigningKey::from_bytes(seed)) }
    }

    /// Names a key of Guix's, whose files have no names.
    #[must_use]
    pub fn of_guix(name: KeyName, key: EcdsaSecret) -> Self {
        Self { name, key: Secret::Ecdsa(key) }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public half, under the same name.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let key = match &self.key {
            Secret::Ed25519(key) => Public::Ed25519(KeyPoint::of(key)),
            Secret::Ecdsa(key) => Public::Ecdsa(key.public()),
        };
        PublicKey { name: self.name.clone(), key }
    }

    /// Signs `message` under the key's name.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> NamedSignature {
        NamedSignature::new(self.name.clone(), self.sign_unnamed(message))
    }

    /// Signs `message`, for formats that name the key in another way.
    #[must_use]
    pub fn sign_unnamed(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(match &self.key {
            Secret::Ed25519(key) => key.sign(message).to_bytes(),
            Secret::Ecdsa(key) => key.sign(&Sha256::digest(message).into()).to_bytes(),
        })
    }

    /// The text for a key file. For an Ed25519 key that is a line: name, colon, base 64 of seed and
    /// public key. For a key of Guix's, the s-expression, which has no name.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        match &self.key {
            Secret::Ed25519(key) => {
                let pair = Zeroizing::new(key.to_keypair_bytes());
                let encoded = Zeroizing::new(STANDARD.encode(*pair));
                Zeroizing::new(format!("{}:{}", self.name, *encoded))
            }
            Secret::Ecdsa(key) => key_file::print_secret(key),
        }
    }
}

/// Reads the line of an Ed25519 key. Guix's key files are read by [`key_file::parse_secret`].
impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(line: &str) -> Result<Self, KeyError> {
        let (name, pair) = parse_line::<64>(line)?;
        let pair = Zeroizing::new(pair);
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| KeyError::Halves)?;
        PublicKey::from_bytes(name.clone(), key.verifying_key().as_bytes())?;
        Ok(Self { name, key: Secret::Ed25519(key) })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

fn parse_line<const N: usize>(line: &str) -> Result<(KeyName, [u8; N]), KeyError> {
    let (name, encoded) = line.split_once(':').ok_or(KeyError::NoColon)?;
    let bytes =
        Zeroizing::new(STANDARD.decode(encoded).map_err(|_| KeyError::Base64 { expected: N })?);
    let bytes = bytes.as_slice().try_into().map_err(|_| KeyError::Base64 { expected: N })?;
    Ok((name.parse()?, bytes))
}

wire_text!(KeyName, "cache.example.org-1");
wire_text!(PublicKey, "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");

#[cfg(test)]
mod tests {
    use super::*;

    const NIXOS: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

    #[test]
    fn the_best_known_key_reads_and_prints() {
        let key: PublicKey = NIXOS.parse().unwrap();
        assert_eq!(key.to_string(), NIXOS);
        assert_eq!(key.name().as_str(), "cache.nixos.org-1");
    }

    #[test]
    fn a_secret_key_signs_what_its_public_half_verifies() {
        let secret = SecretKey::from_seed("alice-1".parse().unwrap(), &[7; 32]);
        let again: SecretKey = secret.to_text().parse().unwrap();
        assert_eq!(again.public(), secret.public());
        let signature = again.sign(b"1;sentence");
        assert!(secret.public().verifies(b"1;sentence", signature.signature()));
        assert!(!secret.public().verifies(b"1;sentences", signature.signature()));
    }

    #[test]
    fn small_order_and_non_canonical_points_are_refused() {
        let name: KeyName = "x".parse().unwrap();
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut beyond_p = [0xff; 32];
        beyond_p[0] = 0xee;
        beyond_p[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(name.clone(), &identity), Err(KeyError::SmallOrder));
        assert_eq!(PublicKey::from_bytes(name.clone(), &[0; 32]), Err(KeyError::SmallOrder));
        assert_eq!(PublicKey::from_bytes(name.clone(), &beyond_p), Err(KeyError::NotAPoint));
        assert_eq!(PublicKey::from_bytes(name, &[0xff; 32]), Err(KeyError::NotAPoint));
    }

    #[test]
    fn loose_lines_are_refused_without_quoting_them() {
        for line in ["", "x", "x:", ":AAAA", "x:AAAA", &format!("{NIXOS} "), &format!("a b{NIXOS}")]
        {
            let error = line.parse::<PublicKey>().unwrap_err().to_string();
            assert!(line.len() < 3 || !error.contains(line), "{error}");
        }
        for name in ["", "-x", "a:b", "a/b", "a,b", "a\n", "ä"] {
            assert_eq!(name.parse::<KeyName>(), Err(KeyError::Name), "{name:?}");
        }
    }

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        let one = SecretKey::from_seed("a".parse().unwrap(), &[1; 32]);
        let two = SecretKey::from_seed("a".parse().unwrap(), &[2; 32]);
        let Secret::Ed25519(key) = &one.key else { unreachable!("it grew from a seed") };
        let mut pair = key.to_keypair_bytes();
        pair[32..].copy_from_slice(two.public().as_bytes());
        let line = format!("a:{}", STANDARD.encode(pair));
        assert_eq!(line.parse::<SecretKey>().err(), Some(KeyError::Halves));
    }
}
