//! What a group brings of the ledgers of others: entries, claims, and where NARs are that are not
//! here. That the entries are those of a signed tree was proven before.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::{ClaimId, KeyId, NarHash};
use schema::key::PublicKey;
use schema::key_event::KeyEntry;
use schema::signers::{Applied, Signers};
use schema::tlog::edge::Edge;
use schema::verifiable_map::IndexLeaf;

use super::Group;
use crate::index::{ElsewhereRecord, LedgerId, LedgerRecord, LogAt, LogId};
use crate::ledger::log::Stage;
use crate::ledger::mirror::MirroredEntry;
use crate::rejected::{Error, Failure, Rejected};

/// The most keys that a mirrored ledger may ever have had.
const MAX_KEYS: usize = 50_000;

/// What a group knows of the logs of others.
#[derive(Default)]
pub(super) struct Mirrored {
    pub(super) stages: HashMap<LogAt, Stage>,
    words: HashMap<(LedgerId, ClaimId, KeyId), u64>,
    pub(super) texts: HashMap<ClaimId, Claim>,
    times: HashMap<LogAt, u64>,
}

impl Group<'_> {
    /// Begins to mirror a ledger, unless it is mirrored.
    pub(in super::super) fn mirror_ledger(
        &mut self,
        ledger: &LedgerRecord,
    ) -> Result<LedgerId, Failure> {
        let mut mirrored = self.now_on_roll().mirrored();
        if let Some((id, _, signers)) = mirrored.find(|(_, origin, _)| ***origin == *ledger.origin)
        {
            return match *signers.pool() == ledger.public_key {
                true => Ok(id),
                false => Err(origin_taken(ledger, signers.pool()).into()),
            };
        }
        drop(mirrored);
        let known = self.now_on_roll().mirrored().count();
        let number = u32::try_from(known + 1).unwrap_or(u32::MAX);
        let (id, origin) = (LedgerId::from_number(number), Arc::from(&*ledger.origin));
        self.batch.put_mirrored_ledger(id, ledger)?;
        let keys = format!("{origin}/{}", LogId::Keys);
        let table = Signers::new(&keys, ledger.public_key.clone());
        self.changed = Some(self.now_on_roll().clone().with_mirrored(id, &origin, table));
        Ok(id)
    }

    /// Appends the entries from the index `from` on to the copy of a log, all or none; those that are
    /// there already are passed over. Answers with the edge of what there is then.
    pub(in super::super) fn mirror(
        &mut self,
        log: LogAt,
        from: u64,
        entries: Vec<MirroredEntry>,
    ) -> Result<Edge, Failure> {
        let size = self.mirror_stage(log).size();
        let known = size.checked_sub(from).ok_or_else(|| gap(log, size))?;
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(entries.len());
        let new = &entries[known..];
        match log.log {
            LogId::Keys => self.mirror_keys(log, new)?,
            LogId::Attestations => self.mirror_attestations(log, size, new)?,
            LogId::Index => check_leaves(size, new)?,
        }
        let mut stage = self.mirror_stage(log);
        for entry in new {
            stage.append(&mut self.batch, &entry.bytes)?;
        }
        let edge = stage.edge().clone();
        self.mirrored.stages.insert(log, stage);
        Ok(edge)
    }

    /// Keeps what entries of mirrored ledgers are about, and hears those that came before it.
    pub(in super::super) fn mirror_claims(&mut self, claims: Vec<Claim>) -> Result<usize, Failure> {
        let mut new = 0;
        for claim in claims {
            let id = claim.id();
            if self.text(&id)?.is_some() {
                continue;
            }
            self.batch.put_claim_text(&id, &claim)?;
            self.hear_earlier(&claim)?;
            new += 1;
        }
        Ok(new)
    }

    /// Remembers where NARs are that are not here. Answers with how many of them are not.
    pub(in super::super) fn elsewhere(
        &mut self,
        nars: Vec<(NarHash, ElsewhereRecord)>,
    ) -> Result<usize, Failure> {
        let mut absent = 0;
        for (nar_hash, told) in nars {
            if self.blob(&nar_hash)?.is_none() {
                let told = match self.index.elsewhere(&nar_hash)? {
                    Some(known) => told.after(known),
                    None => told,
                };
                self.batch.put_elsewhere(&nar_hash, &told)?;
                absent += 1;
            }
        }
        Ok(absent)
    }

    fn mirror_keys(&mut self, log: LogAt, new: &[MirroredEntry]) -> Result<(), Failure> {
        let mut table = (**self.table(log.ledger)?).clone();
        for entry in new {
            let at = table.events();
            let event = KeyEntry::parse(&entry.bytes).map_err(|why| bad(log, at, why))?;
            let applied = table.apply(&event).map_err(|why| bad(log, at, why))?;
            if matches!(applied, Applied::Already { .. }) {
                return Err(bad(log, at, "the same event stands there before").into());
            }
        }
        if table.all().len() > MAX_KEYS {
            return Err(bad(log, table.events(), "no pool has so many keys").into());
        }
        let roll = self.now_on_roll();
        let origin: Arc<str> = roll.origin(log.ledger).unwrap_or_default().into();
        let before = roll.of(log.ledger).map_or(0, |signers| signers.all().len());
        let mut roll = roll.clone();
        for signer in &table.all()[before..] {
            if roll.bind(signer.key.name(), log.ledger) {
                self.batch.put_mirrored_name(signer.key.name(), log.ledger)?;
            }
        }
        self.changed = Some(roll.with_mirrored(log.ledger, &origin, table));
        Ok(())
    }

    fn mirror_attestations(
        &mut self,
        log: LogAt,
        size: u64,
        new: &[MirroredEntry],
    ) -> Result<(), Failure> {
        let entries = self.checked_attestations(log, size, new)?;
        for (index, entry) in &entries {
            let key = (log.ledger, entry.claim, entry.key_id);
            self.mirrored.words.insert(key, *index);
            self.mirrored.times.insert(log, entry.logged_at);
            let word = (&entry.claim, &entry.key_id);
            self.batch.put_mirrored_word(log.ledger, word, *index)?;
            match self.text(&entry.claim)? {
                Some(claim) => self.hear(log.ledger, *index, entry, &claim)?,
                None => self.batch.put_unheard(&entry.path_key, (log.ledger, *index), true)?,
            }
        }
        Ok(())
    }

    /// Everything is looked at before anything is changed.
    fn checked_attestations(
        &mut self,
        log: LogAt,
        size: u64,
        new: &[MirroredEntry],
    ) -> Result<Vec<(u64, Entry)>, Failure> {
        let mut time = self.last_time(log, size)?;
        let mut entries: Vec<(u64, Entry)> = Vec::with_capacity(new.len());
        for (index, given) in (size..).zip(new) {
            let entry = Entry::parse(&given.bytes).map_err(|why| bad(log, index, why))?;
            if entry.logged_at < time {
                return Err(bad(log, index, "it was logged before the entry before it").into());
            }
            time = entry.logged_at;
            if self.is_said(log.ledger, &entry)? {
                return Err(bad(log, index, "this signer attested this claim before").into());
            }
            if !given.verified {
                let claim = self.text(&entry.claim)?;
                self.check_known(log, index, &entry)?;
                claim.map_or(Ok(()), |it| self.check_word(log.ledger, index, &entry, &it))?;
            }
            entries.push((index, entry));
        }
        let mut said: Vec<_> = entries.iter().map(|(_, it)| (it.claim, it.key_id)).collect();
        said.sort_unstable_by_key(|(claim, key_id)| (*claim.as_bytes(), *key_id.as_bytes()));
        if said.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(bad(log, size, "a signer attests the same claim twice").into());
        }
        Ok(entries)
    }

    pub(super) fn check_known(&self, log: LogAt, index: u64, entry: &Entry) -> Result<(), Failure> {
        match self.table(log.ledger)?.by_id(&entry.key_id) {
            Some(_) => Ok(()),
            None => Err(bad(log, index, "the keys log knows no such key").into()),
        }
    }

    /// What a claim says, if that is known.
    pub(super) fn text(&mut self, id: &ClaimId) -> Result<Option<Claim>, Error> {
        if let Slot::Vacant(slot) = self.mirrored.texts.entry(*id) {
            let Some(text) = self.index.claim(id)? else { return Ok(None) };
            let claim = Claim::parse(&text)
                .map_err(|why| Error::Damaged(format!("the claim {id}: {why}")))?;
            slot.insert(claim);
        }
        Ok(self.mirrored.texts.get(id).cloned())
    }

    fn is_said(&self, ledger: LedgerId, entry: &Entry) -> Result<bool, Error> {
        let known = self.mirrored.words.contains_key(&(ledger, entry.claim, entry.key_id));
        Ok(known || self.index.mirrored_word(ledger, &entry.claim, &entry.key_id)?.is_some())
    }

    fn last_time(&self, log: LogAt, size: u64) -> Result<u64, Error> {
        if let Some(time) = self.mirrored.times.get(&log) {
            return Ok(*time);
        }
        let Some(last) = size.checked_sub(1) else { return Ok(0) };
        let bytes = self.index.log_entries(log, last, 1)?.pop();
        let entry = bytes.and_then(|bytes| Entry::parse(&bytes).ok());
        entry.map(|entry| entry.logged_at).ok_or_else(|| damaged(log, last))
    }

    pub(super) fn table(&self, ledger: LedgerId) -> Result<&Arc<Signers>, Error> {
        let table = self.now_on_roll().of(ledger);
        table.ok_or_else(|| Error::Damaged(format!("no ledger {} is mirrored", ledger.number())))
    }

    fn mirror_stage(&self, log: LogAt) -> Stage {
        let staged = self.mirrored.stages.get(&log).cloned();
        let edge = || self.edges.get(&log).cloned().unwrap_or_default();
        staged.unwrap_or_else(|| Stage::after(log, edge()))
    }
}

fn check_leaves(size: u64, new: &[MirroredEntry]) -> Result<(), Rejected> {
    for (index, entry) in (size..).zip(new) {
        IndexLeaf::parse(&entry.bytes).map_err(|why| {
            let detail = format!("entry {index} of the index log: {why}");
            Rejected::unprocessable("entry_refused", detail)
        })?;
    }
    Ok(())
}

pub(super) fn bad(log: LogAt, index: u64, why: impl std::fmt::Display) -> Rejected {
    let detail = format!("entry {index} of the log {}: {why}", log.log);
    Rejected::unprocessable("entry_refused", detail)
        .hint("the log has signed it none the less; its pool is not in order")
}

pub(in crate::ledger) fn origin_taken(ledger: &LedgerRecord, known: &PublicKey) -> Rejected {
    let (origin, given) = (&ledger.origin, &ledger.public_key);
    let detail = format!("{origin} has the key {known} here, not {given}");
    Rejected::conflict("origin_taken", detail)
        .hint("ask its operator which is right: one of the two is an impostor")
}

fn gap(log: LogAt, size: u64) -> Rejected {
    let detail = format!("the next entry of the log {} is {size}", log.log);
    Rejected::conflict("entries_missing", detail)
}

pub(super) fn damaged(log: LogAt, index: u64) -> Error {
    Error::Damaged(format!("entry {index} of the log {log} does not read"))
}
