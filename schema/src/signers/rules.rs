//! Who must have signed an event, and what may happen to which key.

use super::{MAX_DELEGATES, Signer, SignerError, Signers, Standing};
use crate::hash::KeyId;
use crate::key::PublicKey;
use crate::key_event::{KeyEntry, KeyEvent, RevokeReason, SignedKeyEvent};

impl Signers {
    /// That neither the log's clock nor the other log goes back.
    pub(super) fn check_order(&self, entry: &KeyEntry) -> Result<(), SignerError> {
        if entry.logged_at < self.logged_at {
            let (last, next) = (self.logged_at, entry.logged_at);
            return Err(SignerError::TimeGoesBack { last, next });
        }
        if entry.attestations < self.attestations {
            let (last, next) = (self.attestations, entry.attestations);
            return Err(SignerError::SizeGoesBack { last, next });
        }
        Ok(())
    }

    /// That those who must have signed did, and nobody else.
    pub(super) fn check_signatures(&self, signed: &SignedKeyEvent) -> Result<(), SignerError> {
        let (event, signatures) = (signed.event(), signed.signatures());
        let expected = if matches!(event, KeyEvent::Rotate { .. }) { 2 } else { 1 };
        if signatures.len() != expected {
            return Err(SignerError::SignatureCount { expected, found: signatures.len() });
        }
        let bytes = event.signed_bytes(&self.origin);
        let signed_by = |key: &PublicKey| {
            signatures.iter().any(|signature| {
                signature.name() == key.name() && key.verifies(&bytes, signature.signature())
            })
        };
        let must = |key: &PublicKey, otherwise: SignerError| {
            if signed_by(key) { Ok(()) } else { Err(otherwise) }
        };
        match event {
            KeyEvent::Enrol { .. } => {
                must(&self.pool, SignerError::NotSignedByPool(self.pool.name().clone()))
            }
            KeyEvent::Rotate { old, key } => {
                let old = &self.known(old)?.key;
                must(old, SignerError::NotSignedByOld(old.name().clone()))?;
                must(key, SignerError::NotSignedByNew(key.name().clone()))
            }
            KeyEvent::Delegate { root, .. } => {
                let root = &self.known(root)?.key;
                must(root, SignerError::NotSignedByRoot(root.name().clone()))
            }
            KeyEvent::Revoke { key, .. } => {
                let signer = self.known(key)?;
                let entitled = self.may_revoke(signer).any(signed_by);
                let name = || signer.key.name().clone();
                if entitled { Ok(()) } else { Err(SignerError::NotSignedByHolder(name())) }
            }
        }
    }

    /// That the event may happen now.
    pub(super) fn check_rules(&self, entry: &KeyEntry) -> Result<(), SignerError> {
        match entry.signed.event() {
            KeyEvent::Enrol { key } => self.check_fresh(key),
            KeyEvent::Rotate { old, key } => self.check_rotation(self.known(old)?, key),
            KeyEvent::Delegate { root, key, not_after, .. } => {
                let root = self.known(root)?;
                if root.delegation.is_some() {
                    return Err(SignerError::DelegateDepth(root.key.name().clone()));
                }
                root.check_active()?;
                self.check_fresh(key)?;
                if self.delegates_of(&root.key_id).count() >= MAX_DELEGATES {
                    return Err(SignerError::TooManyDelegates(root.key.name().clone()));
                }
                if *not_after < entry.logged_at {
                    let (name, not_after) = (key.name().clone(), *not_after);
                    return Err(SignerError::DelegationExpired { name, not_after });
                }
                Ok(())
            }
            KeyEvent::Revoke { key, reason } => {
                check_revocation(self.known(key)?, *reason, entry.attestations)
            }
        }
    }

    pub(super) fn known(&self, id: &KeyId) -> Result<&Signer, SignerError> {
        self.by_id(id).ok_or(SignerError::UnknownSigner(*id))
    }

    /// The key itself, the pool's own, and for a machine's key its root. A root that has rotated is
    /// answered for by whoever has its name since.
    fn may_revoke<'s>(&'s self, signer: &'s Signer) -> impl Iterator<Item = &'s PublicKey> {
        let root = signer.delegation.as_ref().and_then(|delegation| self.by_id(&delegation.root));
        let roots = root.into_iter().flat_map(|root| {
            self.keys_named(root.key.name()).skip_while(|key| key.key_id != root.key_id)
        });
        [&signer.key, &self.pool].into_iter().chain(roots.map(|root| &root.key))
    }

    /// That neither the key nor its name is anybody's.
    fn check_fresh(&self, key: &PublicKey) -> Result<(), SignerError> {
        if key.name() == self.pool.name() {
            return Err(SignerError::PoolKey(key.name().clone()));
        }
        match self.named(key.name()) {
            Some(named) if named.key == *key => Err(SignerError::KeyEnrolled(key.name().clone())),
            Some(_) => Err(SignerError::NameTaken(key.name().clone())),
            None => self.check_new(key),
        }
    }

    /// That nobody has the key, whatever its name.
    fn check_new(&self, key: &PublicKey) -> Result<(), SignerError> {
        let id = key.id();
        if id == self.pool.id() {
            return Err(SignerError::PoolKey(self.pool.name().clone()));
        }
        match self.by_id(&id) {
            Some(held) => Err(SignerError::KeyEnrolled(held.key.name().clone())),
            None => Ok(()),
        }
    }

    fn check_rotation(&self, old: &Signer, key: &PublicKey) -> Result<(), SignerError> {
        let name = || old.key.name().clone();
        if old.delegation.is_some() {
            return Err(SignerError::DelegateRotates(name()));
        }
        if old.key.name() != key.name() {
            return Err(SignerError::NameChanged { old: name(), new: key.name().clone() });
        }
        old.check_active()?;
        self.check_new(key)
    }
}

/// Only a cut may follow an end, and only a lower cut another.
fn check_revocation(
    signer: &Signer,
    reason: RevokeReason,
    attestations: u64,
) -> Result<(), SignerError> {
    let RevokeReason::Compromised { from } = reason else { return signer.check_active() };
    if from > attestations {
        return Err(SignerError::CutAhead { from, size: attestations });
    }
    match signer.standing {
        Standing::Compromised { from: before, .. } if from >= before => {
            Err(SignerError::CutNotLower { before, from })
        }
        _ => Ok(()),
    }
}
