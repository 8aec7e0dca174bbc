//! Verifying signatures, which is most of the work.

use std::sync::Arc;

use schema::evidence::{Caught, ShownPath};
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;
use tokio::task::JoinSet;

use super::answer::Trouble;

/// Paths that are worth a thread's while.
const SHARE: usize = 32;

/// Signatures that all cores verify while the rest of an answer is read.
pub(super) struct Checks {
    policy: Arc<Policy>,
    signers: Arc<Signers>,
    cores: usize,
    waiting: Vec<Arc<ShownPath>>,
    /// How many paths were given to threads so far.
    begun: usize,
    running: JoinSet<Result<Share, Caught>>,
    done: Vec<Share>,
}

/// What some of the paths say.
struct Share {
    /// How many came before them.
    at: usize,
    said: Vec<Vec<Statement>>,
}

impl Checks {
    pub(super) fn new(policy: &Arc<Policy>, signers: &Arc<Signers>) -> Self {
        Self {
            policy: Arc::clone(policy),
            signers: Arc::clone(signers),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            waiting: Vec::new(),
            begun: 0,
            running: JoinSet::new(),
            done: Vec::new(),
        }
    }

    /// Takes one more path.
    pub(super) fn add(&mut self, shown: Arc<ShownPath>) -> Result<(), Trouble> {
        self.waiting.push(shown);
        while let Some(ended) = self.running.try_join_next() {
            self.done.push(ended.map_err(anyhow::Error::from)??);
        }
        if self.waiting.len() >= SHARE && self.running.len() < self.cores {
            let share = std::mem::take(&mut self.waiting);
            self.begin(share);
        }
        Ok(())
    }

    /// What all of them say, in the order in which they came.
    pub(super) async fn end(mut self) -> Result<Vec<Vec<Statement>>, Trouble> {
        let share = self.waiting.len().div_ceil(self.cores).max(1);
        for share in std::mem::take(&mut self.waiting).chunks(share) {
            self.begin(share.to_vec());
        }
        while let Some(ended) = self.running.join_next().await {
            self.done.push(ended.map_err(anyhow::Error::from)??);
        }
        self.done.sort_unstable_by_key(|share| share.at);
        Ok(self.done.into_iter().flat_map(|share| share.said).collect())
    }

    fn begin(&mut self, share: Vec<Arc<ShownPath>>) {
        let (policy, signers) = (Arc::clone(&self.policy), Arc::clone(&self.signers));
        let at = self.begun;
        self.begun += share.len();
        self.running.spawn_blocking(move || {
            let said = share.iter().map(|shown| said(&policy, &signers, shown));
            said.collect::<Result<_, _>>().map(|said| Share { at, said })
        });
    }
}

/// What one path says.
pub(super) fn said(
    policy: &Policy,
    signers: &Signers,
    shown: &ShownPath,
) -> Result<Vec<Statement>, Caught> {
    shown.statements(|id| {
        policy.principal_of(id, signers)?;
        signers.by_id(id).map(|signer| &signer.key)
    })
}
