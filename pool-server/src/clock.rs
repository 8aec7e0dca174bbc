//! What time it is, and whether to believe it.
//!
//! The machine's clock may be set wrong, and set right again, while the pool runs. What the pool writes
//! down by a wrong clock stays: entries of the ledger are never earlier than the one before, and a
//! collection by a clock that stands in the next year would take everything. So the time goes on as the
//! machine runs, whatever its clock is set to; what the clock says instead is believed once it has said
//! so for an hour.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

/// By so much a clock may be wrong without being asked why: it is set a little all the time.
const SLACK: u64 = 300;
/// So long a clock must say the same, if that is not what was expected.
const PROBATION: Duration = Duration::from_secs(3600);
/// Since the last entry of the ledger. A pool may have slept for longer, but it is worth an hour.
const LONG_SLEEP: u64 = 30 * 24 * 3600;
/// Longer than any pool sleeps, and than anything is promised.
const FAR: u64 = 10 * 365 * 24 * 3600;
/// The year 2020. A clock that stands before it was never set.
const EARLIEST: u64 = 1_577_836_800;

static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

/// POSIX seconds now.
#[must_use]
pub fn now() -> u64 {
    with(|clock, reading| clock.now(reading))
}

/// POSIX seconds now, or later, if that is what the machine's clock or the ledger says: what is promised
/// from then on is not promised for too short a time, whichever of them is right.
#[must_use]
pub fn latest() -> u64 {
    with(|clock, reading| clock.latest(reading))
}

/// Whether so much may be thought of the time that something is deleted by it.
///
/// # Errors
/// Why not.
pub fn check() -> Result<(), Distrust> {
    with(|clock, reading| clock.check(reading))
}

/// Tells the clock when the ledger's last entry was made: it is later now.
pub fn heed(last_entry: u64) {
    with(|clock, reading| clock.heed(last_entry, reading));
}

/// Why the time may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Distrust {
    /// The machine's clock was set.
    #[error("the clock was set {0} seconds ahead")]
    Ahead(u64),
    /// The same, the other way.
    #[error("the clock was set {0} seconds back")]
    Back(u64),
    /// The ledger has seen a later time.
    #[error("the clock stands {0} seconds before the last entry of the ledger")]
    BeforeLedger(u64),
    /// The pool was not used for long, if the clock is right.
    #[error("the clock stands {0} seconds after the last entry of the ledger")]
    LongAfterLedger(u64),
}

fn with<T>(ask: impl FnOnce(&mut Clock, Reading) -> T) -> T {
    let reading = Reading::take();
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    ask(clock.get_or_insert_with(|| Clock::new(reading)), reading)
}

/// What the machine says.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// POSIX seconds, as the clock was set; zero before 1970.
    wall: u64,
    /// Time that the machine has run, or slept. Nobody sets that.
    running: Duration,
}

impl Reading {
    fn take() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let running = clock_gettime(ClockId::Boottime);
        Self { wall, running: Duration::try_from(running).unwrap_or_default() }.later()
    }

    #[cfg(not(test))]
    const fn later(self) -> Self {
        self
    }

    /// Tests have more time pass than there is.
    #[cfg(test)]
    fn later(self) -> Self {
        let ahead = crate::pool::interleaved::stage::ahead();
        let running = self.running + Duration::from_secs(ahead);
        Self { wall: self.wall + ahead, running }
    }
}

struct Clock {
    /// The time that was believed last, and when that was.
    believed: Reading,
    /// What else the clock says: by how much it is ahead, and since when.
    odd: Option<(i64, Duration)>,
    /// When the ledger's last entry was made, or zero.
    last_entry: u64,
    /// Until when to wait after a long sleep.
    awake: Duration,
}

impl Clock {
    fn new(reading: Reading) -> Self {
        Self { believed: reading, odd: None, last_entry: 0, awake: Duration::ZERO }
    }

    fn heed(&mut self, last_entry: u64, reading: Reading) {
        let now = self.now(reading);
        self.last_entry = self.last_entry.max(last_entry);
        if last_entry > 0 && now.saturating_sub(last_entry) > FAR {
            self.believed = Reading { wall: last_entry, running: reading.running };
        } else if last_entry > 0 && now.saturating_sub(last_entry) > LONG_SLEEP {
            self.awake = reading.running + PROBATION;
        }
    }

    fn now(&mut self, reading: Reading) -> u64 {
        let Reading { wall, running } = reading;
        let passed = running.saturating_sub(self.believed.running);
        let expected = self.believed.wall.saturating_add(passed.as_secs());
        if expected.abs_diff(wall) <= SLACK {
            if self.odd.take().is_some() {
                tracing::info!("the clock is right again");
            }
            // Followed at once, so that a clock which runs a little fast is never odd.
            self.believed = reading;
            return wall;
        }
        let ahead = wall.cast_signed().wrapping_sub(expected.cast_signed());
        match self.odd {
            Some((before, since)) if before.abs_diff(ahead) <= SLACK => {
                if running.saturating_sub(since) >= PROBATION {
                    tracing::warn!(ahead, "the clock is believed now");
                    (self.odd, self.believed) = (None, reading);
                    return wall;
                }
            }
            _ => {
                tracing::warn!(ahead, "the clock was set: in an hour it is believed");
                self.odd = Some((ahead, running));
            }
        }
        expected
    }

    fn latest(&mut self, reading: Reading) -> u64 {
        let now = self.now(reading);
        let sane = |time: &u64| now < EARLIEST || time.saturating_sub(now) < FAR;
        [reading.wall, self.last_entry].into_iter().filter(sane).fold(now, u64::max)
    }

    fn check(&mut self, reading: Reading) -> Result<(), Distrust> {
        let now = self.now(reading);
        let since_entry = now.saturating_sub(self.last_entry);
        let before_entry = self.last_entry.saturating_sub(now);
        match self.odd {
            Some((ahead @ 0.., _)) => Err(Distrust::Ahead(ahead.unsigned_abs())),
            Some((back, _)) => Err(Distrust::Back(back.unsigned_abs())),
            // An entry from far ahead was made by a clock that was wrong, and nothing helps that.
            None if before_entry > SLACK && (before_entry < FAR || now < EARLIEST) => {
                Err(Distrust::BeforeLedger(before_entry))
            }
            None if reading.running < self.awake => Err(Distrust::LongAfterLedger(since_entry)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    fn at(wall: u64, running: u64) -> Reading {
        Reading { wall, running: Duration::from_secs(1000 + running) }
    }

    fn started() -> Clock {
        Clock::new(at(START, 0))
    }

    #[test]
    fn a_clock_that_runs_a_little_wrong_is_followed() {
        let mut clock = started();
        for (wall, running) in [(10, 10), (290, 100), (500, 400), (400, 500)] {
            let reading = at(START + wall, running);
            assert_eq!(clock.now(reading), START + wall);
            assert_eq!(clock.check(reading), Ok(()));
        }
    }

    #[test]
    fn a_jump_is_believed_after_an_hour_and_a_short_one_never() {
        for (wall, distrust) in
            [(START + FAR * 7, Distrust::Ahead(FAR * 7)), (START - 86_400, Distrust::Back(86_400))]
        {
            let mut clock = started();
            assert_eq!(clock.now(at(wall + 60, 60)), START + 60);
            assert_eq!(clock.check(at(wall + 3000, 3000)), Err(distrust));
            // Right again in time, and nothing has come of it.
            assert_eq!(clock.now(at(START + 3500, 3500)), START + 3500);
            assert_eq!(clock.now(at(wall + 4000, 4000)), START + 4000);
            assert_eq!(clock.now(at(wall + 7500, 7500)), START + 7500, "the hour begins anew");
            assert_eq!(clock.now(at(wall + 7600, 7600)), wall + 7600);
            assert_eq!(clock.check(at(wall + 7600, 7600)), Ok(()));
        }
    }

    #[test]
    fn what_is_promised_is_never_promised_for_too_short_a_time() {
        let mut clock = started();
        assert_eq!(clock.latest(at(START + 86_400, 0)), START + 86_400);
        assert_eq!(clock.latest(at(START - 86_400, 0)), START);
        assert_eq!(clock.latest(at(START + FAR * 2, 0)), START, "nor for ever");
        clock.heed(START + 5000, at(START, 0));
        assert_eq!(clock.latest(at(START, 0)), START + 5000);
        let mut never_set = Clock::new(at(100, 0));
        never_set.heed(START, at(100, 0));
        assert_eq!(never_set.latest(at(100, 0)), START);
    }

    #[test]
    fn a_start_at_another_time_than_the_ledger_says_is_not_believed() {
        let check = |last_entry, wall, running| {
            let mut clock = Clock::new(at(wall, 0));
            clock.heed(last_entry, at(wall, 0));
            (clock.now(at(wall, 0)), clock.check(at(wall + running, running)))
        };
        let day = 86_400;
        assert_eq!(check(0, START, 0), (START, Ok(())));
        assert_eq!(check(START - day, START, 0), (START, Ok(())));
        let long = Distrust::LongAfterLedger(40 * day);
        assert_eq!(check(START - 40 * day, START, 0), (START, Err(long)));
        assert_eq!(check(START - 40 * day, START, 3600), (START, Ok(())));
        let before = Distrust::BeforeLedger(day);
        assert_eq!(check(START + day, START, 0), (START, Err(before)));
        assert_eq!(check(START, 100, 0).1, Err(Distrust::BeforeLedger(START - 100)));
        assert_eq!(check(START + 2 * FAR, START, 0).1, Ok(()), "the ledger is what is wrong");
        let far = START + FAR + day;
        assert_eq!(check(START, far, 0), (START, Err(Distrust::Ahead(FAR + day))));
        assert_eq!(check(START, far, 3600), (START, Ok(())));
    }
}
