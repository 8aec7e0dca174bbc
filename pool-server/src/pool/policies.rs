//! Policies that the operator holds, each a view of its own: decided by the very code with which users
//! decide for themselves, closure by closure.
//!
//! Whoever takes a narinfo from such a view believes this pool to have decided so. Those who would
//! rather not run the same policy on their own machine.

mod heard;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use schema::api::{Refused, RefusedCode};
use schema::decide::{Closure, Decision, Hearing, Outcome, Said, closure, decide};
use schema::hash::ClaimId;
use schema::policy::{Name, Policy};
use schema::statement::Statement;
use schema::store_path::{HashPart, StoreDir, StorePath};
use schema::tlog::note::VerifierKey;

use self::heard::Heard;
use super::Pool;
use crate::clock;
use crate::index::{AttestationRecord, ClaimRecord, LedgerId, PathRecord};
use crate::rejected::Error;
use crate::roll::Roll;

/// Verdicts, and paths with verified signatures, that a policy remembers.
const MAX_REMEMBERED: usize = 100_000;
/// For how long a verdict stands when nothing is attested, in seconds: a policy may expire.
const STANDING: u64 = 60;

/// The policies by name.
pub(super) struct Policies(BTreeMap<Name, Held>);

struct Held {
    policy: Policy,
    verdicts: Mutex<Verdicts>,
    statements: Mutex<HashMap<(LedgerId, StorePath), Verified>>,
}

/// What a path's entries say, as many as there were.
struct Verified {
    entries: usize,
    statements: Arc<[Statement]>,
}

#[derive(Default)]
struct Verdicts {
    moment: Moment,
    by_part: HashMap<HashPart, Result<ClaimId, Refused>>,
}

/// What a verdict depends on, beside the policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Moment {
    /// Of each ledger: how many attestations and key events there are.
    ledgers: Vec<(LedgerId, u64, u64)>,
    time: u64,
}

impl Policies {
    /// Reads these files.
    ///
    /// # Errors
    /// A file that is no policy, or one that can allow nothing here.
    pub(super) fn open(
        files: &[PathBuf],
        store_dirs: &[StoreDir; 2],
        logs: &[VerifierKey],
    ) -> Result<Self, Error> {
        let mut policies = BTreeMap::new();
        for file in files {
            let policy = read(file, store_dirs, logs)?;
            let (verdicts, statements) = Default::default();
            let name = policy.name().clone();
            let held = Held { policy, verdicts, statements };
            if policies.insert(name.clone(), held).is_some() {
                let what = format!("there is another policy called {name}");
                return Err(refused(file, what, "give each policy a name of its own"));
            }
        }
        Ok(Self(policies))
    }
}

impl Pool {
    /// Where the key of a word stands among the principals of a policy, if it speaks for one.
    pub(super) fn principal_of(
        &self,
        name: &Name,
        word: &AttestationRecord,
        roll: &Roll,
    ) -> Option<usize> {
        let policy = &self.policies.0.get(name)?.policy;
        let principal = policy.principal_of(&word.key_id, roll.of(word.ledger)?)?;
        policy.principals().iter().position(|it| it.name() == principal.name())
    }

    /// The claim that a policy allows for a path, with all that it refers to.
    ///
    /// # Errors
    /// Of the inner result, why it allows none; of the outer, a failing database.
    pub(super) fn allowed(
        &self,
        name: &Name,
        hash_part: &HashPart,
    ) -> Result<Result<ClaimId, Refused>, Error> {
        let Some(held) = self.policies.0.get(name) else {
            let detail = format!("this pool holds no policy called {name}");
            return Ok(Err(Refused { code: RefusedCode::UnknownPolicy, detail }));
        };
        let now = clock::now();
        let heard = self.heard(&held.policy, now);
        let ledgers = heard.iter().map(|it| (it.ledger, it.size, it.signers.events())).collect();
        let moment = Moment { ledgers, time: now / STANDING };
        if let Some(verdict) = held.remembered(&moment, hash_part) {
            return Ok(verdict);
        }
        let mut trial = Trial { pool: self, held, heard: &heard, now };
        let (closure, decisions) = trial.run(hash_part)?;
        Ok(held.settle(moment, hash_part, &closure, &decisions))
    }
}

impl Held {
    fn remembered(
        &self,
        moment: &Moment,
        hash_part: &HashPart,
    ) -> Option<Result<ClaimId, Refused>> {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        (verdicts.moment == *moment).then(|| verdicts.by_part.get(hash_part).cloned()).flatten()
    }

    /// Remembers what came of everything that was met, and tells of the one that was asked for.
    fn settle(
        &self,
        moment: Moment,
        hash_part: &HashPart,
        closure: &Closure,
        decisions: &HashMap<StorePath, Decision>,
    ) -> Result<ClaimId, Refused> {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.moment != moment || verdicts.by_part.len() >= MAX_REMEMBERED {
            *verdicts = Verdicts { moment, by_part: HashMap::new() };
        }
        let mut asked = Vec::new();
        for reached in closure.reached() {
            let part = reached.path.base().hash_part();
            let verdict = match &reached.outcome {
                Outcome::Allow(claim, _) => Ok(claim.id()),
                outcome => Err(why(outcome, &reached.path, &reached.culprits, decisions)),
            };
            if part == *hash_part {
                asked.push(verdict);
            } else {
                verdicts.by_part.insert(part, verdict);
            }
        }
        let verdict = one_of(hash_part, asked);
        verdicts.by_part.insert(*hash_part, verdict.clone());
        verdict
    }

    /// What the published attestations of a ledger say of a path. Signatures are verified once, though
    /// they were when they came: a database may be edited.
    fn statements(
        &self,
        path: &StorePath,
        record: &PathRecord,
        heard: &Heard,
    ) -> Result<Arc<[Statement]>, Error> {
        let claims = record.claims.iter().filter(|claim| claim.claim.path() == path);
        let words: Vec<_> = claims
            .flat_map(|claim| claim.attestations.iter().map(move |word| (claim, word)))
            .filter(|(_, word)| word.ledger == heard.ledger && word.index < heard.size)
            .collect();
        let mut known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (heard.ledger, path.clone());
        if let Some(verified) = known.get(&key)
            && verified.entries == words.len()
        {
            return Ok(Arc::clone(&verified.statements));
        }
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        drop(known);
        let statement = |(claim, word): &(&ClaimRecord, &AttestationRecord)| {
            let signer = heard.signers.by_id(&word.key_id)?;
            self.policy.principal_of(&word.key_id, &heard.signers)?;
            let (entry, text) = (word.entry(&claim.claim), Arc::new(claim.claim.clone()));
            Some(Statement::verified(word.index, &entry, text, &signer.key).map_err(|error| {
                Error::Damaged(format!("entry {} about {path}: {error}", word.index))
            }))
        };
        let statements: Arc<[Statement]> =
            words.iter().filter_map(statement).collect::<Result<_, _>>()?;
        let mut known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let verified = Verified { entries: words.len(), statements: Arc::clone(&statements) };
        known.insert(key, verified);
        Ok(statements)
    }
}

/// One question.
struct Trial<'t> {
    pool: &'t Pool,
    held: &'t Held,
    heard: &'t [Heard],
    now: u64,
}

impl Trial<'_> {
    fn run(
        &mut self,
        hash_part: &HashPart,
    ) -> Result<(Closure, HashMap<StorePath, Decision>), Error> {
        let record = self.pool.index.path(hash_part)?.unwrap_or_default();
        // Others may have their paths in another store.
        let paths = record.claims.iter().map(|claim| claim.claim.path());
        let ours = paths.filter(|path| path.dir() == self.held.policy.store_dir());
        let roots: HashSet<StorePath> = ours.cloned().collect();
        let mut waiting: Vec<StorePath> = roots.iter().cloned().collect();
        let mut met = roots.clone();
        let mut decisions = HashMap::new();
        while let Some(path) = waiting.pop() {
            let decision = self.decide(&path)?;
            for base in decision.outcome().claim().map_or(&[][..], |claim| claim.references()) {
                let reference = StorePath::new(path.dir().clone(), base.clone());
                if met.insert(reference.clone()) {
                    waiting.push(reference);
                }
            }
            decisions.insert(path, decision);
        }
        Ok((closure(roots, |path| decisions.get(path)), decisions))
    }

    fn decide(&self, path: &StorePath) -> Result<Decision, Error> {
        let record = self.pool.index.path(&path.base().hash_part())?.unwrap_or_default();
        let said = |heard: &Heard| {
            let unheard = self.pool.unheard(path, heard)?;
            let heard = self.held.statements(path, &record, heard)?;
            // What nobody here can read is no vote, but it may be another word of somebody who voted.
            Ok::<_, Error>(heard.iter().cloned().chain(unheard).collect::<Vec<_>>())
        };
        let said: Vec<_> = self.heard.iter().map(said).collect::<Result<_, _>>()?;
        let addressed = record.claims.iter().find_map(|claim| {
            let address = claim.content_address.as_ref()?;
            (claim.claim.path() == path).then_some((&claim.claim, address))
        });
        let hearings = self.heard.iter().zip(&said).map(|(heard, statements)| Hearing {
            ledger: &heard.origin,
            signers: &heard.signers,
            said: Ok(Said { as_of: heard.as_of, statements }),
        });
        let hearings: Vec<Hearing<'_>> = hearings.collect();
        Ok(decide(&self.held.policy, path, &hearings, addressed, self.now))
    }
}

fn why(
    outcome: &Outcome,
    path: &StorePath,
    culprits: &[StorePath],
    decisions: &HashMap<StorePath, Decision>,
) -> Refused {
    let code = match outcome {
        Outcome::Deny(_) => RefusedCode::PolicyDenies,
        Outcome::Allow(..) | Outcome::Unknown(_) => RefusedCode::PolicyUndecided,
    };
    let about = |path: &StorePath| {
        decisions.get(path).map(|decision| format!("{path}: {}", decision.reason()))
    };
    let mut lines: Vec<String> = Vec::new();
    if culprits.iter().any(|culprit| culprit != path) {
        lines.push(format!("{path} refers to what is not allowed:"));
        lines.extend(culprits.iter().filter_map(about));
    } else {
        lines.extend(about(path));
    }
    Refused { code, detail: lines.join("\n") }
}

/// Several paths may have one hash part; at most one of them is shown.
fn one_of(
    hash_part: &HashPart,
    verdicts: Vec<Result<ClaimId, Refused>>,
) -> Result<ClaimId, Refused> {
    let (allowed, refused): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(Result::is_ok);
    let never = || {
        let detail = format!("nobody has attested a path with the hash part {hash_part} here");
        Err(Refused { code: RefusedCode::NeverSeen, detail })
    };
    match allowed.len() {
        0 => refused.into_iter().next().unwrap_or_else(never),
        1 => allowed.into_iter().next().unwrap_or_else(never),
        _ => {
            let detail = format!("two paths with the hash part {hash_part} are allowed");
            Err(Refused { code: RefusedCode::PolicyDenies, detail })
        }
    }
}

fn read(file: &Path, store_dirs: &[StoreDir; 2], logs: &[VerifierKey]) -> Result<Policy, Error> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read", file))?;
    let policy = Policy::parse(&text).map_err(|error| {
        let (line, column) = (error.line, error.column);
        refused(file, format!("line {line}, column {column}: {}", error.what), &error.hint)
    })?;
    if !store_dirs.contains(policy.store_dir()) {
        let (about, served) = (policy.store_dir(), &store_dirs[0]);
        let what = format!("it is about {about}, and this pool about {served}");
        return Err(refused(file, what, "leave it out"));
    }
    if let Some(other) = policy.ledger().logs().iter().find(|listed| !logs.contains(listed)) {
        let other = other.name();
        let what = format!("it lists the log {other} by a key by which this pool holds none");
        let hint = "mirror that ledger first, or leave such a policy to `pool proxy`";
        return Err(refused(file, what, hint));
    }
    Ok(policy)
}

fn refused(file: &Path, what: String, hint: &str) -> Error {
    Error::Setup { detail: format!("{}: {what}", file.display()), hint: hint.to_owned() }
}
