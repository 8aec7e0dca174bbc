//! NARs that do not fit into what is held back.

use super::*;

const LEN: usize = 3_000_000;
const HALF: usize = LEN / 2;
/// What is never sent of a wrong NAR.
const TAIL: usize = 64 << 10;

async fn with_pools(replies: Vec<Reply>) -> Sources {
    let mut pools = Vec::new();
    for reply in replies {
        pools.push(Scripted::with(reply).await);
    }
    sources(&pools.iter().collect::<Vec<_>>(), &[], HASTY)
}

fn of_all(nar: &[u8], sources: &Sources) -> Allowed {
    let pools: Vec<_> = (0..sources.pools.len()).map(|pool| (pool, NONE)).collect();
    allowed("a", nar, &pools)
}

#[tokio::test]
async fn the_next_source_takes_over_in_mid_stream() {
    let nar = bytes(1, LEN);
    for (reply, code) in [
        (Reply::Cut(LEN, nar[..HALF].to_vec()), "nar_truncated"),
        (Reply::File(nar[..HALF].to_vec()), "nar_truncated"),
        (Reply::Stall(LEN, nar[..HALF].to_vec()), "nar_stalled"),
        // In what is held back.
        (Reply::Cut(LEN, nar[..LEN - 1].to_vec()), "nar_truncated"),
        // Before anything was sent.
        (Reply::Stall(LEN, vec![]), "nar_stalled"),
    ] {
        let sources = with_pools(vec![reply.clone(), reply, Reply::File(nar.clone())]).await;
        let (got, nobody) = got(&sources, &of_all(&nar, &sources)).await;
        assert!(got == nar && nobody.is_none(), "{code}: {nobody:?}");
        assert_eq!(faults(&sources.pools[0]), [(code, 1)]);
        assert_eq!(faults(&sources.pools[1]), [(code, 1)]);
        assert_eq!(sources.pools[2].record().given, 1);
    }
}

#[tokio::test]
async fn of_a_wrong_nar_the_last_piece_is_never_sent() {
    let nar = bytes(2, LEN);
    for at in [0, HALF, LEN - TAIL, LEN - 1] {
        let mut wrong = nar.clone();
        wrong[at] ^= 1;
        let sources = with_pools(vec![Reply::File(wrong), Reply::File(nar.clone())]).await;
        let allowed = of_all(&nar, &sources);
        let (first, nobody) = got(&sources, &allowed).await;
        assert_eq!(first.len(), LEN - TAIL, "wrong at {at}");
        assert!(nobody.unwrap().asked[0].contains("another NAR"));
        assert_eq!(faults(&sources.pools[0]), [("nar_swapped", 1)]);
        assert_eq!(sources.pools[1].record().given, 0, "nobody can take over");
        // Whoever asks again gets it from the other.
        assert_eq!(got(&sources, &allowed).await.0, nar);
    }
}

#[tokio::test]
async fn who_has_other_bytes_than_those_sent_does_not_take_over() {
    let nar = bytes(3, LEN);
    let mut wrong = nar.clone();
    wrong[100] ^= 1;
    let half = |of: &[u8]| Reply::Cut(LEN, of[..HALF].to_vec());
    let (right, wrong) = (|| Reply::File(nar.clone()), || Reply::File(wrong.clone()));
    // The second is wrong; the third goes on where the first broke off.
    let sources = with_pools(vec![half(&nar), wrong(), right()]).await;
    let (all, nobody) = got(&sources, &of_all(&nar, &sources)).await;
    assert!(all == nar && nobody.is_none(), "{nobody:?}");
    // The first was wrong, which only the second knows. It is not blamed for that.
    let Reply::File(bad) = wrong() else { unreachable!("a file") };
    let sources = with_pools(vec![half(&bad), right()]).await;
    let allowed = of_all(&nar, &sources);
    let (part, nobody) = got(&sources, &allowed).await;
    assert!(part.len() < LEN - TAIL && part == bad[..part.len()]);
    assert!(nobody.unwrap().asked[1].contains("other bytes"));
    assert_eq!(faults(&sources.pools[1]), []);
    assert_eq!(got(&sources, &allowed).await.0, nar);
}

#[tokio::test]
async fn a_client_that_goes_away_is_nobodys_fault() {
    let nar = bytes(4, LEN);
    let sources = with_pools(vec![Reply::File(nar.clone())]).await;
    let allowed = of_all(&nar, &sources);
    let found = Nar::find(Wanted::of(&allowed.claim), None, sources.of(&allowed)).await;
    drop(found.ok().unwrap());
    assert_eq!(got(&sources, &allowed).await.0, nar);
    assert_eq!(faults(&sources.pools[0]), []);
}
