//! The ledgers of others, and NARs that are elsewhere.

use rocksdb::{Direction, IteratorMode};
use schema::hash::{ClaimId, KeyId, NarHash, PathKey};
use schema::key::KeyName;

use super::{Batch, Index, damaged, failed, from_json, to_json};
use crate::index::families::{
    ELSEWHERE, MIRRORED_CHECKPOINTS, MIRRORED_LEDGERS, MIRRORED_NAMES, MIRRORED_SOURCES,
    MIRRORED_UNHEARD, MIRRORED_WORDS,
};
use crate::index::{
    ElsewhereRecord, ForkRecord, LedgerId, LedgerRecord, LogAt, SourceRecord, record,
};
use crate::rejected::Error;

/// The kinds of rows about checkpoints of one log.
const PENDING: u8 = 1;
const MIRRORED: u8 = 2;
const FORK: u8 = 3;

impl Index {
    /// Which ledgers of others are mirrored? In the order in which they came.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirrored_ledgers(&self) -> Result<Vec<(LedgerId, LedgerRecord)>, Error> {
        let rows = self.rows(&MIRRORED_LEDGERS, &[])?;
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let number = (*key).try_into().map_err(|_| damaged(MIRRORED_LEDGERS.name))?;
            let id = LedgerId::from_number(u32::from_be_bytes(number));
            Ok((id, from_json(&MIRRORED_LEDGERS, &value)?))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Checkpoints up to which entries may be added to a log, as signed notes, the smallest first.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn pending_checkpoints(&self, log: LogAt) -> Result<Vec<Vec<u8>>, Error> {
        let rows = self.rows(&MIRRORED_CHECKPOINTS, &log.row(PENDING, &[]))?;
        Ok(rows.into_iter().map(|(_, note)| note).collect())
    }

    /// The newest checkpoint up to which a log is mirrored whole, as a signed note.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirror_checkpoint(&self, log: LogAt) -> Result<Option<Vec<u8>>, Error> {
        self.read(&MIRRORED_CHECKPOINTS, &log.row(MIRRORED, &[]), |note| Ok(note.to_vec()))
    }

    /// How a log has forked, if it has.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn fork(&self, log: LogAt) -> Result<Option<ForkRecord>, Error> {
        let key = log.row(FORK, &[]);
        self.read(&MIRRORED_CHECKPOINTS, &key, |bytes| from_json(&MIRRORED_CHECKPOINTS, bytes))
    }

    /// What each source showed of a log, by its address.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirror_sources(&self, log: LogAt) -> Result<Vec<(String, SourceRecord)>, Error> {
        let prefix = log.prefix();
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let address = String::from_utf8(key[prefix.len()..].to_vec());
            let address = address.map_err(|_| damaged(MIRRORED_SOURCES.name))?;
            Ok((address, from_json(&MIRRORED_SOURCES, &value)?))
        };
        self.rows(&MIRRORED_SOURCES, &prefix)?.into_iter().map(parse).collect()
    }

    /// Where do mirrored ledgers attest this claim? At most `limit` places.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirrored_words(
        &self,
        claim: &ClaimId,
        limit: usize,
    ) -> Result<Vec<(LedgerId, u64)>, Error> {
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let number = key[32..].first_chunk().ok_or_else(|| damaged(MIRRORED_WORDS.name))?;
            let ledger = LedgerId::from_number(u32::from_be_bytes(*number));
            Ok((ledger, record::read_index(&value)?))
        };
        let rows = self.first_rows(&MIRRORED_WORDS, claim.as_bytes(), limit)?;
        rows.into_iter().map(parse).collect()
    }

    /// Where does this mirrored ledger have this signer attest this claim, if it does?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirrored_word(
        &self,
        ledger: LedgerId,
        claim: &ClaimId,
        key_id: &KeyId,
    ) -> Result<Option<u64>, Error> {
        self.read(&MIRRORED_WORDS, &word_key(ledger, claim, key_id), record::read_index)
    }

    /// What is known of a NAR that is not here?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn elsewhere(&self, nar_hash: &NarHash) -> Result<Option<ElsewhereRecord>, Error> {
        for wanted in [true, false] {
            let key = elsewhere_key(wanted, nar_hash);
            let read = |bytes: &[u8]| record::read_elsewhere(bytes, wanted);
            if let Some(found) = self.read(&ELSEWHERE, &key, read)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Which NARs are to come here, after this one in the order of their hashes? At most `limit`, and
    /// none that no path has by anybody's verified word.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn wanted(
        &self,
        after: Option<&NarHash>,
        limit: usize,
    ) -> Result<Vec<(NarHash, ElsewhereRecord)>, Error> {
        let start = after.map_or_else(|| vec![0], |after| elsewhere_key(true, after));
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.database.iterator_cf(self.family(&ELSEWHERE)?, mode);
        let mut wanted = Vec::new();
        for row in rows {
            let (key, value) = row.map_err(failed)?;
            let Some(hash) = key.strip_prefix(&[0]) else { break };
            let hash = NarHash::from_bytes(hash.try_into().map_err(|_| damaged(ELSEWHERE.name))?);
            if after == Some(&hash) || self.paths_of_nar(&hash, 1)?.is_empty() {
                continue;
            }
            if wanted.len() == limit {
                break;
            }
            wanted.push((hash, record::read_elsewhere(&value, true)?));
        }
        Ok(wanted)
    }

    /// Which entries of mirrored ledgers are about this path, of which nobody here knows what they say?
    /// At most `limit`.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn unheard(&self, path: &PathKey, limit: usize) -> Result<Vec<(LedgerId, u64)>, Error> {
        let parse = |(key, _): (Vec<u8>, Vec<u8>)| {
            let (ledger, index) =
                key[32..].split_first_chunk().ok_or_else(|| damaged(MIRRORED_UNHEARD.name))?;
            let ledger = LedgerId::from_number(u32::from_be_bytes(*ledger));
            Ok((ledger, record::read_index(index)?))
        };
        let rows = self.first_rows(&MIRRORED_UNHEARD, path.as_bytes(), limit)?;
        rows.into_iter().map(parse).collect()
    }

    /// In which ledger a name came up first, of names in the ledgers of others?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn mirrored_names(&self) -> Result<Vec<(KeyName, LedgerId)>, Error> {
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let name = std::str::from_utf8(&key).ok().and_then(|name| name.parse().ok());
            let number = (*value).try_into().map(u32::from_be_bytes).ok();
            let (name, number) = name.zip(number).ok_or_else(|| damaged(MIRRORED_NAMES.name))?;
            Ok((name, LedgerId::from_number(number)))
        };
        self.rows(&MIRRORED_NAMES, &[])?.into_iter().map(parse).collect()
    }
}

impl Batch<'_> {
    /// Begins to mirror a ledger.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_mirrored_ledger(
        &mut self,
        id: LedgerId,
        ledger: &LedgerRecord,
    ) -> Result<(), Error> {
        self.put(&MIRRORED_LEDGERS, &id.number().to_be_bytes(), &to_json(ledger)?)
    }

    /// Allows entries up to a checkpoint of `size`.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_pending(&mut self, log: LogAt, size: u64, note: &[u8]) -> Result<(), Error> {
        self.put(&MIRRORED_CHECKPOINTS, &log.row(PENDING, &size.to_be_bytes()), note)
    }

    /// Forgets a checkpoint up to which entries might be added.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_pending(&mut self, log: LogAt, size: u64) -> Result<(), Error> {
        self.delete(&MIRRORED_CHECKPOINTS, &log.row(PENDING, &size.to_be_bytes()))
    }

    /// Replaces the checkpoint up to which a log is mirrored whole.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_mirror_checkpoint(&mut self, log: LogAt, note: &[u8]) -> Result<(), Error> {
        self.put(&MIRRORED_CHECKPOINTS, &log.row(MIRRORED, &[]), note)
    }

    /// Keeps the evidence that a log has forked.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_fork(&mut self, log: LogAt, fork: &ForkRecord) -> Result<(), Error> {
        self.put(&MIRRORED_CHECKPOINTS, &log.row(FORK, &[]), &to_json(fork)?)
    }

    /// Replaces what a source showed of a log.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_mirror_source(
        &mut self,
        log: LogAt,
        address: &str,
        source: &SourceRecord,
    ) -> Result<(), Error> {
        let key = [&*log.prefix(), address.as_bytes()].concat();
        self.put(&MIRRORED_SOURCES, &key, &to_json(source)?)
    }

    /// Remembers where a mirrored ledger has a signer attest a claim.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_mirrored_word(
        &mut self,
        ledger: LedgerId,
        (claim, key_id): (&ClaimId, &KeyId),
        index: u64,
    ) -> Result<(), Error> {
        self.put(&MIRRORED_WORDS, &word_key(ledger, claim, key_id), &index.to_be_bytes())
    }

    /// Remembers that nobody here knows what an entry says, or, once it is heard, forgets that.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_unheard(
        &mut self,
        path: &PathKey,
        (ledger, index): (LedgerId, u64),
        unheard: bool,
    ) -> Result<(), Error> {
        let (ledger, index) = (ledger.number().to_be_bytes(), index.to_be_bytes());
        let key = [path.as_bytes().as_slice(), &ledger, &index].concat();
        if unheard {
            self.put(&MIRRORED_UNHEARD, &key, &[])
        } else {
            self.delete(&MIRRORED_UNHEARD, &key)
        }
    }

    /// Remembers in which ledger a name came up first.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_mirrored_name(&mut self, name: &KeyName, ledger: LedgerId) -> Result<(), Error> {
        self.put(&MIRRORED_NAMES, name.as_str().as_bytes(), &ledger.number().to_be_bytes())
    }

    /// Replaces what is known of a NAR that is not here.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_elsewhere(
        &mut self,
        nar_hash: &NarHash,
        known: &ElsewhereRecord,
    ) -> Result<(), Error> {
        self.delete(&ELSEWHERE, &elsewhere_key(!known.wanted, nar_hash))?;
        let key = elsewhere_key(known.wanted, nar_hash);
        self.put(&ELSEWHERE, &key, &record::write_elsewhere(known))
    }

    /// Forgets that a NAR is not here.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_elsewhere(&mut self, nar_hash: &NarHash) -> Result<(), Error> {
        self.delete(&ELSEWHERE, &elsewhere_key(true, nar_hash))?;
        self.delete(&ELSEWHERE, &elsewhere_key(false, nar_hash))
    }
}

impl LogAt {
    fn row(self, kind: u8, rest: &[u8]) -> Vec<u8> {
        [&*self.prefix(), &[kind], rest].concat()
    }
}

fn word_key(ledger: LedgerId, claim: &ClaimId, key_id: &KeyId) -> Vec<u8> {
    [claim.as_bytes(), ledger.number().to_be_bytes().as_slice(), key_id.as_bytes()].concat()
}

/// What is wanted stands together, first.
fn elsewhere_key(wanted: bool, nar_hash: &NarHash) -> Vec<u8> {
    [&[u8::from(!wanted)], nar_hash.as_bytes().as_slice()].concat()
}
