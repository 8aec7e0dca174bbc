//! Key events, and the table of signers that they make.

use std::fs;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use schema::hash::KeyId;
use schema::key::{PublicKey, SecretKey};
use schema::key_event::{KeyEntry, KeyEvent, RevokeReason, SignedKeyEvent};
use schema::signers::{Applied, Signers, Standing};

use super::arbitrary::{claim, name_pattern, named_signature, secret_key};
use super::mutation::mutation;

const ORIGIN: &str = "narpool-1a2b3c4d/keys";

fn public_key() -> impl Strategy<Value = PublicKey> {
    secret_key().prop_map(|secret| secret.public())
}

fn key_id() -> impl Strategy<Value = KeyId> {
    any::<[u8; 32]>().prop_map(KeyId::from_bytes)
}

fn reason() -> impl Strategy<Value = RevokeReason> {
    let compromised = any::<u64>().prop_map(|from| RevokeReason::Compromised { from });
    prop_oneof![Just(RevokeReason::Retired), compromised]
}

fn event() -> impl Strategy<Value = KeyEvent> {
    let delegate = (key_id(), public_key(), name_pattern(), any::<u64>()).prop_map(
        |(root, key, names, not_after)| KeyEvent::Delegate { root, key, names, not_after },
    );
    prop_oneof![
        public_key().prop_map(|key| KeyEvent::Enrol { key }),
        (key_id(), public_key()).prop_map(|(old, key)| KeyEvent::Rotate { old, key }),
        delegate,
        (key_id(), reason()).prop_map(|(key, reason)| KeyEvent::Revoke { key, reason }),
    ]
}

fn entry() -> impl Strategy<Value = KeyEntry> {
    let signatures = prop::collection::vec(named_signature(), 1..=2);
    let signed = (event(), signatures).prop_map(|(event, signatures)| {
        SignedKeyEvent::new(event, signatures).expect("one or two")
    });
    (any::<u64>(), any::<u64>(), signed).prop_map(|(logged_at, attestations, signed)| KeyEntry {
        logged_at,
        attestations,
        signed,
    })
}

/// See `tests/vectors/README.md`.
#[test]
fn a_log_made_by_others_reads_verifies_and_prints_back() {
    let file = tests::program::project().join("tests/vectors/key_events/keys.jsonl");
    let key = |name: &str, seed| SecretKey::from_seed(name.parse().unwrap(), &[seed; 32]).public();
    let mut signers = Signers::new(ORIGIN, key("pool-1", 9));
    for (index, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
        let entry = KeyEntry::parse(line.as_bytes()).unwrap();
        assert_eq!(entry.to_json(), line.as_bytes());
        assert_eq!(signers.apply(&entry), Ok(Applied::New { index: index as u64 }));
    }
    let (old, new) = (key("alice-1", 1).id(), key("alice-1", 2).id());
    // Ended by its own word before its root turned out compromised, so only the cut moves.
    let compromised = |at| Standing::Compromised { from: 5, at };
    let standing = |id| signers.by_id(&id).unwrap().standing;
    assert_eq!(standing(old), compromised(8));
    assert_eq!(standing(new), Standing::Active);
    assert_eq!(standing(key("box-1", 3).id()), compromised(9));
    assert_eq!(signers.named(&"alice-1".parse().unwrap()).unwrap().key_id, new);
}

proptest! {
    #[test]
    fn entries_lead_back(entry in entry()) {
        prop_assert_eq!(KeyEntry::parse(&entry.to_json()), Ok(entry));
    }

    #[test]
    fn a_damaged_entry_is_another_one_or_none(entry in entry(), mutation in mutation()) {
        let json = entry.to_json();
        let damaged = mutation.of(&json);
        if let Ok(read) = KeyEntry::parse(&damaged) {
            prop_assert_eq!(read.to_json(), damaged.clone());
            prop_assert_eq!(read == entry, damaged == json);
        }
    }

    /// Nobody can be made to change keys by signing a claim, nor to claim by changing keys.
    #[test]
    fn an_event_is_no_claim(secret in secret_key(), claim in claim(), event in event()) {
        let claimed = secret.sign(claim.signed_bytes().as_bytes());
        prop_assert!(!secret.public().verifies(&event.signed_bytes(ORIGIN), claimed.signature()));
        prop_assert!(schema::claim::Claim::parse(&event.signed_bytes(ORIGIN)).is_err());
    }
}

/// Names that may pass on, and names of machines.
const KEYS: [(&str, u8); 8] =
    [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("m", 6), ("n", 7), ("o", 8)];

fn secret(number: usize) -> SecretKey {
    let (name, seed) = KEYS[number];
    SecretKey::from_seed(name.parse().expect("it is a name"), &[seed; 32])
}

fn pool() -> SecretKey {
    SecretKey::from_seed("pool".parse().expect("it is a name"), &[99; 32])
}

/// Something that somebody wants to happen, not always by right.
#[derive(Debug, Clone)]
struct Step {
    event: KeyEvent,
    /// Numbers of keys; the pool's comes after all others.
    by: Vec<usize>,
    seconds: u64,
    grown: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..KEYS.len();
    let kind = select(&["enrol", "rotate", "delegate", "retire", "compromise"][..]);
    let signers = prop_oneof![
        4 => Just(None),
        1 => prop::collection::btree_set(0..=KEYS.len(), 1..3).prop_map(Some),
    ];
    (kind, key(), key(), signers, 0..40u64, (0..3u64, 0..5u64)).prop_map(
        |(kind, one, other, signers, number, (seconds, grown))| {
            let (id, key) = (secret(one).public().id(), secret(other).public());
            let (event, by) = match kind {
                "enrol" => (KeyEvent::Enrol { key }, vec![KEYS.len()]),
                "rotate" => (KeyEvent::Rotate { old: id, key }, vec![one, other]),
                "delegate" => {
                    let (names, not_after) = ("linux-*".parse().expect("it is a pattern"), number);
                    (KeyEvent::Delegate { root: id, key, names, not_after }, vec![one])
                }
                "retire" => {
                    (KeyEvent::Revoke { key: id, reason: RevokeReason::Retired }, vec![one])
                }
                _ => {
                    let reason = RevokeReason::Compromised { from: number };
                    (KeyEvent::Revoke { key: id, reason }, vec![one])
                }
            };
            let by = signers.map_or(by, |signers| signers.into_iter().collect());
            Step { event, by, seconds, grown }
        },
    )
}

impl Step {
    fn signed(&self, origin: &str) -> Option<SignedKeyEvent> {
        let secret = |number: &usize| if *number == KEYS.len() { pool() } else { secret(*number) };
        let secrets: Vec<SecretKey> = self.by.iter().map(secret).collect();
        self.event.clone().sign(origin, &secrets.iter().collect::<Vec<_>>()).ok()
    }
}

/// Whether an entry at each index by each key counts, of those below `size`.
fn verdicts(signers: &Signers, size: u64) -> Vec<bool> {
    let ids = (0..KEYS.len()).map(|number| secret(number).public().id());
    ids.flat_map(|id| (0..size).map(move |index| (id, index)))
        .map(|(id, index)| signers.counts(&id, index, "linux-6", 0))
        .collect()
}

fn check_names(signers: &Signers) -> Result<(), TestCaseError> {
    for signer in signers.all() {
        let held: Vec<_> = signers.keys_named(signer.key.name()).collect();
        let active = held.iter().filter(|held| held.standing == Standing::Active).count();
        prop_assert!(active <= 1, "{active} keys have the name {}", signer.key.name());
        let others = &held[..held.len() - 1];
        prop_assert!(others.iter().all(|held| held.standing != Standing::Active));
        prop_assert_eq!(signers.by_id(&signer.key_id), Some(signer));
        if let Some(delegation) = &signer.delegation {
            let root = signers.by_id(&delegation.root).expect("roots stay");
            prop_assert!(root.delegation.is_none() && root.since <= signer.since);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever anybody tries: names and roots stay in order, what counted is voided by a cut alone,
    /// nothing void comes back, and the log replays to the same table.
    #[test]
    fn the_rules_hold_whatever_is_tried(steps in prop::collection::vec(step(), 1..60)) {
        let mut signers = Signers::new(ORIGIN, pool().public());
        let (mut log, mut logged_at, mut size) = (Vec::new(), 0, 0);
        for step in &steps {
            (logged_at, size) = (logged_at + step.seconds, size + step.grown);
            let Some(signed) = step.signed(ORIGIN) else { continue };
            let entry = KeyEntry { logged_at, attestations: size, signed };
            let before = (verdicts(&signers, size), signers.all().to_vec());
            let applied = signers.apply(&entry);
            let after = verdicts(&signers, size);
            match applied {
                Ok(Applied::New { index }) => {
                    prop_assert_eq!(index, log.len() as u64);
                    log.push(entry);
                    let cut = matches!(
                        step.event,
                        KeyEvent::Revoke { reason: RevokeReason::Compromised { .. }, .. }
                    );
                    prop_assert!(cut || before.0 == after);
                    prop_assert!(before.0.iter().zip(&after).all(|(was, is)| *was || !is));
                }
                _ => prop_assert_eq!(&before.1[..], signers.all()),
            }
            check_names(&signers)?;
            for signer in signers.all() {
                let may = signers.may_attest(&signer.key_id, "linux-6", logged_at).is_ok();
                let counts = signers.counts(&signer.key_id, size, "linux-6", logged_at);
                prop_assert_eq!(may, counts, "{:?}", signer);
            }
        }
        let mut again = Signers::new(ORIGIN, pool().public());
        let mut elsewhere = Signers::new("other/keys", pool().public());
        for (index, entry) in (0..).zip(&log) {
            prop_assert_eq!(again.apply(entry), Ok(Applied::New { index }));
            prop_assert!(elsewhere.apply(entry).is_err());
        }
        prop_assert_eq!(again.all(), signers.all());
    }

    /// An event is taken when its own signers signed it, and with any other signature it is not.
    #[test]
    fn no_other_signature_does(steps in prop::collection::vec(step(), 1..60), at in any::<Index>()) {
        let mut signers = Signers::new(ORIGIN, pool().public());
        for step in &steps {
            let Some(signed) = step.signed(ORIGIN) else { continue };
            let entry = |signed| KeyEntry { logged_at: 0, attestations: 40, signed };
            let mut signatures = signed.signatures().to_vec();
            let forged = at.index(signatures.len());
            let other = step.signed("other/keys").unwrap().signatures()[forged].clone();
            signatures[forged] = other;
            let forged = SignedKeyEvent::new(step.event.clone(), signatures).unwrap();
            prop_assert!(signers.check(&entry(forged)).is_err());
            let _ = signers.apply(&entry(signed));
        }
    }
}
