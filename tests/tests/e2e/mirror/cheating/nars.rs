//! Lies about NARs, to a mirror that wants them.

use schema::hash::NarHash;
use tests::deadline::eventually;
use tests::double::{Given, Ledger, Shown, Upstream};
use tests::nar::{file, noise, path, zstd};

use super::super::scene::{Pool, alice};
use super::story::{self, SEED, found, mirror};

/// One of these many is fetched by itself; the others come together.
const LENGTHS: [usize; 5] = [500, 600, 700, 800, 900 << 10];

fn nars(origin: &str) -> Vec<Vec<u8>> {
    let seed = u64::from(NarHash::of(origin.as_bytes()).as_bytes()[0]) << 8;
    LENGTHS.iter().map(|len| file(&noise(seed + *len as u64, *len))).collect()
}

fn shown(origin: &str) -> Shown {
    let (mut ledger, nars) = (Ledger::new(origin, SEED), nars(origin));
    ledger.enrol(&alice().public());
    for nar in &nars {
        let path = path(&format!("{origin} {}", nar.len()), "nar-1.0");
        let (hash, size) = (NarHash::of(nar), nar.len() as u64);
        let claim = schema::claim::Claim::new(path, hash, size, Vec::new()).unwrap();
        ledger.attest(&alice(), &claim);
    }
    ledger.index();
    Shown::of(&ledger, SEED, &nars)
}

/// Which of the NARs of `origin` are here.
async fn here(b: &Pool, origin: &str) -> Vec<usize> {
    let nars = nars(origin);
    let nar_hashes: Vec<NarHash> = nars.iter().map(|nar| NarHash::of(nar)).collect();
    let found = found(b, nar_hashes.clone()).await;
    let is_found = |hash: &NarHash| found.iter().any(|it| it.nar_hash == *hash);
    (0..).zip(&nar_hashes).filter(|(_, hash)| is_found(hash)).map(|(number, _)| number).collect()
}

#[tokio::test]
async fn a_nar_that_is_not_as_it_should_be_is_kept_out_and_the_others_come() {
    let b = Pool::start(&[]);
    let other = |number: usize| file(&noise(99, LENGTHS[number]));
    type Makes<'m> = &'m dyn Fn(usize, Vec<u8>) -> Given;
    let lies: [(&str, Makes<'_>); 5] = [
        ("another", &|number, _| Given::File(zstd(&other(number)))),
        ("cut", &|_, file| Given::File(file[..file.len() / 2].to_vec())),
        ("nothing", &|_, _| Given::Nothing),
        ("noise", &|number, _| Given::File(noise(5, LENGTHS[number]))),
        ("empty", &|_, _| Given::File(Vec::new())),
    ];
    let upstream = Upstream::of(shown("first.example"));
    for (name, lie) in lies {
        for bad in [1, 4] {
            // One that breaks off is tried for a while.
            if bad == 4 && ["cut", "empty"].contains(&name) {
                continue;
            }
            let origin = format!("{name}-{bad}.example");
            let mut lying = shown(&origin);
            let Given::File(file) = lying.nars[bad].1.clone() else { panic!("a file") };
            lying.nars[bad].1 = lie(bad, file);
            upstream.shows(lying);
            let (outcome, report) = mirror(&b, &upstream, &["--ledger", &key(&origin)]);
            let what = format!("{origin}: {outcome:?}");
            assert_eq!(outcome.code, 1, "{what}");
            let faults = report["faults"].as_array().unwrap_or_else(|| panic!("{what}"));
            let hash = NarHash::of(&nars(&origin)[bad]).to_nix32();
            let faults: Vec<_> =
                faults.iter().filter(|it| it["nar_hash"] == hash.as_str()).collect();
            assert_eq!(faults.len(), 1, "{what}");
            assert_eq!(faults[0]["source"], upstream.url().as_str(), "{what}");
            assert!(outcome.stderr.contains(&hash), "{what}");
            let rest: Vec<usize> = (0..LENGTHS.len()).filter(|it| *it != bad).collect();
            assert_eq!(here(&b, &origin).await, rest, "{what}");
            // Who has it can bring it.
            upstream.shows(shown(&origin));
            let (outcome, report) = mirror(&b, &upstream, &[]);
            assert_eq!((outcome.code, &report["nars_fetched"]), (0, &1.into()), "{outcome:?}");
            assert_eq!(here(&b, &origin).await, [0, 1, 2, 3, 4]);
        }
    }
}

fn key(origin: &str) -> String {
    let ledger = Ledger::new(origin, SEED);
    ledger.logs().attestations().to_string()
}

/// It holds up whoever waits for it, and nobody else.
#[tokio::test]
async fn a_nar_that_stalls_comes_from_another() {
    let b = Pool::start(&[]);
    let mut stalling = shown("stalls.example");
    let Given::File(file) = stalling.nars[4].1.clone() else { panic!("a file") };
    stalling.nars[4].1 = Given::Stalls(file[..file.len() / 2].to_vec());
    let upstream = Upstream::of(stalling);
    let mut command = b.cli().command(&["mirror", "--from", &upstream.url()]);
    let mut waiting = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("the small ones are here", async || {
        let held = b.admin().get("/api/v1/ledgers").await.json();
        held["ledgers"].as_array().unwrap().len() == 2
            && here(&b, "stalls.example").await == [0, 1, 2, 3]
    })
    .await;
    let honest = Upstream::of(shown("stalls.example"));
    let (outcome, report) = mirror(&b, &honest, &[]);
    assert_eq!((outcome.code, &report["nars_fetched"]), (0, &1.into()), "{outcome:?}");
    assert_eq!(here(&b, "stalls.example").await, [0, 1, 2, 3, 4]);
    assert!(waiting.try_wait().unwrap().is_none(), "it waits still");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
}

/// Nobody can fill a mirror with what nobody claims.
#[tokio::test]
async fn a_nar_that_nobody_asked_for_does_not_come() {
    let b = Pool::start(&[]);
    let mut lying = story::shown(&story::ledger("more.example", 3));
    let upstream = Upstream::of(Shown { nars: Vec::new(), ..lying.clone() });
    let (_, report) = mirror(&b, &upstream, &[]);
    assert_eq!(report["nars_absent"], 3, "{report}");
    lying.offers_all = true;
    upstream.shows(lying);
    let (outcome, report) = mirror(&b, &upstream, &[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!((&report["nars_fetched"], &report["nars_absent"]), (&3.into(), &0.into()));
    assert_eq!(story::seen(&b, "more.example").await.nars(), 3);
}
