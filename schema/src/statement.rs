//! Statements: what a policy reads in an entry of a ledger.

use std::sync::Arc;

use thiserror::Error;

use crate::attestation::Entry;
use crate::claim::Claim;
use crate::hash::{ClaimId, KeyId, PathKey};
use crate::key::PublicKey;

/// Why a claim and a key are not what an entry tells of. A ledger that shows them for it is not
/// believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StatementError {
    /// The claim has another identity.
    #[error("the entry is about another claim")]
    OtherClaim,
    /// The claim's path is another.
    #[error("the entry names another store path than its claim")]
    OtherPath,
    /// The claim's NAR is another.
    #[error("the entry names another NAR than its claim")]
    OtherNar,
    /// The key is another.
    #[error("the entry is by another key")]
    OtherKey,
    /// The claim is in other words than the entry's kind.
    #[error("the entry is of another kind than its claim")]
    OtherDialect,
    /// The signature is not the key's over the claim.
    #[error("the entry's signature does not verify")]
    Signature,
}

/// One entry of a ledger, and what it says if that is known and was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    index: u64,
    logged_at: u64,
    path_key: PathKey,
    key_id: KeyId,
    meaning: ClaimId,
    claim: Option<Arc<Claim>>,
}

impl Statement {
    /// The entry at `index`, whose signature nobody has checked: the claim's text is not at hand, or
    /// it does not matter who signed. It is no vote; that its signer claims something else than others
    /// do is taken from it none the less. `claim` is what the entry is about, if that is at hand.
    #[must_use]
    pub fn unchecked(index: u64, entry: &Entry, claim: Option<&Claim>) -> Self {
        Self {
            index,
            logged_at: entry.logged_at,
            path_key: entry.path_key,
            key_id: entry.key_id,
            meaning: claim.map_or(entry.claim, Claim::meaning),
            claim: None,
        }
    }

    /// The entry at `index`, checked against the claim that it is about and the key that signed it.
    ///
    /// # Errors
    /// See [`StatementError`].
    pub fn verified(
        index: u64,
        entry: &Entry,
        claim: Arc<Claim>,
        key: &PublicKey,
    ) -> Result<Self, StatementError> {
        let bytes = claim.signed_bytes();
        if entry.claim != ClaimId::of(bytes.as_bytes()) {
            return Err(StatementError::OtherClaim);
        }
        if entry.path_key != claim.path().key() {
            return Err(StatementError::OtherPath);
        }
        if entry.subject != claim.nar_hash() {
            return Err(StatementError::OtherNar);
        }
        if entry.key_id != key.id() {
            return Err(StatementError::OtherKey);
        }
        if (entry.dialect, key.dialect()) != (claim.dialect(), claim.dialect()) {
            return Err(StatementError::OtherDialect);
        }
        if !key.verifies(bytes.as_bytes(), &entry.signature) {
            return Err(StatementError::Signature);
        }
        let unchecked = Self::unchecked(index, entry, Some(&claim));
        drop(bytes);
        Ok(Self { claim: Some(claim), ..unchecked })
    }

    /// Where the entry stands in its ledger.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// When the ledger says it took the entry, POSIX seconds.
    #[must_use]
    pub fn logged_at(&self) -> u64 {
        self.logged_at
    }

    /// The store path, hashed.
    #[must_use]
    pub fn path_key(&self) -> PathKey {
        self.path_key
    }

    /// Who signed.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What is claimed, whatever the words; see [`Claim::meaning`].
    #[must_use]
    pub fn meaning(&self) -> ClaimId {
        self.meaning
    }

    /// The claim, if its text is known and the signature over it was verified.
    #[must_use]
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        self.claim.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::Signed;
    use crate::hash::NarHash;
    use crate::key::SecretKey;

    #[test]
    fn an_entry_is_checked_in_every_field_that_its_claim_and_key_fix() {
        let secret = SecretKey::from_seed("alice-1".parse().unwrap(), &[1; 32]);
        let path = |name: &str| format!("/nix/store/{}-{name}", "0".repeat(32)).parse().unwrap();
        let make = |name| Claim::new(path(name), NarHash::of(b""), 112, vec![]).unwrap();
        let claim = make("hello");
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        let verified = Signed::new(claim.clone(), signature).verify(&secret.public()).unwrap();
        let (entry, claim) = (verified.entry(7), Arc::new(claim));
        let check = |entry: &Entry, key: &SecretKey| {
            Statement::verified(3, entry, claim.clone(), &key.public())
                .map(|it| it.claim().cloned())
        };
        // The name beside a key is not part of what it is.
        for name in ["alice-1", "bob-1"] {
            let key = SecretKey::from_seed(name.parse().unwrap(), &[1; 32]);
            assert_eq!(check(&entry, &key), Ok(Some(claim.clone())));
        }
        let other = SecretKey::from_seed("alice-1".parse().unwrap(), &[2; 32]);
        assert_eq!(check(&entry, &other), Err(StatementError::OtherKey));
        let bad = Entry { claim: make("bye").id(), ..entry.clone() };
        assert_eq!(check(&bad, &secret), Err(StatementError::OtherClaim));
        let bad = Entry { path_key: make("bye").path().key(), ..entry.clone() };
        assert_eq!(check(&bad, &secret), Err(StatementError::OtherPath));
        let bad = Entry { subject: NarHash::of(b"x"), ..entry.clone() };
        assert_eq!(check(&bad, &secret), Err(StatementError::OtherNar));
        let bad = Entry { signature: other.sign_unnamed(b"1;"), ..entry.clone() };
        assert_eq!(check(&bad, &secret), Err(StatementError::Signature));
        assert_eq!(Statement::unchecked(3, &bad, None).claim(), None);
    }
}
