//! An operator who has the pool's key tells one lie at a time. Each is refused, and called by name.

use std::collections::BTreeSet;

use schema::api::{
    AttestationReport, EvidenceAbsent, EvidenceClaim, EvidenceLine, EvidenceRequest, LogSizes,
};
use schema::attestation::Entry;
use schema::decide::{DenyCode, Outcome, UnknownCode};
use schema::evidence::{Known, Witnessing};
use schema::hash::{MapHash, TreeHash};
use schema::key_event::KeyEvent;
use schema::verifiable_map::{IndexLeaf, MapContents};
use tests::double::Ledger;
use tests::nar::{key, path};

use super::Heard;
use super::scene::{NOW, Scene, alice, bob, carol, claim, enrolled, head, policy, told, witnessed};

/// Everything that a pool can be caught at.
const CODES: [&str; 14] = [
    "claim",
    "fork",
    "forged",
    "index_root",
    "key_event",
    "keys_withheld",
    "malformed",
    "not_in_log",
    "not_signed",
    "other_log",
    "quorum",
    "rollback",
    "unanswered",
    "withheld",
];

/// A lie, what it is called, and the answer that tells it.
type Told = (&'static str, &'static str, Vec<EvidenceLine>);

/// Answers to somebody who knows the beginning.
fn to_who_knows_the_beginning(scene: &Scene) -> Vec<Told> {
    let mut all = about_entries(scene);
    all.extend(about_paths(scene));
    all.extend(about_keys(scene));
    all.extend(about_maps(scene));
    all.extend(about_checkpoints(scene));
    all
}

fn changed(scene: &Scene, change: impl FnOnce(&mut Vec<EvidenceLine>)) -> Vec<EvidenceLine> {
    let mut lines = scene.honest();
    change(&mut lines);
    lines
}

fn grown(scene: &Scene, grow: impl FnOnce(&mut Ledger)) -> Vec<EvidenceLine> {
    let mut ledger = scene.ledger.clone();
    grow(&mut ledger);
    ledger.answer(&scene.request)
}

fn about_entries(scene: &Scene) -> Vec<Told> {
    let forged = |ledger: &mut Ledger| {
        let app = claim("app", 1, &["lib"]);
        let said = ledger.entries().find(|entry| entry.claim == app.id()).unwrap().clone();
        ledger.takes(&app, Entry { key_id: carol().public().id(), ..said });
        ledger.index();
    };
    vec![
        ("a forged signature is logged", "forged", grown(scene, forged)),
        (
            "a signature is changed",
            "not_in_log",
            changed(scene, |lines| {
                agreed(lines).entries[0].signature = carol().sign(b"something else");
            }),
        ),
        (
            "an entry is dated back",
            "not_in_log",
            changed(scene, |lines| agreed(lines).entries[0].logged_at -= 1),
        ),
        (
            "an entry is passed off as another key's",
            "not_in_log",
            changed(scene, |lines| {
                agreed(lines).entries[0].key_id = carol().public().id();
            }),
        ),
        (
            "the proof is of other entries",
            "not_in_log",
            changed(scene, |lines| {
                let mut other = scene.ledger.answer(&asking(scene, "other1"));
                *lines.last_mut().unwrap() = other.pop().unwrap();
            }),
        ),
        (
            "an attestation is withheld",
            "withheld",
            changed(scene, |lines| drop(agreed(lines).entries.remove(0))),
        ),
        (
            "dissent is withheld",
            "withheld",
            changed(scene, |lines| {
                let agreed = agreed(lines).clone();
                told(lines, "app").claims = vec![agreed];
            }),
        ),
        (
            "an entry is shown that is in no map yet",
            "withheld",
            changed(scene, |lines| {
                let entries = &mut agreed(lines).entries;
                let index = scene.ledger.sizes().attestations;
                entries.push(AttestationReport { index, ..entries[0].clone() });
            }),
        ),
    ]
}

/// What alice and bob say of `app`, and carol does not.
fn agreed(lines: &mut [EvidenceLine]) -> &mut EvidenceClaim {
    let text = claim("app", 1, &["lib"]).signed_bytes().into_owned();
    let mut claims = told(lines, "app").claims.iter_mut();
    claims.find(|claim| claim.text == text).unwrap()
}

fn asking(scene: &Scene, name: &str) -> EvidenceRequest {
    EvidenceRequest { paths: vec![path(name, name)], ..scene.request.clone() }
}

fn about_paths(scene: &Scene) -> Vec<Told> {
    let other = |name| told(&mut scene.ledger.answer(&asking(scene, name)), name).clone();
    let absent = |proof| {
        changed(scene, |lines| {
            let absent = EvidenceAbsent { path: path("app", "app"), proof };
            lines[1] = EvidenceLine::Absent(absent);
        })
    };
    let mut gone = scene.ledger.answer(&asking(scene, "gone"));
    let EvidenceLine::Absent(gone) = gone.remove(1) else { panic!("somebody spoke of it") };
    vec![
        (
            "another path's claims",
            "withheld",
            changed(scene, |lines| told(lines, "app").claims = other("other2").claims),
        ),
        (
            "another path in place of the one asked for",
            "unanswered",
            scene.ledger.answer(&asking(scene, "other2")),
        ),
        ("a path is said to be absent", "withheld", absent(other("app").proof)),
        ("as absent as another", "withheld", absent(gone.proof)),
        (
            "two paths in one",
            "claim",
            changed(scene, |lines| told(lines, "app").claims.extend(other("other2").claims)),
        ),
        ("no claims", "claim", changed(scene, |lines| told(lines, "app").claims.clear())),
        ("no claim's text", "claim", changed(scene, |lines| agreed(lines).text.push(','))),
        (
            "another claim's text",
            "not_in_log",
            changed(scene, |lines| {
                agreed(lines).text = claim("app", 8, &["lib"]).signed_bytes().into_owned();
            }),
        ),
        ("no end", "malformed", changed(scene, |lines| drop(lines.pop()))),
        ("no head", "malformed", changed(scene, |lines| drop(lines.remove(0)))),
        ("two heads", "malformed", changed(scene, |lines| lines.insert(1, lines[0].clone()))),
        ("a path twice", "not_in_log", changed(scene, |lines| lines.insert(1, lines[1].clone()))),
    ]
}

fn about_keys(scene: &Scene) -> Vec<Told> {
    let eve = key("eve-1", 6);
    let enrol = KeyEvent::Enrol { key: eve.public() };
    let enrolled = grown(scene, |ledger| ledger.happens(enrol, &[&alice()]));
    let twice = |ledger: &mut Ledger| {
        let last = ledger.key_entries().last().unwrap().clone();
        ledger.happens_as(&last);
    };
    // The same key, and another history of as many events, or of more.
    let mut other = scene.early.clone();
    other.enrol(&eve.public());
    let mut longer = Ledger::new("pool.example", 9);
    witnessed(&mut longer, NOW);
    (0..9).for_each(|seed| longer.enrol(&key(&format!("key{seed}"), 50 + seed).public()));
    vec![
        (
            "a revocation is withheld",
            "keys_withheld",
            changed(scene, |lines| drop(head(lines).key_entries.pop())),
        ),
        (
            "a revocation is replaced",
            "keys_withheld",
            changed(scene, |lines| {
                head(lines).key_entries =
                    head(&mut other.answer(&scene.request)).key_entries.clone();
            }),
        ),
        ("another history of the keys", "keys_withheld", keys_of(scene, &longer)),
        ("a key that the pool did not enrol", "key_event", enrolled),
        ("an event twice", "key_event", grown(scene, twice)),
        ("no event", "key_event", grown(scene, |ledger| ledger.happens_as(b"{}"))),
    ]
}

/// The honest answer, with the keys log of another ledger.
fn keys_of(scene: &Scene, other: &Ledger) -> Vec<EvidenceLine> {
    let mut shown = other.answer(&scene.request);
    changed(scene, |lines| {
        (head(lines).keys, head(lines).key_entries) =
            (head(&mut shown).keys.clone(), head(&mut shown).key_entries.clone());
    })
}

fn about_maps(scene: &Scene) -> Vec<Told> {
    let sizes = scene.ledger.sizes();
    let last = scene.ledger.leaf(sizes.attestations);
    let before = || {
        let sizes = LogSizes { index: sizes.index - 1, ..sizes };
        scene.ledger.answer_as_of(&scene.request, sizes)
    };
    let leaf = |leaf| grown(scene, |ledger| ledger.names_map(leaf));
    let unlisted = grown(scene, |ledger| {
        ledger.unlist(sizes.attestations - 3);
        ledger.index();
    });
    vec![
        (
            "the map before the last",
            "index_root",
            changed(scene, |lines| {
                let shown = head(lines);
                let mut before = before();
                shown.leaf = head(&mut before).leaf.clone();
                shown.leaf_proof = scene.ledger.leaf_proof(sizes.index - 2);
            }),
        ),
        (
            "attestations beyond the map",
            "index_root",
            scene.ledger.answer_as_of(
                &scene.request,
                LogSizes { attestations: sizes.attestations + 1, ..sizes },
            ),
        ),
        (
            "an event that comes after attestations yet to come",
            "key_event",
            grown(scene, |ledger| {
                ledger.attest(&bob(), &claim("later", 0, &[]));
                ledger.enrol(&key("eve-1", 6).public());
            }),
        ),
        ("no map", "index_root", changed(scene, |lines| head(lines).leaf = None)),
        (
            "a map that does not read",
            "index_root",
            changed(scene, |lines| head(lines).leaf.as_mut().unwrap().push('0')),
        ),
        (
            "the map of other attestations",
            "index_root",
            leaf(IndexLeaf { attestations: TreeHash::of(b"other"), ..last }),
        ),
        ("the map of none", "withheld", leaf(IndexLeaf { map: MapHash::EMPTY, ..last })),
        ("a map of what is not there yet", "index_root", {
            let mut lines = scene.honest();
            let mut ahead = scene.ledger.clone();
            ahead.index();
            ahead.attest(&bob(), &claim("other3", 3, &[]));
            ahead.index();
            let mut shown = ahead.answer(&scene.request);
            let shown = head(&mut shown);
            let head = head(&mut lines);
            (head.index, head.leaf) = (shown.index.clone(), shown.leaf.clone());
            (head.index_proof, head.leaf_proof) =
                (shown.index_proof.clone(), shown.leaf_proof.clone());
            lines
        }),
        (
            "an entry is left out of the map, and shown",
            "withheld",
            changed(scene, |lines| lines[0] = unlisted[0].clone()),
        ),
    ]
}

fn about_checkpoints(scene: &Scene) -> Vec<Told> {
    let sizes = scene.request.known;
    let older = |sizes| scene.ledger.answer_as_of(&scene.request, sizes);
    let forged = |by: u8| {
        let mut other = Ledger::new("pool.example", by);
        other.enrol(&alice().public());
        other.answer(&scene.request)
    };
    let mut remapped = scene.ledger.clone();
    remapped.remap(0, IndexLeaf { map: MapHash::EMPTY, ..scene.ledger.leaf(9) });
    let mut forked = Ledger::new("pool.example", 9);
    witnessed(&mut forked, NOW);
    enrolled(&mut forked);
    for number in 0..20 {
        forked.attest(&bob(), &claim("app", number, &[]));
        forked.index();
    }
    vec![
        (
            "fewer keys",
            "rollback",
            older(LogSizes { keys: sizes.keys - 1, ..scene.ledger.sizes() }),
        ),
        (
            "fewer attestations",
            "rollback",
            older(LogSizes {
                attestations: sizes.attestations - 1,
                index: 0,
                ..scene.ledger.sizes()
            }),
        ),
        ("no maps", "rollback", older(LogSizes { index: 0, ..scene.ledger.sizes() })),
        ("another history of the maps", "fork", remapped.answer(&scene.request)),
        ("another history of everything", "fork", forked.answer(&scene.request)),
        ("another pool", "other_log", forged(10)),
        (
            "another pool's checkpoint",
            "not_signed",
            changed(scene, |lines| {
                head(lines).attestations = head(&mut forged(10)).attestations.clone();
            }),
        ),
        (
            "another log's checkpoint",
            "not_signed",
            changed(scene, |lines| head(lines).attestations = head(lines).index.clone()),
        ),
        (
            "a checkpoint without a witness",
            "quorum",
            changed(scene, |lines| {
                let checkpoint = &mut head(lines).index;
                let kept = |line: &&str| ["/1 ", "/2 "].iter().all(|name| !line.contains(name));
                *checkpoint =
                    checkpoint.lines().filter(kept).map(|line| format!("{line}\n")).collect();
            }),
        ),
        (
            "a witness's word for another checkpoint",
            "not_signed",
            changed(scene, |lines| {
                let head = head(lines);
                let said = head.index.lines().find(|line| line.contains("witness.example/1"));
                let said = said.unwrap().to_owned();
                let kept = head.keys.lines().map(|line| {
                    let replaced = line.contains("witness.example/1").then_some(&*said);
                    format!("{}\n", replaced.unwrap_or(line))
                });
                head.keys = kept.collect();
            }),
        ),
    ]
}

#[test]
fn the_honest_answer_is_believed() {
    let scene = Scene::new();
    let heard = scene.read(scene.honest()).unwrap();
    assert_eq!(heard.known.sizes(), scene.ledger.sizes());
    assert_eq!((heard.as_of, heard.covered), (NOW - 1, scene.ledger.sizes().attestations));
    assert_eq!(heard.paths.len(), 3);
    assert!(heard.absent.contains(&path("gone", "gone")));
    let decide = |watch, path| heard.decide(&policy(watch), path, NOW).outcome().clone();
    let (app, lib) = (path("app", "app"), path("lib", "lib"));
    for path in [&app, &lib] {
        assert_eq!(decide("", path).verdict(), "allow", "{path}");
    }
    assert_eq!(decide("watch = [\"carol\"]\n", &app), Outcome::Deny(DenyCode::Disagreement));
    let gone = path("gone", "gone");
    assert_eq!(decide("", &gone), Outcome::Unknown(UnknownCode::NeverSeen));
}

#[test]
fn each_lie_is_refused_and_called_by_its_name() {
    let scene = Scene::new();
    let mut caught = BTreeSet::new();
    for (lie, code, lines) in to_who_knows_the_beginning(&scene) {
        let why = scene.read(lines).map(|_| ()).expect_err(lie);
        assert_eq!(why.code(), code, "{lie}: {why}");
        assert!(!why.to_string().is_empty());
        caught.insert(why.code());
    }
    let (known, request) = scene.after();
    for (lie, code, lines) in to_who_has_seen_it_all(&scene, &request) {
        let why = Heard::read(&known, &request, scene.witnesses(), lines, NOW);
        let why = why.map(|_| ()).expect_err(lie);
        assert_eq!(why.code(), code, "{lie}: {why}");
        caught.insert(why.code());
    }
    assert_eq!(caught, BTreeSet::from(CODES), "every code has its lie");
}

fn to_who_has_seen_it_all(scene: &Scene, request: &EvidenceRequest) -> Vec<Told> {
    let mut forked = scene.early.clone();
    forked.attest(&bob(), &claim("fork", 0, &[]));
    let shorter = forked.answer(request);
    forked.enrol(&key("eve-1", 6).public());
    for number in 1..9 {
        forked.attest(&bob(), &claim("fork", number, &[]));
        forked.index();
    }
    let mut keys = scene.ledger.answer(request);
    let mut others = forked.answer(request);
    head(&mut keys).keys = head(&mut others).keys.clone();
    vec![
        ("what was shown before", "rollback", scene.early.answer(request)),
        ("what was recorded before", "rollback", scene.early.answer(&scene.request)),
        ("a log that went another way", "rollback", shorter),
        ("a log that went another way, and further", "fork", others),
        ("as many other keys", "fork", keys),
    ]
}

/// A revocation that was never shown, to somebody who knows nothing: only witnesses tell that what is
/// shown is old.
#[test]
fn old_keys_beside_new_attestations_are_stale() {
    let scene = Scene::new();
    let mut old = Ledger::clone(&scene.early);
    old.forget_witnesses();
    witnessed(&mut old, NOW - 601);
    let request = EvidenceRequest { known: LogSizes::default(), ..scene.request.clone() };
    let mut lines = scene.ledger.answer(&request);
    let mut older = old.answer(&request);
    head(&mut lines).keys = head(&mut older).keys.clone();
    head(&mut lines).key_entries.pop();
    let fresh = Known::new(scene.ledger.logs());
    let read = |witnesses| Heard::read(&fresh, &request, witnesses, lines.clone(), NOW).unwrap();
    let (app, policy) = (path("app", "app"), policy(""));
    let heard = read(scene.witnesses());
    assert_eq!(heard.as_of, NOW - 602);
    let outcome = heard.decide(&policy, &app, NOW).outcome().clone();
    assert_eq!(outcome, Outcome::Unknown(UnknownCode::Stale));
    let trusting = read(Witnessing::default());
    assert_eq!(trusting.as_of, NOW, "without witnesses, a newcomer has nothing to go by");
    assert_eq!(trusting.decide(&policy, &app, NOW).outcome().verdict(), "allow");
}

/// What an answer alone cannot show, and whoever reads the whole ledger sees: the map lies.
#[test]
fn a_map_that_lies_is_there_for_auditors_to_see() {
    let scene = Scene::new();
    let mut lying = scene.ledger.clone();
    let by_carol = |entry: &Entry| entry.key_id == carol().public().id();
    let dissent = lying.entries().position(by_carol).unwrap();
    lying.unlist(dissent as u64);
    lying.index();
    let heard = scene.read(lying.answer(&scene.request)).unwrap();
    let outcome = heard.decide(&policy("watch = [\"carol\"]\n"), &path("app", "app"), NOW);
    assert_eq!(outcome.outcome().verdict(), "allow");
    let audited = |ledger: &Ledger| {
        let mut contents = MapContents::default();
        ledger.entries().try_for_each(|entry| contents.add(entry)).unwrap();
        contents.root() == ledger.leaf(contents.size()).map
    };
    assert!(audited(&scene.ledger) && !audited(&lying));
}
