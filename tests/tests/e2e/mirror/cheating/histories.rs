//! A pool that shows one history to some and another to others: mirrors that look at each other see it.

use tests::server::copy_dir;

use super::super::scene::{Pool, alice, log, store_path};
use super::story::status;

#[tokio::test]
async fn mirrors_that_were_shown_different_histories_find_out() {
    let mut a = Pool::start(&[]);
    a.admin().enrol(&alice().public()).await;
    a.fill(&alice(), 0, 3).await;
    a.covers(3).await;
    let origin = a.origin().await;
    a.stop();
    let twin = tempfile::tempdir().unwrap();
    copy_dir(a.dir.path(), twin.path());
    a.start_again();
    let twin = Pool::of(twin);
    assert_eq!(twin.origin().await, origin);
    a.fill(&alice(), 10, 2).await;
    twin.fill(&alice(), 20, 3).await;
    for (pool, size) in [(&a, 5), (&twin, 6)] {
        pool.covers(size).await;
    }
    let (b, c) = (Pool::start(&[]), Pool::start(&[]));
    b.mirrors(&[&a], &[]);
    // c has heard of the other history alone, until it looks at b.
    c.mirrors(&[&twin], &[]);
    assert_eq!((status(&b).0, status(&c).0), (0, 0));
    let outcome = c.mirror(&[&twin, &b], &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("{} is caught", b.url())), "{outcome:?}");
    let ledger = c.ledger_of(&origin).await;
    let fork = log(&ledger, "attestations").fork.clone().expect("evidence");
    assert_eq!(fork.source, b.url());
    assert!(fork.mirrored.starts_with(&format!("{origin}/attestations\n6\n")), "{fork:?}");
    assert!(fork.other.starts_with(&format!("{origin}/attestations\n5\n")), "{fork:?}");
    assert_eq!(status(&c).0, 1);
    // b's part of it did not come, and c's stays.
    for (number, there) in [(2, 200), (10, 404), (11, 404), (20, 200), (22, 200)] {
        let part = store_path(number).base().hash_part();
        assert_eq!(c.admin().get(&format!("/{part}.narinfo")).await.status, there, "{number}");
        let nar = super::super::scene::nar(number);
        let hash = schema::hash::NarHash::of(&nar).to_nix32();
        let file = c.admin().get(&format!("/nar/{hash}.nar.zst")).await;
        assert_eq!(file.status, there, "{number}");
    }
    // It was b that looked last, the other way round.
    let outcome = b.mirror(&[&c], &[]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(log(&b.ledger_of(&origin).await, "attestations").fork.is_some());
}
