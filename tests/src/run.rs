//! What was asked of this run of the tests.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether soaks and fault runs are to have their full length: `NARPOOL_LONG=1`.
#[must_use]
pub fn long() -> bool {
    env::var_os("NARPOOL_LONG").is_some_and(|value| value == "1")
}

/// Where chance begins: `NARPOOL_SEED`, else the clock. It is printed, so that a run that failed
/// can be had again.
///
/// # Panics
/// When `NARPOOL_SEED` is not a number.
#[must_use]
#[allow(clippy::print_stdout, reason = "whoever sees a test fail must be told")]
pub fn seed() -> u64 {
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::from(since.subsec_nanos()))
    };
    let seed = env::var("NARPOOL_SEED")
        .map_or_else(|_| clock(), |text| text.parse().expect("a seed is a number"));
    println!("NARPOOL_SEED={seed}");
    seed
}
