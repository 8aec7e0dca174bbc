//! Narinfos are never stored: each is put together on request from what was claimed of a path,
//! who stands behind it, and what the view asks for. Pure functions, no clock, no I/O.

mod choice;
pub mod divergence;
mod realisation;
pub mod report;
pub mod view;

use std::collections::HashSet;

use schema::api::{Refused, RefusedCode};
use schema::base_url::BaseUrl;
use schema::claim::{Claim, Dialect};
use schema::hash::ClaimId;
use schema::narinfo::{Delivery, guix, nix};
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};

use crate::blobs::nar_name;
use crate::index::{AttestationRecord, ClaimRecord, FileRecord, PathRecord, by_meaning};
use crate::roll::Roll;
use choice::{Saying, Word, choose};
pub use realisation::realisation;
use view::Panel;

/// What a view shows of a path: one thing that is claimed, in whatever words, and the file of its NAR.
pub struct Shown<'r> {
    /// In the order in which they came; at least one.
    records: Vec<&'r ClaimRecord>,
    file: FileRecord,
}

impl<'r> Shown<'r> {
    /// The claim, in whoever's words came first.
    #[must_use]
    pub fn claim(&self) -> &'r Claim {
        &self.records[0].claim
    }

    /// The file of its NAR.
    #[must_use]
    pub fn file(&self) -> FileRecord {
        self.file
    }

    fn deriver(&self) -> Option<&BaseName> {
        self.records.iter().find_map(|record| record.deriver.as_ref())
    }

    /// Where its NAR is: below the address of the view, unless the operator names another.
    fn delivery(&self, nar_url: Option<&BaseUrl>) -> Delivery {
        let name = nar_name(&self.claim().nar_hash(), self.file.compression);
        Delivery {
            url: nar_url.map_or_else(|| name.clone(), |base| base.join(&name)),
            compression: self.file.compression,
            file_hash: Some(self.file.file_hash),
            file_size: Some(self.file.file_size),
        }
    }

    /// Every word that counts for it, and the claim in which words it is.
    fn words<'s>(
        &'s self,
        roll: &'s Roll,
    ) -> impl Iterator<Item = (&'r Claim, &'r AttestationRecord)> + 's {
        self.records.iter().flat_map(move |record| {
            let words = record.attestations.iter();
            words.filter(|word| roll.counts(word, &record.claim)).map(|word| (&record.claim, word))
        })
    }
}

/// What a view of this store directory shows of a path.
///
/// # Errors
/// The reason, for the body of a 404.
pub fn shown<'r>(
    hash_part: &HashPart,
    record: Option<&'r PathRecord>,
    (store_dir, panel): (&StoreDir, &Panel),
    roll: &Roll,
) -> Result<Shown<'r>, Refused> {
    let claimed: Vec<Claimed<'r, '_>> =
        in_store(record, store_dir).into_iter().map(|records| Claimed { records, roll }).collect();
    let path = claimed.first().ok_or_else(|| never_seen(hash_part))?.path();
    let chosen = choose(path, &claimed, panel)?;
    with_file(chosen.records.clone())
}

/// One thing that is claimed of a path, and the file of its NAR.
///
/// # Errors
/// As [`shown`].
pub fn claimed<'r>(
    hash_part: &HashPart,
    record: Option<&'r PathRecord>,
    store_dir: &StoreDir,
    meaning: &ClaimId,
) -> Result<Shown<'r>, Refused> {
    let mut all = in_store(record, store_dir).into_iter();
    let found = all.find(|records| records[0].claim.meaning() == *meaning);
    with_file(found.ok_or_else(|| never_seen(hash_part))?)
}

/// The claims about paths in one store directory; those that say the same, together.
fn in_store<'r>(record: Option<&'r PathRecord>, store_dir: &StoreDir) -> Vec<Vec<&'r ClaimRecord>> {
    let claims = record.into_iter().flat_map(|record| &record.claims);
    by_meaning(claims.filter(|record| record.claim.path().dir() == store_dir))
}

fn with_file(records: Vec<&ClaimRecord>) -> Result<Shown<'_>, Refused> {
    let file = records.iter().find_map(|record| record.file);
    let file = file.ok_or_else(|| no_nar(records[0]))?;
    Ok(Shown { records, file })
}

/// The narinfo for Nix, with the signatures of everybody whose word for it counts and who uses Nix's
/// words. NARs are at `nar_url`, if that is told.
#[must_use]
pub fn narinfo(shown: &Shown<'_>, roll: &Roll, nar_url: Option<&BaseUrl>) -> String {
    let words = shown.words(roll).filter(|(claim, _)| claim.dialect() == Dialect::Nix);
    // One who has said the same in several ledgers is named once.
    let mut met = HashSet::new();
    let signatures = words.filter(|(_, word)| met.insert(word.key_id)).filter_map(|(_, word)| {
        roll.signer(word).map(|signer| (signer.key.name(), &word.signature))
    });
    let address = shown.records.iter().find_map(|record| record.content_address.as_ref());
    nix::print(shown.claim(), &shown.delivery(nar_url), (shown.deriver(), address), signatures)
}

/// The narinfo for Guix, which reads one signature: the one by whom `rank` puts first. Nobody it ranks
/// may have signed in Guix's words, and then there is none: such a narinfo is of use to those who have
/// somebody's word from elsewhere. Words that name places where the NAR is not to be had here are
/// passed over: a client might choose one of those. Whatever is signed stays as it is: `nar_url` is
/// for the place that is told after it.
///
/// # Errors
/// A NAR that Guix cannot unpack.
pub fn guix_narinfo(
    shown: &Shown<'_>,
    roll: &Roll,
    nar_url: Option<&BaseUrl>,
    rank: impl Fn(&AttestationRecord) -> Option<usize>,
) -> Result<String, Refused> {
    if !guix::is_readable(shown.file.compression) {
        let (path, kept) = (shown.claim().path(), shown.file.compression);
        let detail = format!("{path}: its NAR is kept in {kept}, which Guix does not unpack");
        return Err(Refused { code: RefusedCode::NoNar, detail });
    }
    let compression = shown.file.compression;
    let words = shown.words(roll).filter(|(claim, _)| {
        claim.dialect() == Dialect::Guix && guix::is_delivered_in(claim, compression)
    });
    let ranked = words.filter_map(|(claim, word)| Some((rank(word)?, claim, word)));
    let first = ranked.min_by_key(|(rank, _, word)| (*rank, word.order()));
    let signed_by = first.and_then(|(_, claim, word)| {
        let key = &roll.signer(word)?.key;
        Some((claim, (key.name(), key.guix()?, &word.signature)))
    });
    let (claim, signed_by) = signed_by.map_or((shown.claim(), None), |(it, by)| (it, Some(by)));
    Ok(guix::print(claim, shown.deriver(), signed_by, &shown.delivery(nar_url)))
}

/// One thing that is claimed of a path, in whatever words, and who signed.
struct Claimed<'r, 's> {
    records: Vec<&'r ClaimRecord>,
    roll: &'s Roll,
}

impl<'r> Claimed<'r, '_> {
    fn path(&self) -> &'r StorePath {
        self.records[0].claim.path()
    }
}

impl Saying for Claimed<'_, '_> {
    fn words(&self) -> impl Iterator<Item = Word<'_>> {
        self.records.iter().flat_map(|record| {
            let words = record.attestations.iter();
            let counting = words.filter(|word| self.roll.counts(word, &record.claim));
            counting.filter_map(|word| Word::of(word, self.roll))
        })
    }

    fn is_here(&self) -> bool {
        self.records.iter().any(|record| record.file.is_some())
    }
}

fn never_seen(hash_part: &HashPart) -> Refused {
    let detail = format!("nobody has attested a path with the hash part {hash_part} here");
    Refused { code: RefusedCode::NeverSeen, detail }
}

fn no_nar(claim: &ClaimRecord) -> Refused {
    let detail = format!(
        "{} is attested with the NAR {}, but that NAR was never uploaded",
        claim.claim.path(),
        claim.claim.nar_hash()
    );
    Refused { code: RefusedCode::NoNar, detail }
}

#[cfg(test)]
mod tests;
