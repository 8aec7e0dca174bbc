//! Records of what is mirrored.

use schema::key::PublicKey;
use serde::{Deserialize, Serialize};

use super::FileRecord;

/// A ledger of another pool's that is mirrored here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRecord {
    /// What the origins of its logs begin with.
    pub origin: String,
    /// The key that signs its logs, and enrolments.
    pub public_key: PublicKey,
}

/// What a source showed of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The largest checkpoint that it showed, as a signed note.
    pub largest: String,
    /// A smaller one that it showed after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
}

/// Two checkpoints, signed by one log, of which neither tree begins with the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkRecord {
    /// The one that was mirrored, as a signed note.
    pub mirrored: String,
    /// The other.
    pub other: String,
    /// How many entries the mirrored tree has in which the other differs.
    pub size: u64,
    /// Where the other tree does not show it by its size alone: the hashes of a
    /// [`ForkProof`](schema::tlog::fork::ForkProof), in base 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<String>,
    /// Where it was met.
    pub source: String,
    /// When, POSIX seconds.
    pub met_at: u64,
}

/// A NAR that is not here, though something is claimed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElsewhereRecord {
    /// The address of a pool that has it, or whose ledger speaks of it.
    pub source: String,
    /// Its file there, if that pool has it.
    pub file: Option<FileRecord>,
    /// Whether it is to come here.
    pub wanted: bool,
}

impl ElsewhereRecord {
    /// What is known when this is told after that: a pool that has it stands before one that has not,
    /// and what was wanted once is wanted.
    #[must_use]
    pub fn after(self, known: Self) -> Self {
        let wanted = self.wanted || known.wanted;
        let told = if self.file.is_none() && known.file.is_some() { known } else { self };
        Self { wanted, ..told }
    }
}
