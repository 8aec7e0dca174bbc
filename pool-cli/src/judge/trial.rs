//! One question to the judge: hears the pools about paths and all that they refer to, until nothing is
//! left unheard that could be heard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, RwLockReadGuard};

use futures_util::future::join_all;
use schema::api::{EvidenceRequest, MAX_EVIDENCE_ASKED};
use schema::decide::{Decision, Hearing, Said, Unheard, closure, decide};
use schema::evidence::Known;
use schema::policy::Policy;
use schema::signers::Signers;
use schema::store_path::StorePath;

use super::heard::Heard;
use super::ledger::{Ledger, Seen};
use super::{Judged, Root};

/// How often the pools are asked on for what their answers led to. Each answer follows references by
/// itself, so that there is seldom a second.
const ROUNDS: usize = 64;
/// What was heard longer ago than this is heard anew, in seconds, however old the policy lets it be.
const HEARD_ANEW: u64 = 600;
/// Of what is not allowed, somebody may hope that it is by now.
const REFUSED_ANEW: u64 = 2;

/// What was heard of one path, by the number of the ledger.
type HeardOf = BTreeMap<usize, Arc<Heard>>;

pub(super) struct Trial<'j> {
    policy: &'j Policy,
    ledgers: &'j [Ledger],
    roots: Vec<Root>,
    now: u64,
    /// What was heard longer ago than this is heard anew, in seconds.
    anew: u64,
    /// Who may attest in a ledger of which nothing was ever seen. A policy without principals has no
    /// use for ledgers.
    nobody: Option<Signers>,
    /// Ledgers that did not answer: for the rest of the trial they have said what they said.
    lost: HashMap<usize, Unheard>,
    decisions: HashMap<StorePath, Decision>,
}

impl<'j> Trial<'j> {
    pub(super) fn new(
        policy: &'j Policy,
        ledgers: &'j [Ledger],
        roots: Vec<Root>,
        now: u64,
    ) -> Self {
        let anew = HEARD_ANEW.min(policy.ledger().max_checkpoint_age().seconds() / 2);
        let key = policy.principals().first().and_then(|principal| principal.keys().first());
        let nobody = key.map(|key| Signers::new("", key.clone()));
        let (lost, decisions) = Default::default();
        Self { policy, ledgers, roots, now, anew, nobody, lost, decisions }
    }

    pub(super) async fn run(mut self) -> Judged {
        let mut hoped = false;
        for _ in 0..ROUNDS {
            let (closure, missing) = self.look();
            let missing = if missing.is_empty() && !hoped {
                hoped = true;
                self.worth_hoping(&closure)
            } else {
                missing
            };
            if missing.is_empty() {
                return Judged { closure, decisions: self.decisions };
            }
            self.hear(missing).await;
        }
        let (closure, _) = self.look();
        Judged { closure, decisions: self.decisions }
    }

    /// Decides by what was heard so far, and finds what is missing for that.
    fn look(&mut self) -> (schema::decide::Closure, Vec<(usize, Root)>) {
        self.decisions.clear();
        let mut missing = HashSet::new();
        let roots = self.root_paths(&mut missing);
        let mut waiting = roots.clone();
        let mut met: HashSet<StorePath> = waiting.iter().cloned().collect();
        while let Some(path) = waiting.pop() {
            let decision = self.decide(&path, &mut missing);
            for base in decision.outcome().claim().map_or(&[][..], |claim| claim.references()) {
                let reference = StorePath::new(path.dir().clone(), base.clone());
                if met.insert(reference.clone()) {
                    waiting.push(reference);
                }
            }
            self.decisions.insert(path, decision);
        }
        let whole = closure(roots, |path| self.decisions.get(path));
        (whole, missing.into_iter().collect())
    }

    /// The paths that are asked about.
    fn root_paths(&self, missing: &mut HashSet<(usize, Root)>) -> Vec<StorePath> {
        let mut paths: Vec<StorePath> = Vec::new();
        for root in &self.roots {
            let Root::Part(hash_part) = root else {
                if let Root::Path(path) = root {
                    paths.push(path.clone());
                }
                continue;
            };
            for (number, ledger) in self.ledgers.iter().enumerate() {
                let seen = ledger.seen();
                let heard = seen.memory.with(hash_part);
                let asked = seen
                    .memory
                    .unknown(hash_part)
                    .or_else(|| heard.iter().map(|heard| seen.freshness(heard).1).min());
                if self.is_old(asked) && !self.lost.contains_key(&number) {
                    missing.insert((number, root.clone()));
                }
                paths.extend(heard.iter().map(|heard| heard.path.clone()));
            }
        }
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| path.dir() == self.policy.store_dir() || self.names(path));
        paths
    }

    /// Whether a path was asked for by its full name.
    fn names(&self, path: &StorePath) -> bool {
        self.roots.iter().any(|root| matches!(root, Root::Path(named) if named == path))
    }

    /// Whether what was heard when it was asked for at `asked`, if ever, is to be heard anew. A clock
    /// that was set back does not make it new.
    fn is_old(&self, asked: Option<u64>) -> bool {
        let age = asked.and_then(|asked| self.now.checked_sub(asked));
        age.is_none_or(|age| age > self.anew)
    }

    fn decide(&self, path: &StorePath, missing: &mut HashSet<(usize, Root)>) -> Decision {
        let heard = self.heard(path, missing);
        let all: Vec<_> = self.ledgers.iter().map(|ledger| ledger.seen()).collect();
        let hearings: Vec<Hearing<'_>> = all
            .iter()
            .enumerate()
            .filter_map(|(number, seen)| {
                let said = match heard.get(&number) {
                    Some(heard) => {
                        Ok(Said { as_of: seen.freshness(heard).0, statements: &heard.statements })
                    }
                    None => Err(self.lost.get(&number).cloned().unwrap_or(Unheard::NotCovered)),
                };
                let (ledger, signers) = match &seen.known {
                    Some(known) => (known.logs().origin(), newest_signers(&all, known)),
                    None => (self.ledgers[number].url(), self.nobody.as_ref()?),
                };
                Some(Hearing { ledger, signers, said })
            })
            .collect();
        let addressed = heard.values().filter_map(|heard| heard.shown.as_ref());
        let addressed = addressed
            .flat_map(|shown| shown.claims())
            .find_map(|it| it.content_address.as_ref().map(|address| (it.claim.as_ref(), address)));
        // A pool may have taken its time to answer.
        decide(self.policy, path, &hearings, addressed, super::now())
    }

    /// What each ledger has of a path. What is not known yet, and can be, is missing.
    fn heard(&self, path: &StorePath, missing: &mut HashSet<(usize, Root)>) -> HeardOf {
        let mut all = HeardOf::new();
        for (number, ledger) in self.ledgers.iter().enumerate() {
            let away = matches!(self.lost.get(&number), Some(Unheard::Unreachable(_)));
            if away && ledger.seen().memory.of(path).is_none() {
                // Met only now. What does not read any more was not kept.
                let _ = ledger.recall(&path.base().hash_part());
            }
            let seen = ledger.seen();
            let heard = seen.memory.of(path);
            if self.is_old(heard.map(|heard| seen.freshness(heard).1))
                && !self.lost.contains_key(&number)
            {
                missing.insert((number, Root::Path(path.clone())));
            }
            if let Some(heard) = heard {
                all.insert(number, Arc::clone(heard));
            }
        }
        all
    }

    /// What might be allowed by now if it were heard anew.
    fn worth_hoping(&self, closure: &schema::decide::Closure) -> Vec<(usize, Root)> {
        let refused = closure.reached().iter().filter(|it| it.outcome.claim().is_none());
        let mut again: Vec<Root> = refused.map(|it| Root::Path(it.path.clone())).collect();
        if closure.reached().is_empty() {
            again.extend(self.roots.iter().cloned());
        }
        let mut missing = Vec::new();
        for (number, ledger) in self.ledgers.iter().enumerate() {
            let seen = ledger.seen();
            let asked = |root: &Root| match root {
                Root::Path(path) => seen.memory.of(path).map(|heard| heard.asked_at),
                Root::Part(hash_part) => seen.memory.unknown(hash_part),
            };
            let age = |root: &Root| self.now.checked_sub(asked(root)?);
            let old = |root: &&Root| age(root).is_none_or(|age| age >= REFUSED_ANEW);
            if !self.lost.contains_key(&number) {
                missing.extend(again.iter().filter(old).map(|root| (number, root.clone())));
            }
        }
        missing
    }

    /// Asks each ledger for what is missing of it.
    async fn hear(&mut self, missing: Vec<(usize, Root)>) {
        let mut by_ledger: BTreeMap<usize, Vec<Root>> = BTreeMap::new();
        for (number, root) in missing {
            by_ledger.entry(number).or_default().push(root);
        }
        let asked = by_ledger.iter().map(async |(number, roots)| {
            let outcome = self.ask(&self.ledgers[*number], roots).await;
            (*number, outcome)
        });
        let outcomes = join_all(asked).await;
        for (number, outcome) in outcomes {
            if let Err(why) = outcome {
                // Not for a pool that was caught.
                if matches!(why, Unheard::Unreachable(_)) {
                    self.recall(&self.ledgers[number]);
                }
                self.lost.insert(number, why);
            }
        }
    }

    async fn ask(&self, ledger: &Ledger, roots: &[Root]) -> Result<(), Unheard> {
        let (mut roots, now) = (roots.to_vec(), self.now);
        roots.sort_unstable_by_key(|root| match root {
            Root::Part(hash_part) => hash_part.to_string(),
            Root::Path(path) => path.base().to_string(),
        });
        for some in roots.chunks(MAX_EVIDENCE_ASKED) {
            let still = || {
                let seen = ledger.seen();
                let asked = |root: &Root| match root {
                    Root::Path(path) => seen.memory.of(path).map(|heard| heard.asked_at),
                    Root::Part(hash_part) => seen.memory.unknown(hash_part),
                };
                // Somebody else may have asked meanwhile; and an answer to this trial's own question
                // is not asked for again.
                let wanted = some.iter().filter(|root| asked(root) != Some(now));
                request(wanted)
            };
            ledger.ask(still, now).await?;
        }
        Ok(())
    }

    /// Falls back on what was kept of everything that was met.
    fn recall(&self, ledger: &Ledger) {
        let parts = self.roots.iter().map(|root| match root {
            Root::Part(hash_part) => *hash_part,
            Root::Path(path) => path.base().hash_part(),
        });
        for hash_part in parts.chain(self.decisions.keys().map(|path| path.base().hash_part())) {
            if ledger.seen().memory.with(&hash_part).is_empty() {
                // What does not read any more was not kept.
                let _ = ledger.recall(&hash_part);
            }
        }
    }
}

/// Who may attest in a ledger, by whichever of its addresses has shown most of that.
fn newest_signers<'s>(seen: &'s [RwLockReadGuard<'_, Seen>], known: &'s Known) -> &'s Signers {
    let all = seen.iter().filter_map(|seen| seen.known.as_ref());
    let same = all.filter(|other| {
        other.logs().origin() == known.logs().origin() && other.logs().pool() == known.logs().pool()
    });
    same.map(Known::signers).max_by_key(|signers| signers.events()).unwrap_or(known.signers())
}

fn request<'r>(wanted: impl Iterator<Item = &'r Root>) -> Option<EvidenceRequest> {
    let (mut hash_parts, mut paths) = (Vec::new(), Vec::new());
    for root in wanted {
        match root {
            Root::Part(hash_part) => hash_parts.push(*hash_part),
            Root::Path(path) => paths.push(path.clone()),
        }
    }
    let any = !hash_parts.is_empty() || !paths.is_empty();
    any.then(|| EvidenceRequest { hash_parts, paths, closure: true, ..Default::default() })
}
