//! Mirrors that pools list.

use schema::api::MAX_MIRRORS;
use schema::tlog::note::VerifierKey;

use super::scripted::Asked;
use super::*;
use crate::source::mirrors::STEP;

const INFO: &[u8] = b"StoreDir: /nix/store\n";

/// The key says nothing to us.
fn list(urls: &[&str]) -> Vec<u8> {
    let key: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let mirrors = urls.iter().map(|url| format!("{{\"url\":\"{url}\",\"key\":\"{key}\"}}"));
    format!("{{\"mirrors\":[{}]}}", mirrors.collect::<Vec<_>>().join(",")).into_bytes()
}

/// A pool that lists these mirrors, and does not give the NAR that it says it has.
async fn pool(urls: &[&str]) -> Scripted {
    let list = list(urls);
    Scripted::start(move |path| match path {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        "/api/v1/mirrors" => Reply::File(list.clone()),
        _ => Reply::Head("404 Not Found"),
    })
    .await
}

/// A mirror that gives this file for every NAR.
async fn mirror(file: Vec<u8>) -> Scripted {
    Scripted::start(move |path| match path {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        path if path.starts_with("/nar/") => Reply::File(file.clone()),
        _ => Reply::Head("404 Not Found"),
    })
    .await
}

fn known(sources: &Sources) -> Vec<String> {
    sources.mirrors().iter().map(|mirror| mirror.address().to_owned()).collect()
}

fn order(sources: &Sources, allowed: &Allowed) -> Vec<String> {
    sources.of(allowed).iter().map(|offer| offer.source.address().to_owned()).collect()
}

fn address(of: &Scripted) -> &str {
    &of.access.server
}

#[tokio::test]
async fn a_mirror_gives_what_the_pool_does_not_and_is_shown_no_token() {
    let nar = bytes(1, 2000);
    let mirror = mirror(packed(ZSTD, &nar)).await;
    let pool = pool(&[&format!("{}/", address(&mirror))]).await;
    let sources = sources(&[&pool], &[], PATIENT);
    let allowed = allowed("a", &nar, &[(0, ZSTD)]);
    assert!(got(&sources, &allowed).await.0.is_empty());
    sources.learn_mirrors().await;
    assert_eq!(known(&sources), [address(&mirror)]);
    let (got, nobody) = got(&sources, &allowed).await;
    assert!(got == nar && nobody.is_none(), "{nobody:?}");
    // Where it lies follows from the hash, whatever the pool says of the place.
    let place = format!("/nar/{}.nar.zst", NarHash::of(&nar).to_nix32());
    assert_eq!(mirror.asked(), ["/nix-cache-info", "/nix-cache-info", &place]);
    assert!(mirror.asked_all().iter().all(|asked| !asked.token));
    assert!(pool.asked_all().iter().all(|asked| asked.token));
}

#[tokio::test]
async fn the_nearest_is_asked_first_and_who_does_not_answer_last() {
    let nar = bytes(2, 2000);
    let [far, near] = [mirror(vec![]).await, mirror(vec![]).await];
    let silent = nobody().await;
    let pool = pool(&[&silent.server, address(&far), address(&near)]).await;
    let cache = cache(&nar, "nar/x.nar.xz?y", vec![]).await;
    let sources = sources(&[&pool], &[&cache], PATIENT);
    let allowed = allowed("a", &nar, &[(0, ZSTD)]);
    assert_eq!(order(&sources, &allowed), [address(&pool), address(&cache)]);
    sources.learn_mirrors().await;
    for source in sources.all() {
        let is_silent = source.address() == silent.server || source.address() == address(&cache);
        assert_eq!(source.record().answers_in.is_none(), is_silent, "{}", source.address());
    }
    for (near_in, pool_in, far_in, first) in [
        (1, 2, 3, [&near, &pool, &far]),
        (2, 1, 3, [&pool, &near, &far]),
        (3, 3, 2, [&far, &pool, &near]),
        (1, 1, 1, [&pool, &far, &near]),
    ] {
        for source in sources.all() {
            let steps = [(&near, near_in), (&pool, pool_in), (&far, far_in)];
            let its = steps.iter().find(|(it, _)| address(it) == source.address());
            source.lock().answers_in = its.map(|(_, steps)| STEP * *steps);
        }
        let expected = first.map(address).into_iter().chain([address(&cache), &silent.server]);
        assert_eq!(order(&sources, &allowed), expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_mirror_that_lies_is_named_and_the_next_one_gives_the_nar() {
    let nar = bytes(3, 2000);
    let (liar, honest) =
        (mirror(packed(ZSTD, &bytes(4, 2000))).await, mirror(packed(ZSTD, &nar)).await);
    let pool = pool(&[address(&liar), address(&honest)]).await;
    let sources = sources(&[&pool], &[], PATIENT);
    sources.learn_mirrors().await;
    for mirror in sources.mirrors() {
        mirror.lock().answers_in = Some(Duration::ZERO);
    }
    let allowed = allowed("a", &nar, &[(0, ZSTD)]);
    let (first, nobody) = got(&sources, &allowed).await;
    assert!(first == nar && nobody.is_none(), "{nobody:?}");
    let [of_liar, of_honest] = &sources.mirrors()[..] else { panic!("two are listed") };
    assert_eq!((faults(of_liar), faults(of_honest)), (vec![("nar_swapped", 1)], vec![]));
    // It is the last from now on, and stays so when it is listed again.
    sources.learn_mirrors().await;
    assert_eq!(order(&sources, &allowed).last().unwrap(), address(&liar));
    assert_eq!(faults(&sources.mirrors()[0]), [("nar_swapped", 1)]);
}

#[tokio::test]
async fn lists_are_bounded_and_lead_to_no_one_twice() {
    let many: Vec<String> = (1..=40).map(|port| format!("http://127.0.0.1:{port}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cache = cache(b"nar", "x", vec![]).await;
    let twice = [address(&cache), many[0], "http://127.0.0.1:1/"];
    for (list, expected) in [(&many[..], &many[..MAX_MIRRORS]), (&twice, &many[..1])] {
        let pool = pool(list).await;
        let sources = sources(&[&pool, &pool], &[&cache], PATIENT);
        sources.learn_mirrors().await;
        assert_eq!(known(&sources), expected);
    }
}

#[tokio::test]
async fn a_pool_by_https_leads_to_no_mirror_in_the_clear() {
    let pool = Access { server: "https://127.0.0.1:1".into(), token: None, ca_file: None };
    let sources = Sources::new(&[pool], &[], PATIENT, quiet()).unwrap();
    let led = |url: &str| sources.mirror(&sources.pools[0], &url.parse().unwrap()).is_some();
    assert!(led("https://b.example") && !led("http://b.example"));
    assert!(!led("https://127.0.0.1:1"), "that is the pool itself");
}

#[tokio::test]
async fn a_mirror_that_sends_us_elsewhere_is_not_followed() {
    let nar = bytes(5, 2000);
    let inside = mirror(packed(ZSTD, &nar)).await;
    let moved: &'static str = format!("302 Found\r\nLocation: {}/nar/x", address(&inside)).leak();
    let leading = Scripted::start(move |path| match path {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        _ => Reply::Head(moved),
    })
    .await;
    let pool = pool(&[address(&leading)]).await;
    let sources = sources(&[&pool], &[], PATIENT);
    sources.learn_mirrors().await;
    let (got, nobody) = got(&sources, &allowed("a", &nar, &[(0, ZSTD)])).await;
    assert!(got.is_empty() && nobody.unwrap().asked.len() == 2);
    assert_eq!(inside.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pool_that_does_not_tell_keeps_the_mirrors_it_had() {
    let silenced = Arc::new(Mutex::new(Reply::Head("404 Not Found")));
    let (script, one) = (Arc::clone(&silenced), "http://127.0.0.1:1");
    let pool = Scripted::answering(move |asked: &Asked| match asked.path.as_str() {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        _ => script.lock().unwrap().clone(),
    })
    .await;
    let sources = sources(&[&pool], &[], PATIENT);
    for (reply, expected) in [
        (Reply::Head("404 Not Found"), vec![]),
        (Reply::File(list(&[one])), vec![one]),
        (Reply::Head("503 Busy"), vec![one]),
        (Reply::File(b"{}".to_vec()), vec![one]),
        (Reply::File(list(&["file:///etc"])), vec![one]),
        (Reply::File(list(&[])), vec![]),
    ] {
        *silenced.lock().unwrap() = reply;
        sources.learn_mirrors().await;
        assert_eq!(known(&sources), expected);
    }
}
