//! Attestations: one signer's signature over one claim, and its entry in the ledger.

use thiserror::Error;

use crate::claim::{Claim, Dialect};
use crate::hash::{ClaimId, KeyId, NarHash, PathKey};
use crate::key::{KeyName, PublicKey};
use crate::signature::{NamedSignature, Signature};

/// The size of an entry, in bytes.
pub const ENTRY_LEN: usize = 210;

const MAGIC: [u8; 4] = *b"NPA1";
/// Ed25519 has two halves of 32 bytes, and so has ECDSA over Ed25519: r and s, big-endian.
const SIGNATURE_LEN: u16 = 64;

/// The numbers of the kind of narinfo and of the algorithm that signs it.
const fn numbers(dialect: Dialect) -> [u8; 2] {
    match dialect {
        Dialect::Nix => [1, 1],
        Dialect::Guix => [2, 2],
    }
}

/// A signature that is not the named key's over the claim: nothing is believed or kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttestationError {
    /// The signature names another key than the one it was checked with.
    #[error("signed under the name {signed}, but the key is called {key}")]
    OtherKey {
        /// The name beside the signature.
        signed: KeyName,
        /// The name of the key at hand.
        key: KeyName,
    },
    /// The key is not one that signs claims in such words.
    #[error("{0} does not sign such claims: Nix's keys sign fingerprints, Guix's keys narinfos")]
    OtherDialect(KeyName),
    /// The signature does not verify.
    #[error("the signature by {0} does not verify over what the claim says")]
    Invalid(KeyName),
}

/// A claim with a signature beside it that nobody has checked yet.
#[derive(Debug, Clone)]
pub struct Signed {
    claim: Claim,
    signature: NamedSignature,
}

impl Signed {
    /// Puts them side by side.
    #[must_use]
    pub fn new(claim: Claim, signature: NamedSignature) -> Self {
        Self { claim, signature }
    }

    /// Checks the signature with `key`, strictly.
    ///
    /// # Errors
    /// Another key's name beside the signature, or a signature that is not this key's.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, AttestationError> {
        if self.signature.name() != key.name() {
            let signed = self.signature.name().clone();
            return Err(AttestationError::OtherKey { signed, key: key.name().clone() });
        }
        if self.claim.dialect() != key.dialect() {
            return Err(AttestationError::OtherDialect(key.name().clone()));
        }
        let bytes = self.claim.signed_bytes();
        if !key.verifies(bytes.as_bytes(), self.signature.signature()) {
            return Err(AttestationError::Invalid(key.name().clone()));
        }
        let claim_id = ClaimId::of(bytes.as_bytes());
        drop(bytes);
        Ok(Verified {
            claim_id,
            claim: self.claim,
            key_id: key.id(),
            signature: *self.signature.signature(),
        })
    }
}

/// A claim with a signature that was verified. Only [`Signed::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    claim: Claim,
    claim_id: ClaimId,
    key_id: KeyId,
    signature: Signature,
}

impl Verified {
    /// What was signed.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The claim's identity.
    #[must_use]
    pub fn claim_id(&self) -> ClaimId {
        self.claim_id
    }

    /// Who signed.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The entry for the ledger, logged at `logged_at`, POSIX seconds.
    #[must_use]
    pub fn entry(&self, logged_at: u64) -> Entry {
        Entry {
            dialect: self.claim.dialect(),
            logged_at,
            subject: self.claim.nar_hash(),
            path_key: self.claim.path().key(),
            claim: self.claim_id,
            key_id: self.key_id,
            signature: self.signature,
        }
    }
}

/// Why some bytes are not an entry: they are not taken into a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Too short or too long.
    #[error("an entry has {ENTRY_LEN} bytes, this has {0}")]
    Length(usize),
    /// Not `NPA1`.
    #[error("not an attestation entry: it does not begin with NPA1")]
    Magic,
    /// A kind of claim or an algorithm that is not known here.
    #[error("kind {kind} with algorithm {alg} is not known")]
    Kind {
        /// The kind's number.
        kind: u8,
        /// The algorithm's number.
        alg: u8,
    },
    /// The two bytes that must be zero are not.
    #[error("bytes 6 and 7 are not zero")]
    Reserved,
    /// The declared length of the signature is not its algorithm's.
    #[error("a signature of {0} bytes; each has {SIGNATURE_LEN}")]
    SignatureLength(u16),
}

/// One attestation as the ledger holds it: hashes, no text, fixed layout, big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In whose words the claim is made, and so by which algorithm it is signed.
    pub dialect: Dialect,
    /// When the log says it took the entry, POSIX seconds.
    pub logged_at: u64,
    /// The NAR.
    pub subject: NarHash,
    /// The store path, hashed.
    pub path_key: PathKey,
    /// The claim.
    pub claim: ClaimId,
    /// The signer.
    pub key_id: KeyId,
    /// The signature over the claim's signed bytes.
    pub signature: Signature,
}

impl Entry {
    /// The bytes of the entry.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&numbers(self.dialect));
        out[8..16].copy_from_slice(&self.logged_at.to_be_bytes());
        out[16..48].copy_from_slice(self.subject.as_bytes());
        out[48..80].copy_from_slice(self.path_key.as_bytes());
        out[80..112].copy_from_slice(self.claim.as_bytes());
        out[112..144].copy_from_slice(self.key_id.as_bytes());
        out[144..146].copy_from_slice(&SIGNATURE_LEN.to_be_bytes());
        out[146..].copy_from_slice(self.signature.as_bytes());
        out
    }

    /// Reads an entry; every byte is checked or kept.
    ///
    /// # Errors
    /// Anything that [`to_bytes`](Self::to_bytes) would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let bytes: &[u8; ENTRY_LEN] =
            bytes.try_into().map_err(|_| EntryError::Length(bytes.len()))?;
        if bytes[..4] != MAGIC {
            return Err(EntryError::Magic);
        }
        let mut known = [Dialect::Nix, Dialect::Guix].into_iter();
        let dialect = known.find(|dialect| numbers(*dialect) == part(bytes, 4));
        let dialect = dialect.ok_or(EntryError::Kind { kind: bytes[4], alg: bytes[5] })?;
        if bytes[6..8] != [0, 0] {
            return Err(EntryError::Reserved);
        }
        let signature_len = u16::from_be_bytes(part(bytes, 144));
        if signature_len != SIGNATURE_LEN {
            return Err(EntryError::SignatureLength(signature_len));
        }
        Ok(Self {
            dialect,
            logged_at: u64::from_be_bytes(part(bytes, 8)),
            subject: NarHash::from_bytes(part(bytes, 16)),
            path_key: PathKey::from_bytes(part(bytes, 48)),
            claim: ClaimId::from_bytes(part(bytes, 80)),
            key_id: KeyId::from_bytes(part(bytes, 112)),
            signature: Signature::from_bytes(part(bytes, 146)),
        })
    }
}

fn part<const N: usize>(bytes: &[u8; ENTRY_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    const CLAIM: &str = "1;/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12;\
        sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;112;";

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed("alice-1".parse().unwrap(), &[seed; 32])
    }

    fn signed(by: &SecretKey) -> Signed {
        Signed::new(Claim::parse(CLAIM.as_bytes()).unwrap(), by.sign(CLAIM.as_bytes()))
    }

    #[test]
    fn only_the_named_keys_own_signature_verifies() {
        let alice = key(1);
        let verified = signed(&alice).verify(&alice.public()).unwrap();
        assert_eq!(verified.key_id(), alice.public().id());
        let impostor = signed(&key(2)).verify(&alice.public());
        assert!(matches!(impostor, Err(AttestationError::Invalid(_))));
        let bob = SecretKey::from_seed("bob-1".parse().unwrap(), &[1; 32]);
        let renamed = signed(&alice).verify(&bob.public());
        assert!(matches!(renamed, Err(AttestationError::OtherKey { .. })));
    }

    #[test]
    fn an_entry_has_the_published_layout() {
        let alice = key(1);
        let entry = signed(&alice).verify(&alice.public()).unwrap().entry(0x0102_0304);
        let bytes = entry.to_bytes();
        assert_eq!(&bytes[..16], b"NPA1\x01\x01\0\0\0\0\0\0\x01\x02\x03\x04");
        assert_eq!(&bytes[80..112], ClaimId::of(CLAIM.as_bytes()).as_bytes());
        assert_eq!(&bytes[144..146], [0, 64]);
        assert_eq!(Entry::parse(&bytes), Ok(entry));
    }

    #[test]
    fn no_byte_of_the_frame_may_differ() {
        let alice = key(1);
        let bytes = signed(&alice).verify(&alice.public()).unwrap().entry(7).to_bytes();
        for at in (0..8).chain(144..146) {
            let mut bad = bytes;
            bad[at] ^= 0x80;
            assert!(Entry::parse(&bad).is_err(), "byte {at}");
        }
        assert_eq!(Entry::parse(&bytes[..209]), Err(EntryError::Length(209)));
    }
}
