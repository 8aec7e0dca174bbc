//! The judge: what a policy says of a path, by evidence that this host has verified itself.
//!
//! It asks pools and believes none of them. What they show is verified by [`schema::evidence`], kept,
//! and decided of by [`schema::decide`], for a path with all that it refers to.

mod answer;
mod deriver;
mod heard;
mod ledger;
mod setup;
mod state;
mod statements;
mod status;
mod trial;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use schema::api::{EvidenceRequest, FileReport, MAX_EVIDENCE_ASKED};
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::decide::{Closure, Decision, Outcome, Unheard};
use schema::hash::KeyId;
use schema::key::KeyName;
use schema::policy::Policy;
use schema::signature::Signature;
use schema::statement::Statement;
use schema::store_path::{HashPart, StorePath};

use self::ledger::Ledger;
use self::state::State;
use self::trial::Trial;
use crate::remote::Remote;

pub(crate) use self::setup::{read_policy, signers_of};
pub(crate) use self::status::PoolStatus;

/// How long an allowed path stays so without another look.
const STANDING: Duration = Duration::from_secs(60);
/// Answers that are remembered; beyond that all are forgotten, and found again.
const MAX_ANSWERS: usize = 200_000;

/// Decides for one policy, by what some pools show.
pub(crate) struct Judge {
    policy: Arc<Policy>,
    ledgers: Vec<Ledger>,
    answers: Mutex<HashMap<HashPart, (Instant, Answer)>>,
}

/// What the judge has to say of a path that was asked for by its hash part.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The path, if anybody ever spoke of it.
    pub(crate) path: Option<StorePath>,
    /// The claim to believe, or why there is none.
    pub(crate) outcome: Result<Arc<Allowed>, Refusal>,
}

/// A claim that the policy allows, with the claims of its whole closure.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// What to believe.
    pub(crate) claim: Arc<Claim>,
    /// Its content address, if the path follows from it.
    pub(crate) content_address: Option<ContentAddress>,
    /// Which pools say that they have the NAR, by their number on the command line.
    pub(crate) files: Vec<(usize, FileReport)>,
}

/// Why a path is not shown to the package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For programs: stable, in snake case.
    pub(crate) code: &'static str,
    /// For people: which path lacks whom. May have several lines.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// Whatever path has this hash part.
    Part(HashPart),
    /// One path.
    Path(StorePath),
}

impl Root {
    /// Whether a path is what is asked about.
    pub(crate) fn is(&self, path: &StorePath) -> bool {
        match self {
            Self::Part(hash_part) => path.base().hash_part() == *hash_part,
            Self::Path(root) => path == root,
        }
    }
}

/// What came of paths and all that they refer to.
pub(crate) struct Judged {
    /// The whole.
    pub(crate) closure: Closure,
    /// What was decided of each path by itself.
    pub(crate) decisions: HashMap<StorePath, Decision>,
}

impl Judge {
    /// A judge by `policy` who asks these pools, and keeps in `dir` what was seen of them.
    ///
    /// # Errors
    /// A policy older than what was used before, no pool, or a directory that cannot be used.
    pub(crate) fn open(
        policy: Policy,
        pools: Vec<Remote<'static>>,
        dir: &Path,
    ) -> Result<Arc<Self>> {
        let policy = Arc::new(policy);
        let state = Arc::new(State::open(dir, &policy)?);
        state.forget(now().saturating_sub(policy.ledger().max_checkpoint_age().seconds()))?;
        let open = |remote| Ledger::open(remote, Arc::clone(&policy), Arc::clone(&state));
        let ledgers = pools.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self { policy, ledgers, answers: Mutex::default() }))
    }

    /// By what it decides.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What to tell a package manager that asks for a hash part. The first question about a closure
    /// asks the pools for all of it, and others that it answers then cost nothing.
    pub(crate) async fn answer(&self, hash_part: HashPart) -> Answer {
        if let Some(answer) = self.remembered(&hash_part) {
            return answer;
        }
        let judged = self.judge(vec![Root::Part(hash_part)]).await;
        let mut answers = self.answers();
        if answers.len() + judged.closure.reached().len() > MAX_ANSWERS {
            answers.clear();
        }
        let until = Instant::now() + STANDING;
        for reached in judged.closure.reached() {
            let part = reached.path.base().hash_part();
            // Of others with the same hash part nobody asked yet.
            let is_only = |ledger: &Ledger| ledger.seen().memory.with(&part).len() <= 1;
            if part == hash_part || !self.ledgers.iter().all(is_only) {
                continue;
            }
            if let Some(allowed) = self.allowed(&reached.path, &reached.outcome) {
                let path = Some(reached.path.clone());
                answers.insert(part, (until, Answer { path, outcome: Ok(allowed) }));
            }
        }
        let answer = self.one_of(&judged, &hash_part);
        if answer.outcome.is_ok() {
            answers.insert(hash_part, (until, answer.clone()));
        }
        answer
    }

    /// Why nothing is allowed that somebody asked about.
    pub(crate) fn why(&self, judged: &Judged, root: &Root) -> Refusal {
        match (judged.closure.reached().iter().find(|it| root.is(&it.path)), root) {
            (Some(reached), _) => self.refusal(judged, &reached.path),
            (None, Root::Part(hash_part)) => self.never_seen(hash_part),
            (None, Root::Path(path)) => self.never_seen(&path.base().hash_part()),
        }
    }

    /// The signatures over a claim that were verified, by the keys that the policy knows, which were
    /// valid then. Those over the same claim in other words are no signatures over this one.
    pub(crate) fn signatures(&self, claim: &Claim) -> Vec<(KeyName, Signature)> {
        let mut signatures: Vec<(KeyName, Signature)> = Vec::new();
        for ledger in &self.ledgers {
            let seen = ledger.seen();
            let (Some(known), Some(heard)) = (&seen.known, seen.memory.of(claim.path())) else {
                continue;
            };
            let name = claim.path().base().name();
            let counts = |it: &&Statement| {
                let (key, index, at) = (it.key_id(), it.index(), it.logged_at());
                it.claim().is_some() && known.signers().counts(&key, index, name, at)
            };
            let verified = heard.statements.iter().filter(counts);
            let verified: HashSet<u64> = verified.map(|it| it.index()).collect();
            let entries = heard.shown.iter().flat_map(|shown| shown.entries());
            let of_claim = entries
                .filter(|(index, entry, _)| entry.claim == claim.id() && verified.contains(index));
            for (_, entry, _) in of_claim {
                let Some(signer) = known.signers().by_id(&entry.key_id) else { continue };
                if !signatures.iter().any(|(name, _)| name == signer.key.name()) {
                    signatures.push((signer.key.name().clone(), entry.signature));
                }
            }
        }
        signatures
    }

    /// These entries of the first pool's ledger, and what they attest. The signatures are not verified.
    /// Whose closures they are about, of those all is heard.
    ///
    /// # Errors
    /// A pool that does not answer, or is not believed.
    pub(crate) async fn attested(
        &self,
        entries: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, (Entry, Arc<Claim>)>, Unheard> {
        let Some(ledger) = self.ledgers.first() else { return Ok(BTreeMap::new()) };
        let mut attested = BTreeMap::new();
        let all: Vec<u64> = entries.iter().copied().collect();
        for some in all.chunks(MAX_EVIDENCE_ASKED) {
            let request =
                EvidenceRequest { entries: some.to_vec(), closure: true, ..Default::default() };
            ledger.ask(|| Some(request), now()).await?;
            attested.append(&mut ledger.seen().memory.attested(&some.iter().copied().collect()));
        }
        Ok(attested)
    }

    /// Whether the first pool's keys log, as it was heard, has a delegation by `root` to this key.
    pub(crate) fn is_delegate(&self, key: &KeyId, root: &KeyId) -> bool {
        self.ledgers.first().is_some_and(|ledger| {
            let seen = ledger.seen();
            let signer = seen.known.as_ref().and_then(|known| known.signers().by_id(key));
            signer.and_then(|it| it.delegation.as_ref()).is_some_and(|it| it.root == *root)
        })
    }

    /// Decides of paths and all that they refer to.
    pub(crate) async fn judge(&self, roots: Vec<Root>) -> Judged {
        Trial::new(&self.policy, &self.ledgers, roots, now()).run().await
    }

    /// How the pools stand, in the order of the command line.
    pub(crate) fn status(&self) -> Vec<PoolStatus> {
        self.ledgers.iter().map(PoolStatus::of).collect()
    }

    fn remembered(&self, hash_part: &HashPart) -> Option<Answer> {
        let answers = self.answers();
        let (until, answer) = answers.get(hash_part)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    /// The answer about the one path with a hash part that is allowed.
    fn one_of(&self, judged: &Judged, hash_part: &HashPart) -> Answer {
        let of_part = || {
            let reached = judged.closure.reached().iter();
            reached.filter(|reached| reached.path.base().hash_part() == *hash_part)
        };
        let mut allowed = of_part().filter_map(|it| {
            let outcome = Ok(self.allowed(&it.path, &it.outcome)?);
            Some(Answer { path: Some(it.path.clone()), outcome })
        });
        match (allowed.next(), allowed.next()) {
            (Some(answer), None) => answer,
            (Some(one), Some(_)) => {
                let detail = format!("two paths with the hash part {hash_part} are allowed");
                refused(one.path, Refusal { code: "ambiguous", detail, hint: None })
            }
            (None, _) => match of_part().next() {
                Some(reached) => {
                    let path = reached.path.clone();
                    refused(Some(path), self.refusal(judged, &reached.path))
                }
                None => refused(None, self.never_seen(hash_part)),
            },
        }
    }

    /// A claim that is allowed, with what the pools say beside it.
    pub(crate) fn allowed(&self, path: &StorePath, outcome: &Outcome) -> Option<Arc<Allowed>> {
        let claim = outcome.claim()?;
        let mut files = Vec::new();
        let mut content_address = None;
        for (number, ledger) in self.ledgers.iter().enumerate() {
            let seen = ledger.seen();
            let shown = seen.memory.of(path).and_then(|heard| heard.shown.as_ref());
            let shown = shown.into_iter().flat_map(|shown| shown.claims());
            for it in shown.filter(|it| it.claim.agrees_with(claim)) {
                // Of claims in other words the pool says the same.
                let file = it.file.clone().map(|file| (number, file));
                files.extend(file.filter(|file| !files.contains(file)));
                content_address = content_address.or_else(|| it.content_address.clone());
            }
        }
        Some(Arc::new(Allowed { claim: Arc::clone(claim), content_address, files }))
    }

    /// Why a path is not allowed, and what it lacks, or what those lack that it refers to.
    pub(crate) fn refusal(&self, judged: &Judged, path: &StorePath) -> Refusal {
        let reached = judged.closure.of(path);
        let code = reached.map_or("unheard", |reached| reached.outcome.code());
        let about = |path: &StorePath| {
            judged.decisions.get(path).map(|decision| format!("{path}: {}", decision.reason()))
        };
        let culprits = reached.map_or(&[][..], |reached| reached.culprits.as_slice());
        let mut lines: Vec<String> = Vec::new();
        if culprits.iter().any(|culprit| culprit != path) {
            lines.push(format!("{path} refers to what is not allowed:"));
            lines.extend(culprits.iter().filter_map(about));
        } else {
            lines.extend(about(path));
        }
        let hint = format!("pool policy explain FILE {path}");
        Refusal { code, detail: lines.join("\n"), hint: Some(hint) }
    }

    fn never_seen(&self, hash_part: &HashPart) -> Refusal {
        let mut detail = format!("nobody attested a path with the hash part {hash_part}");
        let mut code = "never_seen";
        for ledger in &self.ledgers {
            if let Some(trouble) = &ledger.seen().trouble {
                detail.push_str(&format!("\n{}: {trouble}", ledger.url()));
                code = "unheard";
            }
        }
        Refusal { code, detail, hint: None }
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<HashPart, (Instant, Answer)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(path: Option<StorePath>, refusal: Refusal) -> Answer {
    Answer { path, outcome: Err(refusal) }
}

/// POSIX seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
