//! What package managers ask.

use bytes::Bytes;
use schema::api::Refused;
use schema::cache_info::CacheInfo;
use schema::claim::Dialect;
use schema::compression::Compression;
use schema::guix::key_file::print_public;
use schema::hash::{FileHash, NarHash};
use schema::signers::Standing;
use schema::store_path::{BaseName, HashPart};

use super::Pool;
use crate::assemble::view::View;
use crate::blobs::NarFile;
use crate::index::FileRecord;
use crate::place::{Place, at};
use crate::rejected::{Error, Failure, Rejected};

/// A NAR's file and what is to be said of it.
pub struct FoundNar {
    /// Of the NAR.
    pub nar_hash: NarHash,
    /// Of the file: what tells its bytes from any others.
    pub file_hash: FileHash,
    /// The file, in the compression the pool keeps.
    pub file: NarFile,
}

/// What a NAR holds.
pub struct FoundListing {
    /// Of the NAR: the pool makes no other listing of the same.
    pub nar_hash: NarHash,
    /// The listing, in JSON.
    pub json: Vec<u8>,
}

impl Pool {
    /// How this cache introduces itself to clients of this kind.
    #[must_use]
    pub fn cache_info(&self, dialect: Dialect) -> CacheInfo {
        CacheInfo {
            store_dir: self.store_dir(dialect),
            want_mass_query: true,
            priority: self.config.priority,
            batch: Some("/get-narinfos-v1".to_owned()),
        }
    }

    /// The key by which Guix verifies what a view shows, if that is one signer's.
    ///
    /// # Errors
    /// A view of several signers, or of one without a key of Guix's that is in use.
    pub fn guix_key(&self, view: &View) -> Result<String, Rejected> {
        let name = match view {
            View::As(name) => name,
            View::Signers { names, .. } if names.len() == 1 => &names[0],
            _ => {
                let detail = "this is not the view of one signer";
                return Err(Rejected::not_found("no_key", detail)
                    .hint("/gnu/as/<signer>/signing-key.pub is the key of one"));
            }
        };
        let roll = self.roll();
        let none = || Rejected::not_found("no_key", format!("{name} has no key of Guix's here"));
        let signer = roll.named(name).ok_or_else(none)?;
        let key = signer.key.guix().ok_or_else(none)?;
        if signer.standing != Standing::Active {
            // Guix never takes back what it was told to trust.
            let detail = format!("{name} does not sign with its key any more");
            return Err(Rejected::not_found("no_key", detail));
        }
        Ok(print_public(key))
    }

    /// The listing of the NAR that a view shows for a path.
    ///
    /// # Errors
    /// No narinfo in this view, no listing of its NAR, or a failing database.
    pub fn listing(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: &HashPart,
    ) -> Result<FoundListing, Failure> {
        let roll = self.roll();
        let record = self.record_of(hash_part)?;
        let shown = self.shown_by(view, dialect, hash_part, record.as_ref(), &roll)?;
        let nar_hash = shown.map_err(not_shown)?.claim().nar_hash();
        let json = self.index.listing(&nar_hash)?.ok_or_else(|| {
            Rejected::not_found(
                "no_listing",
                format!("the NAR {nar_hash} has too many files to be listed"),
            )
        })?;
        Ok(FoundListing { nar_hash, json })
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
    pub async fn nar(&self, digits: &str, compression: Compression) -> Result<FoundNar, Failure> {
        let hash = NarHash::from_nix32(digits)
            .map_err(|_| Rejected::not_found("no_nar", format!("no NAR {digits} is here")))?;
        let missing = || self.missing_nar(&hash, digits);
        let (nar_hash, blob) = match self.index.blob(&hash)? {
            Some(blob) if blob.file.compression == compression => (hash, blob),
            _ => {
                let file_hash = FileHash::from_bytes(*hash.as_bytes());
                let nar_hash = self.index.alias(&file_hash)?.ok_or_else(missing)?;
                (nar_hash, self.index.blob(&nar_hash)?.ok_or_else(missing)?)
            }
        };
        at(Place::Found).await;
        let (kept, file_hash) = (blob.file.compression, blob.file.file_hash);
        let same_bytes = kept == compression || file_hash.as_bytes() == hash.as_bytes();
        // Nix calls gzip `.nar`, too. The hash of a plain file is that of its NAR.
        let plain = compression == Compression::None && nar_hash.as_bytes() == hash.as_bytes();
        let unsniffed = plain || compression == Compression::Brotli;
        if !same_bytes && (is_unsniffed(kept) || unsniffed) {
            let detail = format!("the NAR is kept as {kept}, not as {compression}");
            return Err(Rejected::not_found("other_compression", detail).into());
        }
        self.found(&nar_hash, kept)
    }

    /// The NAR of a path, under the name that `guix publish` has for it: an old narinfo may have it in
    /// what is signed.
    ///
    /// # Errors
    /// No such path in this view, its NAR in another compression, or a failing database or disk.
    pub fn nar_of(
        &self,
        view: &View,
        base: &BaseName,
        compression: Compression,
    ) -> Result<FoundNar, Failure> {
        let (roll, hash_part) = (self.roll(), base.hash_part());
        let record = self.record_of(&hash_part)?;
        let shown = self.shown_by(view, Dialect::Guix, &hash_part, record.as_ref(), &roll)?;
        let shown = shown.map_err(not_shown)?;
        if shown.claim().path().base() != base {
            return Err(Rejected::not_found("no_nar", format!("no NAR of {base} is here")).into());
        }
        let (nar_hash, kept) = (shown.claim().nar_hash(), shown.file());
        if kept.compression != compression {
            let detail = format!("the NAR is kept as {}, not as {compression}", kept.compression);
            return Err(Rejected::not_found("other_compression", detail).into());
        }
        self.found(&nar_hash, compression)
    }

    fn found(&self, nar_hash: &NarHash, compression: Compression) -> Result<FoundNar, Failure> {
        let opened = self.open_nar(nar_hash)?.filter(|(it, _)| it.compression == compression);
        match opened {
            Some((FileRecord { file_hash, .. }, file)) => {
                Ok(FoundNar { nar_hash: *nar_hash, file_hash, file })
            }
            None => Err(self.missing_nar(nar_hash, &nar_hash.to_nix32()).into()),
        }
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
        self.takes_nars()?;
        self.blobs.put_log(derivation, log).await
    }
}

fn is_unsniffed(compression: Compression) -> bool {
    matches!(compression, Compression::None | Compression::Brotli)
}

pub(super) fn not_shown(refused: Refused) -> Rejected {
    Rejected::not_found("no_narinfo", refused.detail)
}
