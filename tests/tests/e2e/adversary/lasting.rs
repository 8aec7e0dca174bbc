//! What one question has shown stands at the next: asked elsewhere, by another policy, or while the
//! pool is away.

use std::sync::Arc;

use schema::api::EvidenceLine;
use schema::key_event::RevokeReason;
use schema::tlog::cosignature::Cosigner;
use tests::double::Lie;
use tests::nar::{file, key, path};

use super::{Asker, Scene, alice, app, bob, lib, policy, revoke};

/// Answers as it answered a newcomer once; and whoever knows something, as if that were all there is.
fn replays(lines: &[EvidenceLine]) -> Lie {
    let lines = lines.to_vec();
    Lie::MakesUp(Box::new(move |request| {
        let mut lines = lines.clone();
        if let EvidenceLine::Head(head) = &mut lines[0]
            && request.known.keys > 0
        {
            head.key_entries.clear();
            head.attestations_proof.clear();
            head.index_proof.clear();
        }
        lines
    }))
}

/// An address at which nobody is.
fn nowhere() -> Lie {
    Lie::IsAnother("http://127.0.0.1:1".to_owned())
}

#[tokio::test]
async fn an_old_state_at_a_second_address_is_no_second_opinion() {
    let scene = Scene::new().await;
    let (first, second) = (scene.server.url(""), scene.double.url());
    let old = scene.record(&[app(), lib()]).await;
    scene.double.tells(replays(&old));
    let misled = Asker::new(policy(1, ""));
    misled.asks(&scene.server, &[&second], &app()).allows();
    revoke(&scene.server, &alice(), RevokeReason::Compromised { from: 0 }).await;
    misled.asks(&scene.server, &[&second], &app()).allows();
    for pools in [[&*first, &*second], [&*second, &*first]] {
        for asker in [&misled, &Asker::new(policy(1, ""))] {
            let said = asker.asks(&scene.server, &pools, &app());
            assert_ne!(said.outcome(&app()).0, "allow", "{}", said.all);
            // What both have shown is one state by now, whichever of them is asked.
            let said = asker.asks(&scene.server, &[&second], &app());
            assert_eq!(said.outcome(&app()), ("deny", "ledger_went_back"), "{}", said.all);
        }
    }
}

#[tokio::test]
async fn who_was_caught_does_not_get_off_by_hanging_up() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    let seen = Asker::new(policy(1, ""));
    let old = scene.record(&[app(), lib()]).await;
    scene.admin().vouch(&bob(), &path("later", "later-1.0"), &file(b"later"), &[]).await;
    ask(&seen).allows();
    scene.double.tells(nowhere());
    ask(&seen).allows();
    scene.double.tells(replays(&old));
    ask(&seen).refuses("an old answer", "rollback");
    scene.double.tells(nowhere());
    let said = ask(&seen);
    assert_eq!(said.outcome(&app()), ("unknown", "unheard"), "{}", said.all);
    scene.double.is_honest();
    ask(&seen).allows();
}

#[tokio::test]
async fn what_nobody_witnessed_is_nothing_once_somebody_must_have() {
    let scene = Scene::new().await;
    let url = scene.double.url();
    let ask = |asker: &Asker| asker.asks(&scene.server, &[&url], &app());
    let mut seen = Asker::new(policy(1, ""));
    ask(&seen).allows();
    scene.double.tells(nowhere());
    ask(&seen).allows();
    let witness =
        Cosigner::new("witness.example/1".parse().unwrap(), Arc::new(key("witness", 101))).unwrap();
    let terms = format!("witnesses = {{ k = 1, members = [\"{}\"] }}", witness.verifier());
    seen.policy = policy(2, &terms);
    let said = ask(&seen);
    assert_eq!(said.outcome(&app()), ("unknown", "unheard"), "{}", said.all);
}
