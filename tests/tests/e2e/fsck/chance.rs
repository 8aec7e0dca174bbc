//! Damage by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tests::client::Client;
use tests::random::Random;
use tests::run::{long, seed};

use super::damage::{Contents, Kind};
use super::scene::{Found, NARS, Scene, fsck, is_clean, start, upload};
use super::truth::Truth;

/// Starts a pool, if it does, and compares all it serves with the truth.
async fn compare(
    data: &Path,
    truth: &Truth,
    spoiled: &BTreeSet<String>,
) -> Option<BTreeSet<String>> {
    match start(data) {
        Ok(server) => {
            let untold = truth.holds(&Client::new(&server), spoiled).await;
            server.kill();
            Some(untold)
        }
        Err(why) => {
            assert!(why.contains("error: ") && why.contains("hint: "), "{why}");
            None
        }
    }
}

/// Brings everything again, and sees that it is as it was.
async fn bring_again(data: &Path, truth: &Truth) {
    let server = start(data).unwrap();
    for number in 0..NARS {
        upload(&Client::admin(&server), number).await;
    }
    truth.is_whole(&Client::new(&server)).await;
    server.stop();
    is_clean(data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_by_chance_is_told_and_nothing_wrong_is_served() {
    let scene = Scene::new().await;
    is_clean(&scene.whole());
    let mut random = Random::new(seed());
    let whole = Contents::of(&scene.whole()).unwrap();
    let mut counts: BTreeMap<(Kind, &str), u64> = BTreeMap::new();
    for round in 0..if long() { 1000 } else { 40 } {
        let kind = random.one_of(&Kind::ALL);
        let copy = scene.copy();
        let victim = kind.happen(copy.path(), &mut random);
        let what = format!("round {round}, {kind:?}: {}", victim.display());
        println!("{what}");
        let harmless = Contents::of(copy.path()).is_some_and(|it| it == whole);
        let name = victim.file_name().unwrap().to_string_lossy().into_owned();
        let spoiled: BTreeSet<String> =
            (kind == Kind::NarFlipped).then(|| format!("/nar/{name}")).into_iter().collect();
        if random.one_of(&[true, false]) {
            compare(copy.path(), &scene.truth, &spoiled).await;
        }
        let found = fsck(copy.path(), &["--deep"]);
        let told = found.code != 0 || waits(&found);
        assert!(told || harmless, "{what} is not told: {found:?}");
        let kept = fsck(copy.path(), &["--deep", "--repair"]);
        let started = compare(copy.path(), &scene.truth, &BTreeSet::new()).await;
        if kind.is_nar() {
            assert!(waits(&kept), "{what}: {kept:?}");
            let untold = started.as_ref().expect("a pool with damaged NARs is served");
            assert!(untold.contains(&format!("/nar/{name}")), "{what}: {untold:?}");
            bring_again(copy.path(), &scene.truth).await;
        }
        let outcome = match (told, &started) {
            (false, _) => "harmless",
            (true, None) => "refused",
            (true, Some(untold)) if untold.is_empty() => "told, all served",
            (true, Some(_)) => "told, the rest served",
        };
        *counts.entry((kind, outcome)).or_default() += 1;
    }
    println!("{counts:#?}");
}

fn waits(found: &Found) -> bool {
    found.summary["waiting"].as_array().is_some_and(|waiting| !waiting.is_empty())
}
