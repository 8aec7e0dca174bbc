use super::*;
use crate::config::Settings;

fn accounts(flags: &[(&str, &str)]) -> Accounts {
    let mut settings = Settings::default();
    for (key, value) in flags {
        settings.add_flag(key, value).unwrap();
    }
    Accounts::open(&settings.config().unwrap(), &Arc::new(Metrics::install()))
}

fn account(id: &str, limits: &str) -> Account {
    Account { id: Arc::from(id), limits: limits.parse().unwrap() }
}

#[test]
fn each_token_and_each_measure_has_a_bucket_of_its_own() {
    let accounts = accounts(&[]);
    let (a, b) = (account("a", "nars=2/1h,attestations=1/1h"), account("b", "nars=2/1h"));
    accounts.take(&a, Measure::Nars, 2).unwrap();
    let over = accounts.take(&a, Measure::Nars, 1).unwrap_err();
    assert_eq!((over.status.as_u16(), over.code), (429, "token_over_quota"));
    assert_eq!(
        over.detail,
        "the token a: nars are limited to 2/1h; 0 are left, and it is let in in 1800 s"
    );
    assert_eq!(over.retry_after, Some(1800));
    accounts.take(&a, Measure::Attestations, 1).unwrap();
    accounts.take(&b, Measure::Nars, 2).unwrap();
    for _ in 0..1000 {
        accounts.take(&a, Measure::Requests, 1).unwrap();
    }
    let told = accounts.metrics.render();
    assert!(told.contains("narpool_over_quota_total{limit=\"token_nars\"} 1\n"), "{told}");
}

#[test]
fn what_can_never_be_had_is_too_large() {
    let accounts = accounts(&[]);
    let a = account("a", "bytes=1MiB/1d");
    let over = accounts.begin(&a, Measure::Bytes, (2 << 20) + 1).unwrap_err();
    assert_eq!((over.status.as_u16(), over.code), (413, "larger_than_quota"));
    assert!(over.detail.ends_with("at most 2MiB are not"), "{}", over.detail);
    assert_eq!(over.retry_after, None);
    accounts.begin(&a, Measure::Bytes, 2 << 20).unwrap();
    accounts.go_on(&a, Measure::Bytes, 2 << 20, 0).unwrap();
    let over = accounts.go_on(&a, Measure::Bytes, 1024, 1 << 20).unwrap_err();
    assert_eq!(over.code, "token_over_quota");
    // A day for what is owed beyond the bucket, and what 1 KiB of it takes.
    assert!(matches!(over.retry_after, Some(86_480..=86_485)), "{over:?}");
    assert!(over.detail.contains("; 0 are left"), "{}", over.detail);
}

#[test]
fn of_several_signers_all_are_charged_or_none() {
    let accounts = accounts(&[("signer-attestations", "10/1h")]);
    let [alice, bob] = ["alice", "bob"].map(|name| name.parse::<KeyName>().unwrap());
    accounts.attest(&[(&bob, 10)]).unwrap();
    for _ in 0..5 {
        let over = accounts.attest(&[(&alice, 10), (&bob, 1)]).unwrap_err();
        assert_eq!((over.code, over.retry_after), ("signer_over_quota", Some(360)));
    }
    accounts.attest(&[(&alice, 10)]).unwrap();
}

#[test]
fn who_has_no_token_is_known_by_address() {
    let accounts = accounts(&[("anonymous-requests", "2/1h")]);
    let at = |text: &str| Prefix::from(text.parse::<std::net::IpAddr>().unwrap());
    for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
        accounts.ask(at(address)).unwrap();
    }
    let over = accounts.ask(at("192.0.2.1")).unwrap_err();
    assert_eq!((over.code, over.retry_after), ("address_over_quota", Some(1800)));
    accounts.ask(at("192.0.2.2")).unwrap();
    for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::"] {
        accounts.ask(at(address)).unwrap();
    }
    let over = accounts.ask(at("2001:db8:1:2::3")).unwrap_err();
    assert!(over.detail.starts_with("clients at 2001:db8:1:2::/64 without"), "{}", over.detail);
    accounts.ask(at("2001:db8:1:3::1")).unwrap();
}
