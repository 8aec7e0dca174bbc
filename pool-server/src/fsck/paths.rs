//! What is known of paths against the ledgers, the claims and the NARs there are.

use schema::hash::{ClaimId, NarHash};
use schema::store_path::HashPart;

use super::{Done, Kind, Search};
use crate::index::{AttestationRecord, ClaimRecord, FileRecord, LogAt, LogId, PathRecord};
use crate::ledger::sequencer::Mending;
use crate::rejected::Error;

/// How often a path is looked at before it is said that something is wrong with it: one that is
/// changed meanwhile is read between two changes.
const LOOKS: usize = 3;

/// Something that is wrong with a path.
struct Wrong {
    kind: Kind,
    detail: String,
}

impl Search<'_> {
    pub(super) fn path(&mut self, hash_part: HashPart, mut record: PathRecord) {
        self.summary.paths += 1;
        let mut wrongs = Vec::new();
        for _ in 0..LOOKS {
            wrongs = match self.wrongs(&hash_part, &record) {
                Ok(wrongs) => wrongs,
                Err(error) => {
                    self.asked::<()>(&hash_part.to_string(), Err(error));
                    return;
                }
            };
            if wrongs.is_empty() {
                return;
            }
            match self.parts.index.path(&hash_part) {
                Ok(Some(now)) => record = now,
                // The walk tells what does not read.
                Ok(None) | Err(_) => return,
            }
        }
        let path = Mending { hash_part, entries: Vec::new(), nar_hashes: Vec::new() };
        let done = self.mend(path);
        for Wrong { kind, detail } in wrongs {
            self.found(kind, hash_part.to_string(), detail, done);
        }
    }

    fn wrongs(&self, hash_part: &HashPart, record: &PathRecord) -> Result<Vec<Wrong>, Error> {
        let mut wrongs = Vec::new();
        for claim in &record.claims {
            self.claim_wrongs(hash_part, claim, &mut wrongs)?;
        }
        Ok(wrongs)
    }

    fn claim_wrongs(
        &self,
        hash_part: &HashPart,
        record: &ClaimRecord,
        wrongs: &mut Vec<Wrong>,
    ) -> Result<(), Error> {
        let (claim, index) = (&record.claim, self.parts.index);
        let (path, nar_hash) = (claim.path(), claim.nar_hash());
        let mut wrong = |kind, detail: String| wrongs.push(Wrong { kind, detail });
        if path.base().hash_part() != *hash_part {
            wrong(Kind::PathMisplaced, format!("what is said of {path} is kept there"));
        }
        let file = self.shown_file(hash_part, &nar_hash)?;
        if file != record.file {
            let said = if record.file.is_some() { "a file" } else { "no file" };
            let found = if file.is_some() { "another" } else { "none" };
            let detail =
                format!("{path} names {said} for the NAR {nar_hash}, and {found} is to be");
            wrong(Kind::FileContradicted, detail);
        }
        if !index.is_path_of_nar(&nar_hash, hash_part)? {
            wrong(Kind::PathUnlisted, format!("{path} is not listed with its NAR {nar_hash}"));
        }
        let id = claim.id();
        match index.claim(&id)? {
            Some(text) if ClaimId::of(&text) == id => {}
            Some(_) => wrong(Kind::ClaimDamaged, format!("the words of the claim {id} are others")),
            None => wrong(Kind::ClaimMissing, format!("the words of the claim {id} are gone")),
        }
        for word in &record.attestations {
            if !self.is_founded(record, word)? {
                let AttestationRecord { ledger, index, .. } = word;
                let log = LogAt { ledger: *ledger, log: LogId::Attestations };
                let detail = format!("the log {log} has nothing of the kind as its entry {index}");
                wrong(Kind::WordUnfounded, detail);
            }
        }
        Ok(())
    }

    /// What narinfos of a path are to name for a NAR.
    fn shown_file(
        &self,
        hash_part: &HashPart,
        nar_hash: &NarHash,
    ) -> Result<Option<FileRecord>, Error> {
        let index = self.parts.index;
        let Some(blob) = index.blob(nar_hash)? else { return Ok(None) };
        let hidden =
            index.unlisted(nar_hash, true)?.is_some() || index.deletion(hash_part)?.is_some();
        Ok(Some(blob.file).filter(|_| !hidden))
    }

    /// Whether a ledger has the word.
    fn is_founded(&self, record: &ClaimRecord, word: &AttestationRecord) -> Result<bool, Error> {
        let log = LogAt { ledger: word.ledger, log: LogId::Attestations };
        let entry = match self.parts.index.log_entries(log, word.index, 1) {
            Ok(mut entries) => entries.pop(),
            Err(Error::Damaged(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(entry.is_some_and(|entry| *entry == word.entry(&record.claim).to_bytes()))
    }

    /// A path that is listed with a NAR has it by somebody's word.
    pub(super) fn nar_path(&mut self, nar_hash: NarHash, hash_part: HashPart) {
        let record = self.parts.index.path(&hash_part);
        let Some(record) = self.asked(&hash_part.to_string(), record) else { return };
        let claims = record.iter().flat_map(|record| &record.claims);
        if !claims.into_iter().any(|it| it.claim.nar_hash() == nar_hash) {
            let path = Mending { hash_part, entries: Vec::new(), nar_hashes: vec![nar_hash] };
            let done = self.mend(path);
            let detail = format!("it is listed with the NAR {nar_hash}, which nobody says it has");
            self.found(Kind::PathUnlisted, hash_part.to_string(), detail, done);
        }
    }

    /// A claim is kept under the hash of its words.
    pub(super) fn claim(&mut self, id: ClaimId, text: &[u8]) {
        let found = ClaimId::of(text);
        if found != id {
            let detail = format!("its words have the hash {found}");
            self.found(Kind::ClaimDamaged, id.to_string(), detail, Done::Left);
        }
    }
}
