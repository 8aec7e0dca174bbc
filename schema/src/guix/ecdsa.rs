//! ECDSA over the Edwards curve Ed25519, with SHA-256 and the nonces of RFC 6979, as libgcrypt has it.
//!
//! It is not EdDSA. With the base point B of the order n and the first 253 bits e of a message's hash,
//! a signature is r = x(kB) mod n and s = (e + d r) / k mod n. Sources: libgcrypt's `ecc-ecdsa.c` and
//! `dsa-common.c`, whose signatures these are byte for byte.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U256, const_monty_params};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::hash::KeyId;

/// In the identity of a key: of which algorithm it is.
const ALGORITHM: u8 = 2;

const_monty_params!(
    FieldModulus,
    U256,
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    "The field of Ed25519: the integers modulo 2^255 - 19."
);

type Field = ConstMontyForm<FieldModulus, { U256::LIMBS }>;

/// Why some bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EcdsaKeyError {
    /// They encode no point, or not as the one encoding of it.
    #[error("not the encoding of a point")]
    NotAPoint,
    /// With it, signatures verify that nobody made.
    #[error("a point outside of the group that signatures are in")]
    OutsideOfGroup,
    /// A secret key that is none.
    #[error("a secret key is 32 bytes, and no multiple of the group's order")]
    Secret,
}

/// A public key of Guix: a point of the order n, in its one encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcdsaKey {
    bytes: [u8; 32],
    point: EdwardsPoint,
}

impl EcdsaKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// Anything that is not a point of the order n, canonically encoded: libgcrypt takes the neutral
    /// element too, under which any signature verifies.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, EcdsaKeyError> {
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(EcdsaKeyError::NotAPoint)?;
        if point.compress().as_bytes() != bytes {
            return Err(EcdsaKeyError::NotAPoint);
        }
        if point.is_identity() || !point.is_torsion_free() {
            return Err(EcdsaKeyError::OutsideOfGroup);
        }
        Ok(Self { bytes: *bytes, point })
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key's identity.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Sha256::new().chain_update([ALGORITHM]).chain_update(self.bytes);
        KeyId::from_bytes(digest.finalize().into())
    }

    /// Whether `signature` is this key's over a message with this SHA-256 hash.
    #[must_use]
    pub fn verifies(&self, hash: &[u8; 32], signature: &EcdsaSignature) -> bool {
        let inverse = signature.s.invert();
        let (by_base, by_key) = (first_bits(hash) * inverse, signature.r * inverse);
        let point =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(&by_key, &self.point, &by_base);
        !point.is_identity() && x_of(&point) == signature.r
    }
}

/// A secret key of Guix.
pub struct EcdsaSecret {
    /// As it stands in the key file: nonces follow from these very bytes.
    bytes: Zeroizing<[u8; 32]>,
    scalar: Zeroizing<Scalar>,
}

impl EcdsaSecret {
    /// The key with these 32 bytes, the most significant first.
    ///
    /// # Errors
    /// [`EcdsaKeyError::Secret`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, EcdsaKeyError> {
        let scalar = Zeroizing::new(modulo(bytes));
        if *scalar == Scalar::ZERO {
            return Err(EcdsaKeyError::Secret);
        }
        Ok(Self { bytes: Zeroizing::new(*bytes), scalar })
    }

    /// The key that grows from 64 bytes of a good random source: each is as likely as any other.
    ///
    /// # Errors
    /// [`EcdsaKeyError::Secret`], which no random source ever leads to.
    pub fn from_random(random: &[u8; 64]) -> Result<Self, EcdsaKeyError> {
        let mut bytes = Zeroizing::new(Scalar::from_bytes_mod_order_wide(random).to_bytes());
        bytes.reverse();
        Self::from_bytes(&bytes)
    }

    /// As it stands in the key file, the most significant byte first.
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> EcdsaKey {
        let point = EdwardsPoint::mul_base(&self.scalar);
        EcdsaKey { bytes: point.compress().to_bytes(), point }
    }

    /// Signs a message with this SHA-256 hash. What a nonce is never shows in the time it takes.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> EcdsaSignature {
        let e = first_bits(hash);
        let mut nonces = Nonces::new(&self.bytes, &e);
        loop {
            let nonce = nonces.next();
            let r = x_of(&EdwardsPoint::mul_base(&nonce));
            let s = nonce.invert() * (e + *self.scalar * r);
            if r != Scalar::ZERO && s != Scalar::ZERO {
                return EcdsaSignature { r, s };
            }
        }
    }
}

/// A signature: two numbers above 0 and below n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EcdsaSignature {
    r: Scalar,
    s: Scalar,
}

impl EcdsaSignature {
    /// The signature of these two numbers, each in up to 32 bytes, the most significant first. None
    /// for anything but numbers above 0 and below n.
    #[must_use]
    pub fn new(r: &[u8], s: &[u8]) -> Option<Self> {
        Some(Self { r: number(r)?, s: number(s)? })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes. None for anything but numbers above 0 and below n.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let number = |half: &[u8]| {
            let mut little: [u8; 32] = half.try_into().ok()?;
            little.reverse();
            let number: Option<Scalar> = Scalar::from_canonical_bytes(little).into();
            number.filter(|number| *number != Scalar::ZERO)
        };
        let (r, s) = bytes.split_at(32);
        Some(Self { r: number(r)?, s: number(s)? })
    }

    /// The two numbers in 32 bytes each, the most significant first.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut out = [0; 64];
        for (half, number) in out.chunks_exact_mut(32).zip([self.r, self.s]) {
            half.copy_from_slice(number.as_bytes());
            half.reverse();
        }
        out
    }

    /// The two numbers, the most significant byte first, without zeros before it.
    #[must_use]
    pub fn numbers(&self) -> [Vec<u8>; 2] {
        [self.r, self.s].map(|number| {
            let bytes = number.to_bytes();
            bytes.iter().rev().skip_while(|byte| **byte == 0).copied().collect()
        })
    }
}

/// A number above 0 and below n, without zeros before it.
fn number(bytes: &[u8]) -> Option<Scalar> {
    if bytes.len() > 32 || bytes.first().is_none_or(|first| *first == 0) {
        return None;
    }
    let mut little = [0; 32];
    for (to, from) in little.iter_mut().zip(bytes.iter().rev()) {
        *to = *from;
    }
    Option::from(Scalar::from_canonical_bytes(little))
}

/// A number of 32 bytes, the most significant first, modulo n.
fn modulo(bytes: &[u8; 32]) -> Scalar {
    let mut little = *bytes;
    little.reverse();
    Scalar::from_bytes_mod_order(little)
}

/// The first 253 bits, as many as n has, modulo n.
fn first_bits(hash: &[u8; 32]) -> Scalar {
    modulo(&shifted(hash))
}

/// The number in these bytes without its last three bits.
fn shifted(bytes: &[u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut above = 0;
    for (to, byte) in out.iter_mut().zip(bytes) {
        *to = above << 5 | byte >> 3;
        above = byte & 7;
    }
    out
}

/// The affine x of a point, modulo n. The point is public, and so is what this takes.
fn x_of(point: &EdwardsPoint) -> Scalar {
    let mut encoded = point.compress().to_bytes();
    let is_odd = encoded[31] >> 7 == 1;
    encoded[31] &= 0x7f;
    let y = Field::new(&U256::from_le_slice(&encoded));
    // From -x² + y² = 1 + d x² y², with d = -121665/121666.
    let square = y.square();
    let numerator = square - Field::ONE;
    let small = |number: u64| Field::new(&U256::from_u64(number));
    let denominator = (small(121_666) - small(121_665) * square) * inverse(&small(121_666));
    // A square root of u/v in a field of 5 modulo 8 elements is (u/v)^((p+3)/8), or that times √-1.
    let quotient = numerator * inverse(&denominator);
    let root = quotient.pow(&ROOT);
    let root =
        if root.square() == quotient { root } else { root * small(2).pow(&ROOT_OF_MINUS_ONE) };
    let x = root.retrieve();
    let x = if bool::from(x.is_odd()) == is_odd { x } else { (-root).retrieve() };
    let mut little = [0; 32];
    little.copy_from_slice(&x.to_le_bytes()[..32]);
    Scalar::from_bytes_mod_order(little)
}

/// (p + 3) / 8.
const ROOT: U256 =
    U256::from_be_hex("0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe");
/// (p - 1) / 4.
const ROOT_OF_MINUS_ONE: U256 =
    U256::from_be_hex("1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffb");
/// p - 2.
const INVERSE: U256 =
    U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeb");

fn inverse(number: &Field) -> Field {
    number.pow(&INVERSE)
}

/// The nonces of RFC 6979, section 3.2, with SHA-256.
struct Nonces {
    key: Zeroizing<[u8; 32]>,
    value: Zeroizing<[u8; 32]>,
}

impl Nonces {
    fn new(secret: &[u8; 32], e: &Scalar) -> Self {
        let mut message = e.to_bytes();
        message.reverse();
        let mut nonces = Self { key: Zeroizing::new([0; 32]), value: Zeroizing::new([1; 32]) };
        for step in [0, 1] {
            nonces.step(&[&[step], secret, &message]);
        }
        nonces
    }

    fn next(&mut self) -> Zeroizing<Scalar> {
        loop {
            self.value = self.keyed(&[]);
            let mut candidate = Zeroizing::new(shifted(&self.value));
            candidate.reverse();
            let nonce = Option::<Scalar>::from(Scalar::from_canonical_bytes(*candidate));
            // For the time after, if there is one.
            self.step(&[&[0]]);
            if let Some(nonce) = nonce.filter(|nonce| *nonce != Scalar::ZERO) {
                return Zeroizing::new(nonce);
            }
        }
    }

    fn step(&mut self, parts: &[&[u8]]) {
        self.key = self.keyed(parts);
        self.value = self.keyed(&[]);
    }

    fn keyed(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key[..]);
        let mut mac = mac.unwrap_or_else(|_| unreachable!("a key of any length will do"));
        mac.update(&self.value[..]);
        parts.iter().for_each(|part| mac.update(part));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}
