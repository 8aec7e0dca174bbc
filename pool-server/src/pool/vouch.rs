//! Attestations on their way in. Everything is verified before anything is written.

use std::collections::BTreeMap;

use schema::api::{AttestItem, EnrolRequest, Logged, Signer};
use schema::attestation::Signed;
use schema::claim::{Claim, Dialect};
use schema::enrolment;
use schema::hash::NarHash;
use schema::key::KeyName;
use schema::narinfo::NarInfo;
use schema::signature::NamedSignature;
use schema::signers::Signers;
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};

use super::Pool;
use super::signed::{Document, Merged, check_signed, part, unknown_signer};
use crate::assemble::report::scan_report;
use crate::assemble::view::View;
use crate::clock;
use crate::config::Measure;
use crate::index::LoggedKey;
use crate::ledger::Vouched;
use crate::place::{Place, at};
use crate::quota::Account;
use crate::rejected::{Error, Failure, Rejected};

impl Pool {
    /// Logs attestations, all or none, and gives each its receipt where those are wanted.
    ///
    /// # Errors
    /// Too many by this token or by a signer, or the first that does not hold, by its number and path.
    pub async fn attest(
        &self,
        items: Vec<AttestItem>,
        receipts: bool,
        by: &Account,
    ) -> Result<Vec<Logged>, Failure> {
        self.takes_words()?;
        self.accounts.take(by, Measure::Attestations, items.len() as u64)?;
        let signers = self.signers();
        let served = self.store_dirs();
        let verifying = tokio::task::spawn_blocking(move || {
            let vouch = |(at, item): (usize, AttestItem)| {
                if !served.contains(item.store_path.dir()) {
                    return Err(numbered(at, other_store(&item.store_path, &served)));
                }
                vouch(item, &signers).map_err(|rejected| numbered(at, rejected))
            };
            items.into_iter().enumerate().map(vouch).collect::<Result<Vec<_>, _>>()
        });
        let vouched = verifying
            .await
            .map_err(|error| Error::Index(format!("verifying stopped: {error}")))??;
        for vouched in &vouched {
            self.check_against_nar(vouched.attestation.claim())?;
        }
        self.charge_signers(&vouched)?;
        at(Place::Verified).await;
        let standings = self.ledger.sequencer().attest(vouched).await?;
        let new = standings.iter().filter(|standing| standing.new).count();
        self.metrics.attested(new, standings.len() - new);
        self.logged(&standings, receipts).await
    }

    /// Takes the signatures out of a narinfo that a stock client puts: those by enrolled keys
    /// become attestations, the others are passed over. What it says of files is never taken.
    ///
    /// # Errors
    /// A narinfo that is malformed, for another path, unsigned, badly signed, or whose NAR is not here.
    pub async fn merge_narinfo(
        &self,
        view: &View,
        hash_part: &HashPart,
        text: &[u8],
        by: &Account,
    ) -> Result<Merged, Failure> {
        let narinfo = NarInfo::parse_nix(text).map_err(|error| {
            Rejected::bad_request("narinfo_malformed", format!("not a narinfo: {error}"))
        })?;
        self.check_addressed(hash_part, &narinfo)?;
        let signers = self.signers();
        let (known, unknown) = part(&narinfo.signatures, &signers);
        check_signed(Document::NarInfo, narinfo.claim.path(), view, &known, &unknown)?;
        let items = known.into_iter().map(|signature| item(&narinfo, signature)).collect();
        let nar_hash = narinfo.claim.nar_hash();
        if self.index.blob(&nar_hash)?.is_none() {
            return Err(self.nar_missing(&narinfo)?.into());
        }
        let logged = self.attest(items, false, by).await?;
        let new = logged.iter().filter(|logged| logged.new).count();
        Ok(Merged { new, known: logged.len() - new, unknown })
    }

    /// Makes a key a signer: by an admin's word, or by proof where the operator allows that.
    ///
    /// # Errors
    /// No right to, a bad proof, or a name or key that is taken.
    pub async fn enrol(&self, request: EnrolRequest, by_admin: bool) -> Result<Signer, Failure> {
        if !by_admin {
            self.check_proof(&request)?;
        }
        let id = request.public_key.id();
        self.ledger.enrol(request.public_key).await?;
        let signers = self.signers();
        let signer = signers.by_id(&id).map(Signer::from);
        Ok(signer.ok_or_else(|| Error::Damaged(format!("the key {id} was enrolled and is not")))?)
    }

    fn check_proof(&self, request: &EnrolRequest) -> Result<(), Rejected> {
        if !self.config.open_enrolment {
            return Err(Rejected::forbidden(
                "enrolment_closed",
                "signers are enrolled by an admin here",
            )
            .hint("send the public key to the operator, or use a token with the scope admin"));
        }
        let proof = request.proof.as_ref().ok_or_else(|| {
            Rejected::forbidden(
                "proof_missing",
                "enrolling without an admin's token takes proof of possession",
            )
            .hint("`pool signer enrol KEYFILE` with the secret key makes one")
        })?;
        enrolment::check(&request.public_key, &proof.signature, proof.made_at, clock::now())
            .map_err(|error| Rejected::forbidden("proof_invalid", error.to_string()))
    }

    fn check_addressed(&self, hash_part: &HashPart, narinfo: &NarInfo) -> Result<(), Rejected> {
        let path = narinfo.claim.path();
        if path.base().hash_part() != *hash_part {
            let detail = format!("the address says {hash_part}, but the narinfo is for {path}");
            return Err(Rejected::unprocessable("wrong_store_path", detail));
        }
        if *path.dir() != self.config.store_dir {
            return Err(other_store(path, std::slice::from_ref(&self.config.store_dir)));
        }
        Ok(())
    }

    /// What is logged already costs nobody anything.
    fn charge_signers(&self, vouched: &[Vouched]) -> Result<(), Failure> {
        if !self.accounts.limit_signers() {
            return Ok(());
        }
        let signers = self.signers();
        let mut new: BTreeMap<&KeyName, u64> = BTreeMap::new();
        for vouched in vouched {
            let signer = signers.by_id(&vouched.attestation.key_id());
            if let Some(name) = signer.map(|signer| signer.key.name())
                && self.index.logged(&LoggedKey::of(&vouched.attestation))?.is_none()
            {
                *new.entry(name).or_default() += 1;
            }
        }
        Ok(self.accounts.attest(&new.into_iter().collect::<Vec<_>>())?)
    }

    /// A claim must agree with the NAR it names, as far as that is here.
    fn check_against_nar(&self, claim: &Claim) -> Result<(), Failure> {
        let Some(blob) = self.index.blob(&claim.nar_hash())? else { return Ok(()) };
        if blob.nar_size != claim.nar_size() {
            let detail = format!(
                "{}: NarSize {} is claimed, but the NAR {} has {} bytes",
                claim.path(),
                claim.nar_size(),
                claim.nar_hash(),
                blob.nar_size
            );
            return Err(Rejected::unprocessable("nar_size_mismatch", detail).into());
        }
        if self.config.strict_references {
            let known = self.index.known_paths(&blob.candidates.hash_parts)?;
            let scan = scan_report(claim, &blob.candidates, &known);
            if !(scan.not_found.is_empty() && scan.not_claimed.is_empty()) {
                return Err(references_differ(claim, &scan.not_found, &scan.not_claimed).into());
            }
        }
        Ok(())
    }

    /// A stock client has just put the file; if that held another NAR, say so.
    fn nar_missing(&self, narinfo: &NarInfo) -> Result<Rejected, Error> {
        let claimed: NarHash = narinfo.claim.nar_hash();
        let uploaded = match &narinfo.delivery.file_hash {
            Some(file_hash) => self.index.alias(file_hash)?,
            None => None,
        };
        let path = narinfo.claim.path();
        Ok(match uploaded {
            Some(found) => {
                let detail =
                    format!("{path}: NarHash is {claimed}, but the file holds the NAR {found}");
                Rejected::unprocessable("nar_hash_mismatch", detail)
            }
            None => {
                let detail = format!("{path}: its NAR {claimed} is not in the pool");
                Rejected::unprocessable("nar_missing", detail)
                    .hint("upload the NAR before its narinfo, as `nix copy` and `pool push` do")
            }
        })
    }
}

fn vouch(item: AttestItem, signers: &Signers) -> Result<Vouched, Rejected> {
    let path = item.store_path.to_string();
    let name = item.signature.name().clone();
    let mut keys: Vec<_> = signers.keys_named(&name).map(|signer| &signer.key).collect();
    let newest = keys.pop().ok_or_else(|| unknown_signer(&name))?;
    let claim = item
        .claim()
        .map_err(|error| Rejected::unprocessable("claim_malformed", format!("{path}: {error}")))?;
    if claim.dialect() == Dialect::Guix && *claim.path().dir() != StoreDir::guix() {
        return Err(other_store(claim.path(), &[StoreDir::guix()]));
    }
    let deriver = deriver(&claim, item.deriver)?;
    let address = item.ca.and_then(|address| address.parse().ok());
    let content_address = address
        .filter(|address: &schema::content_address::ContentAddress| address.gives_path_of(&claim));
    // Keys that the name passed on from: what they signed in their time may be handed in again.
    let bytes = claim.signed_bytes();
    let older = keys.iter().find(|key| key.verifies(bytes.as_bytes(), item.signature.signature()));
    let key = older.copied().unwrap_or(newest);
    drop(bytes);
    let attestation = Signed::new(claim, item.signature).verify(key).map_err(|error| {
        Rejected::unprocessable("signature_invalid", format!("{path}: {error}"))
            .hint("it must be over the path, NAR hash, NAR size and references that are sent")
    })?;
    Ok(Vouched { attestation, deriver, content_address })
}

/// What is signed stands above what is said beside it.
fn deriver(claim: &Claim, said: Option<BaseName>) -> Result<Option<BaseName>, Rejected> {
    let signed = claim.guix_text().and_then(|text| text.deriver().cloned());
    match (signed, said) {
        (Some(signed), Some(said)) if signed != said => {
            let detail = format!("{}: {signed} is signed as its deriver, not {said}", claim.path());
            Err(Rejected::unprocessable("claim_malformed", detail))
        }
        (signed, said) => Ok(signed.or(said)),
    }
}

fn item(narinfo: &NarInfo, signature: NamedSignature) -> AttestItem {
    AttestItem {
        deriver: narinfo.deriver.clone(),
        ca: narinfo.content_address.as_ref().map(ToString::to_string),
        ..AttestItem::new(&narinfo.claim, signature)
    }
}

fn other_store(path: &StorePath, taken: &[StoreDir]) -> Rejected {
    let mut taken: Vec<&str> = taken.iter().map(StoreDir::as_str).collect();
    taken.dedup();
    let detail = format!("{path} is not in {}, which this pool serves here", taken.join(" or "));
    Rejected::unprocessable("other_store", detail)
}

fn references_differ(claim: &Claim, not_found: &[BaseName], not_claimed: &[HashPart]) -> Rejected {
    let detail = format!(
        "{}: references claimed but not in the NAR: {not_found:?}; in the NAR but not claimed: {not_claimed:?}",
        claim.path()
    );
    Rejected::unprocessable("references_differ", detail)
        .hint("the operator has set strict-references; see what the build leaves in its output")
}

fn numbered(at: usize, mut rejected: Rejected) -> Rejected {
    rejected.detail = format!("attestation {at}: {}", rejected.detail);
    rejected
}
