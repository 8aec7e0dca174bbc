//! How long a body that comes, or goes, is waited for: long for one that pauses, not for ever for
//! one that trickles.

use std::fmt::{self, Display};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout};

use crate::config::Config;

/// How much of a refused body is read on, so that its sender reads the answer.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// What is left of the time that a body may pause. Waiting uses it up, and bytes bring it back, each
/// as much as it may take.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    most: Duration,
    left: Duration,
    /// Bytes a second.
    rate: u64,
}

impl Patience {
    pub(crate) fn new(config: &Config) -> Self {
        Self::of(config.body_idle_timeout, config.min_body_rate)
    }

    fn of(most: Duration, rate: u64) -> Self {
        Self { most, left: most, rate }
    }

    /// Waits for what comes; nothing, if it does not come in time.
    pub(crate) async fn wait<T>(&mut self, coming: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let came = timeout(self.left, coming).await.ok();
        self.waited(began.elapsed());
        came
    }

    /// For how long it may pause now.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// It paused for so long.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// So many bytes went on.
    pub(crate) fn moved(&mut self, bytes: usize) {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.rate.max(1));
        let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

/// Why it is not waited for any longer.
impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { most, rate, .. } = self;
        write!(
            f,
            "it paused for {} seconds in all, and made less than {rate} bytes a second",
            most.as_secs()
        )
    }
}

/// The body is refused already. A connection closed on unread bytes is reset, and the client
/// would never read why; so a little more is taken off its hands.
pub(crate) async fn linger(mut body: impl Stream<Item = Result<Bytes, impl Display>> + Unpin) {
    let mut left = LINGER_BYTES;
    let reading = async {
        while let Some(Ok(piece)) = body.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(LINGER_TIME, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(60);

    #[test]
    fn who_trickles_is_not_waited_for_longer_than_who_pauses() {
        let mut patience = Patience::of(MOST, 1024);
        let mut waited = Duration::ZERO;
        while patience.left() > Duration::from_secs(1) {
            patience.waited(Duration::from_secs(1));
            patience.moved(1);
            waited += Duration::from_secs(1);
        }
        assert!((59..62).contains(&waited.as_secs()), "{waited:?}");
    }

    #[test]
    fn who_goes_on_may_pause_again_but_not_longer() {
        let mut patience = Patience::of(MOST, 1024);
        for _ in 0..1000 {
            patience.waited(Duration::from_secs(50));
            assert_eq!(patience.left(), Duration::from_secs(10));
            patience.moved(50 * 1024);
            assert_eq!(patience.left(), MOST);
        }
        patience.moved(usize::MAX);
        assert_eq!(patience.left(), MOST);
    }
}
