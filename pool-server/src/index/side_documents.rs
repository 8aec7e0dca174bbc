//! What is kept beside narinfos, and is not in the ledger.

use schema::debug_info::Member;
use schema::hash::{FileHash, KeyId};
use schema::realisation::Realisation;
use schema::signature::Signature;

/// Where the debug information of one build id lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugInfoRecord {
    /// The file that somebody uploads, or was about to.
    pub archive: FileHash,
    /// The file in the NAR that the archive holds.
    pub member: Member,
}

/// All that is known of one output of a derivation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealisationRecord {
    /// What was said of it, the oldest first.
    pub variants: Vec<VariantRecord>,
}

impl RealisationRecord {
    /// How many signatures there are of all variants.
    #[must_use]
    pub fn signature_count(&self) -> usize {
        self.variants.iter().map(|variant| variant.signatures.len()).sum()
    }
}

/// One thing that was said of an output, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantRecord {
    /// What.
    pub realisation: Realisation,
    /// By whom, in the order they came.
    pub signatures: Vec<SignatureRecord>,
}

impl VariantRecord {
    /// Whether this signer said it.
    #[must_use]
    pub fn signed_by(&self, key_id: &KeyId) -> bool {
        self.signatures.iter().any(|signature| signature.key_id == *key_id)
    }
}

/// One signature over a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureRecord {
    /// By whom.
    pub key_id: KeyId,
    /// How many signatures of this output's variants came before.
    pub number: u64,
    /// Over the realisation's fingerprint.
    pub signature: Signature,
}
