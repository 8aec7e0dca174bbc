//! Two builders run `guix publish`, one pool gathers what they have, and untouched daemons take it.

use serde_json::Value;
use tests::guix::downloads;

use super::scene::{Scene, named};

/// One that bakes, with three compressions, and one that packs while it sends.
const BAKED: [&str; 7] = ["--cache=/var/cache/publish", "-C", "zstd", "-C", "gzip", "-C", "lzip"];

#[tokio::test]
async fn what_two_builders_publish_is_kept_once_and_substituted_by_either_key() {
    let scene = Scene::start(&[]);
    let (alice, bob) = (scene.builder("alice", None), scene.builder("bob", None));
    assert_eq!(alice.top, bob.top);
    let closure = alice.machine.closure(&alice.top);
    let bakes = [&BAKED[..], &["--cache-bypass-threshold=0"]].concat();
    let (baked, live) = (alice.machine.publish(&bakes), bob.machine.publish(&[]));

    let first: Value = serde_json::from_str(&scene.import(&baked, &alice.top).ok()).unwrap();
    let count = closure.len();
    assert_eq!(
        (&first["paths"], &first["nars_fetched"]),
        (&count.into(), &count.into()),
        "{first}"
    );
    let second: Value = serde_json::from_str(&scene.import(&live, &bob.top).ok()).unwrap();
    assert_eq!(
        (&second["nars_fetched"], &second["nars_known"]),
        (&0.into(), &count.into()),
        "{second}"
    );
    assert_eq!(second["attestations_new"], count, "{second}");
    assert_eq!(scene.nars(), count);

    let views =
        [scene.view("/as/alice"), scene.view("/as/bob"), scene.view("/signers/2/alice,bob")];
    let users = [
        (&views[0], vec![&*alice.key], true),
        (&views[0], vec![&*bob.key], false),
        (&views[1], vec![&*bob.key], true),
        (&views[1], vec![], false),
        (&views[2], vec![&*alice.key], true),
    ];
    for (number, (view, keys, taken)) in users.into_iter().enumerate() {
        let user = scene.user(&format!("user-{number}"), &[view], &keys);
        let ensured = user.ensure(&alice.top);
        assert_eq!(ensured.code == 0, taken, "{view}: {ensured:?}");
        assert_eq!(user.holds(&alice.top), taken);
        if taken {
            assert_eq!(downloads(&ensured).len(), count, "{ensured:?}");
            assert_eq!(user.closure(&alice.top).len(), count);
            let _ = user.verify().ok();
        }
    }
    // A third time there is nothing to do.
    let third: Value = serde_json::from_str(&scene.import(&baked, &alice.top).ok()).unwrap();
    assert_eq!(
        (&third["nars_fetched"], &third["attestations_known"]),
        (&0.into(), &count.into()),
        "{third}"
    );
}

#[tokio::test]
async fn plain_nars_without_a_length_arrive_and_strangers_are_named() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let stranger = tests::guix::Machine::new(&scene.place.path().join("stranger"));
    let (top, key) = (stranger.build_closure(None), stranger.generate_key());
    let publisher = stranger.publish(&["-C", "none"]);
    let refused = scene.operator(&["import", &publisher.url(), "--closure", &top]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let digits = key.split('#').nth(1).unwrap();
    assert!(refused.stderr.contains(digits), "{refused:?}");
    assert!(refused.stderr.contains("pool signer enrol"), "{refused:?}");
    assert_eq!(scene.nars(), 0);

    let publisher = alice.machine.publish(&["-C", "none"]);
    let _ = scene.import(&publisher, &top).ok();
    assert_eq!(scene.nars(), alice.machine.closure(&top).len());
    let user = scene.user("user", &[&scene.view("/as/alice")], &[&alice.key]);
    let _ = user.ensure(&top).ok();
    let _ = user.verify().ok();
}

#[tokio::test]
async fn the_bytes_come_from_the_pool_and_the_trust_from_elsewhere() {
    let scene = Scene::start(&["--log-level", "debug"]);
    let alice = scene.builder("alice", None);
    let (closure, publisher) = (alice.machine.closure(&alice.top), alice.machine.publish(&[]));
    let _ = scene.import(&publisher, &alice.top).ok();
    let before = publisher.log().matches("GET /nar/").count();
    let (root, signer) = (scene.view(""), publisher.url());
    let user = scene.user("user", &[&root, &signer], &[&alice.key]);
    let ensured = user.ensure(&alice.top);
    let from: Vec<_> = downloads(&ensured);
    assert!(
        from.len() == closure.len() && from.iter().all(|it| it.url.starts_with(&root)),
        "{ensured:?}"
    );
    let _ = ensured.ok();
    let _ = user.verify().ok();
    let log = scene.server.log();
    let sent = log.lines().filter(|line| line.contains("GET") && line.contains("/nar/")).count();
    assert!(sent >= closure.len(), "{log}");
    assert_eq!(publisher.log().matches("GET /nar/").count(), before, "{}", publisher.log());
    // The root alone convinces nobody.
    let nobody = scene.user("nobody", &[&root], &[&alice.key]);
    assert!(nobody.ensure(&alice.top).code != 0);
}

#[tokio::test]
async fn what_differs_is_kept_beside_what_was_there_and_shown() {
    let scene = Scene::start(&[]);
    let (alice, bob) = (scene.builder("alice", None), scene.builder("bob", Some("hops")));
    let _ = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    let imported = scene.import(&bob.machine.publish(&[]), &bob.top);
    let summary: Value = serde_json::from_str(&imported.stdout).unwrap();
    assert_eq!((imported.code, &summary["diverging"]), (0, &1.into()), "{imported:?}");
    let closure = alice.machine.closure(&alice.top);
    let flavoured = named(&closure, "-flavoured");
    assert!(imported.stderr.contains(flavoured), "{imported:?}");
    let (one, other) = (scene.view("/as/alice"), scene.view("/as/bob"));
    let judge = scene.user("judge", &[], &[]);
    assert_eq!(judge.challenge(&[&one, &other], &alice.top).code, 0);
    let differs = judge.challenge(&[&one, &other], flavoured);
    assert_eq!(differs.code, 2, "{differs:?}");
    let challenged = scene.cli("").run(&["challenge", flavoured]);
    assert_eq!(challenged.code, 1, "{challenged:?}");
    for (view, builder) in [(&one, &alice), (&other, &bob)] {
        let user = scene.user(&format!("of-{}", builder.name), &[view], &[&builder.key]);
        let _ = user.ensure(flavoured).ok();
        assert_eq!(user.nar_hash(flavoured), builder.machine.nar_hash(flavoured));
    }
    // Both of them together say nothing of it.
    let both = scene.user("both", &[&scene.view("/signers/2/alice,bob")], &[&alice.key, &bob.key]);
    assert!(both.ensure(flavoured).code != 0);
}

#[tokio::test]
async fn guix_weather_counts_what_a_view_has() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let _ = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    let closure = alice.machine.closure(&alice.top);
    let items: Vec<&str> = closure.iter().map(String::as_str).collect();
    let user = scene.user("user", &[], &[&alice.key]);
    let weather = user.weather(&[&scene.view("/as/alice")], &items);
    assert!(weather.code == 0 && weather.stdout.contains("100.0%"), "{weather:?}");
    let missing = format!("/gnu/store/{}-missing", "0".repeat(32));
    let weather = user.weather(&[&scene.view("/as/alice")], &[items[0], &missing]);
    assert!(weather.code == 1 && weather.stdout.contains("50.0%"), "{weather:?}");
    assert!(weather.stdout.contains(&missing), "{weather:?}");
}
