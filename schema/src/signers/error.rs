//! Why an event is not taken, or a key may not attest.

use thiserror::Error;

use super::MAX_DELEGATES;
use crate::hash::KeyId;
use crate::key::KeyName;
use crate::name_pattern::NamePattern;

/// Why an event is not taken, or a key may not attest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignerError {
    /// Another key has or had the name.
    #[error("the name {0} belongs to another key, and passes on only when that key rotates")]
    NameTaken(KeyName),
    /// The key is a signer already.
    #[error("this key is enrolled already, under the name {0}")]
    KeyEnrolled(KeyName),
    /// The key or its name is the pool's own.
    #[error("{0} is the pool's own key, which never vouches for a build")]
    PoolKey(KeyName),
    /// No event ever spoke of the key.
    #[error("no signer has the key {0}")]
    UnknownSigner(KeyId),
    /// Too few signatures, or too many.
    #[error("{found} signatures; such an event has {expected}")]
    SignatureCount {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The operator did not sign the enrolment.
    #[error("not signed by {0}, the pool's own key, for this log")]
    NotSignedByPool(KeyName),
    /// The key that is left behind did not sign.
    #[error("not signed by the old key of {0} for this log")]
    NotSignedByOld(KeyName),
    /// The successor did not sign.
    #[error("not signed by the new key of {0} for this log")]
    NotSignedByNew(KeyName),
    /// The root did not sign.
    #[error("not signed by the root {0} for this log")]
    NotSignedByRoot(KeyName),
    /// Nobody signed who may revoke the key.
    #[error("not signed for this log by anybody who may revoke {0}")]
    NotSignedByHolder(KeyName),
    /// The successor has another name.
    #[error("the new key is called {new}, and the old one {old}; a rotation keeps the name")]
    NameChanged {
        /// The name of the key that is left behind.
        old: KeyName,
        /// The name of the other.
        new: KeyName,
    },
    /// A machine's key cannot be a root.
    #[error("{0} is a delegate itself, and delegates to nobody")]
    DelegateDepth(KeyName),
    /// A machine's key cannot choose its successor.
    #[error("{0} is a delegate, and delegates do not rotate")]
    DelegateRotates(KeyName),
    /// The root delegated to as many keys as it can.
    #[error("{0} has delegated to {MAX_DELEGATES} keys, and one root delegates to no more")]
    TooManyDelegates(KeyName),
    /// The machine's key is past its time.
    #[error("the delegation of {name} ended at {not_after} (POSIX seconds)")]
    DelegationExpired {
        /// The machine's key.
        name: KeyName,
        /// POSIX seconds.
        not_after: u64,
    },
    /// The machine's key may not speak of such a path.
    #[error("{name} may attest paths called {names}, and {path_name} is not")]
    OutOfScope {
        /// The machine's key.
        name: KeyName,
        /// What it may attest.
        names: NamePattern,
        /// What it was about.
        path_name: String,
    },
    /// The key passed its name on.
    #[error("this key of {0} was rotated: a newer one has its name")]
    KeyRotated(KeyName),
    /// The key was revoked.
    #[error("the key {0} was revoked")]
    KeyRevoked(KeyName),
    /// The cut is where no entry stands yet.
    #[error("the cut {from} lies beyond the log, which has {size} entries")]
    CutAhead {
        /// The cut.
        from: u64,
        /// Entries in the attestations log.
        size: u64,
    },
    /// There is a cut as low already.
    #[error("the key's entries are void from {before} on already; a cut at {from} adds nothing")]
    CutNotLower {
        /// The cut that there is.
        before: u64,
        /// The cut asked for.
        from: u64,
    },
    /// The log's clock ran backwards.
    #[error("logged at {next}, after an entry logged at {last}")]
    TimeGoesBack {
        /// POSIX seconds of the entry before.
        last: u64,
        /// POSIX seconds of this one.
        next: u64,
    },
    /// The attestations log shrank.
    #[error("taken at {next} attestations, after an entry taken at {last}")]
    SizeGoesBack {
        /// Attestations at the entry before.
        last: u64,
        /// Attestations at this one.
        next: u64,
    },
}

impl SignerError {
    /// For programs: stable, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "name_taken",
            Self::KeyEnrolled(_) => "key_enrolled",
            Self::PoolKey(_) => "pool_key",
            Self::UnknownSigner(_) => "unknown_signer",
            Self::SignatureCount { .. } => "signature_count",
            Self::NotSignedByPool(_) => "not_signed_by_pool",
            Self::NotSignedByOld(_) => "not_signed_by_old",
            Self::NotSignedByNew(_) => "not_signed_by_new",
            Self::NotSignedByRoot(_) => "not_signed_by_root",
            Self::NotSignedByHolder(_) => "not_signed_by_holder",
            Self::NameChanged { .. } => "name_changed",
            Self::DelegateDepth(_) => "delegate_depth",
            Self::DelegateRotates(_) => "delegate_rotates",
            Self::TooManyDelegates(_) => "too_many_delegates",
            Self::DelegationExpired { .. } => "delegation_expired",
            Self::OutOfScope { .. } => "out_of_scope",
            Self::KeyRotated(_) => "key_rotated",
            Self::KeyRevoked(_) => "key_revoked",
            Self::CutAhead { .. } => "cut_ahead",
            Self::CutNotLower { .. } => "cut_not_lower",
            Self::TimeGoesBack { .. } => "time_goes_back",
            Self::SizeGoesBack { .. } => "size_goes_back",
        }
    }

    /// What to do about it, where there is something.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NameTaken(_) => Some("make a key under another name, such as one ending in -2"),
            Self::KeyRevoked(_) => {
                Some("make a key under another name, such as one ending in -2, and enrol it")
            }
            Self::KeyRotated(_) => Some("use the key that it was rotated to"),
            Self::DelegationExpired { .. } => {
                Some("the root delegates to a new key, under a new name")
            }
            Self::DelegateRotates(_) => {
                Some("revoke it, and let its root delegate to a new key, under a new name")
            }
            Self::DelegateDepth(_) => Some("let the root delegate to this key"),
            Self::TooManyDelegates(_) => {
                Some("rotate the root: the new key may delegate as often again")
            }
            Self::NameChanged { .. } => Some("make the new key under the old one's name"),
            Self::NotSignedByHolder(_) => {
                Some("the key itself, its root if it is a delegate, or the pool's operator may")
            }
            _ => None,
        }
    }
}
