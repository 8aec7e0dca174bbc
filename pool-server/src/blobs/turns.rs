//! Who may put which NAR in place: one at a time for each NAR, any number of NARs at once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schema::hash::NarHash;
use tokio::sync::Notify;

use crate::place::until;

/// The NARs that somebody is putting in place.
#[derive(Default)]
pub(super) struct Turns {
    taken: Mutex<HashSet<NarHash>>,
    given_back: Notify,
}

impl Turns {
    /// Waits until all of them are free, and takes all at once: nobody holds some while waiting
    /// for others, so nobody waits for ever.
    pub(super) async fn take(&self, nar_hashes: &[NarHash]) -> Turn<'_> {
        loop {
            // Listening begins before looking, so that nothing is given back in between.
            let given_back = self.given_back.notified();
            if self.try_take(nar_hashes) {
                return Turn { turns: self, nar_hashes: nar_hashes.to_vec() };
            }
            until(given_back).await;
        }
    }

    fn try_take(&self, nar_hashes: &[NarHash]) -> bool {
        let mut taken = self.taken();
        let free = nar_hashes.iter().all(|hash| !taken.contains(hash));
        if free {
            taken.extend(nar_hashes);
        }
        free
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<NarHash>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to put some NARs in place, until it is dropped.
pub struct Turn<'t> {
    turns: &'t Turns,
    nar_hashes: Vec<NarHash>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken();
        for hash in &self.nar_hashes {
            taken.remove(hash);
        }
        drop(taken);
        self.turns.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_nar_has_one_turn_at_a_time_and_nobody_waits_for_ever() {
        let hashes: Vec<NarHash> = (0..6u8).map(|seed| NarHash::of(&[seed])).collect();
        let holders: Arc<Vec<AtomicU32>> = Arc::new((0..6).map(|_| AtomicU32::new(0)).collect());
        let turns = Arc::new(Turns::default());
        let mut tasks = Vec::new();
        for number in 0..200usize {
            let wanted = [number % 6, (number * 5 + 1) % 6, (number * 7 + 3) % 6];
            let (turns, holders, hashes) =
                (Arc::clone(&turns), Arc::clone(&holders), hashes.clone());
            tasks.push(tokio::spawn(async move {
                let wanted: HashSet<usize> = wanted.into_iter().collect();
                let names: Vec<NarHash> = wanted.iter().map(|at| hashes[*at]).collect();
                let _turn = turns.take(&names).await;
                for at in &wanted {
                    assert_eq!(holders[*at].fetch_add(1, Ordering::SeqCst), 0);
                }
                tokio::task::yield_now().await;
                for at in &wanted {
                    holders[*at].fetch_sub(1, Ordering::SeqCst);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    }
}
