//! Questions of people and programs.

use schema::api::{Info, LogKeys, NarReport, PathReport, Signer, Signers};
use schema::claim::Dialect;
use schema::hash::NarHash;
use schema::store_path::{HashPart, StoreDir};

use super::Pool;
use crate::assemble::report::{file_report, path_report, scan_report};
use crate::assemble::view::View;
use crate::index::LogId;
use crate::rejected::{Error, Failure, Rejected};

/// NARs that are looked up together.
const ASKED_AT_ONCE: usize = 1024;
/// Paths of a NAR that are listed.
const MAX_PATHS: usize = 1000;

impl Pool {
    /// What this pool is.
    ///
    /// # Errors
    /// When the database fails; so for every question.
    pub fn info(&self) -> Result<Info, Error> {
        let identity = self.ledger.identity();
        Ok(Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: identity.origin().to_owned(),
            logs: LogKeys {
                keys: identity.log_key(LogId::Keys)?.to_string(),
                attestations: identity.log_key(LogId::Attestations)?.to_string(),
                index: identity.log_key(LogId::Index)?.to_string(),
                witness: identity.witness().verifier().to_string(),
                mirror: identity.mirror().verifier().to_string(),
            },
            public_key: identity.public_key(),
            store_dir: self.config.store_dir.clone(),
            attestations: self.shown(LogId::Attestations).published().size(),
            open_enrolment: self.config.open_enrolment,
            max_nar_size: self.config.max_nar_size,
        })
    }

    /// Which of these NARs would have to be uploaded? The others stay for as long as a fresh upload: who
    /// asks is about to attest them.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub async fn missing(&self, nar_hashes: &[NarHash]) -> Result<Vec<NarHash>, Error> {
        let mut missing = Vec::new();
        for nar_hashes in nar_hashes.chunks(ASKED_AT_ONCE) {
            let promised = self.lease_nars(nar_hashes, self.config.upload_grace).await?;
            let gone = nar_hashes.iter().zip(promised).filter(|(_, promised)| promised.is_none());
            missing.extend(gone.map(|(nar_hash, _)| *nar_hash));
        }
        Ok(missing)
    }

    /// Everybody who is enrolled.
    #[must_use]
    pub fn signer_list(&self) -> Signers {
        let signers = self.signers();
        Signers { signers: signers.all().iter().map(Signer::from).collect() }
    }

    /// All that is known of a path.
    ///
    /// # Errors
    /// A path that was never seen, or a failing database.
    pub fn path_report(&self, hash_part: HashPart) -> Result<PathReport, Failure> {
        let record = self.index.path(&hash_part)?.ok_or_else(|| {
            let detail = format!("nobody has attested a path with the hash part {hash_part} here");
            Rejected::not_found("never_seen", detail)
        })?;
        // Of two paths with one hash part, it speaks of the one that was claimed first.
        let first = record.claims.first().map(|record| record.claim.path().dir());
        let is_guix = first == Some(&StoreDir::guix());
        let dialect = if is_guix { Dialect::Guix } else { Dialect::Nix };
        let refused = self.refused(&View::Default, dialect, &hash_part)?;
        let report = path_report(hash_part, &record, &self.roll(), refused, |claim| {
            let Some(blob) = self.index.blob(&claim.nar_hash())? else {
                return Ok::<_, Error>(None);
            };
            let known = self.index.known_paths(&blob.candidates.hash_parts)?;
            Ok(Some(scan_report(claim, &blob.candidates, &known)))
        })?;
        Ok(report)
    }

    /// A NAR and the paths that are said to have it.
    ///
    /// # Errors
    /// As [`info`](Self::info).
    pub fn nar_report(&self, nar_hash: NarHash) -> Result<NarReport, Error> {
        let blob = self.index.blob(&nar_hash)?;
        Ok(NarReport {
            nar_hash,
            nar_size: blob.as_ref().map(|blob| blob.nar_size),
            file: blob.as_ref().map(|blob| file_report(&nar_hash, &blob.file)),
            paths: self.index.paths_of_nar(&nar_hash, MAX_PATHS)?,
        })
    }
}
