//! Which NARs the mirror is to have.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use futures_util::TryStreamExt;
use schema::api::{ClaimAnswer, LedgerReport, NarElsewhere};
use schema::attestation::Entry;
use schema::evidence::LogKeys;
use schema::hash::{ClaimId, NarHash};
use schema::signers::Signers;
use schema::tlog::edge::Edge;

use super::Carrier;
use super::filter::Offered;
use super::ledger::ATTESTATIONS;
use crate::ledger_reader::{LogReader, ReadError, claim_of};

impl Carrier {
    /// Tells the mirror where those NARs are that it lacks, and which of them it wants. Answers with how
    /// many those are.
    pub(super) async fn mark(
        &self,
        number: usize,
        offered: &[Offered],
        chosen: &HashSet<NarHash>,
    ) -> Result<usize> {
        let source = &self.sources[number];
        let mut met = HashSet::new();
        let hashes = offered.iter().map(|it| it.nar_hash).filter(|hash| met.insert(*hash));
        let hashes: Vec<NarHash> = hashes.collect();
        let missing = self.target.missing(&hashes).await?;
        if missing.is_empty() {
            return Ok(0);
        }
        let found = source.remote.find_nars(&missing).await?;
        let mut files: HashMap<NarHash, _> =
            found.into_iter().map(|found| (found.nar_hash, found)).collect();
        let elsewhere = missing.into_iter().map(|nar_hash| NarElsewhere {
            nar_hash,
            source: source.access.server.clone(),
            file: files.remove(&nar_hash),
            wanted: chosen.contains(&nar_hash),
        });
        let elsewhere: Vec<NarElsewhere> = elsewhere.collect();
        let wanted = elsewhere.iter().filter(|it| it.wanted).count();
        self.target.tell_elsewhere(elsewhere).await?;
        Ok(wanted)
    }

    /// Wants what the roots need, by what the mirror knows of them by now.
    pub(super) async fn want_roots(&mut self, number: usize) -> Result<()> {
        let offered = self.filter.closure(&self.target).await?;
        let chosen = self.filter.choose(&offered).await?;
        let needed: Vec<Offered> =
            offered.into_iter().filter(|it| chosen.contains(&it.nar_hash)).collect();
        let wanted = self.mark(number, &needed, &chosen).await?;
        self.report.wanted(wanted);
        Ok(())
    }

    /// Looks at all attestations that the mirror has of a ledger once more.
    pub(super) async fn rescan_ledger(
        &self,
        number: usize,
        ours: &LedgerReport,
        keys: &LogKeys,
        table: Option<&Signers>,
    ) -> Result<(), ReadError> {
        let log = ours.logs.iter().find(|log| log.log == ATTESTATIONS && log.size.is_some());
        let Some(log) = log else { return Ok(()) };
        let files = async |path: String| self.target.file_at(&log.address, &path).await;
        let reader = LogReader::new(ATTESTATIONS, keys.attestations().clone(), files);
        let shown = reader.checkpoint().await?;
        let growth = reader.growth(&Edge::new(), &shown).await?;
        let mut bundles = std::pin::pin!(reader.entries(&growth));
        while let Some((_, bundle)) = bundles.try_next().await? {
            let entries: Vec<Entry> =
                bundle.iter().filter_map(|bytes| Entry::parse(bytes).ok()).collect();
            let ids: Vec<ClaimId> = entries.iter().map(|entry| entry.claim).collect();
            let mut answers = self.target.claims(&ids).await?;
            self.bring_lacking(number, &entries, &mut answers).await?;
            let offered = entries.iter().zip(&answers).filter_map(|(entry, answer)| {
                let (claim, _) = claim_of(entry, Some(answer)).ok()??;
                Some(Offered::of(entry, &claim, table))
            });
            let offered: Vec<Offered> = offered.collect();
            let chosen = self.filter.choose(&offered).await?;
            self.mark(number, &offered, &chosen).await?;
        }
        Ok(())
    }

    /// Brings claims that were kept back when their entries came, if this source gives them.
    async fn bring_lacking(
        &self,
        number: usize,
        entries: &[Entry],
        answers: &mut [ClaimAnswer],
    ) -> Result<()> {
        let lacking = answers.iter().filter(|it| it.text.is_none()).map(|it| it.claim);
        let lacking: Vec<ClaimId> = lacking.collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let given = self.sources[number].remote.claims(&lacking).await?;
        let mut texts = Vec::new();
        for (entry, answer) in entries.iter().zip(answers).filter(|(_, it)| it.text.is_none()) {
            let told = given.iter().find(|it| it.claim == entry.claim);
            if let Ok(Some((_, text))) = claim_of(entry, told) {
                answer.text = Some(text.to_owned());
                texts.push(text.to_owned());
            }
        }
        if !texts.is_empty() {
            self.target.bring_claims(texts).await?;
        }
        Ok(())
    }
}
