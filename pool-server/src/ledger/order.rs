//! What the sequencer is given.

use schema::attestation::Verified;
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::hash::NarHash;
use schema::store_path::BaseName;

use crate::index::BlobRecord;

/// A verified attestation and the unsigned things that came with it.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The attestation.
    pub attestation: Verified,
    /// The derivation, as the submitter says.
    pub deriver: Option<BaseName>,
    /// A content address from which the claim's path follows.
    pub content_address: Option<ContentAddress>,
}

/// A NAR that lies durably in its place, or a second upload of one that does.
#[derive(Debug)]
pub struct Kept {
    /// The NAR.
    pub nar_hash: NarHash,
    /// What to remember of it.
    pub record: BlobRecord,
    /// The JSON of its listing.
    pub listing: Option<Vec<u8>>,
    /// Until when it stays even if nobody attests it or asks for it, POSIX seconds.
    pub leased_until: u64,
}

impl Kept {
    /// The name its file was put under.
    #[must_use]
    pub fn name(&self) -> String {
        let compression: Compression = self.record.file.compression;
        crate::blobs::nar_name(&self.nar_hash, compression)
    }
}
