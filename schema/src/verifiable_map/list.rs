//! The list of one key, as far as it has to be known to add to it and to compare it.

use thiserror::Error;

use super::{LIST, tagged};
use crate::hash::ListHash;

/// An index that does not come after the one before it: this is not a list of the map's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("index {index} does not come after {last}")]
pub struct NotAscending {
    /// The last of the list.
    pub last: u64,
    /// What was to follow it.
    pub index: u64,
}

/// A list of ascending ledger indices, of which the last and the hash of all are kept. A reader
/// who has it can read on where a list was cut, without what came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListChain {
    len: u64,
    last: u64,
    hash: ListHash,
}

impl ListChain {
    /// The list with nothing in it, which no key of the map has.
    pub const EMPTY: Self = Self { len: 0, last: 0, hash: ListHash::from_bytes([0; 32]) };

    /// The list of these indices.
    ///
    /// # Errors
    /// When they do not ascend.
    pub fn of(indices: &[u64]) -> Result<Self, NotAscending> {
        let mut list = Self::EMPTY;
        indices.iter().try_for_each(|index| list.push(*index))?;
        Ok(list)
    }

    /// A list of one's own, as it was noted down: nothing is checked.
    #[must_use]
    pub fn resume(len: u64, last: u64, hash: ListHash) -> Self {
        if len == 0 { Self::EMPTY } else { Self { len, last, hash } }
    }

    /// Adds an index at the end.
    ///
    /// # Errors
    /// When it is not greater than the last; then the list is as it was.
    pub fn push(&mut self, index: u64) -> Result<(), NotAscending> {
        if !self.is_empty() && index <= self.last {
            return Err(NotAscending { last: self.last, index });
        }
        self.hash = ListHash::from_bytes(tagged(LIST, self.hash.as_bytes(), &index.to_be_bytes()));
        self.last = index;
        // The indices ascend, so there are fewer of them than there are numbers.
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// How many indices there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last index, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.last)
    }

    /// What the map says of the list.
    #[must_use]
    pub fn hash(&self) -> ListHash {
        self.hash
    }
}
