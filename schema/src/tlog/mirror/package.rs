//! Packages: up to 256 entries, as many as an entry bundle has, and the proof that they are a log's.

use super::{MirrorError, take_len};
use crate::hash::TreeHash;
use crate::tlog::bundle::{self, BundleError};
use crate::tlog::merkle::MAX_TREE_SIZE;
use crate::tlog::proof::{MAX_PROOF_LEN, ProofError};
use crate::tlog::subtree::{Subtree, SubtreeProof};

/// The most entries in a package, which begins at a multiple of it unless it is the first.
pub const PACKAGE_ENTRIES: u64 = 256;

/// The most packages that a log sends in one request: 8192 entries. A mirror may read more.
pub const MAX_PACKAGES_PER_REQUEST: usize = 32;

/// The longest package, in bytes, some 16 MiB: 256 entries of 65535 bytes, each with its length, and
/// 63 hashes.
pub const MAX_PACKAGE_LEN: usize = 256 * (2 + 65535) + 1 + 32 * MAX_PROOF_LEN;

/// The packages of an upload of the entries `[upload_start, upload_end)`, in their order. A request
/// has them all, or the first of them. None for entries that no log has.
pub fn packages(upload_start: u64, upload_end: u64) -> impl Iterator<Item = PackageRange> {
    let upload_end = if upload_end > MAX_TREE_SIZE { 0 } else { upload_end };
    let first = PackageRange::new(upload_start, upload_end);
    std::iter::successors(first, move |before| PackageRange::new(before.end, upload_end))
}

/// Which entries a package has: `[start, end)`, one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRange {
    start: u64,
    end: u64,
}

impl PackageRange {
    fn new(start: u64, upload_end: u64) -> Option<Self> {
        // No tree is so large that this overflows.
        let end = upload_end.min((start.min(upload_end) / PACKAGE_ENTRIES + 1) * PACKAGE_ENTRIES);
        (start < end).then_some(Self { start, end })
    }

    /// The first entry's index.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The last entry's index and one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// What is proved: these entries, and those of their bundle that the mirror has already.
    #[must_use]
    pub fn subtree(&self) -> Subtree {
        let rounded = self.start - self.start % PACKAGE_ENTRIES;
        Subtree::new(rounded, self.end)
            .unwrap_or_else(|_| unreachable!("at most 256 entries, from a multiple of 256 on"))
    }
}

/// Entries and the proof that their [subtree](PackageRange::subtree) is in the tree with all entries
/// of the upload. It says nothing until that is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The entries, as many as their range has.
    pub entries: Vec<Vec<u8>>,
    /// The proof; a mirror answers 422 when it does not hold.
    pub proof: SubtreeProof,
}

impl Package {
    /// The package with these entries: the length of each in two bytes, big-endian, and the entry;
    /// then the number of hashes in one byte, and the hashes.
    ///
    /// # Errors
    /// [`MirrorError::Count`] and [`MirrorError::EntryTooLong`].
    pub fn encode<T: AsRef<[u8]>>(
        entries: &[T],
        proof: &SubtreeProof,
    ) -> Result<Vec<u8>, MirrorError> {
        let mut package = bundle::encode(entries).map_err(|error| match error {
            BundleError::TooLong(len) => MirrorError::EntryTooLong(len),
            BundleError::Count | BundleError::Truncated => MirrorError::Count(entries.len()),
        })?;
        let count = u8::try_from(proof.hashes().len());
        package.push(count.unwrap_or_else(|_| unreachable!("a proof has at most 63 hashes")));
        package.extend(proof.hashes().iter().flat_map(TreeHash::as_bytes));
        Ok(package)
    }

    /// Reads the package of these entries from the beginning of what follows the head or the package
    /// before, and says how many bytes it has. None when more bytes are needed, but never for
    /// [`MAX_PACKAGE_LEN`] of them.
    ///
    /// # Errors
    /// [`MirrorError::Proof`].
    pub fn parse(range: PackageRange, bytes: &[u8]) -> Result<Option<(Self, usize)>, MirrorError> {
        let mut rest = bytes;
        let Some(entries) = take_entries(range, &mut rest) else { return Ok(None) };
        let Some(count) = rest.split_off_first() else { return Ok(None) };
        let count = usize::from(*count);
        if count > MAX_PROOF_LEN {
            return Err(ProofError::TooLong(count).into());
        }
        let Some(hashes) = rest.split_off(..32 * count) else { return Ok(None) };
        let (hashes, _) = hashes.as_chunks();
        let hashes = hashes.iter().copied().map(TreeHash::from_bytes).collect();
        let proof = SubtreeProof::from_hashes(hashes)?;
        // Only now: what is not whole yet costs nothing.
        let entries = entries.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Some((Self { entries, proof }, bytes.len() - rest.len())))
    }
}

fn take_entries<'b>(range: PackageRange, rest: &mut &'b [u8]) -> Option<Vec<&'b [u8]>> {
    let entry = |_| {
        let len = take_len(rest)?;
        rest.split_off(..len)
    };
    (range.start..range.end).map(entry).collect()
}
