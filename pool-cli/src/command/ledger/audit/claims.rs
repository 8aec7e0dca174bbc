//! What each new entry says: that the signer signed that claim, and might.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schema::api::{ClaimAnswer, MAX_CLAIMS};
use schema::attestation::Entry;
use schema::hash::ClaimId;
use schema::key::PublicKey;
use schema::signature::Signature;

use super::ATTESTATIONS;
use super::copy::Copy;
use super::keys::Keys;
use super::report::Findings;
use crate::ledger_reader::{Code, Finding, claim_of};
use crate::output::Count;
use crate::remote::Remote;

/// Requests for claims at a time.
const ASKED: usize = 3;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Signatures that verify.
    pub(super) signatures: u64,
    /// Entries of which nobody has the claim any more, as the pool says.
    pub(super) not_checkable: u64,
}

/// Checks the entries from `from` on. Those that are no entries are another's to tell.
pub(super) async fn check(
    remote: &Remote<'_>,
    copy: &Copy,
    from: u64,
    keys: &mut Keys,
    count: &Count<'_>,
    findings: &mut Findings,
) -> Result<Tally> {
    let mut judge = Judge { keys, findings, tally: Tally::default() };
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    let parts = parts(copy.entries()?, from);
    let mut verified = stream::iter(parts)
        .map(async |part| {
            let part = part?;
            let claims = fetch(remote, &part).await?;
            anyhow::Ok((part, claims))
        })
        .buffered(ASKED)
        .map_ok(|(part, claims)| (part.len() as u64, judge.judge(&part, &claims)))
        .map(async |judged| {
            let (len, signed) = judged?;
            let verified = tokio::task::spawn_blocking(move || verify(&signed)).await;
            anyhow::Ok((len, verified.context("verifying signatures")?))
        })
        .buffered(threads);
    let (mut signatures, mut bad) = (0, Findings::default());
    while let Some((len, part)) = verified.try_next().await? {
        signatures += part.good;
        bad.append(part.bad);
        count.advance(len);
    }
    drop(verified);
    let Judge { findings, tally, .. } = judge;
    findings.append(bad);
    Ok(Tally { signatures, ..tally })
}

/// The entries from `from` on, as many at a time as one request may ask about.
fn parts(
    entries: impl Iterator<Item = Result<Vec<u8>>>,
    from: u64,
) -> impl Iterator<Item = Result<Vec<(u64, Entry)>>> {
    let mut entries = (0..).zip(entries).skip_while(move |(index, _)| *index < from).peekable();
    std::iter::from_fn(move || {
        entries.peek()?;
        let mut part = Vec::with_capacity(MAX_CLAIMS);
        for (index, bytes) in entries.by_ref().take(MAX_CLAIMS) {
            match bytes {
                Ok(bytes) => part.extend(Entry::parse(&bytes).ok().map(|entry| (index, entry))),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(part))
    })
}

async fn fetch(
    remote: &Remote<'_>,
    part: &[(u64, Entry)],
) -> Result<HashMap<ClaimId, ClaimAnswer>> {
    let mut met = HashSet::new();
    let claims = part.iter().map(|(_, entry)| entry.claim).filter(|claim| met.insert(*claim));
    let claims: Vec<ClaimId> = claims.collect();
    let answers = remote.claims(&claims).await?;
    Ok(answers.into_iter().map(|answer| (answer.claim, answer)).collect())
}

/// Looks at the entries in their order.
struct Judge<'a> {
    keys: &'a mut Keys,
    findings: &'a mut Findings,
    tally: Tally,
}

/// A signature that is to be verified.
struct Signed {
    index: u64,
    key: PublicKey,
    text: String,
    signature: Signature,
}

impl Judge<'_> {
    /// All but the signatures, which are given back.
    fn judge(
        &mut self,
        part: &[(u64, Entry)],
        claims: &HashMap<ClaimId, ClaimAnswer>,
    ) -> Vec<Signed> {
        let mut signed = Vec::with_capacity(part.len());
        for (index, entry) in part {
            let answer = claims.get(&entry.claim);
            let claim = match claim_of(entry, answer) {
                Ok(claim) => {
                    self.tally.not_checkable += u64::from(claim.is_none());
                    claim
                }
                Err((code, why)) => {
                    self.found(*index, code, why);
                    None
                }
            };
            let name = claim.as_ref().map(|(claim, _)| claim.path().base().name());
            if let Err(why) = self.keys.may_attest(*index, entry, name) {
                self.found(*index, Code::KeyNotAllowed, why.to_string());
            }
            if let (Some((_, text)), Some(key)) = (claim, self.keys.key_of(entry)) {
                if key.dialect() != entry.dialect {
                    let why = format!("{} does not sign entries of this kind", key.name());
                    self.found(*index, Code::Signature, why);
                    continue;
                }
                let (text, signature) = (text.to_owned(), entry.signature);
                signed.push(Signed { index: *index, key: key.clone(), text, signature });
            }
        }
        signed
    }

    fn found(&mut self, index: u64, code: Code, why: String) {
        self.findings.push(Finding::new(ATTESTATIONS, code, why).at(index));
    }
}

/// A part all at once.
#[cfg(test)]
pub(super) fn check_part(
    part: &[(u64, Entry)],
    claims: &HashMap<ClaimId, ClaimAnswer>,
    keys: &mut Keys,
    findings: &mut Findings,
) -> Tally {
    let mut judge = Judge { keys, findings, tally: Tally::default() };
    let signed = judge.judge(part, claims);
    let Judge { findings, tally, .. } = judge;
    let verified = verify(&signed);
    findings.append(verified.bad);
    Tally { signatures: verified.good, ..tally }
}

#[derive(Default)]
struct Verified {
    good: u64,
    bad: Findings,
}

fn verify(signed: &[Signed]) -> Verified {
    let mut verified = Verified::default();
    for Signed { index, key, text, signature } in signed {
        if key.verifies(text.as_bytes(), signature) {
            verified.good += 1;
        } else {
            let why = format!("the signature by {} does not verify over the claim", key.name());
            verified.bad.push(Finding::new(ATTESTATIONS, Code::Signature, why).at(*index));
        }
    }
    verified
}
