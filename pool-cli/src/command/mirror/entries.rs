//! Entries on their way: with what they are about, and in packages that prove themselves.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt};
use schema::api::ClaimAnswer;
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::ClaimId;
use schema::signers::Signers;
use schema::tlog::checkpoint::Origin;
use schema::tlog::mirror::{AddEntries, Package, packages};
use tokio::sync::mpsc;

use super::filter::Offered;
use super::ledger::ATTESTATIONS;
use super::log::{LogCarrier, Served};
use super::tiles::Tiles;
use crate::ledger_reader::{Code, Finding, Growth, ReadError, claim_of};
use crate::remote::Brought;

/// Bundles that are brought together: of their claims one request may ask.
const TOGETHER: usize = 3;
/// Such that are being prepared.
const AHEAD: usize = 3;

/// Entries of one bundle, and the index of the first.
type Bundle = (u64, Vec<Vec<u8>>);

impl<'a> LogCarrier<'a> {
    /// Brings what is new, some bundles at a time, each once everything that it is about is there. While
    /// some are brought the next are prepared. `done` is told how far it is. Answers with how many NARs
    /// are wanted.
    pub(super) async fn bring_all(
        &self,
        growth: &Growth,
        tiles: &Tiles<'_, Served<'a>>,
        (origin, table): (&Origin, Option<&Signers>),
        done: impl Fn(u64),
    ) -> Result<usize, ReadError> {
        let size = growth.edge().size();
        if growth.new_entries() == 0 {
            // Everything is there, and was not shown yet.
            self.add(head(origin, size, size)?, size).await?;
            return Ok(0);
        }
        let (ready, mut waiting) = mpsc::channel(AHEAD);
        let preparing = async {
            let bundles = self.reader.entries(growth).chunks(TOGETHER);
            let prepared = bundles.map(|bundles| self.prepared(bundles, table)).buffered(AHEAD);
            let mut prepared = std::pin::pin!(prepared);
            while let Some(bundles) = prepared.try_next().await? {
                // Whoever brings them says itself why it stopped.
                if ready.send(bundles).await.is_err() {
                    break;
                }
            }
            drop(ready);
            Ok(())
        };
        let bringing = async {
            let mut all = 0;
            while let Some((bundles, wanted)) = waiting.recv().await {
                done(self.bring_bundles(origin, &bundles, size, tiles).await?);
                all += wanted;
            }
            Ok::<_, ReadError>(all)
        };
        let ((), wanted) = tokio::try_join!(preparing, bringing)?;
        Ok(wanted)
    }

    async fn prepared(
        &self,
        bundles: Vec<Result<Bundle, ReadError>>,
        table: Option<&Signers>,
    ) -> Result<(Vec<Bundle>, usize), ReadError> {
        let bundles: Vec<Bundle> = bundles.into_iter().collect::<Result<_, _>>()?;
        let is_about = self.log() == ATTESTATIONS;
        let wanted = if is_about { self.prepare(&bundles, table).await? } else { 0 };
        Ok((bundles, wanted))
    }

    /// Brings bundles, which follow each other, as one request.
    async fn bring_bundles(
        &self,
        origin: &Origin,
        bundles: &[Bundle],
        size: u64,
        tiles: &Tiles<'_, Served<'a>>,
    ) -> Result<u64, ReadError> {
        let Some((start, _)) = bundles.first() else { return Ok(0) };
        let mut body = head(origin, *start, size)?;
        let mut next = *start;
        for (range, (first, entries)) in packages(*start, size).zip(bundles) {
            let proof = tiles.subtree(range.subtree()).await?;
            let package = Package::encode(entries, &proof).context("a package of entries")?;
            body.extend_from_slice(&package);
            next = first + entries.len() as u64;
        }
        self.add(body, next).await?;
        Ok(next - start)
    }

    async fn add(&self, body: Vec<u8>, next: u64) -> Result<(), ReadError> {
        match self.carrier.target.add_entries(Bytes::from(body)).await? {
            Brought::Whole => Ok(()),
            Brought::Next(info) if info.next_entry() >= next => Ok(()),
            Brought::Next(info) => {
                let at = info.next_entry();
                let why = format!("the mirror wants entry {at} of {} next, not {next}", self.log());
                Err(anyhow::anyhow!(why).into())
            }
            Brought::Refused(why) => {
                Err(ReadError::Caught(Finding::new(self.log(), Code::Refused, why)))
            }
        }
    }

    /// Sees to it that the mirror has the claims, and knows which NARs it wants. Answers with how many.
    async fn prepare(
        &self,
        bundles: &[Bundle],
        table: Option<&Signers>,
    ) -> Result<usize, ReadError> {
        let mut entries: Vec<(u64, Entry)> = Vec::new();
        for (first, bundle) in bundles {
            for (index, bytes) in (*first..).zip(bundle) {
                let entry = Entry::parse(bytes).map_err(|why| {
                    let finding = Finding::new(self.log(), Code::Malformed, why.to_string());
                    ReadError::Caught(finding.at(index))
                })?;
                entries.push((index, entry));
            }
        }
        let claims = self.claims(&entries).await?;
        let offered: Vec<Offered> =
            claims.iter().map(|(entry, claim)| Offered::of(entry, claim, table)).collect();
        // With roots, what is wanted is known once everything is there.
        let chosen = match self.carrier.filter.has_roots() {
            true => HashSet::new(),
            false => self.carrier.filter.choose(&offered).await?,
        };
        let wanted = self.carrier.mark(self.number, &offered, &chosen).await?;
        let texts = claims.iter().map(|(_, claim)| claim.signed_bytes().into_owned());
        let mut met = HashSet::new();
        let texts: Vec<String> = texts.filter(|text| met.insert(text.clone())).collect();
        if !texts.is_empty() {
            self.carrier.target.bring_claims(texts).await?;
        }
        Ok(wanted)
    }

    /// What entries are about, of those whose claim the source still has.
    async fn claims(&self, entries: &[(u64, Entry)]) -> Result<Vec<(Entry, Claim)>, ReadError> {
        let mut met = HashSet::new();
        let ids = entries.iter().map(|(_, entry)| entry.claim).filter(|claim| met.insert(*claim));
        let ids: Vec<ClaimId> = ids.collect();
        let answers = self.carrier.sources[self.number].remote.claims(&ids).await?;
        let mut claims = Vec::with_capacity(entries.len());
        let answers: HashMap<ClaimId, &ClaimAnswer> =
            answers.iter().map(|answer| (answer.claim, answer)).collect();
        for (index, entry) in entries {
            let answer = answers.get(&entry.claim).copied();
            let claim = claim_of(entry, answer).map_err(|(code, why)| {
                ReadError::Caught(Finding::new(self.log(), code, why).at(*index))
            })?;
            claims.extend(claim.map(|(claim, _)| (entry.clone(), claim)));
        }
        Ok(claims)
    }
}

fn head(origin: &Origin, start: u64, end: u64) -> Result<Vec<u8>> {
    let head = AddEntries::new(origin.clone(), start, end, Vec::new());
    Ok(head.context("entries to bring")?.encode())
}
