//! A client that asks again and again, while the ledger grows.

use schema::api::{EvidenceRequest, LogSizes};
use schema::evidence::{Known, Witnessing};
use schema::key_event::{KeyEvent, RevokeReason};
use schema::verifiable_map::MapContents;
use tests::double::Ledger;
use tests::nar::{key, path};
use tests::random::Random;
use tests::run::seed;

use super::Heard;
use super::scene::{NOW, claim};

const PATHS: u64 = 12;

fn name(number: u64) -> String {
    format!("path{number}")
}

/// Something happens to the ledger.
fn step(ledger: &mut Ledger, random: &mut Random) {
    let any = |random: &mut Random| {
        key(&format!("key{}", random.within(0..5)), random.within(0..5) as u8)
    };
    match random.within(0..10) {
        0 => {
            let number = ledger.sizes().keys;
            ledger.enrol(&key(&format!("enrolled{number}"), 100 + number as u8).public());
        }
        1 => ledger.index(),
        _ => {
            let signer = any(random);
            ledger.names(&signer.public());
            let (number, nar) = (random.within(0..PATHS), random.within(0..2) as u8);
            ledger.attest(&signer, &claim(&name(number), nar, &[]));
        }
    }
}

fn request(random: &mut Random, known: LogSizes) -> EvidenceRequest {
    let count = random.within(0..5);
    let mut paths: Vec<_> = (0..count)
        .map(|_| name(random.within(0..2 * PATHS)))
        .map(|name| path(&name, &name))
        .collect();
    paths.dedup();
    EvidenceRequest { paths, known, ..Default::default() }
}

#[test]
fn every_later_answer_follows_and_no_earlier_one_does() {
    let mut random = Random::new(seed());
    for _ in 0..30 {
        let mut ledger = Ledger::new("pool.example", 9);
        let mut known = Known::new(ledger.logs());
        let mut before = Vec::new();
        for _ in 0..12 {
            (0..random.within(0..20)).for_each(|_| step(&mut ledger, &mut random));
            ledger.index();
            let request = request(&mut random, known.sizes());
            let lines = ledger.answer(&request);
            let read = |known, request| {
                Heard::read(known, request, Witnessing::default(), lines.clone(), NOW)
            };
            let heard = read(&known, &request).unwrap();
            assert_eq!(heard.known.sizes(), ledger.sizes());
            assert_eq!(heard.signers().len() as u64, ledger.sizes().keys);
            for path in heard.paths.keys() {
                assert!(request.paths.contains(path));
            }
            assert!(heard.absent.iter().all(|path| request.paths.contains(path)));
            before.push((request, lines.clone(), known.sizes()));
            known = heard.known;
            for (request, lines, _) in &before {
                let again = Heard::read(&known, request, Witnessing::default(), lines.clone(), NOW);
                // Nothing may have happened between the two.
                assert!(again.is_err() || again.unwrap().known.sizes() == known.sizes());
            }
            let resumed =
                Known::resume(ledger.logs(), ledger.key_entries(), &known.notes()).unwrap();
            assert_eq!((resumed.sizes(), resumed.notes()), (known.sizes(), known.notes()));
        }
        let mut contents = MapContents::default();
        ledger.entries().try_for_each(|entry| contents.add(entry)).unwrap();
        assert_eq!(ledger.leaf(contents.size()).map, contents.root());
    }
}

#[test]
fn an_empty_ledger_says_so() {
    let ledger = Ledger::new("pool.example", 9);
    let known = Known::new(ledger.logs());
    let paths = vec![path("app", "app")];
    let request =
        EvidenceRequest { paths, closure: true, known: known.sizes(), ..Default::default() };
    let lines = ledger.answer(&request);
    let heard = Heard::read(&known, &request, Witnessing::default(), lines, NOW).unwrap();
    assert_eq!((heard.known.sizes(), heard.covered), (LogSizes::default(), 0));
    assert!(heard.paths.is_empty() && heard.absent.len() == 1);
    // And then it does not.
    let mut grown = ledger.clone();
    grown.enrol(&key("alice-1", 1).public());
    grown.attest(&key("alice-1", 1), &claim("app", 1, &[]));
    let lines = grown.answer(&request);
    let heard = Heard::read(&heard.known, &request, Witnessing::default(), lines, NOW).unwrap();
    assert_eq!(heard.absent.len(), 1, "it is in no map yet");
    grown.index();
    let request = EvidenceRequest { known: heard.known.sizes(), ..request };
    let lines = grown.answer(&request);
    let heard = Heard::read(&heard.known, &request, Witnessing::default(), lines, NOW).unwrap();
    assert_eq!(heard.paths[&path("app", "app")].statements.len(), 1);
}

#[test]
fn what_was_noted_down_is_not_taken_as_it_comes() {
    let mut ledger = Ledger::new("pool.example", 9);
    let alice = key("alice-1", 1);
    ledger.enrol(&alice.public());
    ledger.attest(&alice, &claim("app", 1, &[]));
    ledger.index();
    let retired = KeyEvent::Revoke { key: alice.public().id(), reason: RevokeReason::Retired };
    ledger.happens(retired, &[&alice]);
    let request = EvidenceRequest::default();
    let fresh = Known::new(ledger.logs());
    let lines = ledger.answer(&request);
    let known = Heard::read(&fresh, &request, Witnessing::default(), lines, NOW).unwrap().known;
    let (entries, notes) = (ledger.key_entries(), known.notes());
    let code = |entries: &[Vec<u8>], notes: [Option<String>; 3]| {
        Known::resume(ledger.logs(), entries, &notes).map(|_| ()).map_err(|why| why.code())
    };
    assert_eq!(code(entries, notes.clone()), Ok(()));
    assert_eq!(code(&entries[..1], notes.clone()), Err("keys_withheld"));
    assert_eq!(code(&[entries[0].clone(), entries[0].clone()], notes.clone()), Err("key_event"));
    let [keys, attestations, index] = notes;
    assert_eq!(code(entries, [None, attestations.clone(), index.clone()]), Err("keys_withheld"));
    assert_eq!(code(entries, [keys, index, attestations]), Err("not_signed"));
}
