use std::sync::Arc;

use super::super::checkpoint::{Checkpoint, Origin};
use super::super::cosignature::Cosigner;
use super::super::merkle::root;
use super::super::merkle::tests::{ENTRIES, Leaves};
use super::super::note::NoteSigner;
use super::super::proof::inclusion;
use super::*;
use crate::key::SecretKey;

fn secret(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_seed("pool-1".parse().unwrap(), &[seed; 32]))
}

fn log() -> NoteSigner {
    NoteSigner::new("pool.example/attestations".parse().unwrap(), secret(1)).unwrap()
}

fn witness(seed: u8) -> Cosigner {
    Cosigner::new(format!("witness.example/{seed}").parse().unwrap(), secret(seed)).unwrap()
}

fn policy(quorum: &str) -> Policy {
    let (two, three) = (witness(2), witness(3));
    let file = format!(
        "witness two {}\nwitness three {}\ngroup both all two three\nquorum {quorum}\n",
        two.verifier(),
        three.verifier()
    );
    Policy::parse(file.as_bytes()).unwrap()
}

/// Of the entry 5 among 8, cosigned by witness 2.
fn receipt() -> Receipt {
    let nodes = Leaves(ENTRIES.map(leaf_hash).to_vec());
    let (log, witness) = (log(), witness(2));
    let origin = Origin::from(log.verifier().name());
    let checkpoint = Checkpoint::new(origin, 8, root(8, &nodes).unwrap()).unwrap();
    let mut signed = SignedCheckpoint::sign(checkpoint, &log).unwrap();
    let line = witness.cosign(&signed, 1_700_000_000).unwrap();
    signed.cosign(line, witness.verifier()).unwrap();
    Receipt::new(5, inclusion(5, 8, &nodes).unwrap(), signed).unwrap()
}

#[test]
fn a_receipt_has_the_documents_lines() {
    let text = receipt().with_extra(b"why").unwrap().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra d2h5", "index 5"]);
    assert_eq!(lines[3], "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=");
    assert_eq!(lines[6..9], ["", "pool.example/attestations", "8"]);
    assert_eq!(lines.len(), 13);
    let read = Receipt::parse(text.as_bytes()).unwrap();
    assert_eq!((read.index(), read.extra()), (5, Some(&b"why"[..])));
    assert_eq!(read.to_string(), text);
    let plain = receipt().to_string();
    assert_eq!(plain, text.replace("extra d2h5\n", ""));
    assert_eq!(Receipt::parse(plain.as_bytes()), Ok(receipt()));
}

#[test]
fn a_receipt_proves_its_own_entry_to_whom_trusts_its_log_and_witnesses() {
    let (receipt, log) = (receipt(), log());
    let verify = |policy| receipt.verify(ENTRIES[5], log.verifier(), &policy);
    assert_eq!(verify(policy("none")).unwrap().size(), 8);
    assert!(verify(policy("two")).is_ok());
    let missing = vec!["three".to_owned()];
    for quorum in ["three", "both"] {
        let unmet = QuorumError::Unmet { missing: missing.clone() };
        assert_eq!(verify(policy(quorum)), Err(ReceiptError::Quorum(unmet)));
    }
    let other = receipt.verify(ENTRIES[4], log.verifier(), &policy("two"));
    assert_eq!(other, Err(ReceiptError::Proof(ProofError::Root)));
    let impostor =
        NoteSigner::new("pool.example/attestations".parse().unwrap(), secret(9)).unwrap();
    let unsigned = receipt.verify(ENTRIES[5], impostor.verifier(), &policy("two"));
    assert!(matches!(unsigned, Err(ReceiptError::Checkpoint(_))));
}

#[test]
fn a_policy_that_names_logs_trusts_no_others() {
    let (receipt, log) = (receipt(), log());
    let naming =
        |key: &VerifierKey| Policy::parse(format!("log {key}\nquorum none\n").as_bytes()).unwrap();
    assert!(receipt.verify(ENTRIES[5], log.verifier(), &naming(log.verifier())).is_ok());
    let other = NoteSigner::new("pool.example/attestations".parse().unwrap(), secret(9)).unwrap();
    let refused = receipt.verify(ENTRIES[5], log.verifier(), &naming(other.verifier()));
    assert_eq!(refused, Err(ReceiptError::Log(log.verifier().name().clone())));
}

#[test]
fn loose_receipts_are_refused() {
    let text = receipt().to_string();
    let read = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Receipt::parse(text.replacen(from, to, 1).as_bytes())
    };
    assert_eq!(read("proof@v1", "proof@v2"), Err(ReceiptError::Form));
    assert_eq!(read("c2sp", " c2sp"), Err(ReceiptError::Form));
    for index in
        ["index 05", "index  5", "index 5 ", "index -5", "index", "Index 5", "extra\nindex 5"]
    {
        assert_eq!(read("index 5", index), Err(ReceiptError::Index), "{index}");
    }
    for extra in ["extra ", "extra =", "extra d2h", "extra d2h5 ", "extra d2i="] {
        let index = format!("{extra}\nindex 5");
        assert_eq!(read("index 5", &index), Err(ReceiptError::Extra), "{extra}");
    }
    assert_eq!(read("index 5", "extra d2h5\nextra d2h5\nindex 5"), Err(ReceiptError::Index));
    assert_eq!(read("index 5", "index 5\nextra d2h5"), Err(ReceiptError::Hash(HashError::Base64)));
    let beyond = ProofError::Range { part: 8, size: 8 };
    assert_eq!(read("index 5", "index 8"), Err(ReceiptError::Proof(beyond)));
    assert!(matches!(read("\n8\n", "\n08\n"), Err(ReceiptError::Checkpoint(_))));
    assert_eq!(Receipt::parse(b"c2sp.org/tlog-proof@v1\n"), Err(ReceiptError::Form));
    assert_eq!(Receipt::parse(&vec![b'x'; MAX_RECEIPT_LEN + 1]), Err(ReceiptError::TooLong));
    assert_eq!(receipt().with_extra(b""), Err(ReceiptError::Extra));
    assert_eq!(receipt().with_extra(&[0; MAX_EXTRA_LEN + 1]), Err(ReceiptError::Extra));
    let full = receipt().with_extra(&[0; MAX_EXTRA_LEN]).unwrap().to_string();
    assert!(Receipt::parse(full.as_bytes()).is_ok());
}
