//! Buckets that fill evenly: the generic cell rate algorithm (ITU-T I.371, annex A), in which all
//! that is kept of a bucket is when it will be full. Crates for it count in `u32` and in whole
//! nanoseconds each, which is too coarse for bytes, and let nobody overdraw.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Rate;

/// How many buckets there may be that are not full: some 5 MB.
const MOST: usize = 1 << 16;

/// The buckets of all who have one limit. Whoever has none has a full one.
pub(super) struct Buckets<K> {
    start: Instant,
    /// When each will be full, in nanoseconds since the start.
    full_at: Mutex<HashMap<K, u64>>,
}

/// Why nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// It comes back.
    Until {
        /// In so many seconds there is enough, if nobody else takes of it.
        wait: u64,
        /// So much is there now.
        left: u64,
    },
    /// There is never so much.
    Never,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), full_at: Mutex::default() }
    }

    /// Takes an amount, if there is any at all, and no more than twice as much as there can be.
    pub(super) fn take(&self, key: &K, rate: &Rate, amount: u64) -> Result<(), Short> {
        self.at(key, self.now(), |level| level.begin(rate, amount)?.go_on(rate, amount))
    }

    /// Looks whether an amount could be taken.
    pub(super) fn begin(&self, key: &K, rate: &Rate, amount: u64) -> Result<(), Short> {
        self.at(key, self.now(), |level| level.begin(rate, amount))
    }

    /// Takes an amount even if there is less.
    pub(super) fn go_on(&self, key: &K, rate: &Rate, amount: u64) -> Result<(), Short> {
        self.at(key, self.now(), |level| level.go_on(rate, amount))
    }

    /// Puts back what was taken for nothing.
    pub(super) fn give_back(&self, key: &K, rate: &Rate, amount: u64) {
        if let Some(full_at) = self.buckets().get_mut(key) {
            *full_at = full_at.saturating_sub(cost(rate, amount));
        }
    }

    /// Changes one bucket.
    fn at(
        &self,
        key: &K,
        now: u64,
        change: impl FnOnce(Level) -> Result<Level, Short>,
    ) -> Result<(), Short> {
        let mut buckets = self.buckets();
        let known = buckets.get(key).copied();
        let before = Level { missing: known.unwrap_or(0).saturating_sub(now) };
        let after = change(before)?;
        if after == before {
            return Ok(());
        }
        if known.is_none() && buckets.len() >= MOST {
            make_room(&mut buckets, now);
        }
        buckets.insert(key.clone(), now.saturating_add(after.missing));
        Ok(())
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the buckets that are full and, should that not be half of them, those that are nearest
/// to it: they forgive the least. So this is not done again before half as many have come.
fn make_room<K: Clone + Eq + Hash>(buckets: &mut HashMap<K, u64>, now: u64) {
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() > MOST / 2 {
        let mut all: Vec<u64> = buckets.values().copied().collect();
        let (_, middle, _) = all.select_nth_unstable(buckets.len() / 2);
        let middle = *middle;
        buckets.retain(|_, full_at| *full_at > middle);
    }
}

/// How long a bucket takes until it is full, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    missing: u64,
}

impl Level {
    /// Unchanged, if something is there, and no more is asked for than may be owed.
    fn begin(self, rate: &Rate, amount: u64) -> Result<Self, Short> {
        let time = nanos(rate.time());
        let one = (self.missing + cost(rate, 1)).saturating_sub(time);
        let all = self.too_much(rate, amount)?;
        match one.max(all) {
            0 => Ok(self),
            wait => Err(self.short(rate, wait)),
        }
    }

    fn go_on(self, rate: &Rate, amount: u64) -> Result<Self, Short> {
        match self.too_much(rate, amount)? {
            0 => Ok(Self { missing: self.missing + cost(rate, amount) }),
            wait => Err(self.short(rate, wait)),
        }
    }

    /// For how long it would be owed too much.
    fn too_much(self, rate: &Rate, amount: u64) -> Result<u64, Short> {
        let (cost, most) = (cost(rate, amount), 2 * nanos(rate.time()));
        if cost > most {
            return Err(Short::Never);
        }
        Ok((self.missing + cost).saturating_sub(most))
    }

    fn short(self, rate: &Rate, wait: u64) -> Short {
        let there = nanos(rate.time()).saturating_sub(self.missing);
        let left = u128::from(there) * u128::from(rate.amount()) / u128::from(nanos(rate.time()));
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        Short::Until { wait: wait.div_ceil(1_000_000_000), left }
    }
}

/// In how many nanoseconds an amount comes back. At most 2^62.
fn cost(rate: &Rate, amount: u64) -> u64 {
    let cost = u128::from(amount) * u128::from(nanos(rate.time())) / u128::from(rate.amount());
    u64::try_from(cost).unwrap_or(u64::MAX).min(1 << 62)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
