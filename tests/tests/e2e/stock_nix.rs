//! Stock Nix pushes to a pool, signs in it, asks it and substitutes from it.

mod access;
mod ask;
mod builders;
mod disagree;

use tests::lab::{Lab, hash_part, same_files};
use tests::nix::Version;

tests::with_each_nix!(
    whom_a_machine_trusts_decides_what_it_takes,
    signatures_are_copied_both_ways,
    every_compression_comes_back,
    the_same_build_again_sends_no_nar,
    what_nobody_enrolled_signed_is_refused_with_the_reason,
);

/// What Nix says of a path by nobody it trusts: `nix copy`, then `nix-store --realise`.
fn distrust(version: Version) -> [&'static str; 2] {
    match version {
        Version::Stable => {
            ["lacks a valid signature", "is not signed by any of the keys in 'trusted-public-keys'"]
        }
        Version::Current => [
            "lacks a signature by a trusted key",
            "not signed by any of the keys in 'trusted-public-keys'",
        ],
    }
}

async fn whom_a_machine_trusts_decides_what_it_takes(version: Version) {
    let lab = Lab::start(version, &[]);
    let (pool, [by_copy, by_realise]) = (lab.server.url(""), distrust(version));
    let alice = lab.builder("alice", None).await;
    let bob = lab.signer("bob").await;
    let top = &alice.top;
    alice.push(&lab.server, "compression=zstd").ok();

    let trusts_alice = lab.host("trusts-alice");
    assert_eq!(trusts_alice.realise(&pool, &[&alice.public], top).ok().trim(), top);
    let copies_from_alice = lab.host("copies-from-alice");
    copies_from_alice.copy_from(&pool, &[&alice.public], top).ok();
    for path in alice.host.closure(top) {
        assert!(same_files(&alice.host, &trusts_alice, &path), "{path} is another");
        assert!(same_files(&alice.host, &copies_from_alice, &path), "{path} is another");
    }

    let trusts_bob = lab.host("trusts-bob");
    let refused = trusts_bob.realise(&pool, &[&bob.public], top).failed();
    assert!(refused.contains(by_realise), "{refused}");
    let refused = trusts_bob.copy_from(&pool, &[&bob.public], top).failed();
    assert!(refused.contains(by_copy), "{refused}");
    assert!(!trusts_bob.files_of(top).exists());

    // Bob has built nothing, and signs what he finds in the pool.
    let sign = ["nix", "store", "sign", "--store", &pool, "-k", bob.secret(), "-r", top];
    let signed = bob.host.run(&sign);
    assert!(signed.stderr.contains("added 6 signatures"), "{signed:?}");
    bob.host.forget();
    let again = bob.host.run(&sign);
    assert!(again.stderr.contains("added 0 signatures"), "{again:?}");

    trusts_bob.forget();
    trusts_bob.copy_from(&pool, &[&bob.public], top).ok();
    let realises_from_bob = lab.host("realises-from-bob");
    realises_from_bob.realise(&lab.server.url("/signers/1/bob"), &[&bob.public], top).ok();
    assert!(
        same_files(&alice.host, &trusts_bob, top)
            && same_files(&alice.host, &realises_from_bob, top)
    );
    let trusts_mallory = lab.host("trusts-mallory");
    let (_, mallory) = trusts_mallory.make_key("mallory");
    assert!(trusts_mallory.realise(&pool, &[&mallory], top).failed().contains(by_realise));
    // A key of another, under bob's name: the name alone is worth nothing.
    let (_, impostor) = trusts_mallory.make_key("bob");
    trusts_mallory.forget();
    assert!(trusts_mallory.copy_from(&pool, &[&impostor], top).failed().contains(by_copy));
}

async fn signatures_are_copied_both_ways(version: Version) {
    let lab = Lab::start(version, &[]);
    let pool = lab.server.url("");
    let alice = lab.builder("alice", None).await;
    let carol = lab.builder("carol", None).await;
    let top = &alice.top;
    alice.push(&lab.server, "compression=zstd").ok();

    // Carol built the same, and brings nothing but her signatures.
    carol.host.run(&["nix", "store", "sign", "-k", carol.secret(), "-r", top]).ok();
    carol
        .host
        .run(&["nix", "store", "copy-sigs", "-r", "--store", &pool, "-s", &carol.store(), top])
        .ok();
    let reader = lab.host("reader");
    reader.realise(&lab.server.url("/signers/1/carol"), &[&carol.public], top).ok();
    assert!(same_files(&carol.host, &reader, top));

    // And takes alice's home.
    let imported = carol.host.run(&["nix", "store", "copy-sigs", "-r", "-s", &pool, top]);
    assert!(imported.stderr.contains("imported 6 signatures"), "{imported:?}");
    let local = carol.host.run(&["nix", "path-info", "--sigs", top]).ok();
    assert!(local.contains("alice:") && local.contains("carol:"), "{local}");
}

async fn every_compression_comes_back(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let compressions = [
        ("shapes", "br"),
        ("flavoured", "none"),
        ("licence", "gzip"),
        ("notice", "xz"),
        ("library-1.0", "zstd"),
        ("app-1.0", "bzip2"),
    ];
    let closure = alice.host.closure(&alice.top);
    assert_eq!(closure.len(), compressions.len());
    for path in &closure {
        let name = &path["/nix/store/".len() + 33..];
        let (_, compression) = compressions.iter().find(|(of, _)| *of == name).unwrap();
        let address = alice.push_address(&lab.server, &format!("compression={compression}"));
        alice.host.copy_to(&address, path).ok();
        let narinfo = lab.admin.get(&format!("/{}.narinfo", hash_part(path))).await.text();
        assert!(narinfo.contains(&format!("\nCompression: {compression}\n")), "{narinfo}");
    }
    let reader = lab.host("reader");
    reader.realise(&lab.server.url(""), &[&alice.public], &alice.top).ok();
    for path in &closure {
        assert!(same_files(&alice.host, &reader, path), "{path} is another");
    }
}

/// Nix from 2.32 on can encode what else it puts.
#[tokio::test]
async fn what_is_put_encoded_is_kept_plain() {
    let lab = Lab::start(Version::Current, &[]);
    let alice = lab.builder("alice", None).await;
    let top = &alice.top;
    let encoded =
        "narinfo-compression=xz&log-compression=zstd&write-nar-listing=1&ls-compression=br";
    alice.push(&lab.server, &format!("compression=zstd&{encoded}")).ok();
    let derivation = alice.host.run(&["nix-store", "-q", "--deriver", top]).ok();
    let address = alice.push_address(&lab.server, encoded);
    alice.host.run(&["nix", "store", "copy-log", "--to", &address, derivation.trim()]).ok();

    let reader = lab.host("reader");
    reader.realise(&lab.server.url(""), &[&alice.public], top).ok();
    assert!(same_files(&alice.host, &reader, top));
    let log = reader.run(&["nix", "log", "--store", &lab.server.url(""), top]).ok();
    assert_eq!(log, "building app-1.0\n");
}

async fn the_same_build_again_sends_no_nar(version: Version) {
    const BYTES_IN: &str = "narpool_nar_bytes_total{direction=\"in\"}";
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let bob = lab.builder("bob", None).await;
    alice.push(&lab.server, "compression=zstd").ok();
    let sent = lab.admin.metric(BYTES_IN).await;
    assert!(sent > 1e6, "alice sent {sent} bytes");

    bob.push(&lab.server, "compression=zstd").ok();
    assert!((lab.admin.metric(BYTES_IN).await - sent).abs() < 0.5, "bob sent a NAR");
    let narinfo = lab.admin.get(&format!("/{}.narinfo", hash_part(&bob.top))).await.text();
    assert!(narinfo.contains("\nSig: alice:") && narinfo.contains("\nSig: bob:"), "{narinfo}");

    // To a client that remembers nothing, everything is there under the builder's own view.
    alice.host.forget();
    let again = alice.push(&lab.server, "compression=zstd");
    assert!(again.stderr.contains("copying 0 paths"), "{again:?}");
}

async fn what_nobody_enrolled_signed_is_refused_with_the_reason(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let (pool, top) = (lab.server.url(""), &alice.top);
    let refused = |cache: String| {
        alice.host.forget();
        alice.host.copy_to(&cache, top).failed()
    };

    let unsigned = refused(format!("{pool}/as/alice?compression=zstd"));
    assert!(
        unsigned.contains("carries no signature") || unsigned.contains("no signature by alice"),
        "{unsigned}"
    );
    assert!(unsigned.contains("secret-key="), "{unsigned}");

    let (secret, _) = alice.host.make_key("mallory");
    let secret = secret.to_str().unwrap();
    let by_mallory = refused(format!("{pool}?compression=zstd&secret-key={secret}"));
    assert!(by_mallory.contains("no signer called mallory is enrolled here"), "{by_mallory}");

    let under_another_name =
        refused(format!("{pool}/as/alice?compression=zstd&secret-key={secret}"));
    assert!(under_another_name.contains("no signature by alice is there"), "{under_another_name}");

    let (impostor, _) = lab.host("impostor").make_key("alice");
    let impostor = impostor.to_str().unwrap();
    let forged = refused(format!("{pool}/as/alice?compression=zstd&secret-key={impostor}"));
    assert!(forged.contains("signature_invalid"), "{forged}");

    std::fs::remove_file(alice.host.dir().join("etc/netrc")).unwrap();
    let anonymous = refused(alice.push_address(&lab.server, "compression=zstd"));
    assert!(anonymous.contains("this needs a token with the scope"), "{anonymous}");

    for path in alice.host.closure(top) {
        assert_eq!(lab.admin.get(&format!("/{}.narinfo", hash_part(&path))).await.status, 404);
    }
}
