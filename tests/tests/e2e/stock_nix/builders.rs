//! Two builders, one with stock Nix and one with `pool`, put the same closure into one pool.

use std::collections::BTreeSet;
use std::fs;

use schema::narinfo::NarInfo;
use tests::cli::Cli;
use tests::lab::{Builder, Lab, hash_part, same_files};
use tests::nix::Version;

tests::with_each_nix!(
    each_nar_is_kept_once,
    who_push_at_once_do_not_collide,
    a_nar_sent_in_another_compression_is_dropped,
);

/// Pushes with `pool push`; answers with what it says.
fn pool_push(lab: &Lab, who: &Builder, compression: &str) -> serde_json::Value {
    let cli = Cli::new(who.host.dir(), &lab.server, &lab.server.token("upload,attest"));
    let store = who.store();
    let push =
        ["push", &who.top, "--store", &store, "--key", who.secret(), "--compression", compression];
    serde_json::from_str(&cli.run(&[&push[..], &["--json"]].concat()).ok()).unwrap()
}

/// The narinfos of a closure, under the address of a view.
async fn narinfos(lab: &Lab, view: &str, closure: &[String]) -> Vec<NarInfo> {
    let mut narinfos = Vec::new();
    for path in closure {
        let answer = lab.admin.get(&format!("{view}/{}.narinfo", hash_part(path))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        narinfos.push(NarInfo::parse_nix(&answer.body).unwrap());
    }
    narinfos
}

fn signers(narinfo: &NarInfo) -> Vec<&str> {
    narinfo.signatures.iter().map(|line| line.name().as_str()).collect()
}

async fn each_nar_is_kept_once(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let bob = lab.builder("bob", None).await;
    let carol = lab.signer("carol").await;
    let top = &alice.top;
    // The lowest level, because the library at the usual one takes longer than all else here.
    alice.push(&lab.server, "compression=xz&compression-level=0").ok();
    let kept = lab.nar_files();
    let pushed = pool_push(&lab, &bob, "zstd");

    let closure = alice.host.closure(top);
    let hashes: BTreeSet<_> = narinfos(&lab, "", &closure)
        .await
        .iter()
        .map(|narinfo| narinfo.claim.nar_hash().to_nix32())
        .collect();
    assert_eq!(lab.nar_files().len(), hashes.len());
    assert_eq!(
        lab.nar_files().into_iter().collect::<BTreeSet<_>>(),
        kept.iter().cloned().collect()
    );
    for hash in &hashes {
        assert!(
            kept.contains(&lab.server.data().join(format!("blobs/nar/{hash}.nar.xz"))),
            "{hash}"
        );
    }
    let size: u64 = kept.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(
        (&pushed["nars_sent"], &pushed["attestations_new"]),
        (&0.into(), &closure.len().into()),
        "{pushed}"
    );
    assert!(pushed["bytes_sent"].as_u64().unwrap() * 100 < size, "{pushed} of {size}");

    for view in ["", "/as/bob", "/signers/2/alice,bob", "/signers/1/bob,carol"] {
        for narinfo in narinfos(&lab, view, &closure).await {
            assert_eq!(signers(&narinfo), ["alice", "bob"], "{view}");
        }
    }
    for (name, key) in [("trusts-alice", &alice.public), ("trusts-bob", &bob.public)] {
        let reader = lab.host(name);
        reader.realise(&lab.server.url("/signers/2/alice,bob"), &[key], top).ok();
        assert!(same_files(&alice.host, &reader, top));
    }

    let missing =
        lab.admin.get(&format!("/signers/2/alice,carol/{}.narinfo", hash_part(top))).await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("have 1 of 2"), "{}", missing.text());
    let impossible = lab.server.url("/signers/3/alice,bob");
    let warned = lab.host("asks-for-three-of-two").copy_from(&impossible, &[&alice.public], top);
    let warned = warned.failed();
    assert!(warned.contains("does not appear to be a binary cache"), "{warned}");
    let reader = lab.host("asks-for-carol");
    let everyone = [&*alice.public, &bob.public, &carol.public];
    reader.realise(&lab.server.url("/signers/2/alice,carol"), &everyone, top).failed();
}

async fn who_push_at_once_do_not_collide(version: Version) {
    let lab = Lab::start(version, &[]);
    let alice = lab.builder("alice", None).await;
    let bob = lab.builder("bob", None).await;
    let carol = lab.builder("carol", None).await;
    std::thread::scope(|scope| {
        for builder in [&alice, &bob] {
            scope.spawn(|| builder.push(&lab.server, "compression=zstd").ok());
        }
        scope.spawn(|| pool_push(&lab, &carol, "zstd"));
    });
    let closure = alice.host.closure(&alice.top);
    assert_eq!(lab.nar_files().len(), closure.len());
    for narinfo in narinfos(&lab, "/signers/3/alice,bob,carol", &closure).await {
        assert_eq!(signers(&narinfo).len(), 3);
    }
    let reader = lab.host("reader");
    reader.realise(&lab.server.url(""), &[&carol.public], &alice.top).ok();
    assert!(same_files(&alice.host, &reader, &alice.top));
}

/// What stock Nix remembers of its own push names a file that the pool did not keep. Nix 2.8 takes
/// another file of the same NAR, where it looks at the bytes for how they are compressed; whoever
/// does not take it is no worse off than with a file that is gone.
async fn a_nar_sent_in_another_compression_is_dropped(version: Version) {
    let lab = Lab::start(version, &[]);
    let bob = lab.builder("bob", None).await;
    let alice = lab.builder("alice", None).await;
    pool_push(&lab, &bob, "zstd");
    let kept = lab.nar_files();
    let closure = alice.host.closure(&alice.top);
    let shapes = closure.iter().find(|path| path.ends_with("-shapes")).unwrap();
    let file = format!("{shapes}/bin/where");
    let held = fs::read_to_string(alice.host.files_of(&file)).unwrap();
    for (at, compression) in ["xz", "bzip2", "gzip", "none", "br"].into_iter().enumerate() {
        let name = format!("alice-{compression}");
        let (secret, public) = alice.host.make_key(&name);
        lab.admin.enrol(&public.parse().unwrap()).await;
        let view = lab.server.url(&format!("/as/{name}"));
        let cache = format!("{view}?compression={compression}&secret-key={}", secret.display());
        alice.host.copy_to(&cache, shapes).ok();
        let sent = lab.admin.metric("narpool_nars_received_total{result=\"known\"}").await;
        assert_eq!((lab.nar_files(), sent), (kept.clone(), (at + 1) as f64), "{compression}");

        let read = || alice.host.run(&["nix", "store", "cat", "--store", &view, &file]);
        if version == Version::Stable && at < 3 {
            assert_eq!(read().ok(), held, "{compression}");
        } else {
            let refused = read().failed();
            let gone = refused.contains("does not exist in binary cache");
            assert!(
                gone || refused.contains("input compression not recognized"),
                "{compression}: {refused}"
            );
        }
        alice.host.forget();
        assert_eq!(read().ok(), held, "{compression}, with the narinfo of the pool");
    }
}
