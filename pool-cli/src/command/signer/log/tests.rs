use schema::key::SecretKey;
use schema::key_event::SignedKeyEvent;

use super::*;

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}

fn info() -> Info {
    let text = serde_json::json!({
        "version": "0.1.0",
        "origin": "narpool-1",
        "logs": { "keys": "", "attestations": "", "index": "", "witness": "" },
        "public_key": key("pool", 9).public(),
        "store_dir": "/nix/store",
        "attestations": 0,
        "open_enrolment": false,
        "max_nar_size": 1,
    });
    serde_json::from_value(text).unwrap()
}

/// One event of each kind, as the pool logs them.
fn entries() -> Vec<Vec<u8>> {
    let (pool, old, new, machine) =
        (key("pool", 9), key("alice", 1), key("alice", 2), key("box", 3));
    let id = |key: &SecretKey| key.public().id();
    let (names, not_after) = ("linux-*".parse().unwrap(), 9000);
    let delegate = KeyEvent::Delegate { root: id(&old), key: machine.public(), names, not_after };
    let compromised = RevokeReason::Compromised { from: 2 };
    let events: [(KeyEvent, &[&SecretKey]); 5] = [
        (KeyEvent::Enrol { key: old.public() }, &[&pool]),
        (delegate, &[&old]),
        (KeyEvent::Rotate { old: id(&old), key: new.public() }, &[&old, &new]),
        (KeyEvent::Revoke { key: id(&machine), reason: RevokeReason::Retired }, &[&machine]),
        (KeyEvent::Revoke { key: id(&new), reason: compromised }, &[&new]),
    ];
    let sign = |(event, by): (KeyEvent, &[&SecretKey])| event.sign("narpool-1/keys", by).unwrap();
    let entry =
        |signed: SignedKeyEvent| KeyEntry { logged_at: 1000, attestations: 4, signed }.to_json();
    events.into_iter().map(sign).map(entry).collect()
}

fn replay(entries: &[Vec<u8>], width: u16) -> Result<Replay, String> {
    let mut replay = Replay::new(&info());
    replay.take(&bundle::encode(entries).unwrap(), width)?;
    Ok(replay)
}

#[test]
fn every_kind_of_event_is_told() {
    let replay = replay(&entries(), 5).unwrap();
    let text = replay.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    for (line, said) in lines.iter().zip([
        "is a signer",
        "may attest linux-* for alice until 1970-01-01 02:30:00 UTC",
        "alice is now alice:",
        "box is retired",
        "alice is compromised, its entries from 2 on are void",
    ]) {
        assert!(line.contains(said) && line.contains("at 4 attestations"), "{line}");
    }
    let json = replay.json().unwrap();
    assert_eq!((&json[3]["index"], &json[3]["event"]["event"]), (&json!(3), &json!("revoke")));
}

#[test]
fn what_is_not_in_order_is_noticed() {
    let entries = entries();
    let mut edge = Edge::new();
    for entry in &entries {
        edge.push(leaf_hash(entry));
    }
    let read = |entries: &[Vec<u8>]| {
        let width = u16::try_from(entries.len()).unwrap();
        let replay = replay(entries, width)?;
        replay.compare(&edge.root())
    };
    assert_eq!(read(&entries), Ok(()));
    let refused = |entries: &[Vec<u8>], why: &str| {
        let said = read(entries).unwrap_err();
        assert!(said.contains(why), "{said}");
    };
    refused(&entries[..4], "not those that the checkpoint is over");
    refused(&entries[1..], "entry 0: no signer has the key");
    let twice = [&entries[..4], &entries[3..]].concat();
    refused(&twice, "entry 4: the event of entry 3 once more");
    let mut later = entries.clone();
    later[0] = String::from_utf8(later[0].clone()).unwrap().replace("1000", "1001").into_bytes();
    refused(&later, "entry 1: logged at 1000");
    assert!(replay(&entries, 6).err().unwrap().contains("should have 6"));
}
