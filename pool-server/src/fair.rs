//! Slots that are few, shared so that nobody can take all of them.
//!
//! Each holder may have, of the slots that no other holds, a part that is less than all of them:
//! what it leaves is shared by the same rule. With 64 slots and three quarters, one holder may have
//! 48, a second beside it 12, a third 3; whoever holds none gets one if any is free.
//! Source of the rule: Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory
//! Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Slots, and who holds how many. Holders are known by a `K`.
pub struct Slots<K: Clone + Eq + Hash>(Arc<Shared<K>>);

struct Shared<K: Clone + Eq + Hash> {
    /// The largest part of what others leave, in percent.
    percent: usize,
    state: Mutex<State<K>>,
}

struct State<K: Clone + Eq + Hash> {
    free: usize,
    /// None of them holds none, so there are never more than slots.
    held: HashMap<K, usize>,
    /// By the order in which they came. None of them may have a slot as things are.
    waiting: BTreeMap<u64, Waiter<K>>,
    last_ticket: u64,
}

struct Waiter<K: Clone + Eq + Hash> {
    holder: K,
    gets: oneshot::Sender<Slot<K>>,
}

impl<K: Clone + Eq + Hash> Slots<K> {
    /// So many slots, all free; with 100 percent one holder may have all.
    #[must_use]
    pub fn new(count: usize, percent: u8) -> Self {
        let (held, waiting) = (HashMap::new(), BTreeMap::new());
        let state = State { free: count, held, waiting, last_ticket: 0 };
        Self(Arc::new(Shared { percent: percent.into(), state: Mutex::new(state) }))
    }

    /// A slot, if this holder may have one now.
    #[must_use]
    pub fn try_take(&self, holder: &K) -> Option<Slot<K>> {
        self.0.give(&mut self.0.state(), holder)
    }

    /// Waits for a slot. One that becomes free goes to whoever holds the fewest of those who may have
    /// it, and among these to who came first.
    ///
    /// Nothing, if there are no slots any more.
    pub async fn take(&self, holder: &K) -> Option<Slot<K>> {
        let (gets, given) = oneshot::channel();
        let _waits = {
            let mut state = self.0.state();
            if let Some(slot) = self.0.give(&mut state, holder) {
                return Some(slot);
            }
            state.last_ticket += 1;
            let ticket = state.last_ticket;
            state.waiting.insert(ticket, Waiter { holder: holder.clone(), gets });
            Waits { shared: Arc::clone(&self.0), ticket }
        };
        given.await.ok()
    }
}

impl<K: Clone + Eq + Hash> Shared<K> {
    fn give(self: &Arc<Self>, state: &mut State<K>, holder: &K) -> Option<Slot<K>> {
        if !state.may_have(holder, self.percent) {
            return None;
        }
        state.free -= 1;
        *state.held.entry(holder.clone()).or_default() += 1;
        Some(Slot { shared: Arc::clone(self), holder: holder.clone() })
    }

    /// Takes a slot back, and hands out what is free now.
    fn take_back(self: &Arc<Self>, holder: &K) {
        // Whoever was given one and has gone drops it, and that comes back here.
        let mut gone = Vec::new();
        let mut state = self.state();
        state.free += 1;
        if let Some(held) = state.held.get_mut(holder) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(holder);
            }
        }
        while let Some(ticket) = state.next(self.percent)
            && let Some(Waiter { holder, gets }) = state.waiting.remove(&ticket)
            && let Some(slot) = self.give(&mut state, &holder)
        {
            gone.extend(gets.send(slot).err());
        }
        drop(state);
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn may_have(&self, holder: &K, percent: usize) -> bool {
        let held = self.held(holder);
        self.free > 0 && (held == 0 || (held + 1) * 100 <= percent * (held + self.free))
    }

    fn held(&self, holder: &K) -> usize {
        self.held.get(holder).copied().unwrap_or(0)
    }

    /// The ticket of who is next.
    fn next(&self, percent: usize) -> Option<u64> {
        let may = self.waiting.iter().filter(|(_, it)| self.may_have(&it.holder, percent));
        may.min_by_key(|(_, it)| self.held(&it.holder)).map(|(ticket, _)| *ticket)
    }
}

/// One slot, until it is dropped.
pub struct Slot<K: Clone + Eq + Hash> {
    shared: Arc<Shared<K>>,
    holder: K,
}

impl<K: Clone + Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        self.shared.take_back(&self.holder);
    }
}

/// Somebody who waits, and may cease to.
struct Waits<K: Clone + Eq + Hash> {
    shared: Arc<Shared<K>>,
    ticket: u64,
}

impl<K: Clone + Eq + Hash> Drop for Waits<K> {
    fn drop(&mut self) {
        // Held no longer than for this: a slot that is in it would come back here.
        let waiter = self.shared.state().waiting.remove(&self.ticket);
        drop(waiter);
    }
}

#[cfg(test)]
mod tests;
