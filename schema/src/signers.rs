//! The table of signers: who may attest what, and whose entries count, replayed from key events.
//!
//! A pool keeps it to decide what to take, and whoever audits a pool or follows a policy replays the
//! keys log into the same table, by the same rules.

mod error;
mod record;
mod rules;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::hash::KeyId;
use crate::key::{KeyName, PublicKey};
use crate::key_event::{KeyEntry, KeyEvent};

pub use self::error::SignerError;
pub use self::record::{Delegation, Signer, Standing};

/// The most keys that one root ever delegates to, those that ended included.
pub const MAX_DELEGATES: usize = 1024;

/// What an entry was to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It says something new.
    New {
        /// The index in the keys log that it has, or gets.
        index: u64,
    },
    /// The very same event was taken before, and nothing changes. A log holds no event twice.
    Already {
        /// Where that stands in the keys log.
        index: u64,
        /// When the log took it, POSIX seconds.
        logged_at: u64,
    },
}

/// Every key that was ever a signer.
///
/// A name belongs to one key at a time, and passes only from a key to the one that it rotates to. A
/// key has one name for ever.
#[derive(Debug, Clone)]
pub struct Signers {
    origin: Box<str>,
    pool: PublicKey,
    in_order: Vec<Signer>,
    by_id: HashMap<KeyId, usize>,
    /// In the order in which the name passed on.
    by_name: HashMap<KeyName, Vec<usize>>,
    by_root: HashMap<KeyId, Vec<usize>>,
    /// Hashes of events, and their indices and times in the log.
    events: HashMap<[u8; 32], (u64, u64)>,
    logged_at: u64,
    attestations: u64,
}

impl Signers {
    /// Nobody yet, for the keys log called `origin` of the pool with this key.
    #[must_use]
    pub fn new(origin: &str, pool: PublicKey) -> Self {
        Self {
            origin: origin.into(),
            pool,
            in_order: Vec::new(),
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            by_root: HashMap::new(),
            events: HashMap::new(),
            logged_at: 0,
            attestations: 0,
        }
    }

    /// The key of the pool whose keys log it is.
    #[must_use]
    pub fn pool(&self) -> &PublicKey {
        &self.pool
    }

    /// Takes the next entry of the keys log in, if its signatures and the rules allow.
    ///
    /// # Errors
    /// Whatever [`check`](Self::check) finds; then nothing has changed.
    pub fn apply(&mut self, entry: &KeyEntry) -> Result<Applied, SignerError> {
        let applied = self.check(entry)?;
        if let Applied::New { index } = applied {
            self.events.insert(digest(entry.signed.event()), (index, entry.logged_at));
            (self.logged_at, self.attestations) = (entry.logged_at, entry.attestations);
            self.take(entry);
        }
        Ok(applied)
    }

    /// What [`apply`](Self::apply) would make of an entry.
    ///
    /// # Errors
    /// Signatures that are not by those who must sign, or a change that the rules do not allow.
    pub fn check(&self, entry: &KeyEntry) -> Result<Applied, SignerError> {
        self.check_order(entry)?;
        self.check_signatures(&entry.signed)?;
        if let Some(&(index, logged_at)) = self.events.get(&digest(entry.signed.event())) {
            return Ok(Applied::Already { index, logged_at });
        }
        self.check_rules(entry)?;
        Ok(Applied::New { index: self.events.len() as u64 })
    }

    /// The key that has this name now, or had it last.
    #[must_use]
    pub fn named(&self, name: &KeyName) -> Option<&Signer> {
        self.keys_named(name).last()
    }

    /// Every key that ever had this name, the first one first.
    pub fn keys_named(&self, name: &KeyName) -> impl DoubleEndedIterator<Item = &Signer> {
        let numbers = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        numbers.iter().map(|&number| &self.in_order[number])
    }

    /// The signer with this key.
    #[must_use]
    pub fn by_id(&self, id: &KeyId) -> Option<&Signer> {
        self.by_id.get(id).map(|&number| &self.in_order[number])
    }

    /// Every key that this root delegated to.
    pub fn delegates_of(&self, root: &KeyId) -> impl Iterator<Item = &Signer> {
        let numbers = self.by_root.get(root).map_or(&[][..], Vec::as_slice);
        numbers.iter().map(|&number| &self.in_order[number])
    }

    /// Every key, in the order of the events that brought them.
    #[must_use]
    pub fn all(&self) -> &[Signer] {
        &self.in_order
    }

    /// How many events were taken in: the size of the keys log.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.len() as u64
    }

    /// How many attestations came before the last of these events, by its own word.
    #[must_use]
    pub fn attestations(&self) -> u64 {
        self.attestations
    }

    /// Whether this key may attest, at `now`, a path of this name; `now` is in POSIX seconds.
    ///
    /// # Errors
    /// A key that is not known, has ended or expired, or may not speak of such paths.
    pub fn may_attest(&self, id: &KeyId, path_name: &str, now: u64) -> Result<(), SignerError> {
        let signer = self.known(id)?;
        signer.check_active()?;
        let Some(delegation) = &signer.delegation else { return Ok(()) };
        let name = || signer.key.name().clone();
        if now > delegation.not_after {
            let not_after = delegation.not_after;
            return Err(SignerError::DelegationExpired { name: name(), not_after });
        }
        if !delegation.names.matches(path_name) {
            let (names, path_name) = (delegation.names.clone(), path_name.to_owned());
            return Err(SignerError::OutOfScope { name: name(), names, path_name });
        }
        Ok(())
    }

    /// Whether an entry by this key counts, which stands at `index` of the attestations log, was
    /// logged at `logged_at` and is about a path of this name.
    ///
    /// It does if the key was a signer by then, had not ended, no cut has voided it since, and a
    /// machine's key spoke of what it may and in time.
    #[must_use]
    pub fn counts(&self, id: &KeyId, index: u64, path_name: &str, logged_at: u64) -> bool {
        let counts = |signer: &Signer| {
            let ended = signer.standing.until().is_some_and(|until| index >= until);
            !ended && signer.may_have_said(index, path_name, logged_at)
        };
        self.by_id(id).is_some_and(counts)
    }

    /// Whether such an entry would count, had the pool not voided it by its own word alone. Whoever
    /// runs a pool may take a vote away like that, but cannot so unsay what a signer said.
    #[must_use]
    pub fn voided_by_pool(&self, id: &KeyId, index: u64, path_name: &str, logged_at: u64) -> bool {
        let voided = |signer: &Signer| {
            let Standing::Compromised { from, at } = signer.standing else { return false };
            let end = signer.own_cut.map_or(at, |cut| cut.min(at));
            (from..end).contains(&index) && signer.may_have_said(index, path_name, logged_at)
        };
        self.by_id(id).is_some_and(voided)
    }

    /// What the event of an entry that was checked changes.
    fn take(&mut self, entry: &KeyEntry) {
        let (since, enrolled_at) = (entry.attestations, entry.logged_at);
        let signer = |key: &PublicKey, delegation| Signer {
            key_id: key.id(),
            key: key.clone(),
            since,
            enrolled_at,
            standing: Standing::Active,
            own_cut: None,
            delegation,
        };
        match entry.signed.event() {
            KeyEvent::Enrol { key } => self.add(signer(key, None)),
            KeyEvent::Rotate { old, key } => {
                self.update(old, |old| {
                    old.standing = Standing::Rotated { to: key.id(), at: since };
                });
                self.add(signer(key, None));
            }
            KeyEvent::Delegate { root, key, names, not_after } => {
                self.by_root.entry(*root).or_default().push(self.in_order.len());
                let (root, names, not_after) = (*root, names.clone(), *not_after);
                self.add(signer(key, Some(Delegation { root, names, not_after })));
            }
            KeyEvent::Revoke { key, reason } => {
                let own = entry.signed.signatures().iter().all(|it| it.name() != self.pool.name());
                self.update(key, |signer| signer.end(*reason, since, own));
                for &number in self.by_root.get(key).into_iter().flatten() {
                    self.in_order[number].end(*reason, since, own);
                }
            }
        }
    }

    fn add(&mut self, signer: Signer) {
        let number = self.in_order.len();
        self.by_id.insert(signer.key_id, number);
        self.by_name.entry(signer.key.name().clone()).or_default().push(number);
        self.in_order.push(signer);
    }

    fn update(&mut self, id: &KeyId, change: impl FnOnce(&mut Signer)) {
        if let Some(&number) = self.by_id.get(id) {
            change(&mut self.in_order[number]);
        }
    }
}

fn digest(event: &KeyEvent) -> [u8; 32] {
    Sha256::digest(event.to_json()).into()
}

#[cfg(test)]
mod tests;
