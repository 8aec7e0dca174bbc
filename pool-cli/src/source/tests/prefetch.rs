//! What is fetched ahead.

use schema::hash::NarHash;
use tokio::sync::Semaphore;

use super::*;
use crate::source::prefetch::Stock;

const LIMITS: Limits =
    Limits { file: 4000, total: 10_000, at_once: 16, keep: Duration::from_secs(600) };

/// A pool that has some NARs under names of their own.
async fn pool(nars: Vec<(&'static str, Vec<u8>)>) -> Scripted {
    Scripted::start(move |path| {
        let of = nars.iter().find(|(name, _)| path == format!("/nar/{name}"));
        of.map_or(Reply::Head("404 Not Found"), |(_, nar)| Reply::File(nar.clone()))
    })
    .await
}

fn one(name: &str, nar: &[u8]) -> Arc<Allowed> {
    let mut allowed = allowed(name, nar, &[(0, NONE)]);
    allowed.files[0].1.file_size = nar.len() as u64;
    Arc::new(allowed)
}

/// Waits until something is so, as it must soon be.
async fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "it does not come about");
        tokio::task::yield_now().await;
    }
}

fn stock(bytes: u64, taken: u64, dropped: u64) -> Stock {
    Stock { bytes, taken, dropped }
}

#[tokio::test]
async fn a_file_is_fetched_once_and_taken_once() {
    let nar = bytes(1, 3000);
    let pool = pool(vec![("a", nar.clone())]).await;
    let sources = Arc::new(sources(&[&pool], &[], PATIENT));
    let prefetch = Prefetch::new(Arc::clone(&sources), LIMITS);
    let allowed = one("a", &nar);
    prefetch.want(&allowed);
    prefetch.want(&allowed);
    until(|| pool.asked().len() == 1).await;
    let fetched = prefetch.take(allowed.claim.nar_hash()).await;
    let offers = || sources.of(&allowed);
    let wanted = Wanted::of(&allowed.claim);
    let mut found = Nar::find(wanted, fetched, offers()).await.ok().unwrap();
    assert_eq!(found.next().await.unwrap().unwrap(), nar);
    assert!(prefetch.take(allowed.claim.nar_hash()).await.is_none());
    assert_eq!((pool.asked().len(), prefetch.stock()), (1, stock(0, 1, 0)));
}

#[tokio::test]
async fn who_asks_while_it_is_fetched_waits_for_it() {
    let nar = bytes(2, 3000);
    let gate = Arc::new(Semaphore::new(0));
    let pool = Scripted::with(Reply::Later(Arc::clone(&gate), nar.clone())).await;
    let prefetch = Prefetch::new(Arc::new(sources(&[&pool], &[], PATIENT)), LIMITS);
    let allowed = one("a", &nar);
    prefetch.want(&allowed);
    until(|| pool.asked().len() == 1).await;
    let hash = allowed.claim.nar_hash();
    let opened = async {
        // The second one to ask does not wait.
        assert!(prefetch.take(hash).await.is_none());
        gate.add_permits(1);
    };
    let (fetched, ()) = tokio::join!(prefetch.take(hash), opened);
    assert_eq!(fetched.unwrap().file, nar);
    assert_eq!((pool.asked().len(), prefetch.stock()), (1, stock(0, 1, 0)));
}

#[tokio::test]
async fn what_was_shown_last_comes_first_and_what_was_shown_first_makes_room() {
    let nars: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip(1..).collect();
    let nars: Vec<_> = nars.into_iter().map(|(name, seed)| (name, bytes(seed, 4000))).collect();
    let pool = pool(nars.clone()).await;
    let prefetch = Prefetch::new(Arc::new(sources(&[&pool], &[], PATIENT)), LIMITS);
    let allowed: Vec<_> = nars.iter().map(|(name, nar)| one(name, nar)).collect();
    // There is room for two of them.
    for (at, allowed) in allowed.iter().enumerate() {
        prefetch.want(allowed);
        until(|| pool.asked().len() == at + 1 && prefetch.stock().bytes <= 8000).await;
        until(|| prefetch.ready() == (at + 1).min(2)).await;
    }
    assert_eq!(prefetch.stock(), stock(8000, 0, 3));
    let hash = |at: usize| allowed[at].claim.nar_hash();
    // From the bottom up, each makes room for one further up.
    for at in [4, 3, 2, 1, 0] {
        until(|| prefetch.ready() == (at + 1).min(2)).await;
        assert!(prefetch.take(hash(at)).await.is_some(), "{at}");
    }
    assert_eq!(prefetch.stock(), stock(0, 5, 3));
    let again: Vec<_> = pool.asked().iter().map(|path| path[5..].to_owned()).collect();
    assert_eq!(again, ["a", "b", "c", "d", "e", "c", "b", "a"]);
}

#[tokio::test]
async fn what_nobody_takes_is_dropped() {
    let nar = bytes(3, 3000);
    let pool = pool(vec![("a", nar.clone())]).await;
    let limits = Limits { keep: Duration::from_millis(20), ..LIMITS };
    let prefetch = Prefetch::new(Arc::new(sources(&[&pool], &[], PATIENT)), limits);
    prefetch.want(&one("a", &nar));
    until(|| prefetch.stock() == stock(0, 0, 1)).await;
    assert!(prefetch.take(NarHash::of(&nar)).await.is_none());
}

#[tokio::test]
async fn large_files_are_left_alone_whatever_the_pool_says() {
    let nar = bytes(4, 5000);
    let pool = pool(vec![("a", nar.clone()), ("b", nar.clone())]).await;
    let prefetch = Prefetch::new(Arc::new(sources(&[&pool], &[], PATIENT)), LIMITS);
    prefetch.want(&one("a", &nar));
    // This one is announced as smaller than it is.
    let mut small = allowed("b", &nar, &[(0, NONE)]);
    small.files[0].1.file_size = 100;
    prefetch.want(&Arc::new(small));
    until(|| pool.asked() == ["/nar/b"] && prefetch.stock() == stock(0, 0, 0)).await;
    assert!(prefetch.take(NarHash::of(&nar)).await.is_none());
}

#[tokio::test]
async fn a_wrong_file_that_was_fetched_ahead_is_replaced_unseen() {
    let nar = bytes(5, 3000);
    let bad = pool(vec![("a", bytes(6, 3000))]).await;
    let good = pool(vec![("a", nar.clone())]).await;
    let sources = Arc::new(sources(&[&bad, &good], &[], PATIENT));
    let prefetch = Prefetch::new(Arc::clone(&sources), LIMITS);
    let mut allowed = allowed("a", &nar, &[(0, NONE), (1, NONE)]);
    allowed.files[0].1.file_size = 3000;
    let allowed = Arc::new(allowed);
    prefetch.want(&allowed);
    until(|| prefetch.ready() == 1).await;
    let fetched = prefetch.take(allowed.claim.nar_hash()).await;
    assert!(fetched.is_some());
    let wanted = Wanted::of(&allowed.claim);
    let mut found = Nar::find(wanted, fetched, sources.of(&allowed)).await.ok().unwrap();
    assert_eq!(found.next().await.unwrap().unwrap(), nar);
    assert_eq!((bad.asked().len(), good.asked().len()), (1, 1));
    assert_eq!(faults(&sources.pools[0]), [("nar_swapped", 1)]);
}
