//! Work that leaves room for others.

use std::time::{Duration, Instant};

/// The longest rest.
const LONGEST: Duration = Duration::from_secs(1);

/// Rests as long as it has worked.
pub(super) struct Pace {
    gently: bool,
    since: Instant,
}

impl Pace {
    pub(super) fn new(gently: bool) -> Self {
        Self { gently, since: Instant::now() }
    }

    /// After a piece of work.
    pub(super) fn rest(&mut self) {
        if self.gently {
            std::thread::sleep(self.since.elapsed().min(LONGEST));
        }
        self.since = Instant::now();
    }
}
