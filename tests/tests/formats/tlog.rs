//! The texts and files of transparency logs.

use std::sync::Arc;

use proptest::prelude::*;
use schema::hash::TreeHash;
use schema::key::SecretKey;
use schema::tlog::bundle;
use schema::tlog::checkpoint::{Checkpoint, Origin, SignedCheckpoint, UnverifiedCheckpoint};
use schema::tlog::cosignature::{Cosigner, MAX_COSIGNATURE_TIME};
use schema::tlog::merkle::{MAX_TREE_SIZE, leaf_hash, node_hash};
use schema::tlog::note::{Note, NoteName, NoteSigner, VerifierKey};
use schema::tlog::policy::{Policy, QuorumError};
use schema::tlog::proof::{ConsistencyProof, InclusionProof};
use schema::tlog::receipt::Receipt;
use schema::tlog::witness::AddCheckpoint;

use super::mutation::mutation;

fn secret(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed("pool-1".parse().unwrap(), &[seed; 32]))
}

/// The log whose checkpoints these are.
pub(super) fn log() -> NoteSigner {
    NoteSigner::new("pool.example/attestations".parse().unwrap(), secret(1)).unwrap()
}

fn witness(seed: u8) -> Cosigner {
    Cosigner::new(format!("witness.example/{seed}").parse().unwrap(), secret(seed)).unwrap()
}

pub(super) fn note_name() -> impl Strategy<Value = NoteName> {
    "[!-*,-~äß]{1,60}".prop_map(|name| name.parse().unwrap())
}

fn tree_hash() -> impl Strategy<Value = TreeHash> {
    any::<[u8; 32]>().prop_map(TreeHash::from_bytes)
}

pub(super) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let size = prop_oneof![1..=MAX_TREE_SIZE, 1_u64..1000];
    ("[ -~ä]{1,60}", size, tree_hash(), prop::collection::vec("[ -~ä]{1,30}", 0..3)).prop_map(
        |(origin, size, root, extensions)| {
            let checkpoint = Checkpoint::new(origin.parse().unwrap(), size, root).unwrap();
            let more: String = extensions.iter().map(|line| format!("{line}\n")).collect();
            format!("{checkpoint}{more}").parse().unwrap()
        },
    )
}

/// A checkpoint of [`log`], cosigned by a witness.
pub(super) fn signed() -> impl Strategy<Value = (SignedCheckpoint, Cosigner)> {
    (1..=MAX_TREE_SIZE, tree_hash(), 2..9_u8, 0..=MAX_COSIGNATURE_TIME).prop_map(
        |(size, root, seed, time)| {
            let (log, witness) = (log(), witness(seed));
            let origin = Origin::from(log.verifier().name());
            let checkpoint = Checkpoint::new(origin, size, root).unwrap();
            let mut signed = SignedCheckpoint::sign(checkpoint, &log).unwrap();
            let line = witness.cosign(&signed, time).unwrap();
            assert_eq!(signed.cosign(line, witness.verifier()), Ok(time));
            (signed, witness)
        },
    )
}

fn proof() -> impl Strategy<Value = Vec<TreeHash>> {
    prop::collection::vec(tree_hash(), 0..=63)
}

fn request() -> impl Strategy<Value = AddCheckpoint> {
    (signed(), any::<u64>(), proof()).prop_map(|((signed, _), old, proof)| {
        let proof = ConsistencyProof::from_hashes(proof).unwrap();
        AddCheckpoint::new(old % (signed.size() + 1), proof, signed).unwrap()
    })
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let extra = prop::collection::vec(any::<u8>(), 0..40);
    (signed(), any::<u64>(), proof(), extra).prop_map(|((signed, _), index, proof, extra)| {
        let proof = InclusionProof::from_hashes(proof).unwrap();
        let receipt = Receipt::new(index % signed.size(), proof, signed).unwrap();
        if extra.is_empty() { receipt } else { receipt.with_extra(&extra).unwrap() }
    })
}

proptest! {
    #[test]
    fn texts_lead_back((signed, witness) in signed(), request in request(), receipt in receipt()) {
        let file = signed.to_string();
        let (log, witness) = (log(), witness.verifier().clone());
        prop_assert_eq!(SignedCheckpoint::open(file.as_bytes(), log.verifier()), Ok(signed));
        prop_assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()), Ok(request));
        prop_assert_eq!(Receipt::parse(receipt.to_string().as_bytes()), Ok(receipt));
        prop_assert_eq!(witness.to_string().parse(), Ok(witness));
    }

    #[test]
    fn a_damaged_request_is_another_one_or_none(request in request(), mutation in mutation()) {
        let body = request.to_string();
        let damaged = mutation.of(body.as_bytes());
        if let Ok(read) = AddCheckpoint::parse(&damaged) {
            prop_assert_eq!(read.to_string().into_bytes(), damaged.clone());
            prop_assert_eq!(read == request, damaged == body.as_bytes());
        }
    }

    #[test]
    fn a_damaged_receipt_is_another_one_or_none(receipt in receipt(), mutation in mutation()) {
        let file = receipt.to_string();
        let damaged = mutation.of(file.as_bytes());
        if let Ok(read) = Receipt::parse(&damaged) {
            prop_assert_eq!(read.to_string().into_bytes(), damaged.clone());
            prop_assert_eq!(read == receipt, damaged == file.as_bytes());
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_another_one_or_none(
        (signed, _) in signed(),
        mutation in mutation(),
    ) {
        let file = signed.to_string();
        let damaged = mutation.of(file.as_bytes());
        if let Ok(read) = UnverifiedCheckpoint::parse(&damaged) {
            prop_assert_eq!(read.to_string().into_bytes(), damaged.clone());
            // The log's signature is over its own text, whatever stands below it.
            let same = read.checkpoint() == signed.checkpoint();
            prop_assert!(same || read.verify(log().verifier()).is_err());
        }
    }

    #[test]
    fn a_damaged_key_is_another_one_or_none(name in note_name(), mutation in mutation()) {
        let key = NoteSigner::new(name, secret(5)).unwrap().verifier().clone();
        let text = key.to_string();
        let Ok(damaged) = String::from_utf8(mutation.of(text.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<VerifierKey>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == key, damaged == text);
        }
    }

    #[test]
    fn bundles_lead_back(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..40),
        mutation in mutation(),
    ) {
        let file = bundle::encode(&entries).unwrap();
        prop_assert_eq!(bundle::parse(&file).unwrap(), entries);
        let damaged = mutation.of(&file);
        if let Ok(read) = bundle::parse(&damaged) {
            prop_assert_eq!(bundle::encode(&read).unwrap(), damaged);
        }
    }

    #[test]
    fn arbitrary_words_are_no_note_or_one_that_prints_so(text in "[a —\\n+=]{0,60}") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}

/// Of the second of two entries, with the log's signature and those of two witnesses.
fn whole_receipt(entry: &[u8]) -> (Receipt, Policy) {
    let (log, witnesses) = (log(), [witness(2), witness(3)]);
    let sibling = leaf_hash(b"another entry");
    let origin = Origin::from(log.verifier().name());
    let checkpoint = Checkpoint::new(origin, 2, node_hash(&sibling, &leaf_hash(entry))).unwrap();
    let mut signed = SignedCheckpoint::sign(checkpoint, &log).unwrap();
    for witness in &witnesses {
        let line = witness.cosign(&signed, 1_700_000_000).unwrap();
        signed.cosign(line, witness.verifier()).unwrap();
    }
    let proof = InclusionProof::from_hashes(vec![sibling]).unwrap();
    let [two, three] = witnesses.map(|witness| witness.verifier().clone());
    let file = format!("witness a {two}\nwitness b {three}\ngroup g all a b\nquorum g\n");
    (Receipt::new(1, proof, signed).unwrap(), Policy::parse(file.as_bytes()).unwrap())
}

#[test]
fn no_bit_of_a_receipt_may_differ() {
    let (receipt, policy) = whole_receipt(b"an entry");
    let (log, file) = (log(), receipt.to_string().into_bytes());
    let verifies = |file: &[u8]| {
        let receipt = Receipt::parse(file).ok()?;
        receipt.verify(b"an entry", log.verifier(), &policy).ok()
    };
    assert!(verifies(&file).is_some());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(verifies(&damaged).is_none(), "bit {bit} of byte {at}");
        }
        assert!(verifies(&file[..at]).is_none(), "cut to {at}");
    }
}

/// Groups of groups: in each line, how many of which parts above.
fn policy() -> impl Strategy<Value = Policy> {
    let group = (1..5_usize, any::<prop::sample::Index>());
    prop::collection::vec(group, 1..6).prop_map(|groups| {
        let mut free: Vec<String> = (2..12).map(|seed| format!("w{seed}")).collect();
        let keys = (2..12).map(|seed| format!("witness w{seed} {}\n", witness(seed).verifier()));
        let mut file: String = keys.collect();
        let mut last = String::new();
        for (at, (count, threshold)) in groups.into_iter().enumerate() {
            let members: Vec<_> = free.drain(..count.min(free.len())).collect();
            last = format!("g{at}");
            let threshold = threshold.index(members.len()) + 1;
            file += &format!("group {last} {threshold} {}\n", members.join(" "));
            free.push(last.clone());
        }
        Policy::parse(format!("{file}quorum {last}\n").as_bytes()).unwrap()
    })
}

proptest! {
    #[test]
    fn those_that_are_missing_would_be_enough(policy in policy(), signed in any::<u16>()) {
        let names: Vec<_> = (2..12_u8).map(|seed| format!("w{seed}")).collect();
        let key = |name: &String| witness(name[1..].parse().unwrap()).verifier().clone();
        let keys: Vec<_> = names.iter().map(key).collect();
        let has_signed = |mask: u16| {
            let keys = &keys;
            move |key: &VerifierKey| keys.iter().position(|it| it == key).is_some_and(|at| mask >> at & 1 == 1)
        };
        let Err(QuorumError::Unmet { missing }) = policy.judge(has_signed(signed)) else {
            return Ok(());
        };
        let at = |name: &String| names.iter().position(|it| it == name).unwrap();
        let asked = missing.iter().fold(0_u16, |mask, name| mask | 1 << at(name));
        prop_assert!(asked != 0 && asked & signed == 0, "they have not signed");
        prop_assert_eq!(policy.judge(has_signed(signed | asked)), Ok(()));
    }

    #[test]
    fn arbitrary_policies_are_read_or_refused(lines in prop::collection::vec(
        "(log|witness|group|quorum|#)?( (all|any|none|[a-c]|[0-3])){0,4}", 0..8,
    )) {
        let key = witness(2).verifier().to_string();
        let file = format!("witness a {key}\n{}\n", lines.join("\n"));
        if let Ok(policy) = Policy::parse(file.as_bytes()) {
            prop_assert_eq!(policy.witnesses().len(), 1);
            prop_assert_eq!(policy.judge(|_| true), Ok(()));
        }
    }
}
