use super::*;
use crate::key::SecretKey;
use crate::key_event::{RevokeReason, SignedKeyEvent};

const ORIGIN: &str = "pool/keys";
const RETIRED: RevokeReason = RevokeReason::Retired;

/// A pool's keys log: each event is taken at the time and size that stand here.
struct Log {
    signers: Signers,
    now: u64,
    size: u64,
}

impl Log {
    /// Alice is enrolled at 0 attestations.
    fn new() -> Self {
        let mut log = Self { signers: Signers::new(ORIGIN, pool().public()), now: 1000, size: 0 };
        log.at(0).must(enrol(&key("alice", 1)), &[&pool()]);
        log
    }

    fn at(&mut self, size: u64) -> &mut Self {
        self.size = size;
        self
    }

    fn apply(&mut self, signed: SignedKeyEvent) -> Result<Applied, SignerError> {
        let entry = KeyEntry { logged_at: self.now, attestations: self.size, signed };
        assert_eq!(KeyEntry::parse(&entry.to_json()), Ok(entry.clone()));
        self.signers.apply(&entry)
    }

    fn must(&mut self, event: KeyEvent, by: &[&SecretKey]) {
        let index = self.signers.events();
        let signed = event.sign(ORIGIN, by).unwrap();
        assert_eq!(self.apply(signed), Ok(Applied::New { index }));
    }

    /// The code of the refusal, which changes nothing.
    fn refuses(&mut self, event: KeyEvent, by: &[&SecretKey]) -> &'static str {
        let before = format!("{:?}", (self.signers.all(), self.signers.events()));
        let refused = self.apply(event.sign(ORIGIN, by).unwrap()).unwrap_err();
        assert_eq!(format!("{:?}", (self.signers.all(), self.signers.events())), before);
        refused.code()
    }

    fn standing(&self, key: &SecretKey) -> Standing {
        self.signers.by_id(&id(key)).unwrap().standing
    }

    /// The indices below 100 at which an entry by this key about `linux-6` counts.
    fn counting(&self, key: &SecretKey) -> Vec<u64> {
        let counts = |index: &u64| self.signers.counts(&id(key), *index, "linux-6", self.now);
        (0..100).filter(counts).collect()
    }

    fn may(&self, key: &SecretKey, name: &str, now: u64) -> Result<(), &'static str> {
        self.signers.may_attest(&id(key), name, now).map_err(|refused| refused.code())
    }
}

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}

fn pool() -> SecretKey {
    key("pool", 99)
}

fn id(key: &SecretKey) -> KeyId {
    key.public().id()
}

fn enrol(key: &SecretKey) -> KeyEvent {
    KeyEvent::Enrol { key: key.public() }
}

fn rotate(old: &SecretKey, key: &SecretKey) -> KeyEvent {
    KeyEvent::Rotate { old: id(old), key: key.public() }
}

/// To linux only, until 5000.
fn delegate(root: &SecretKey, key: &SecretKey) -> KeyEvent {
    let names = "linux-*".parse().unwrap();
    KeyEvent::Delegate { root: id(root), key: key.public(), names, not_after: 5000 }
}

fn revoke(key: &SecretKey, reason: RevokeReason) -> KeyEvent {
    KeyEvent::Revoke { key: id(key), reason }
}

fn compromised(from: u64) -> RevokeReason {
    RevokeReason::Compromised { from }
}

#[test]
fn a_name_has_one_key_and_a_key_one_name_and_neither_is_the_pools() {
    let (mut log, pool) = (Log::new(), pool());
    assert_eq!(log.refuses(enrol(&key("alice", 2)), &[&pool]), "name_taken");
    assert_eq!(log.refuses(enrol(&key("bob", 1)), &[&pool]), "key_enrolled");
    assert_eq!(log.refuses(enrol(&key("pool", 2)), &[&pool]), "pool_key");
    assert_eq!(log.refuses(enrol(&key("bob", 99)), &[&pool]), "pool_key");
    log.at(3).must(enrol(&key("bob", 2)), &[&pool]);
    assert_eq!(log.signers.all().len(), 2);
    let bob = log.signers.named(&"bob".parse().unwrap()).unwrap();
    assert_eq!((bob.since, bob.enrolled_at, bob.standing), (3, 1000, Standing::Active));
    assert_eq!(log.counting(&key("bob", 2)), (3..100).collect::<Vec<_>>());
}

#[test]
fn the_same_event_is_taken_once() {
    let (mut log, pool, alice) = (Log::new(), pool(), key("alice", 1));
    log.at(4).must(revoke(&alice, RETIRED), &[&alice]);
    log.now += 1;
    for (event, by, index) in [(enrol(&alice), &pool, 0), (revoke(&alice, RETIRED), &alice, 1)] {
        let again = log.at(5).apply(event.clone().sign(ORIGIN, &[by]).unwrap());
        assert_eq!(again, Ok(Applied::Already { index, logged_at: 1000 }));
        let unsigned = log.refuses(event, &[&key("mallory", 3)]);
        assert!(unsigned.starts_with("not_signed"), "{unsigned}");
    }
    assert_eq!((log.signers.events(), log.standing(&alice)), (2, Standing::Retired { at: 4 }));
}

#[test]
fn each_event_is_signed_by_those_who_must_and_nobody_else() {
    let (mut log, pool) = (Log::new(), pool());
    let (alice, next, mallory) = (key("alice", 1), key("alice", 2), key("mallory", 3));
    log.must(enrol(&mallory), &[&pool]);
    let renamed = key("pool", 3);
    for (event, by, code) in [
        (enrol(&key("bob", 4)), &[&mallory][..], "not_signed_by_pool"),
        (enrol(&key("bob", 4)), &[&renamed], "not_signed_by_pool"),
        (enrol(&key("bob", 4)), &[&pool, &mallory], "signature_count"),
        (rotate(&alice, &next), &[&alice], "signature_count"),
        (rotate(&alice, &next), &[&alice, &mallory], "not_signed_by_new"),
        (rotate(&alice, &next), &[&mallory, &next], "not_signed_by_old"),
        (rotate(&alice, &next), &[&pool, &next], "not_signed_by_old"),
        (rotate(&key("bob", 4), &next), &[&alice, &next], "unknown_signer"),
        (delegate(&alice, &key("box", 5)), &[&mallory], "not_signed_by_root"),
        (delegate(&alice, &key("box", 5)), &[&key("box", 5)], "not_signed_by_root"),
        (delegate(&key("bob", 4), &key("box", 5)), &[&alice], "unknown_signer"),
        (revoke(&alice, RETIRED), &[&mallory], "not_signed_by_holder"),
        (revoke(&alice, RETIRED), &[&alice, &pool], "signature_count"),
        (revoke(&key("bob", 4), RETIRED), &[&pool], "unknown_signer"),
    ] {
        assert_eq!(log.refuses(event.clone(), by), code, "{event:?}");
    }
    let elsewhere = revoke(&alice, RETIRED).sign("other/keys", &[&alice]).unwrap();
    assert_eq!(log.apply(elsewhere).unwrap_err().code(), "not_signed_by_holder");
}

#[test]
fn a_name_passes_on_by_rotation_and_what_was_signed_counts() {
    let (mut log, pool) = (Log::new(), pool());
    let (alice, next, third) = (key("alice", 1), key("alice", 2), key("alice", 3));
    let other = key("alicia", 2);
    assert_eq!(log.refuses(rotate(&alice, &other), &[&alice, &other]), "name_changed");
    log.at(10).must(rotate(&alice, &next), &[&alice, &next]);
    assert_eq!(log.standing(&alice), Standing::Rotated { to: id(&next), at: 10 });
    assert_eq!(log.counting(&alice), (0..10).collect::<Vec<_>>());
    assert_eq!(log.counting(&next), (10..100).collect::<Vec<_>>());
    assert_eq!(log.may(&alice, "x", 1000), Err("key_rotated"));
    assert_eq!(log.may(&next, "x", 1000), Ok(()));
    assert_eq!(log.refuses(rotate(&alice, &third), &[&alice, &third]), "key_rotated");
    assert_eq!(log.refuses(rotate(&next, &alice), &[&next, &alice]), "key_enrolled");
    assert_eq!(log.refuses(revoke(&alice, RETIRED), &[&alice]), "key_rotated");
    assert_eq!(log.refuses(delegate(&alice, &key("box", 5)), &[&alice]), "key_rotated");
    assert_eq!(log.refuses(enrol(&third), &[&pool]), "name_taken");
    let name = "alice".parse().unwrap();
    assert_eq!(log.signers.named(&name).unwrap().key, next.public());
    let held: Vec<_> = log.signers.keys_named(&name).map(|held| held.key_id).collect();
    assert_eq!(held, [id(&alice), id(&next)]);
}

#[test]
fn a_key_does_not_rotate_to_the_pools_or_to_itself() {
    let mut log = Log { signers: Signers::new(ORIGIN, pool().public()), now: 0, size: 0 };
    let (alice, as_pool) = (key("alice", 1), key("alice", 99));
    log.must(enrol(&alice), &[&pool()]);
    assert_eq!(log.refuses(rotate(&alice, &as_pool), &[&alice, &as_pool]), "pool_key");
    // One key makes one signature over a message, unless it breaks the rules of RFC 8032.
    let event = rotate(&alice, &alice);
    assert_eq!(log.refuses(event, &[&alice]), "signature_count");
}

#[test]
fn a_delegate_attests_within_its_scope_and_time() {
    let (mut log, pool) = (Log::new(), pool());
    let (alice, machine) = (key("alice", 1), key("box", 5));
    log.at(20).must(delegate(&alice, &machine), &[&alice]);
    let delegation = log.signers.by_id(&id(&machine)).unwrap().delegation.clone().unwrap();
    assert_eq!((delegation.root, delegation.not_after), (id(&alice), 5000));
    assert_eq!(log.may(&machine, "linux-6", 5000), Ok(()));
    assert_eq!(log.may(&machine, "linux-6", 5001), Err("delegation_expired"));
    assert_eq!(log.may(&machine, "glibc", 5000), Err("out_of_scope"));
    assert_eq!(log.may(&key("nobody", 6), "linux-6", 1), Err("unknown_signer"));
    let counts = |index, name, at| log.signers.counts(&id(&machine), index, name, at);
    assert!(counts(20, "linux-6", 5000) && !counts(19, "linux-6", 5000));
    assert!(!counts(20, "glibc", 5000) && !counts(20, "linux-6", 5001));
    assert!(!log.signers.counts(&id(&key("nobody", 6)), 20, "linux-6", 0));
    let below = delegate(&machine, &key("box-2", 6));
    assert_eq!(log.refuses(below, &[&machine]), "delegate_depth");
    let successor = key("box", 6);
    let rotation = rotate(&machine, &successor);
    assert_eq!(log.refuses(rotation, &[&machine, &successor]), "delegate_rotates");
    assert_eq!(log.refuses(delegate(&alice, &key("box", 6)), &[&alice]), "name_taken");
    assert_eq!(log.refuses(delegate(&alice, &key("box-2", 5)), &[&alice]), "key_enrolled");
    assert_eq!(log.refuses(enrol(&machine), &[&pool]), "key_enrolled");
    log.now = 5001;
    let late = delegate(&alice, &key("box-2", 6));
    assert_eq!(log.refuses(late, &[&alice]), "delegation_expired");
}

#[test]
fn a_root_delegates_to_so_many_keys_and_no_more() {
    let (mut log, alice) = (Log::new(), key("alice", 1));
    let machine = |number: usize| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        SecretKey::from_seed(format!("box-{number}").parse().unwrap(), &seed)
    };
    for number in 0..MAX_DELEGATES {
        log.must(delegate(&alice, &machine(number)), &[&alice]);
    }
    // Those that ended count too.
    log.must(revoke(&machine(0), RETIRED), &[&alice]);
    let more = delegate(&alice, &machine(MAX_DELEGATES));
    assert_eq!(log.refuses(more, &[&alice]), "too_many_delegates");
    let next = key("alice", 2);
    log.must(rotate(&alice, &next), &[&alice, &next]);
    log.must(delegate(&next, &machine(MAX_DELEGATES)), &[&next]);
}

#[test]
fn retiring_ends_a_key_and_what_it_signed_counts() {
    for by in [key("alice", 1), pool()] {
        let (mut log, alice, next) = (Log::new(), key("alice", 1), key("alice", 2));
        log.at(30).must(revoke(&alice, RETIRED), &[&by]);
        assert_eq!(log.standing(&alice), Standing::Retired { at: 30 });
        assert_eq!(log.counting(&alice), (0..30).collect::<Vec<_>>());
        assert_eq!(log.may(&alice, "x", 1000), Err("key_revoked"));
        assert_eq!(log.refuses(rotate(&alice, &next), &[&alice, &next]), "key_revoked");
        assert_eq!(log.refuses(delegate(&alice, &key("box", 5)), &[&alice]), "key_revoked");
        assert_eq!(log.refuses(enrol(&next), &[&pool()]), "name_taken");
    }
}

#[test]
fn a_cut_voids_what_comes_after_it_and_may_only_be_lowered() {
    let (mut log, alice) = (Log::new(), key("alice", 1));
    assert_eq!(log.at(30).refuses(revoke(&alice, compromised(31)), &[&alice]), "cut_ahead");
    log.must(revoke(&alice, compromised(25)), &[&alice]);
    assert_eq!(log.standing(&alice), Standing::Compromised { from: 25, at: 30 });
    assert_eq!(log.counting(&alice), (0..25).collect::<Vec<_>>());
    assert_eq!(log.may(&alice, "x", 1000), Err("key_revoked"));
    assert_eq!(log.at(40).refuses(revoke(&alice, compromised(26)), &[&alice]), "cut_not_lower");
    assert_eq!(log.refuses(revoke(&alice, RETIRED), &[&pool()]), "key_revoked");
    log.must(revoke(&alice, compromised(24)), &[&pool()]);
    assert_eq!(log.standing(&alice), Standing::Compromised { from: 24, at: 30 });
    log.must(revoke(&alice, compromised(0)), &[&alice]);
    assert_eq!(log.counting(&alice), [] as [u64; 0]);
}

#[test]
fn an_ended_key_may_still_turn_out_compromised() {
    let (mut log, alice, next) = (Log::new(), key("alice", 1), key("alice", 2));
    log.at(10).must(rotate(&alice, &next), &[&alice, &next]);
    // A cut after the end lets nothing more count.
    log.at(20).must(revoke(&alice, compromised(15)), &[&alice]);
    assert_eq!(log.standing(&alice), Standing::Compromised { from: 15, at: 10 });
    assert_eq!(log.counting(&alice), (0..10).collect::<Vec<_>>());
    log.must(revoke(&alice, compromised(5)), &[&alice]);
    assert_eq!(log.counting(&alice), (0..5).collect::<Vec<_>>());
    assert_eq!(log.standing(&next), Standing::Active);
    log.at(30).must(revoke(&next, RETIRED), &[&next]);
    log.at(40).must(revoke(&next, compromised(12)), &[&pool()]);
    assert_eq!(log.counting(&next), [10, 11]);
}

#[test]
fn a_root_ends_its_delegates_and_answers_for_them() {
    let (mut log, alice) = (Log::new(), key("alice", 1));
    let (one, two, three) = (key("box-1", 5), key("box-2", 6), key("box-3", 7));
    for machine in [&one, &two, &three] {
        log.at(10).must(delegate(&alice, machine), &[&alice]);
    }
    log.at(20).must(revoke(&one, RETIRED), &[&one]);
    log.at(21).must(revoke(&two, compromised(15)), &[&alice]);
    assert_eq!(log.refuses(revoke(&three, RETIRED), &[&two]), "not_signed_by_holder");
    assert_eq!(log.refuses(revoke(&alice, RETIRED), &[&three]), "not_signed_by_holder");
    log.at(30).must(revoke(&alice, RETIRED), &[&alice]);
    assert_eq!(log.standing(&one), Standing::Retired { at: 20 });
    assert_eq!(log.standing(&two), Standing::Compromised { from: 15, at: 21 });
    assert_eq!(log.standing(&three), Standing::Retired { at: 30 });
    log.at(40).must(revoke(&alice, compromised(18)), &[&pool()]);
    assert_eq!(log.counting(&alice), (0..18).collect::<Vec<_>>());
    assert_eq!(log.counting(&one), (10..18).collect::<Vec<_>>());
    assert_eq!(log.counting(&two), (10..15).collect::<Vec<_>>());
    assert_eq!(log.counting(&three), (10..18).collect::<Vec<_>>());
    log.must(revoke(&alice, compromised(12)), &[&alice]);
    assert_eq!(log.counting(&two), [10, 11]);
}

#[test]
fn delegates_outlast_the_rotation_of_their_root_whose_heir_may_revoke_them() {
    let (mut log, alice, next) = (Log::new(), key("alice", 1), key("alice", 2));
    let (one, two, late) = (key("box-1", 5), key("box-2", 6), key("box-3", 7));
    log.must(delegate(&alice, &one), &[&alice]);
    log.must(delegate(&alice, &two), &[&alice]);
    log.at(10).must(rotate(&alice, &next), &[&alice, &next]);
    log.must(delegate(&next, &late), &[&next]);
    assert_eq!(log.may(&one, "linux-6", 1000), Ok(()));
    assert_eq!(log.refuses(revoke(&late, RETIRED), &[&alice]), "not_signed_by_holder");
    log.at(20).must(revoke(&one, RETIRED), &[&next]);
    log.must(revoke(&next, RETIRED), &[&next]);
    assert_eq!(log.standing(&two), Standing::Active);
    assert_eq!(log.standing(&late), Standing::Retired { at: 20 });
    log.must(revoke(&two, RETIRED), &[&alice]);
}

#[test]
fn neither_time_nor_the_other_log_goes_back() {
    let (mut log, pool) = (Log::new(), pool());
    log.at(10).must(enrol(&key("bob", 2)), &[&pool]);
    log.now = 999;
    assert_eq!(log.refuses(enrol(&key("carol", 3)), &[&pool]), "time_goes_back");
    log.now = 1000;
    assert_eq!(log.at(9).refuses(enrol(&key("carol", 3)), &[&pool]), "size_goes_back");
    log.at(10).must(enrol(&key("carol", 3)), &[&pool]);
}
