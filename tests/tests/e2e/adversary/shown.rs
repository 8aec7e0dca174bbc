//! Lies about what is in the ledger.

use schema::api::{EvidenceAbsent, EvidenceHead, EvidenceLine, EvidencePath};
use schema::attestation::Entry;
use schema::claim::Claim;
use schema::hash::NarHash;
use schema::store_path::StorePath;
use tests::double::{Ledger, Lie};
use tests::nar::{file, path};
use tests::server::Server;

use super::{Asker, Scene, alice, app, bob, carol, changes, lib, policy, split};

fn head(lines: &mut [EvidenceLine]) -> &mut EvidenceHead {
    let Some(EvidenceLine::Head(head)) = lines.first_mut() else { panic!("no head") };
    head
}

fn told<'l>(lines: &'l mut [EvidenceLine], path: &StorePath) -> &'l mut EvidencePath {
    let begins = format!("1;{path};");
    let found = lines.iter_mut().find_map(|line| match line {
        EvidenceLine::Path(told) if told.claims[0].text.starts_with(&begins) => Some(told),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is told of {path}"))
}

/// Lies about a path that is allowed, or would not be for one entry; each with its code.
async fn lies(scene: &Scene) -> Vec<(&'static str, &'static str, StorePath, Lie)> {
    let other = path("other3", "other-1.0");
    let recorded = scene.record(std::slice::from_ref(&other)).await;
    let (line, claims) = (recorded[1].clone(), told(&mut recorded.clone(), &other).claims.clone());
    let EvidenceLine::Path(EvidencePath { proof, .. }) = line.clone() else { panic!("{line:?}") };
    let of_app = |change: fn(&mut EvidencePath)| changes(move |lines| change(told(lines, &app())));
    vec![
        (
            "a forged signature",
            "not_in_log",
            app(),
            of_app(|app| app.claims[0].entries[0].signature = carol().sign(b"anything")),
        ),
        (
            "an attestation passed off as another's",
            "not_in_log",
            app(),
            of_app(|app| app.claims[0].entries[0].key_id = carol().public().id()),
        ),
        (
            "an attestation withheld",
            "withheld",
            app(),
            of_app(|app| drop(app.claims[0].entries.pop())),
        ),
        (
            "dissent withheld",
            "withheld",
            split(),
            changes(|lines| told(lines, &split()).claims.retain(|it| it.entries.len() == 2)),
        ),
        (
            "another path's claims",
            "withheld",
            app(),
            changes(move |lines| told(lines, &app()).claims = claims.clone()),
        ),
        ("another path", "not_in_log", app(), changes(move |lines| lines[1] = line.clone())),
        (
            "a whole answer about another path",
            "unanswered",
            app(),
            changes(move |lines| {
                // Of the same state, so that nothing but the question tells.
                lines.truncate(1);
                lines.extend_from_slice(&recorded[1..]);
            }),
        ),
        (
            "a path said to be absent",
            "withheld",
            app(),
            changes(move |lines| {
                let absent = EvidenceAbsent { path: app(), proof: proof.clone() };
                lines[1] = EvidenceLine::Absent(absent);
            }),
        ),
        (
            "what it refers to said to be unknown",
            "not_in_log",
            app(),
            changes(|lines| {
                let part = lib().base().hash_part();
                lines[2] = EvidenceLine::Unknown(part);
            }),
        ),
        ("no map", "index_root", app(), changes(|lines| head(lines).leaf = None)),
        (
            "a checkpoint of another log",
            "not_signed",
            app(),
            changes(|lines| head(lines).attestations = head(lines).keys.clone()),
        ),
        ("no end", "malformed", app(), changes(|lines| drop(lines.pop()))),
        ("no head", "malformed", app(), changes(|lines| drop(lines.remove(0)))),
    ]
}

#[tokio::test]
async fn whatever_is_not_so_is_refused() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let ask = |asker: &Asker, path: &StorePath| asker.asks(&scene.server, &[&url], path);
    let seen = Asker::new(policy(1, ""));
    ask(&seen, &app()).allows();
    let dissent = ask(&seen, &split());
    assert_eq!(dissent.outcome(&split()), ("deny", "disagreement"), "{}", dissent.all);
    let lies = lies(&scene).await;
    let mut times = 0;
    for (lie, code, path, told) in lies {
        let newcomer = Asker::new(policy(1, ""));
        scene.double.tells(told);
        for asker in [&newcomer, &seen] {
            ask(asker, &path).refuses(lie, code);
            let caught = asker.caught();
            let (_, known, _) = caught.iter().find(|it| it.0 == code).unwrap();
            assert!(std::ptr::eq(asker, &newcomer) || known.is_array(), "{lie}: {known}");
        }
        scene.double.is_honest();
        for asker in [&newcomer, &seen] {
            ask(asker, &app()).allows();
        }
        times += 1;
        assert_eq!(seen.times_caught(), times);
    }
}

/// Bytes that are damaged are no answer. What was verified before may stand in for it.
#[tokio::test]
async fn damaged_bytes_are_no_answer() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let garbles: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |mut bytes| {
            bytes.truncate(bytes.len() / 2);
            bytes
        },
        |mut bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 0x80;
            bytes
        },
        |_| b"{}\n".to_vec(),
        |_| vec![b'x'; 100],
    ];
    for garble in garbles {
        scene.double.tells(Lie::Garbles(Box::new(garble)));
        let newcomer = Asker::new(policy(1, ""));
        let said = newcomer.asks(&scene.server, &[&url], &app());
        assert_eq!((said.code, said.outcome(&app()).0), (1, "unknown"), "{}", said.all);
        scene.double.is_honest();
        newcomer.asks(&scene.server, &[&url], &app()).allows();
    }
}

/// Everything is signed here: the pool takes what it likes.
#[tokio::test]
async fn what_a_pool_logs_that_it_must_not_is_refused() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let mut honest = Ledger::new("pool.example", 9);
    [alice(), bob(), carol()].iter().for_each(|key| honest.enrol(&key.public()));
    let claim = |path, nar: &[u8]| {
        Claim::new(path, NarHash::of(&file(nar)), file(nar).len() as u64, vec![]).unwrap()
    };
    let attested = claim(app(), b"app");
    honest.attest(&alice(), &attested);
    let mut forged = honest.clone();
    let by_alice = honest.entries().next().unwrap().clone();
    forged.takes(&attested, Entry { key_id: bob().public().id(), ..by_alice });
    forged.index();
    honest.attest(&bob(), &attested);
    honest.index();
    let mut dropped = honest.clone();
    dropped.happens_as(b"{}");
    for (lie, code, ledger) in [
        ("a forged signature in the ledger", "forged", forged),
        ("a key event that is none", "key_event", dropped),
    ] {
        let asker = Asker::new(policy(1, ""));
        scene.double.tells(Lie::MakesUp(Box::new(move |request| ledger.answer(request))));
        asker.asks(&scene.server, &[&url], &app()).refuses(lie, code);
        assert_eq!(asker.caught()[0].0, code);
        // Whoever has seen that signed will not have it unsaid.
        let asker = Asker::new(policy(1, ""));
        let truth = honest.clone();
        scene.double.tells(Lie::MakesUp(Box::new(move |request| truth.answer(request))));
        asker.asks(&scene.server, &[&url], &app()).allows();
    }
}

#[tokio::test]
async fn another_pool_in_its_place_is_noticed() {
    let scene = Scene::new().await;
    let (url, data) = (scene.double.url(), tempfile::tempdir().unwrap());
    let other = Server::start(data.path(), &[]);
    let seen = Asker::new(policy(1, ""));
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    ask(&seen).allows();
    let info = scene.admin().get("/api/v1/info").await.json();
    let listing = Asker::new(policy(1, &format!("log = {}", info["logs"]["attestations"])));
    scene.double.tells(Lie::IsAnother(other.url("")));
    ask(&seen).refuses("another pool", "other_log");
    seen.has_known("other_log");
    let unlisted = ask(&listing);
    assert_eq!((unlisted.code, unlisted.outcome(&app()).0), (1, "unknown"), "{}", unlisted.all);
    assert!(unlisted.all.contains("the policy does not list it"), "{}", unlisted.all);
    scene.double.is_honest();
    ask(&seen).allows();
    ask(&listing).allows();
}
