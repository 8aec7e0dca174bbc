//! Stock clients at a mirror: they take what it has while the pool that it came from is down, and trust
//! whom they trusted before, for the mirror vouches for nothing.

use std::path::PathBuf;

use tests::guix::Machine;
use tests::lab::{Builder, Lab, hash_part, place_for_machines, same_files};
use tests::nix::Version;
use tests::program::Outcome;

use super::scene::Pool;

tests::with_each_nix!(
    the_mirror_serves_while_the_pool_is_down,
    nix_copies_from_pool_to_pool_as_a_poor_mans_mirror,
);

/// Mirrors all that a lab's pool has.
fn mirrors(to: &Pool, lab: &Lab) -> Outcome {
    to.cli().run(&["mirror", "--json", "--from", &lab.server.url("")])
}

/// Two signers: one who has built, and one who has signed what he found.
async fn pushed(lab: &Lab) -> (Builder, Builder) {
    let alice = lab.builder("alice", None).await;
    let bob = lab.signer("bob").await;
    alice.push(&lab.server, "compression=zstd").ok();
    let pool = lab.server.url("");
    let sign = ["nix", "store", "sign", "--store", &pool, "-k", bob.secret(), "-r", &alice.top];
    bob.host.run(&sign).ok();
    (alice, bob)
}

async fn the_mirror_serves_while_the_pool_is_down(version: Version) {
    let lab = Lab::start(version, &[]);
    let b = Pool::start(&[]);
    let (alice, bob) = pushed(&lab).await;
    let top = &alice.top;
    let report: serde_json::Value = serde_json::from_str(&mirrors(&b, &lab).ok()).unwrap();
    let closure = alice.host.closure(top);
    assert_eq!(report["nars_fetched"], closure.len(), "{report}");
    let [by_alice, by_bob, stranger] =
        ["by-alice", "by-bob", "by-mallory"].map(|name| lab.host(name));
    lab.server.stop();

    by_alice.realise(&b.url(), &[&alice.public], top).ok();
    by_bob.copy_from(&b.url(), &[&bob.public], top).ok();
    for path in &closure {
        assert!(same_files(&alice.host, &by_alice, path), "{path} is another");
        assert!(same_files(&alice.host, &by_bob, path), "{path} is another");
    }
    // Views are by the signers' names, there as here.
    by_alice.forget();
    let view = format!("{}/signers/2/alice,bob", b.url());
    by_alice.run(&["nix", "path-info", "-r", "--store", &view, top]).ok();
    // The mirror's word is worth nothing.
    let (_, mallory) = stranger.make_key("mallory");
    let refused = stranger.realise(&b.url(), &[&mallory], top).failed();
    assert!(refused.contains("signed by any of the keys in 'trusted-public-keys'"), "{refused}");
    assert!(!stranger.files_of(top).exists());
}

async fn nix_copies_from_pool_to_pool_as_a_poor_mans_mirror(version: Version) {
    let lab = Lab::start(version, &[]);
    let b = Pool::start(&[]);
    let (alice, bob) = pushed(&lab).await;
    let carrier = lab.host("carrier");
    carrier.log_in(&b.server().token("read,upload,attest"));
    let (from, to) = (lab.server.url(""), format!("{}?compression=zstd", b.url()));
    let copy = ["nix", "copy", "--from", &from, "--to", &to, &alice.top];
    let trusts = format!("{} {}", alice.public, bob.public);
    let copy = [&copy[..], &["--option", "trusted-public-keys", &trusts]].concat();
    // It takes nothing by signers whom it does not know.
    let refused = carrier.run(&copy).failed();
    assert!(refused.contains("is enrolled here"), "{refused}");
    for signer in [&alice, &bob] {
        b.admin().enrol(&signer.public.parse().unwrap()).await;
    }
    carrier.forget();
    carrier.run(&copy).ok();
    for path in alice.host.closure(&alice.top) {
        let told = b.admin().get(&format!("/api/v1/paths/{}", hash_part(&path))).await.json();
        let words = told["claims"][0]["attestations"].as_array().unwrap();
        let mut signers: Vec<&str> =
            words.iter().map(|word| word["signer"].as_str().unwrap()).collect();
        signers.sort_unstable();
        assert_eq!(signers, ["alice", "bob"], "{told}");
        // They are in its own ledger.
        assert!(words.iter().all(|word| word.get("origin").is_none()), "{told}");
    }
    let reader = lab.host("reader");
    lab.server.stop();
    reader.realise(&b.url(), &[&bob.public], &alice.top).ok();
    assert!(same_files(&alice.host, &reader, &alice.top));
}

#[tokio::test]
async fn guix_takes_from_the_mirror_while_the_pool_is_down() {
    let a = Pool::start(&[]);
    let b = Pool::start(&[]);
    let place = place_for_machines();
    let builder = Machine::new(&place.path().join("alice"));
    let (top, key) = (builder.build_closure(None), builder.generate_key());
    let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
    let public = format!("alice={}", text(builder.public_key_file()));
    let _ = a.cli().run(&["signer", "enrol", &public]).ok();
    let (store, secret) = (text(builder.dir().to_owned()), text(builder.secret_key_file()));
    let _ = a.cli().run(&["push", &top, "--store", &store, "--key", &secret]).ok();
    let closure = builder.closure(&top);
    let report = b.mirrors(&[&a], &[]);
    assert_eq!(report["nars_fetched"], closure.len(), "{report}");
    drop(a);

    let view = format!("{}/gnu/as/alice", b.url());
    let stranger = Machine::with_servers(&place.path().join("stranger"), &[&view]);
    assert!(stranger.ensure(&top).code != 0 && !stranger.holds(&top));
    let user = Machine::with_servers(&place.path().join("user"), &[&view]);
    user.authorize(&key);
    let ensured = user.ensure(&top);
    let from = tests::guix::downloads(&ensured);
    assert_eq!(from.len(), closure.len(), "{ensured:?}");
    assert!(from.iter().all(|it| it.url.starts_with(&b.url())), "{ensured:?}");
    assert_eq!(user.nar_hash(&top), builder.nar_hash(&top));
    let _ = user.verify().ok();
}
