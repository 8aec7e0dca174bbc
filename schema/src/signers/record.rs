//! What the table knows of one key.

use super::SignerError;
use crate::hash::KeyId;
use crate::key::PublicKey;
use crate::key_event::RevokeReason;
use crate::name_pattern::NamePattern;

/// A key that is or was a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key and its name.
    pub key: PublicKey,
    /// The key's identity.
    pub key_id: KeyId,
    /// Index in the attestations log of the first entry that may be this key's.
    pub since: u64,
    /// POSIX seconds.
    pub enrolled_at: u64,
    /// Whether it may add to the log, and if not, since when and why.
    pub standing: Standing,
    /// The lowest cut that the key itself, or its root, asked for. Other cuts are the pool's word alone.
    pub own_cut: Option<u64>,
    /// For a machine's key: in whose name it speaks, and of what.
    pub delegation: Option<Delegation>,
}

impl Signer {
    /// That the key has not ended. Whether a delegation has expired is another question.
    pub(super) fn check_active(&self) -> Result<(), SignerError> {
        let name = || self.key.name().clone();
        match self.standing {
            Standing::Active => Ok(()),
            Standing::Rotated { .. } => Err(SignerError::KeyRotated(name())),
            Standing::Retired { .. } | Standing::Compromised { .. } => {
                Err(SignerError::KeyRevoked(name()))
            }
        }
    }

    /// Revoked at index `at`: by its own word or its root's, or by the pool's alone.
    pub(super) fn end(&mut self, reason: RevokeReason, at: u64, own: bool) {
        self.standing.end(reason, at);
        if let RevokeReason::Compromised { from } = reason
            && own
        {
            self.own_cut = Some(self.own_cut.map_or(from, |before| before.min(from)));
        }
    }

    /// Whether the entry at `index`, logged at `logged_at` and about a path of this name, is one that
    /// the key had begun to be able to make, and within what its root lets it say.
    pub(super) fn may_have_said(&self, index: u64, path_name: &str, logged_at: u64) -> bool {
        let in_scope = |delegation: &Delegation| {
            logged_at <= delegation.not_after && delegation.names.matches(path_name)
        };
        index >= self.since && self.delegation.as_ref().is_none_or(in_scope)
    }
}

/// How a key stands. All indices are into the attestations log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may attest.
    Active,
    /// It passed its name on.
    Rotated {
        /// The key that has the name after it.
        to: KeyId,
        /// From this index on it adds nothing; what it signed before counts.
        at: u64,
    },
    /// It was revoked, and what it signed before counts.
    Retired {
        /// From this index on it adds nothing.
        at: u64,
    },
    /// It was revoked as compromised.
    Compromised {
        /// The cut: its entries from this index on are void.
        from: u64,
        /// From this index on it adds nothing, wherever the cut lies.
        at: u64,
    },
}

impl Standing {
    /// The first index whose entry does not count, if the key has ended.
    #[must_use]
    pub fn until(self) -> Option<u64> {
        match self {
            Self::Active => None,
            Self::Rotated { at, .. } | Self::Retired { at } => Some(at),
            Self::Compromised { from, at } => Some(from.min(at)),
        }
    }

    /// Revoked at index `at`, unless what is so already goes as far.
    fn end(&mut self, reason: RevokeReason, at: u64) {
        *self = match (reason, *self) {
            (RevokeReason::Retired, Self::Active) => Self::Retired { at },
            (RevokeReason::Retired, ended) => ended,
            (RevokeReason::Compromised { from }, Self::Active) => Self::Compromised { from, at },
            (
                RevokeReason::Compromised { from },
                Self::Rotated { at, .. } | Self::Retired { at },
            ) => Self::Compromised { from, at },
            (RevokeReason::Compromised { from }, Self::Compromised { from: before, at }) => {
                Self::Compromised { from: from.min(before), at }
            }
        };
    }
}

/// What a root key lets a machine's key do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The key that answers for the machine.
    pub root: KeyId,
    /// The names of the paths that it may attest.
    pub names: NamePattern,
    /// POSIX seconds; in this second it is still valid.
    pub not_after: u64,
}
