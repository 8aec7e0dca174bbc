//! One pool as the judge hears it: what it shows is verified before any of it is used, and what was
//! seen once must never be taken back.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::Result;
use schema::api::{EvidenceLine, EvidenceRequest};
use schema::decide::Unheard;
use schema::evidence::{Caught, Known, LogKeys, Proved, Reading, ShownPath, Witnessing};
use schema::policy::Policy;
use schema::store_path::HashPart;

use super::answer::{Answer, Trouble, next, own};
use super::heard::{Heard, Memory};
use super::state::{Incident, Keeping, Kept, State};
use super::statements::{Checks, said};
use crate::remote::{Lines, Remote};

/// How often a question is asked again, as somebody else has seen more of the logs meanwhile.
const OVERTAKEN: usize = 5;
/// Three checkpoints are never longer, in bytes: what is, is not worth keeping.
const MAX_SHOWN: usize = 256 << 10;

/// A pool that is asked.
pub(super) struct Ledger {
    remote: Remote<'static>,
    policy: Arc<Policy>,
    state: Arc<State>,
    /// One question at a time: each answer grows from the one before.
    turn: tokio::sync::Mutex<()>,
    seen: RwLock<Seen>,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) known: Option<Known>,
    pub(super) memory: Memory,
    /// Of the newest answer: how many attestations it covers, as of when, and when it was asked for.
    pub(super) newest: Newest,
    /// Why the last question was not answered, or its answer not believed.
    pub(super) trouble: Option<Unheard>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newest {
    pub(super) covered: u64,
    pub(super) as_of: u64,
    pub(super) asked_at: u64,
}

impl Seen {
    /// As of when what was heard is still whole. Nothing that the ledger took since makes it old, if
    /// it took nothing.
    pub(super) fn freshness(&self, heard: &Heard) -> (u64, u64) {
        let Newest { covered, as_of, asked_at } = self.newest;
        if heard.covered == covered && as_of > heard.as_of {
            (as_of, asked_at.max(heard.asked_at))
        } else {
            (heard.as_of, heard.asked_at)
        }
    }
}

impl Ledger {
    pub(super) fn open(
        remote: Remote<'static>,
        policy: Arc<Policy>,
        state: Arc<State>,
    ) -> Result<Self> {
        let known = state.known(remote.server())?;
        let seen = RwLock::new(Seen { known, ..Seen::default() });
        Ok(Self { remote, policy, state, turn: tokio::sync::Mutex::default(), seen })
    }

    /// The pool's address.
    pub(super) fn url(&self) -> &str {
        self.remote.server()
    }

    pub(super) fn seen(&self) -> RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen_mut(&self) -> RwLockWriteGuard<'_, Seen> {
        self.seen.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the pool, and remembers what it shows. `still` says, once it is this question's turn, what
    /// of it is still to be asked.
    pub(super) async fn ask(
        &self,
        still: impl FnOnce() -> Option<EvidenceRequest>,
        now: u64,
    ) -> Result<(), Unheard> {
        let _turn = self.turn.lock().await;
        let Some(mut request) = still() else { return Ok(()) };
        let mut known = self.seen().known.clone();
        request.known = known.as_ref().map(Known::sizes).unwrap_or_default();
        let mut answered = self.hear(&request, known.as_ref(), now).await;
        for _ in 0..OVERTAKEN {
            let Err(Trouble::SeenElsewhere(seen)) = answered else { break };
            request.known = seen.sizes();
            known = Some(*seen);
            answered = self.hear(&request, known.as_ref(), now).await;
        }
        let outcome = answered.map_err(|trouble| self.unheard(trouble, known.as_ref(), now));
        self.seen_mut().trouble = outcome.as_ref().err().cloned();
        outcome
    }

    /// Asks, and takes the answer.
    async fn hear(
        &self,
        request: &EvidenceRequest,
        known: Option<&Known>,
        now: u64,
    ) -> Result<(), Trouble> {
        let answer = self.answer(request, known, now).await?;
        self.take(answer, known, now).await
    }

    async fn answer(
        &self,
        request: &EvidenceRequest,
        known: Option<&Known>,
        now: u64,
    ) -> Result<Answer, Trouble> {
        let mut lines = self.remote.evidence(request).await?;
        let mut reading = self.begin(&mut lines, known, now).await?;
        let mut checks = Checks::new(&self.policy, reading.known().signers());
        let (mut shown, mut unknown) = (Vec::new(), Vec::new());
        loop {
            match next(&mut lines).await? {
                Some(EvidenceLine::Path(line)) => {
                    checks.add(reading.path(&line)?)?;
                    shown.push(line);
                }
                Some(EvidenceLine::Absent(absent)) => reading.absent(&absent)?,
                Some(EvidenceLine::Unknown(hash_part)) => unknown.push(hash_part),
                Some(EvidenceLine::End(end)) => {
                    let (proved, statements) = (reading.end(&end)?, checks.end().await?);
                    let answer = Answer { proved, statements, lines: shown, unknown };
                    answer.check_whole(request)?;
                    return Ok(answer);
                }
                Some(EvidenceLine::Head(_)) => {
                    return Err(Caught::Malformed("it has two heads".to_owned()).into());
                }
                None => return Err(Caught::Malformed("it has no end".to_owned()).into()),
            }
        }
    }

    async fn begin(
        &self,
        lines: &mut Lines,
        known: Option<&Known>,
        now: u64,
    ) -> Result<Reading, Trouble> {
        let Some(EvidenceLine::Head(head)) = next(lines).await? else {
            return Err(Caught::Malformed("it has no head".to_owned()).into());
        };
        let first;
        let known = match known {
            Some(known) => known,
            None => {
                if let Some(seen) = self.state.known_as(&head.origin).map_err(own)? {
                    return Err(Trouble::SeenElsewhere(Box::new(seen)));
                }
                let logs = LogKeys::new(&head.origin, head.public_key.clone())
                    .map_err(|error| Caught::Malformed(error.to_string()))?;
                first = Known::new(logs);
                &first
            }
        };
        self.check_listed(known.logs())?;
        let witnesses = self.policy.ledger().witnesses();
        let witnessing = witnesses.map_or_else(Witnessing::default, |quorum| Witnessing {
            k: quorum.k(),
            members: quorum.members(),
        });
        known.read(&head, witnessing, now).map_err(|caught| {
            let shown = [&head.keys, &head.attestations, &head.index];
            Trouble::Caught(Box::new(caught), serde_json::to_string(&shown).ok())
        })
    }

    /// That the policy lists the ledger, if it lists any.
    fn check_listed(&self, logs: &LogKeys) -> Result<(), Trouble> {
        let listed = self.policy.ledger().logs();
        if listed.is_empty() || listed.contains(logs.attestations()) {
            return Ok(());
        }
        Err(Trouble::Other(Unheard::NotListed))
    }

    async fn take(&self, answer: Answer, before: Option<&Known>, now: u64) -> Result<(), Trouble> {
        let Answer { proved, statements, lines, unknown } = answer;
        let Proved { known, key_entries, as_of, covered, shown, absent } = proved;
        let told = lines.into_iter().zip(&shown).map(|(line, shown)| Kept {
            path: shown.path().clone(),
            as_of,
            covered,
            shown: Some(line),
        });
        let none =
            absent.iter().map(|path| Kept { path: path.clone(), as_of, covered, shown: None });
        let kept: Vec<Kept> = told.chain(none).collect();
        let grown = (before.cloned(), known.clone());
        let kept = self.keep(grown, key_entries.clone(), kept).await.map_err(own)?;
        if kept == Keeping::Overtaken {
            let seen = self.state.known_as(known.logs().origin()).map_err(own)?;
            let gone = || Unheard::Failed("what was seen of the pool is gone".to_owned());
            let seen = seen.ok_or_else(|| Trouble::Other(gone()))?;
            return Err(Trouble::SeenElsewhere(Box::new(seen)));
        }
        let mut seen = self.seen_mut();
        // Other keys may count now, or count no more.
        if !key_entries.is_empty() {
            seen.memory.clear();
        }
        let heard = |path, shown, statements| Heard {
            path,
            as_of,
            asked_at: now,
            covered,
            shown,
            statements,
        };
        for (shown, statements) in shown.into_iter().zip(statements) {
            seen.memory.hear(heard(shown.path().clone(), Some(shown), statements));
        }
        absent.into_iter().for_each(|path| seen.memory.hear(heard(path, None, Vec::new())));
        unknown.into_iter().for_each(|hash_part| seen.memory.miss(hash_part, now));
        seen.newest = Newest { covered, as_of, asked_at: now };
        seen.known = Some(known);
        Ok(())
    }

    async fn keep(
        &self,
        (before, known): (Option<Known>, Known),
        key_entries: Vec<Vec<u8>>,
        kept: Vec<Kept>,
    ) -> Result<Keeping> {
        let (state, url) = (Arc::clone(&self.state), self.url().to_owned());
        let keep = move || state.keep(&url, (before.as_ref(), &known), &key_entries, &kept);
        tokio::task::spawn_blocking(keep).await?
    }

    /// Takes what was kept of a hash part, when the pool cannot be asked.
    pub(super) fn recall(&self, hash_part: &HashPart) -> Result<(), Caught> {
        let Some(known) = self.seen().known.clone() else { return Ok(()) };
        // The policy may have changed since.
        if self.check_listed(known.logs()).is_err() {
            return Ok(());
        }
        // What does not read is as good as gone.
        let kept = self.state.evidence(known.logs().origin(), hash_part).unwrap_or_default();
        for Kept { path, as_of, covered, shown } in kept {
            let shown = shown.as_ref().map(ShownPath::parse).transpose()?.map(Arc::new);
            let statements = match &shown {
                Some(shown) => said(&self.policy, known.signers(), shown)?,
                None => Vec::new(),
            };
            let asked_at = as_of;
            self.seen_mut().memory.hear(Heard {
                path,
                as_of,
                asked_at,
                covered,
                shown,
                statements,
            });
        }
        Ok(())
    }

    fn unheard(&self, trouble: Trouble, known: Option<&Known>, now: u64) -> Unheard {
        let (caught, shown) = match trouble {
            Trouble::Failed(error) => return Unheard::Unreachable(format!("{error:#}")),
            Trouble::Other(unheard) => return unheard,
            Trouble::Caught(caught, shown) => (caught, shown),
            Trouble::SeenElsewhere(_) => return Unheard::NotCovered,
        };
        // Nothing that it showed before stands in for what it should show now.
        self.seen_mut().memory.clear();
        let detail = format!("{}: {caught}", caught.code());
        let refuted = matches!(*caught, Caught::Rollback { .. } | Caught::Fork { .. });
        let incident = Incident {
            url: self.url(),
            refuted: known.filter(|_| refuted).map(|known| known.logs().origin()),
            at: now,
            code: caught.code(),
            detail: &caught.to_string(),
            known: known.and_then(|known| serde_json::to_string(&known.notes()).ok()),
            shown: shown.filter(|shown| shown.len() <= MAX_SHOWN),
        };
        // Not being able to note it down changes nothing about it.
        let _ = self.state.note(&incident);
        match *caught {
            Caught::Rollback { .. } | Caught::Fork { .. } | Caught::OtherLog { .. } => {
                Unheard::WentBack(detail)
            }
            Caught::Quorum { have, k, .. } => Unheard::Unwitnessed { have, need: k },
            _ => Unheard::Invalid(detail),
        }
    }
}
