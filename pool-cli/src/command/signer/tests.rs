use schema::key_event::{KeyEntry, KeyEvent, RevokeReason};
use schema::signers::Signers;

use super::*;

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}

#[test]
fn the_list_tells_how_each_key_stands() {
    let (pool, alice, machine) = (key("pool", 9), key("alice", 1), key("box", 3));
    let id = alice.public().id();
    let names = "linux-*".parse().unwrap();
    let delegate = KeyEvent::Delegate { root: id, key: machine.public(), names, not_after: 86399 };
    let revoke = KeyEvent::Revoke { key: id, reason: RevokeReason::Compromised { from: 2 } };
    let mut signers = Signers::new("log", pool.public());
    let mut shown = Vec::new();
    for (event, by) in
        [(KeyEvent::Enrol { key: alice.public() }, &pool), (delegate, &alice), (revoke, &alice)]
    {
        let signed = event.sign("log", &[by]).unwrap();
        signers.apply(&KeyEntry { logged_at: 0, attestations: 5, signed }).unwrap();
        shown.push(table(&signers.all().iter().map(Enrolled::from).collect::<Vec<_>>()));
    }
    let (alice, machine) = (alice.public(), machine.public());
    let since = "since 1970-01-01 00:00:00 UTC";
    let scope = "linux-* for alice until 1970-01-01 23:59:59 UTC";
    let ended = "COMPROMISED: its entries from 2 on do not count";
    assert_eq!(shown[0], format!("{alice}  {since}\n"));
    assert_eq!(shown[1], format!("{alice}  {since}\n{machine}  {since}, {scope}\n"));
    assert_eq!(
        shown[2],
        format!("{alice}  {since}, {ended}\n{machine}  {since}, {scope}, {ended}\n")
    );
    assert!(table(&[]).contains("pool signer enrol"));
}
