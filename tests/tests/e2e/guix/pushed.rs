//! Builders who push from their own stores.

use super::scene::{Builder, Scene, text};

impl Scene {
    fn out_of_store(&self, builder: &Builder, verb: &str, key: &str) -> tests::program::Outcome {
        let store = text(builder.machine.dir().to_owned());
        self.cli(&self.server.token("read,upload,attest")).run(&[
            verb,
            &builder.top,
            "--store",
            &store,
            "--key",
            key,
        ])
    }
}

#[tokio::test]
async fn a_store_is_pushed_with_the_machines_own_key_and_attested_by_another() {
    let scene = Scene::start(&[]);
    let (alice, bob) = (scene.builder("alice", None), scene.builder("bob", None));
    let count = alice.machine.closure(&alice.top).len();
    // The pool knows the key's name.
    let _ = scene.out_of_store(&alice, "push", &text(alice.machine.secret_key_file())).ok();
    assert_eq!(scene.nars(), count);
    let attested = scene.out_of_store(&bob, "attest", &text(bob.machine.secret_key_file())).ok();
    assert!(
        attested.contains("as bob") && attested.contains(&format!("{count} new")),
        "{attested}"
    );
    // What is signed is what guix publish signs.
    let published = scene.import(&alice.machine.publish(&[]), &alice.top).ok();
    assert!(published.contains("\"attestations_new\":0"), "{published}");
    for builder in [&alice, &bob] {
        let view = scene.view(&format!("/as/{}", builder.name));
        let user = scene.user(&format!("of-{}", builder.name), &[&view], &[&builder.key]);
        let _ = user.ensure(&alice.top).ok();
        let _ = user.verify().ok();
    }
}

#[tokio::test]
async fn a_key_of_ones_own_does_as_well() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let file = |name: &str| text(scene.place.path().join(name));
    let (guix, nix) = (file("own.sec"), file("nix.secret"));
    let _ = scene.operator(&["key", "generate", "own-1", "--guix", "--out", &guix]).ok();
    let _ = scene.operator(&["key", "generate", "nix-1", "--out", &nix]).ok();
    let unknown = scene.out_of_store(&alice, "push", &guix);
    assert!(unknown.code == 1 && unknown.stderr.contains("pool signer enrol NAME="), "{unknown:?}");
    let _ = scene.operator(&["signer", "enrol", &format!("own-1={guix}")]).ok();
    let _ = scene.operator(&["signer", "enrol", &nix]).ok();
    let _ = scene.out_of_store(&alice, "push", &guix).ok();
    let _ = scene.out_of_store(&alice, "attest", &nix).ok();
    let acl = scene.operator(&["key", "acl", &guix]).ok();
    let user = scene.user("user", &[&scene.view("/signers/2/nix-1,own-1")], &[&acl]);
    let _ = user.ensure(&alice.top).ok();
    let _ = user.verify().ok();
    let audit = scene.operator(&["ledger", "audit", &scene.server.url("")]);
    assert_eq!(audit.code, 0, "{audit:?}");
}
