//! Limits, as operators write them.

use std::time::Duration;

use pool_server::config::{Limit, Measure, Quota, Rate};
use proptest::option;
use proptest::prelude::*;

use super::mutation::mutation;

fn rate() -> impl Strategy<Value = Rate> {
    let amount = prop_oneof![1..=5000_u64, (0..=60_u32).prop_map(|bits| 1 << bits)];
    let seconds = prop_oneof![1..=5000_u64, (1..=366_u64).prop_map(|days| days * 86_400)];
    (amount, seconds)
        .prop_map(|(amount, seconds)| Rate::new(amount, Duration::from_secs(seconds)).unwrap())
}

fn quota() -> impl Strategy<Value = Quota> {
    let limits = Measure::ALL.map(|measure| {
        option::of(option::of(rate())).prop_map(move |rate| Some(Limit { measure, rate: rate? }))
    });
    limits.prop_map(|limits| Quota::of(limits.into_iter().flatten().collect()).unwrap())
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(quota in quota()) {
        let text = quota.to_string();
        prop_assert_eq!(text.parse::<Quota>(), Ok(quota.clone()));
        let json = serde_json::to_string(&quota).unwrap();
        prop_assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
    }

    #[test]
    fn what_reads_prints_as_what_reads_the_same(quota in quota(), change in mutation()) {
        if let Ok(text) = String::from_utf8(change.of(format!("{quota},").as_bytes()))
            && let Ok(read) = text.parse::<Quota>()
        {
            prop_assert_eq!(read.to_string().parse::<Quota>(), Ok(read));
        }
    }

    #[test]
    fn defaults_count_where_nothing_is_said(own in quota(), defaults in quota()) {
        let both = own.or(&defaults);
        for measure in Measure::ALL {
            let said = format!("{}=", measure.name());
            let from = if own.to_string().contains(&said) { &own } else { &defaults };
            prop_assert_eq!(both.rate(measure), from.rate(measure));
        }
        prop_assert_eq!(own.or(&Quota::default()), own);
    }
}

#[test]
fn what_is_no_limit_is_told() {
    for (text, why) in [
        ("nars", "write nars=1000/1h"),
        ("nars=5", "write an amount and a time"),
        ("nars=0/1h", "the amount is from 1 to"),
        ("nars=5KiB/1h", "write a number"),
        ("bytes=1.5GiB/1h", "write bytes"),
        ("nars=5/500ms", "the time is from 1s"),
        ("nars=5/367d", "the time is from 1s"),
        ("files=5/1h", "requests, bytes, nars or attestations can"),
        ("nars=1/1h,nars=none", "nars are limited twice"),
    ] {
        let told = text.parse::<Quota>().unwrap_err();
        assert!(told.contains(why), "{text}: {told}");
    }
}
