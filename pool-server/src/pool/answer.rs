//! What package managers ask.

use bytes::Bytes;
use schema::api::{BatchLine, Refused};
use schema::cache_info::CacheInfo;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::signers::Signers;
use schema::store_path::{BaseName, HashPart};

use super::Pool;
use crate::assemble;
use crate::assemble::view::View;
use crate::blobs::NarFile;
use crate::index::{ClaimRecord, FileRecord, PathRecord};
use crate::rejected::{Error, Failure, Rejected};

/// A NAR's file and what is to be said of it.
pub struct FoundNar {
    /// Of the file: what tells its bytes from any others.
    pub file_hash: FileHash,
    /// The file, in the compression the pool keeps.
    pub file: NarFile,
}

impl Pool {
    /// How this cache introduces itself.
    #[must_use]
    pub fn cache_info(&self) -> CacheInfo {
        CacheInfo {
            store_dir: self.config.store_dir.clone(),
            want_mass_query: true,
            priority: self.config.priority,
            batch: Some("/get-narinfos-v1".to_owned()),
        }
    }

    /// The narinfo that a view shows, or why it shows none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn narinfo(
        &self,
        view: &View,
        hash_part: &HashPart,
    ) -> Result<Result<String, Refused>, Error> {
        let signers = self.signers();
        let record = self.index.path(hash_part)?;
        let shown = self.claim_shown(view, hash_part, record.as_ref(), &signers)?;
        let text = shown.map(|(claim, file)| assemble::narinfo(claim, file, &signers));
        match &text {
            Ok(_) => self.metrics.narinfos_served.increment(1),
            Err(refused) => self.metrics.narinfo_refused(refused.code),
        }
        Ok(text)
    }

    /// One line of a batch, and the references to follow from it.
    ///
    /// # Errors
    /// As [`narinfo`](Self::narinfo).
    pub fn batch_line(
        &self,
        view: &View,
        hash_part: HashPart,
    ) -> Result<(BatchLine, Vec<HashPart>), Error> {
        let signers = self.signers();
        let record = self.index.path(&hash_part)?;
        let shown = self.claim_shown(view, &hash_part, record.as_ref(), &signers)?;
        let answer = shown.map(|(claim, file)| {
            let references = claim.claim.references().iter().map(BaseName::hash_part).collect();
            (assemble::narinfo(claim, file, &signers), references)
        });
        Ok(match answer {
            Ok((text, references)) => {
                (BatchLine { hash_part, narinfo: Some(text), refused: None }, references)
            }
            Err(refused) => {
                (BatchLine { hash_part, narinfo: None, refused: Some(refused) }, Vec::new())
            }
        })
    }

    /// The claim that a view shows for a path, and the file of its NAR, or why it shows none.
    fn claim_shown<'r>(
        &self,
        view: &View,
        hash_part: &HashPart,
        record: Option<&'r PathRecord>,
        signers: &Signers,
    ) -> Result<Result<(&'r ClaimRecord, FileRecord), Refused>, Error> {
        if let View::Policy(name) = view {
            let allowed = self.allowed(name, hash_part)?;
            return Ok(allowed.and_then(|id| assemble::claimed(hash_part, record, &id)));
        }
        let panel = self.panel(view, signers);
        Ok(panel.and_then(|panel| assemble::shown(hash_part, record, &panel, signers)))
    }

    /// The listing of the NAR that a view shows for a path.
    ///
    /// # Errors
    /// No narinfo in this view, no listing of its NAR, or a failing database.
    pub fn listing(&self, view: &View, hash_part: &HashPart) -> Result<Vec<u8>, Failure> {
        let signers = self.signers();
        let record = self.index.path(hash_part)?;
        let shown = self.claim_shown(view, hash_part, record.as_ref(), &signers)?;
        let (claim, _) = shown.map_err(not_shown)?;
        let nar_hash = claim.claim.nar_hash();
        let listing = self.index.listing(&nar_hash)?.ok_or_else(|| {
            Rejected::not_found(
                "no_listing",
                format!("the NAR {nar_hash} has too many files to be listed"),
            )
        })?;
        Ok(listing)
    }

    /// The file called `digits` with the suffix of `compression`: by the NAR's hash, or by the
    /// hash of a file that somebody uploaded.
    ///
    /// A stock client that uploaded a file asks for it by its own hash, for as long as it remembers
    /// its own narinfo. It may get the file of another uploader, which holds the same NAR: Nix 2.8
    /// looks at the bytes for how they are compressed, but for brotli and for plain NARs, so those
    /// must match. A newer Nix goes by its narinfo, and takes the file for gone.
    ///
    /// # Errors
    /// No such NAR, or a failing database or disk.
    pub fn nar(&self, digits: &str, compression: Compression) -> Result<FoundNar, Failure> {
        let missing = || Rejected::not_found("no_nar", format!("no NAR {digits} is here"));
        let hash = NarHash::from_nix32(digits).map_err(|_| missing())?;
        let (nar_hash, blob) = match self.index.blob(&hash)? {
            Some(blob) if blob.file.compression == compression => (hash, blob),
            _ => {
                let file_hash = FileHash::from_bytes(*hash.as_bytes());
                let nar_hash = self.index.alias(&file_hash)?.ok_or_else(missing)?;
                (nar_hash, self.index.blob(&nar_hash)?.ok_or_else(missing)?)
            }
        };
        let (kept, file_hash) = (blob.file.compression, blob.file.file_hash);
        let same_bytes = kept == compression || file_hash.as_bytes() == hash.as_bytes();
        // Nix calls gzip `.nar`, too. The hash of a plain file is that of its NAR.
        let plain = compression == Compression::None && nar_hash.as_bytes() == hash.as_bytes();
        let unsniffed = plain || compression == Compression::Brotli;
        if !same_bytes && (is_unsniffed(kept) || unsniffed) {
            let detail = format!("the NAR is kept as {kept}, not as {compression}");
            return Err(Rejected::not_found("other_compression", detail).into());
        }
        Ok(FoundNar { file_hash, file: self.blobs.nar(&nar_hash, kept)? })
    }

    /// A build log.
    ///
    /// # Errors
    /// No such log, or a failing disk.
    pub async fn log(&self, derivation: &BaseName) -> Result<Bytes, Failure> {
        let log = self.blobs.log(derivation).await?;
        Ok(log.ok_or_else(|| {
            Rejected::not_found("no_log", format!("no build log of {derivation} is here"))
        })?)
    }

    /// Keeps a build log, unless there is one.
    ///
    /// # Errors
    /// A failing disk.
    pub async fn put_log(&self, derivation: &BaseName, log: Bytes) -> Result<(), Error> {
        self.blobs.put_log(derivation, log).await
    }
}

fn is_unsniffed(compression: Compression) -> bool {
    matches!(compression, Compression::None | Compression::Brotli)
}

fn not_shown(refused: Refused) -> Rejected {
    Rejected::not_found("no_narinfo", refused.detail)
}
