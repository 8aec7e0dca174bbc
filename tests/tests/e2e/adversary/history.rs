//! Lies about what was: of logs that go back or another way, of keys, of policies.

use std::sync::Arc;

use schema::api::EvidenceLine;
use schema::claim::Claim;
use schema::hash::NarHash;
use schema::key_event::RevokeReason;
use schema::tlog::cosignature::Cosigner;
use tempfile::TempDir;
use tests::client::Client;
use tests::double::{Double, Ledger, Lie};
use tests::nar::{file, key, path};
use tests::server::{Server, copy_dir};

use super::{Asker, Scene, alice, app, bob, changes, lib, policy, revoke};

#[tokio::test]
async fn what_was_shown_is_not_taken_back() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let seen = Asker::new(policy(1, ""));
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    ask(&seen).allows();
    let old = scene.record(&[app()]).await;
    scene.admin().vouch(&bob(), &path("later", "later-1.0"), &file(b"later"), &[]).await;
    ask(&seen).allows();
    let replayed = old.clone();
    scene.double.tells(Lie::Changes(Box::new(move |_| replayed.clone())));
    ask(&seen).refuses("an old answer", "rollback");
    seen.has_both("rollback");
    assert_eq!(ask(&seen).outcome(&app()), ("deny", "ledger_went_back"));
    scene.double.tells(changes(move |lines| {
        let (EvidenceLine::Head(head), EvidenceLine::Head(old)) = (&mut lines[0], &old[0]) else {
            panic!("no head")
        };
        head.attestations = old.attestations.clone();
    }));
    ask(&seen).refuses("an old checkpoint", "rollback");
    scene.double.is_honest();
    ask(&seen).allows();
    assert_eq!(seen.times_caught(), 3);
}

/// Two copies of a pool under one key, and somebody in front of ours.
struct Twins {
    ours: Server,
    theirs: Server,
    double: Double,
    _data: [TempDir; 2],
}

impl Twins {
    async fn new() -> Self {
        let Scene { server, double, _data: data } = Scene::new().await;
        drop(double);
        server.stop();
        let twin = tempfile::tempdir().unwrap();
        copy_dir(data.path(), twin.path());
        let (ours, theirs) = (Server::start(data.path(), &[]), Server::start(twin.path(), &[]));
        let double = Double::before(&ours);
        Self { ours, theirs, double, _data: [data, twin] }
    }
}

/// Copies that grow differently.
#[tokio::test]
async fn a_fork_is_refused_for_good() {
    let Twins { ours, theirs, double, _data: _ } = &Twins::new().await;
    let seen = Asker::new(policy(1, ""));
    let ask = || seen.asks(ours, &[&double.url()], &app());
    let grow = async |server: &Server, name: &str| {
        let admin = Client::admin(server);
        admin.vouch(&bob(), &path(name, "grown-1.0"), &file(b"grown"), &[]).await;
    };
    grow(ours, "ours").await;
    grow(theirs, "theirs").await;
    ask().allows();
    double.tells(Lie::IsAnother(theirs.url("")));
    // As long as ours, and then longer.
    for number in 0..3 {
        let said = ask();
        said.refuses("another history", "fork");
        assert_eq!(said.outcome(&app()), ("deny", "ledger_went_back"), "{}", said.all);
        seen.has_both("fork");
        double.is_honest();
        ask().allows();
        double.tells(Lie::IsAnother(theirs.url("")));
        grow(theirs, &format!("theirs{number}")).await;
    }
    // Whoever saw the other one first will not have ours.
    let other = Asker::new(policy(1, ""));
    other.asks(ours, &[&double.url()], &app()).allows();
    double.is_honest();
    other.asks(ours, &[&double.url()], &app()).refuses("the shorter history", "rollback");
}

/// The entries of the keys log are kept apart from those of the attestations.
#[tokio::test]
async fn a_fork_of_the_keys_is_noticed() {
    let Twins { ours, theirs, double, _data: _ } = &Twins::new().await;
    let seen = Asker::new(policy(1, ""));
    let ask = || seen.asks(ours, &[&double.url()], &app());
    revoke(ours, &bob(), RevokeReason::Retired).await;
    Client::admin(theirs).enrol(&key("eve-1", 6).public()).await;
    ask().allows();
    double.tells(Lie::IsAnother(theirs.url("")));
    ask().refuses("other keys, as many", "fork");
    seen.has_both("fork");
    Client::admin(theirs).enrol(&key("mallory-1", 7).public()).await;
    ask().refuses("other keys", "keys_withheld");
    double.is_honest();
    ask().allows();
}

#[tokio::test]
async fn what_becomes_of_keys_counts_at_the_next_question() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let seen = Asker::new(policy(1, ""));
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    ask(&seen).allows();
    revoke(&scene.server, &bob(), RevokeReason::Retired).await;
    ask(&seen).allows();
    // The revocation that comes now is kept from those who ask.
    revoke(&scene.server, &alice(), RevokeReason::Compromised { from: 1 }).await;
    scene.double.tells(changes(|lines| {
        if let EvidenceLine::Head(head) = &mut lines[0] {
            head.key_entries.pop();
        }
    }));
    for asker in [&seen, &Asker::new(policy(1, ""))] {
        ask(asker).refuses("a revocation withheld", "keys_withheld");
    }
    scene.double.is_honest();
    for asker in [&seen, &Asker::new(policy(1, ""))] {
        let said = ask(asker);
        assert_eq!(said.outcome(&app()), ("unknown", "not_enough_votes"), "{}", said.all);
        // What stands before the cut still counts.
        asker.asks(&scene.server, &[&url], &lib()).allows();
    }
}

#[tokio::test]
async fn a_policy_does_not_go_back() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let mut seen = Asker::new(policy(2, ""));
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    ask(&seen).allows();
    seen.policy = policy(1, "");
    ask(&seen).refuses("an old policy", "policy_rollback");
    seen.policy = policy(2, "max_checkpoint_age = \"7d\"");
    ask(&seen).refuses("the same version, changed", "policy_changed");
    seen.policy = format!("# the same\n{}", policy(2, ""));
    ask(&seen).allows();
    seen.policy = policy(3, "max_checkpoint_age = \"7d\"");
    ask(&seen).allows();
    seen.policy = policy(2, "");
    ask(&seen).refuses("an old policy", "policy_rollback");
}

/// The clock of witnesses is what tells old from new.
#[tokio::test]
async fn checkpoints_that_too_few_have_seen_or_too_long_ago_are_refused() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let witness = |number: u8| {
        let name = format!("witness.example/{number}").parse().unwrap();
        Cosigner::new(name, Arc::new(key("witness", 100 + number))).unwrap()
    };
    let members: Vec<String> =
        (1..=3).map(|it| format!("\"{}\"", witness(it).verifier())).collect();
    let ledger_terms = format!(
        "max_checkpoint_age = \"10m\"\nwitnesses = {{ k = 2, members = [{}] }}",
        members.join(", ")
    );
    let mut ledger = Ledger::new("pool.example", 9);
    let nar = file(b"app");
    let claim = Claim::new(app(), NarHash::of(&nar), nar.len() as u64, vec![]).unwrap();
    for key in [alice(), bob()] {
        ledger.enrol(&key.public());
        ledger.attest(&key, &claim);
    }
    ledger.index();
    for (times, code) in [
        (vec![now, now], Ok(())),
        (vec![now], Err("unwitnessed")),
        (vec![now, now - 700], Err("stale")),
        (vec![now - 700, now, now - 500], Ok(())),
        (vec![now + 3600, now + 3600], Err("ahead")),
    ] {
        let mut ledger = ledger.clone();
        for (number, time) in (1..).zip(&times) {
            ledger.witnessed_by(witness(number), *time);
        }
        scene.double.tells(Lie::MakesUp(Box::new(move |request| ledger.answer(request))));
        let asker = Asker::new(policy(1, &ledger_terms));
        let said = asker.asks(&scene.server, &[&url], &app());
        match code {
            Ok(()) => said.allows(),
            Err(code) => {
                assert_eq!((said.code, said.outcome(&app()).0), (1, "unknown"), "{}", said.all);
                assert!(said.all.contains(&format!("\"{code}\"")), "{times:?}: {}", said.all);
            }
        }
    }
}
