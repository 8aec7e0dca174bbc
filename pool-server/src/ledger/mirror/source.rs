//! What was shown of a log by whom. A source that showed a log larger than it shows it now has lost
//! or hidden something, whether or not others still have it.

use std::collections::BTreeMap;

use schema::tlog::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};

use crate::index::SourceRecord;

/// The most sources of one log that are remembered.
const MAX_SOURCES: usize = 16;

/// Every source of a log, by its address.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(BTreeMap<String, SourceRecord>);

impl Sources {
    pub(super) fn open(records: Vec<(String, SourceRecord)>) -> Self {
        Self(records.into_iter().collect())
    }

    /// What is to be remembered of a source that shows this, if that is something new.
    pub(super) fn learn(
        &mut self,
        address: &str,
        shown: &SignedCheckpoint,
    ) -> Option<&SourceRecord> {
        let known = self.0.get(address);
        let largest = known.map_or(0, |it| size_of(&it.largest));
        let note = shown.note().to_string();
        let next = match known {
            None if self.0.len() >= MAX_SOURCES => return None,
            None => SourceRecord { largest: note, rolled_back_to: None },
            Some(known) if shown.size() < largest => {
                SourceRecord { largest: known.largest.clone(), rolled_back_to: Some(note) }
            }
            Some(known) if shown.size() == largest && known.rolled_back_to.is_none() => {
                return None;
            }
            Some(_) => SourceRecord { largest: note, rolled_back_to: None },
        };
        self.0.insert(address.to_owned(), next);
        self.0.get(address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &SourceRecord)> {
        self.0.iter().map(|(address, record)| (address.as_str(), record))
    }
}

/// The size in a checkpoint that was verified when it was kept.
pub(super) fn size_of(note: &str) -> u64 {
    let checkpoint = UnverifiedCheckpoint::parse(note.as_bytes());
    checkpoint.map_or(0, |checkpoint| checkpoint.checkpoint().size())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schema::hash::TreeHash;
    use schema::key::SecretKey;
    use schema::tlog::checkpoint::{Checkpoint, Origin};
    use schema::tlog::note::NoteSigner;

    use super::*;

    fn shown(size: u64) -> SignedCheckpoint {
        let secret = SecretKey::from_seed("pool".parse().unwrap(), &[3; 32]);
        let signer = NoteSigner::new("a.example/keys".parse().unwrap(), Arc::new(secret)).unwrap();
        let root = TreeHash::of(&size.to_be_bytes());
        let origin = Origin::from(signer.verifier().name());
        SignedCheckpoint::sign(Checkpoint::new(origin, size, root).unwrap(), &signer).unwrap()
    }

    /// The largest size and the one that a source went back to, after it showed these.
    fn after(sizes: &[u64]) -> (u64, Option<u64>) {
        let mut sources = Sources::default();
        for size in sizes {
            sources.learn("https://a.example", &shown(*size));
        }
        let (_, known) = sources.iter().next().unwrap();
        (size_of(&known.largest), known.rolled_back_to.as_deref().map(size_of))
    }

    #[test]
    fn who_goes_back_is_known_until_it_has_it_all_again() {
        assert_eq!(after(&[3, 5]), (5, None));
        assert_eq!(after(&[5, 5]), (5, None));
        assert_eq!(after(&[5, 3]), (5, Some(3)));
        assert_eq!(after(&[5, 3, 4]), (5, Some(4)));
        assert_eq!(after(&[5, 3, 5]), (5, None));
        assert_eq!(after(&[5, 3, 6, 2]), (6, Some(2)));
    }

    #[test]
    fn what_is_not_new_is_not_written_and_sources_are_not_endless() {
        let mut sources = Sources::default();
        let address = |number: usize| format!("https://{number}.example");
        for number in 0..MAX_SOURCES {
            assert!(sources.learn(&address(number), &shown(5)).is_some());
            assert!(sources.learn(&address(number), &shown(5)).is_none());
        }
        assert!(sources.learn(&address(MAX_SOURCES), &shown(5)).is_none());
        assert_eq!(sources.iter().count(), MAX_SOURCES);
        assert!(sources.learn(&address(0), &shown(4)).is_some());
    }
}
