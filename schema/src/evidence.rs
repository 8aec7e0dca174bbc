//! Evidence as somebody reads it who trusts no pool: what comes out of here stands in a ledger that the
//! pool has signed, that has only grown from what was seen of it before, and is all that the ledger has
//! about each path.
//!
//! A pool answers with [`crate::api::EvidenceLine`]s. [`Known::read`] takes the first, and a [`Reading`]
//! the others; only its [`end`](Reading::end) hands anything out.

mod caught;
mod known;
mod path;
mod reading;

pub use caught::Caught;
pub use known::{Known, LogKeys, Tree};
pub use path::{ShownClaim, ShownPath};
pub use reading::{Proved, Reading};

use crate::tlog::note::VerifierKey;

/// Which witnesses must have cosigned the checkpoints: `k` of `members`. With none, nobody need have.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witnessing<'w> {
    /// How many.
    pub k: usize,
    /// Of whom.
    pub members: &'w [VerifierKey],
}
