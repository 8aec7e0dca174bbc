//! Reading no faster than one may.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time that was not used for reading is not made up for beyond this.
const CREDIT: Duration = Duration::from_secs(1);

/// Tells a search to end.
#[derive(Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    /// Tells it.
    pub fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Whether it is told.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not longer than until it is told.
    fn wait(&self, time: Duration) {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.told.wait_timeout_while(stopped, time, |stopped| !*stopped));
    }
}

/// How fast one may read, and how much was.
pub struct Pace {
    rate: Option<u64>,
    since: Instant,
    spent: u64,
    stop: Arc<Stop>,
}

impl Pace {
    /// At most so many bytes a second.
    #[must_use]
    pub fn new(rate: Option<u64>, stop: Arc<Stop>) -> Self {
        Self { rate, since: Instant::now(), spent: 0, stop }
    }

    /// Waits until so many more bytes might be read. Answers with whether to go on.
    pub fn spend(&mut self, bytes: u64) -> bool {
        if let Some(rate) = self.rate {
            self.spent += bytes;
            let due = Duration::from_secs_f64(self.spent as f64 / rate.max(1) as f64);
            let elapsed = self.since.elapsed();
            match due.checked_sub(elapsed) {
                Some(ahead) if !ahead.is_zero() => self.stop.wait(ahead),
                _ if elapsed - due > CREDIT => (self.since, self.spent) = (Instant::now(), 0),
                _ => {}
            }
        }
        !self.is_stopped()
    }

    /// Whether to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }
}

/// A file that is read so.
pub(super) struct Paced<'p, R> {
    inner: R,
    pace: &'p mut Pace,
    pub(super) read: u64,
    /// Why the file did not read on.
    pub(super) failed: Option<io::Error>,
}

impl<'p, R: Read> Paced<'p, R> {
    pub(super) fn new(inner: R, pace: &'p mut Pace) -> Self {
        Self { inner, pace, read: 0, failed: None }
    }
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match read {
            Ok(len) => {
                self.read += len as u64;
                if self.pace.spend(len as u64) { Ok(len) } else { Err(io::Error::other("stopped")) }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = error.raw_os_error().map(io::Error::from_raw_os_error);
                self.failed = Some(copy.unwrap_or_else(|| error.kind().into()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_faster_than_they_may() {
        let began = Instant::now();
        let mut pace = Pace::new(Some(1 << 20), Arc::default());
        let mut paced = Paced::new(io::repeat(1), &mut pace);
        io::copy(&mut paced.by_ref().take(300 << 10), &mut io::sink()).unwrap();
        let elapsed = began.elapsed();
        assert!(elapsed > Duration::from_millis(250), "300 KiB at 1 MiB/s took {elapsed:?}");
    }

    #[test]
    fn who_waits_is_woken() {
        let stop = Arc::new(Stop::default());
        let mut pace = Pace::new(Some(1), Arc::clone(&stop));
        let waiting = std::thread::spawn(move || pace.spend(1 << 40));
        stop.stop();
        assert!(!waiting.join().unwrap(), "it would have waited for a million years");
    }
}
