//! Narinfos that name another server for NARs, by the operator's choice.

use std::fs;

use reqwest::Method;
use schema::api::AttestItem;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::narinfo::NarInfo;
use schema::narinfo::guix::{GuixNarInfo, SignatureLine};
use tests::client::{Answer, Client};
use tests::lab::{Lab, hash_part, same_files};
use tests::nar::{file, guix_key, guix_path, unpack, zstd};
use tests::nix::Version;
use tests::server::Server;

/// What is signed stays as it is, in every view and both dialects; and stock Nix takes the NARs from
/// where the narinfo says.
#[tokio::test]
async fn stock_nix_takes_nars_from_the_server_that_narinfos_name() {
    // Every NAR lies at the mirror, and none at the pool.
    let mirror = Lab::start(Version::Current, &[]);
    let builder = mirror.builder("alice", None).await;
    builder.push(&mirror.server, "compression=zstd").ok();
    let pool = Lab::start(Version::Current, &["--nar-url", &mirror.server.url("/")]);
    pool.admin.enrol(&builder.public.parse().unwrap()).await;
    builder.host.log_in(&pool.server.token("read,upload,attest"));
    builder.push(&pool.server, "compression=zstd").ok();
    for file in pool.nar_files() {
        fs::remove_file(file).unwrap();
    }

    let part = hash_part(&builder.top);
    let here = mirror.admin.get(&format!("/{part}.narinfo")).await.text();
    let expected = here.replace("URL: nar/", &format!("URL: {}", mirror.server.url("/nar/")));
    assert_ne!(expected, here);
    for view in ["", "/as/alice", "/signers/1/alice"] {
        let shown = pool.admin.get(&format!("{view}/{part}.narinfo")).await.text();
        assert_eq!(shown, expected, "{view}");
    }
    let batch = pool.admin.request(Method::POST, "/get-narinfos-v1").body(part.to_owned());
    let batch = Answer::to(batch).await.json_lines();
    assert_eq!(batch[0]["narinfo"], expected.as_str());
    let [one, other] = [&here, &expected].map(|it| NarInfo::parse_nix(it.as_bytes()).unwrap());
    assert_eq!((one.claim, one.signatures), (other.claim, other.signatures));

    let reader = pool.host("reader");
    let taken = reader.realise(&pool.server.url(""), &[&builder.public], &builder.top);
    assert_eq!(taken.ok().trim(), builder.top);
    for path in builder.host.closure(&builder.top) {
        assert!(same_files(&builder.host, &reader, &path), "{path} is another");
    }
    let sent = "narpool_nar_bytes_total{direction=\"out\"}";
    assert_eq!(pool.admin.metric(sent).await, 0.0);
    assert!(mirror.admin.metric(sent).await > 0.0);
}

/// The place that follows what is signed is the one that is told; places that an old publisher signed
/// with a claim are this pool's own, and it still answers there.
#[tokio::test]
async fn guix_is_told_the_same_below_what_is_signed() {
    let (data, gina) = (tempfile::tempdir().unwrap(), guix_key("gina-1", 3));
    let server = Server::start(data.path(), &["--nar-url", "https://b.example/"]);
    let admin = Client::admin(&server);
    admin.enrol(&gina.public()).await;
    let [(new, new_nar), (old, old_nar)] =
        ["new", "old"].map(|name| (guix_path(name, "hello-2.12"), file(name.as_bytes())));
    for nar in [&new_nar, &old_nar] {
        admin.upload(nar, Compression::Zstd, zstd(nar)).await;
    }
    admin.vouch(&gina, &new, &new_nar, &[]).await;
    let size = old_nar.len() as u64;
    let claim = Claim::new(old.clone(), NarHash::of(&old_nar), size, vec![]).unwrap().in_guix(None);
    let signed_place = format!("nar/zstd/{}", old.base());
    let text = format!("{}URL: {signed_place}\nCompression: zstd\n", claim.signed_bytes());
    let claim = Claim::parse(text.as_bytes()).unwrap();
    let signature = gina.sign(text.as_bytes());
    let answer = admin.attest(vec![AttestItem::new(&claim, signature)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    for (item, nar, signed) in [(&new, &new_nar, None), (&old, &old_nar, Some(&signed_place))] {
        let elsewhere = format!("https://b.example/nar/{}.nar.zst", NarHash::of(nar).to_nix32());
        for view in ["/gnu", "/gnu/as/gina-1"] {
            let by_gina = view.ends_with("gina-1");
            let part = item.base().hash_part();
            let text = admin.get(&format!("{view}/{part}.narinfo")).await.text();
            let read = GuixNarInfo::parse(text.as_bytes()).unwrap();
            let places: Vec<_> = read.deliveries.iter().map(|it| &it.url).collect();
            let expected: Vec<_> =
                signed.filter(|_| by_gina).into_iter().chain([&elsewhere]).collect();
            assert_eq!(places, expected, "{text}");
            match read.signature {
                Some(SignatureLine::Ecdsa(it)) => assert!(it.holds(read.claim.id().as_bytes())),
                other => assert!(!by_gina && other.is_none(), "{text}"),
            }
        }
    }
    let packed = admin.get(&format!("/gnu/as/gina-1/{signed_place}")).await;
    assert_eq!(unpack(&packed.body).unwrap(), old_nar);
    // What the API tells of files is relative, as ever.
    let report = admin.get(&format!("/api/v1/paths/{}", new.base().hash_part())).await.text();
    assert!(report.contains("\"url\":\"nar/") && !report.contains("b.example"), "{report}");
    server.stop();
}
