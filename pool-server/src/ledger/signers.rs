//! Who may attest: the table of enrolled keys, replayed from the key events.

use std::collections::HashMap;

use schema::hash::KeyId;
use schema::key::{KeyName, PublicKey};

use super::key_event::{KeyEvent, SignedEvent};
use crate::rejected::{Error, Rejected};

/// An enrolled key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key and its name.
    pub key: PublicKey,
    /// POSIX seconds.
    pub enrolled_at: u64,
}

/// Every enrolled key. A name belongs to one key for ever, and a key has one name.
#[derive(Debug, Clone, Default)]
pub struct Signers {
    in_order: Vec<Signer>,
    by_name: HashMap<KeyName, usize>,
    by_id: HashMap<KeyId, usize>,
}

impl Signers {
    /// Replays the key events, each of which must be signed by `pool`.
    ///
    /// # Errors
    /// An event that does not read or verify, or contradicts an earlier one.
    pub fn replay(events: &[Vec<u8>], pool: &PublicKey) -> Result<Self, Error> {
        let mut signers = Self::default();
        for (at, bytes) in events.iter().enumerate() {
            let damaged = |why: String| Error::Damaged(format!("key event {at}: {why}"));
            let event =
                SignedEvent::parse(bytes, pool).map_err(|error| damaged(error.to_string()))?;
            signers.apply(&event).map_err(|rejected| damaged(rejected.to_string()))?;
        }
        Ok(signers)
    }

    /// Takes an event in; the same enrolment twice changes nothing.
    ///
    /// # Errors
    /// A name that another key has, or a key that has another name.
    pub fn apply(&mut self, event: &KeyEvent) -> Result<(), Rejected> {
        let KeyEvent::Enrol { at, key } = event;
        if self.find(key)?.is_some() {
            return Ok(());
        }
        let number = self.in_order.len();
        self.by_name.insert(key.name().clone(), number);
        self.by_id.insert(key.id(), number);
        self.in_order.push(Signer { key: key.clone(), enrolled_at: *at });
        Ok(())
    }

    /// The signer with exactly this key and name, if there is one.
    ///
    /// # Errors
    /// A name that another key has, or a key that has another name.
    pub fn find(&self, key: &PublicKey) -> Result<Option<&Signer>, Rejected> {
        match (self.named(key.name()), self.by_id(&key.id())) {
            (None, None) => Ok(None),
            (Some(named), _) if named.key != *key => Err(Rejected::conflict(
                "name_taken",
                format!(
                    "the name {} belongs to another key, and a name belongs to one key for ever",
                    key.name()
                ),
            )
            .hint("make a key under another name, such as one ending in -2")),
            (None, Some(held)) => Err(Rejected::conflict(
                "key_enrolled",
                format!("this key is enrolled already, under the name {}", held.key.name()),
            )),
            (Some(named), _) => Ok(Some(named)),
        }
    }

    /// The signer of this name.
    #[must_use]
    pub fn named(&self, name: &KeyName) -> Option<&Signer> {
        self.by_name.get(name).map(|number| &self.in_order[*number])
    }

    /// The signer with this key.
    #[must_use]
    pub fn by_id(&self, id: &KeyId) -> Option<&Signer> {
        self.by_id.get(id).map(|number| &self.in_order[*number])
    }

    /// Every signer, in the order of their enrolment.
    #[must_use]
    pub fn all(&self) -> &[Signer] {
        &self.in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::key::SecretKey;

    fn key(name: &str, seed: u8) -> PublicKey {
        SecretKey::from_seed(name.parse().unwrap(), &[seed; 32]).public()
    }

    fn enrol(signers: &mut Signers, key: PublicKey) -> Result<(), &'static str> {
        signers.apply(&KeyEvent::Enrol { at: 1, key }).map_err(|rejected| rejected.code)
    }

    #[test]
    fn a_name_has_one_key_and_a_key_one_name() {
        let mut signers = Signers::default();
        assert_eq!(enrol(&mut signers, key("alice", 1)), Ok(()));
        assert_eq!(enrol(&mut signers, key("alice", 1)), Ok(()));
        assert_eq!(enrol(&mut signers, key("alice", 2)), Err("name_taken"));
        assert_eq!(enrol(&mut signers, key("bob", 1)), Err("key_enrolled"));
        assert_eq!(enrol(&mut signers, key("bob", 2)), Ok(()));
        assert_eq!(signers.all().len(), 2);
    }

    #[test]
    fn events_replay_to_the_same_table_and_a_foreign_one_stops() {
        let pool = SecretKey::from_seed("pool".parse().unwrap(), &[9; 32]);
        let enrol = |at, seed| KeyEvent::Enrol { at, key: key("alice", seed) };
        let json = SignedEvent::sign(enrol(5, 1), &pool).to_json();
        let signers = Signers::replay(std::slice::from_ref(&json), &pool.public()).unwrap();
        assert_eq!(signers.all(), [Signer { key: key("alice", 1), enrolled_at: 5 }]);
        let other = SecretKey::from_seed("pool".parse().unwrap(), &[8; 32]);
        assert!(Signers::replay(std::slice::from_ref(&json), &other.public()).is_err());
        let taken = SignedEvent::sign(enrol(6, 2), &pool).to_json();
        assert!(Signers::replay(&[json, taken], &pool.public()).is_err());
    }
}
