pub(crate) mod scripted;

mod large;
mod mirrors;
mod prefetch;
mod upstream;

use schema::compression::Compression;

use self::scripted::{Reply, Scripted, allowed, bytes, nobody, quiet};
use super::*;
use crate::decode::tests::packed;

/// Long enough that no test meets it by accident.
const PATIENT: Pace =
    Pace { silence: Duration::from_secs(60), window: Duration::from_secs(60), floor: 1 };
/// For sources that stall.
const HASTY: Pace = Pace { silence: Duration::from_millis(100), ..PATIENT };

fn sources(pools: &[&Scripted], caches: &[&Scripted], pace: Pace) -> Sources {
    let access = |of: &[&Scripted]| of.iter().map(|it| it.access.clone()).collect::<Vec<_>>();
    Sources::new(&access(pools), &access(caches), pace, quiet()).unwrap()
}

/// What a client gets, and why it is not more.
async fn got(sources: &Sources, allowed: &Allowed) -> (Vec<u8>, Option<Undeliverable>) {
    let mut got = Vec::new();
    let mut nar = match Nar::find(Wanted::of(&allowed.claim), None, sources.of(allowed)).await {
        Ok(nar) => nar,
        Err(nobody) => return (got, Some(nobody)),
    };
    while let Some(piece) = nar.next().await {
        match piece {
            Ok(piece) => got.extend_from_slice(&piece),
            Err(nobody) => return (got, Some(nobody)),
        }
    }
    assert!(nar.is_whole());
    (got, None)
}

fn faults(source: &Source) -> Vec<(&'static str, u64)> {
    source.record().faults.into_iter().collect()
}

const ZSTD: Compression = Compression::Zstd;
const NONE: Compression = Compression::None;

#[tokio::test]
async fn every_compression_is_unpacked() {
    for len in [1, 1000, (1 << 20) + 1, 3_000_000] {
        let nar = bytes(1, len);
        for compression in Compression::ALL {
            let pool = Scripted::with(Reply::File(packed(compression, &nar))).await;
            let sources = sources(&[&pool], &[], PATIENT);
            let (got, nobody) = got(&sources, &allowed("a", &nar, &[(0, compression)])).await;
            assert!(got == nar && nobody.is_none(), "{compression}, {len}: {nobody:?}");
            assert_eq!(sources.pools[0].record().given, 1);
            assert_eq!(pool.asked(), [format!("/nar/a{}", compression.suffix())]);
        }
    }
}

/// Everything that a source may do instead of giving the NAR.
fn failures(nar: &[u8]) -> Vec<(Reply, Compression, &'static str)> {
    let zstd = packed(ZSTD, nar);
    let half = |file: &[u8]| file[..file.len() / 2].to_vec();
    let mut flipped = nar.to_vec();
    flipped[nar.len() - 1] ^= 1;
    vec![
        (Reply::File(flipped), NONE, "nar_swapped"),
        (Reply::File(packed(ZSTD, &bytes(9, nar.len()))), ZSTD, "nar_swapped"),
        // A bomb, and one without end.
        (Reply::File(packed(ZSTD, &vec![0; 100 << 20])), ZSTD, "nar_swapped"),
        (Reply::Endless(packed(ZSTD, b"")), ZSTD, "nar_unreadable"),
        (Reply::File(half(nar)), NONE, "nar_truncated"),
        (Reply::File(half(&zstd)), ZSTD, "nar_truncated"),
        (Reply::Cut(nar.len(), half(nar)), NONE, "nar_truncated"),
        (Reply::Cut(zstd.len(), half(&zstd)), ZSTD, "nar_truncated"),
        (Reply::File(vec![]), NONE, "nar_truncated"),
        (Reply::Stall(nar.len(), half(nar)), NONE, "nar_stalled"),
        (Reply::Stall(zstd.len(), vec![]), ZSTD, "nar_stalled"),
        (Reply::File(nar.to_vec()), ZSTD, "nar_unreadable"),
        (Reply::File(zstd), Compression::Xz, "nar_unreadable"),
        (Reply::Head("503 Busy"), NONE, "nar_unavailable"),
        (Reply::Head("302 Found\r\nLocation: /elsewhere"), NONE, "nar_unavailable"),
        (Reply::Head("206 Partial Content"), NONE, "nar_unavailable"),
    ]
}

#[tokio::test]
async fn for_a_small_nar_a_source_that_fails_is_replaced_unseen() {
    let nar = bytes(2, 40_000);
    let good = Scripted::with(Reply::File(packed(ZSTD, &nar))).await;
    for (reply, compression, code) in failures(&nar) {
        let case = format!("{compression} {code}");
        let bad = Scripted::with(reply).await;
        let alone = sources(&[&bad], &[], HASTY);
        let (got_alone, nobody) = got(&alone, &allowed("a", &nar, &[(0, compression)])).await;
        assert!(got_alone.is_empty(), "{case}");
        assert_eq!(nobody.unwrap().asked.len(), 1, "{case}");
        assert_eq!(faults(&alone.pools[0]), [(code, 1)]);

        let both = sources(&[&bad, &good], &[], HASTY);
        let allowed = allowed("a", &nar, &[(0, compression), (1, ZSTD)]);
        let (got_of_both, nobody) = got(&both, &allowed).await;
        assert!(got_of_both == nar && nobody.is_none(), "{case}: {nobody:?}");
        assert_eq!((faults(&both.pools[0]), faults(&both.pools[1])), (vec![(code, 1)], vec![]));
        // It is asked last from now on.
        let order: Vec<_> = both.of(&allowed).into_iter().map(|it| it.source.clone()).collect();
        assert!(Arc::ptr_eq(&order[0], &both.pools[1]), "{case}");
    }
}

#[tokio::test]
async fn a_source_that_sends_a_byte_now_and_then_has_stalled() {
    let nar = bytes(3, 5000);
    let pool = Scripted::with(Reply::File(nar.clone())).await;
    let slow = Pace { window: Duration::ZERO, floor: u64::MAX, ..PATIENT };
    let sources = sources(&[&pool], &[], slow);
    let (got, _) = got(&sources, &allowed("a", &nar, &[(0, NONE)])).await;
    assert!(got.is_empty());
    assert_eq!(faults(&sources.pools[0]), [("nar_stalled", 1)]);
}

#[tokio::test]
async fn who_does_not_have_it_is_no_liar() {
    let nar = bytes(4, 5000);
    let gone = Scripted::with(Reply::Head("404 Not Found")).await;
    let sources = sources(&[&gone], &[], PATIENT);
    let (_, nobody) = got(&sources, &allowed("a", &nar, &[(0, NONE)])).await;
    let nobody = nobody.unwrap();
    assert!(!nobody.passes && nobody.asked[0].contains("does not have the NAR"), "{nobody:?}");
    assert_eq!(faults(&sources.pools[0]), []);
    let (_, nobody) = got(&sources, &allowed("a", &nar, &[])).await;
    assert!(nobody.unwrap().asked.is_empty(), "nobody says that he has it");
}

#[tokio::test]
async fn liars_come_last_and_the_worst_of_them_the_very_last() {
    let nar = bytes(5, 100);
    let bad = Scripted::with(Reply::File(bytes(6, 100))).await;
    let access: Vec<Access> = vec![bad.access.clone(); 3];
    let sources = Sources::new(&access, &[], PATIENT, quiet()).unwrap();
    let order = |of: &Sources| -> Vec<usize> {
        let offers = of.of(&allowed("a", &nar, &[(0, NONE), (1, NONE), (2, NONE)]));
        let at = |offer: &Offer| of.all().iter().position(|it| Arc::ptr_eq(it, &offer.source));
        offers.iter().map(|offer| at(offer).unwrap()).collect()
    };
    assert_eq!(order(&sources), [0, 1, 2]);
    for pools in [&[(0, NONE)][..], &[(0, NONE)], &[(1, NONE)]] {
        let _ = got(&sources, &allowed("a", &nar, pools)).await;
    }
    assert_eq!(order(&sources), [2, 1, 0]);
}

#[tokio::test]
async fn who_cannot_be_reached_is_not_asked_first_again_and_again() {
    let nar = bytes(7, 100);
    let good = Scripted::with(Reply::File(nar.clone())).await;
    let access = [nobody().await, good.access.clone()];
    let sources = Sources::new(&access, &[], PATIENT, quiet()).unwrap();
    let allowed = allowed("a", &nar, &[(0, NONE), (1, NONE)]);
    for _ in 0..3 {
        let (got, _) = got(&sources, &allowed).await;
        assert_eq!(got, nar);
    }
    assert_eq!(faults(&sources.pools[0]), [("nar_unavailable", 1)]);
    assert_eq!(sources.pools[1].record().given, 3);
}

/// A plain binary cache that has `nar` for the path of [`allowed`], by its own word.
async fn cache(nar: &[u8], url: &str, file: Vec<u8>) -> Scripted {
    let claim = allowed("a", nar, &[]).claim;
    let narinfo = format!(
        "StorePath: {}\nURL: {url}\nCompression: xz\nNarHash: {}\nNarSize: 77\nReferences: \n",
        claim.path(),
        claim.nar_hash()
    );
    Scripted::start(move |path| match path {
        "/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz.narinfo" => Reply::File(narinfo.clone().into_bytes()),
        "/nar/x.nar.xz?y" => Reply::File(file.clone()),
        "/moved" => Reply::Head("307 Moved\r\nLocation: /nar/x.nar.xz?y"),
        "/away" => Reply::Head("307 Moved\r\nLocation: http://127.0.0.2:1/x"),
        "/round" => Reply::Head("307 Moved\r\nLocation: /round"),
        _ => Reply::Head("404 Not Found"),
    })
    .await
}

#[tokio::test]
async fn a_plain_cache_gives_bytes_and_is_believed_in_nothing_else() {
    let nar = bytes(8, 2000);
    let file = packed(Compression::Xz, &nar);
    for (nar_of_cache, url, fault) in [
        (&nar, "nar/x.nar.xz?y", None),
        (&nar, "moved", None),
        (&bytes(9, 2000), "nar/x.nar.xz?y", Some("does not have the NAR")),
        (&nar, "gone", Some("does not have the NAR")),
        (&nar, "away", Some("no answer")),
        (&nar, "round", Some("no answer")),
        (&nar, "http://127.0.0.2:1/x", Some("points to")),
        (&nar, "file:///etc/passwd", Some("points to")),
    ] {
        let cache = cache(nar_of_cache, url, file.clone()).await;
        let sources = sources(&[], &[&cache], PATIENT);
        let (got, nobody) = got(&sources, &allowed("a", &nar, &[])).await;
        match fault {
            None => assert!(got == nar && nobody.is_none(), "{url}: {nobody:?}"),
            Some(fault) => {
                let asked = nobody.unwrap().asked;
                assert!(got.is_empty() && asked[0].contains(fault), "{url}: {asked:?}");
            }
        }
    }
}

#[tokio::test]
async fn pools_that_say_they_have_it_come_before_caches() {
    let nar = bytes(10, 2000);
    let pool = Scripted::with(Reply::File(nar.clone())).await;
    let cache = cache(&nar, "nar/x.nar.xz?y", packed(Compression::Xz, &nar)).await;
    let sources = sources(&[&pool], &[&cache], PATIENT);
    assert_eq!(got(&sources, &allowed("a", &nar, &[(0, NONE)])).await.0, nar);
    assert_eq!((pool.asked().len(), cache.asked().len()), (1, 0));
    // A pool that does not say so is not asked at all.
    assert_eq!(got(&sources, &allowed("a", &nar, &[])).await.0, nar);
    assert_eq!((pool.asked().len(), cache.asked().len()), (1, 2));
}
