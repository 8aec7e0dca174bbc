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

#[tokio::test]
async fn a_master_signs_in_its_own_words_what_a_machine_attested() {
    let scene = Scene::start(&[]);
    let alice = scene.builder("alice", None);
    let count = alice.machine.closure(&alice.top).len();
    let _ = scene.out_of_store(&alice, "push", &text(alice.machine.secret_key_file())).ok();
    let secret = format!("master-1={}", text(scene.place.path().join("master.sec")));
    let file = &secret["master-1=".len()..];
    let _ = scene.operator(&["key", "generate", "master-1", "--guix", "--out", file]).ok();
    let _ = scene.operator(&["signer", "enrol", &secret]).ok();
    let digits = alice.key.split('#').nth(1).unwrap();
    let state = text(scene.place.path().join("state"));
    let from = format!("alice:ecdsa:{digits}");
    let cli = scene.cli(&scene.server.token("read,attest"));
    let countersign = ["countersign", "--as", &secret, "--from", &from, "--state-dir", &state];
    let signed = cli.run(&countersign).ok();
    assert!(signed.contains(&format!("signed {count}")), "{signed}");
    let user = scene.user("user", &[&scene.view("/as/master-1")], &[]);
    user.authorize(&scene.operator(&["key", "acl", file]).ok());
    let _ = user.ensure(&alice.top).ok();
    let _ = user.verify().ok();
    // The machine named what it built from; the master does not know.
    let part = &alice.top["/gnu/store/".len()..][..32];
    let client = tests::client::Client::new(&scene.server);
    for (name, derived) in [("alice", true), ("master-1", false)] {
        let narinfo = client.get(&format!("/gnu/as/{name}/{part}.narinfo")).await.text();
        let signed = narinfo.split("Signature:").next().unwrap();
        assert_eq!(signed.contains("\nDeriver: "), derived, "{narinfo}");
    }
}
