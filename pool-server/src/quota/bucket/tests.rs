use super::*;

const SECOND: u64 = 1_000_000_000;

fn rate(amount: u64, seconds: u64) -> Rate {
    Rate::new(amount, Duration::from_secs(seconds)).unwrap()
}

/// Takes at a time that the test chooses.
fn take(buckets: &Buckets<u32>, at: u64, rate: &Rate, amount: u64) -> Result<(), Short> {
    buckets.at(&7, at, |level| level.begin(rate, amount)?.go_on(rate, amount))
}

fn wait(short: Result<(), Short>) -> u64 {
    match short {
        Err(Short::Until { wait, .. }) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_bucket_is_had_at_once_and_comes_back_evenly() {
    let (buckets, ten) = (Buckets::new(), rate(10, 100));
    for _ in 0..10 {
        take(&buckets, 0, &ten, 1).unwrap();
    }
    let told = take(&buckets, 0, &ten, 1);
    assert_eq!(told, Err(Short::Until { wait: 10, left: 0 }));
    assert_eq!(wait(take(&buckets, 10 * SECOND - 1, &ten, 1)), 1);
    take(&buckets, 10 * SECOND, &ten, 1).unwrap();
    assert_eq!(wait(take(&buckets, 10 * SECOND, &ten, 1)), 10);
    buckets.at(&8, 0, |level| level.begin(&ten, 1)).unwrap();
}

#[test]
fn what_is_waited_for_is_let_in_then_and_not_a_second_before() {
    for (amount, seconds) in [(1, 1), (3, 1), (7, 60), (1000, 3600), (50 << 30, 86_400)] {
        let rate = rate(amount, seconds);
        for more in [1, amount / 2, amount, 2 * amount] {
            let (buckets, mut at) = (Buckets::new(), 0);
            take(&buckets, at, &rate, amount).unwrap();
            let wait = wait(take(&buckets, at, &rate, more.max(1)));
            if wait > 1 {
                assert!(take(&buckets, at + (wait - 1) * SECOND, &rate, more.max(1)).is_err());
            }
            at += wait * SECOND;
            take(&buckets, at, &rate, more.max(1)).unwrap();
        }
    }
}

#[test]
fn who_has_begun_may_owe_as_much_again_and_no_more() {
    let (buckets, hundred) = (Buckets::new(), rate(100, 100));
    take(&buckets, 0, &hundred, 99).unwrap();
    buckets.at(&7, 0, |level| level.begin(&hundred, 0)).unwrap();
    let go_on = |amount| buckets.at(&7, 0, |level| level.go_on(&hundred, amount));
    go_on(100).unwrap();
    assert_eq!(go_on(2), Err(Short::Until { wait: 1, left: 0 }));
    go_on(1).unwrap();
    // A second pays for one; what is owed is paid before anything is begun.
    assert_eq!(wait(take(&buckets, 0, &hundred, 1)), 101);
    take(&buckets, 101 * SECOND, &hundred, 1).unwrap();
}

#[test]
fn more_than_twice_the_bucket_is_never_had() {
    let (buckets, ten) = (Buckets::new(), rate(10, 1));
    assert_eq!(take(&buckets, 0, &ten, 21), Err(Short::Never));
    take(&buckets, 0, &ten, 20).unwrap();
    assert_eq!(
        take(&buckets, 9 * SECOND, &rate(1 << 60, 366 * 86_400), u64::MAX),
        Err(Short::Never)
    );
}

#[test]
fn what_was_for_nothing_is_given_back() {
    let (buckets, ten) = (Buckets::new(), rate(10, 1000));
    buckets.take(&7, &ten, 10).unwrap();
    assert!(buckets.take(&7, &ten, 1).is_err());
    buckets.give_back(&7, &ten, 10);
    buckets.take(&7, &ten, 9).unwrap();
}

#[test]
fn however_many_come_no_more_are_kept_and_those_who_owe_most_last() {
    let (buckets, ten) = (Buckets::new(), rate(10, 1000));
    let take = |key: u32, amount| {
        buckets.at(&key, 0, |level| level.begin(&ten, amount)?.go_on(&ten, amount))
    };
    take(0, 20).unwrap();
    for key in 1..=2 * u32::try_from(MOST).unwrap() {
        take(key, 1).unwrap();
        assert!(key % 1000 != 0 || buckets.buckets().len() <= MOST);
    }
    assert!(take(0, 1).is_err(), "it was forgotten, and not those who owe less");
    assert!(buckets.buckets().len() <= MOST);
}
