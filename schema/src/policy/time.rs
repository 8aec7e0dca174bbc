//! Points in time as TOML writes them, and as seconds.

use toml::value::{Datetime, Offset};

const DAY: i64 = 24 * 60 * 60;

/// POSIX seconds of a date and time with an offset. None of anything else: without an offset, with a
/// part of a second, a leap second, before 1970 or, in UTC, after the year 9999.
pub(super) fn posix(written: &Datetime) -> Option<u64> {
    let (date, time) = (written.date?, written.time?);
    let offset = match written.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes) * 60,
    };
    let second = time.second.unwrap_or(0);
    if second > 59 || time.nanosecond.is_some() {
        return None;
    }
    let day = day_number(date.year.into(), date.month.into(), date.day.into());
    let time = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(second);
    let seconds = u64::try_from(day * DAY + time - offset).ok()?;
    (seconds < END).then_some(seconds)
}

/// The first second after the year 9999, which has no spelling.
const END: u64 = 253_402_300_800;

/// A point in time that [`posix`] gave: `2027-03-01T00:00:00Z`.
pub(super) fn text(posix: u64) -> String {
    let (days, seconds) = (posix / DAY.unsigned_abs(), posix % DAY.unsigned_abs());
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let days = i64::try_from(days).unwrap_or_else(|_| unreachable!("no date is beyond the end"));
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that
/// the day that comes and goes is a year's last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (leaps, in_year) = (year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400), 365);
    year * in_year + leaps + days_before(month) + day - 1 - 719_468
}

/// Days of a year before one of its months, where March is 0.
fn days_before(month: i64) -> i64 {
    (153 * month + 2) / 5
}

/// The date of a day, counted from 1970-01-01: the inverse of [`day_number`].
fn date(day: i64) -> (i64, i64, i64) {
    // A first guess that is right or a year too high, since no year is shorter than 365 days.
    let mut year = 1970 + day / 365 + 1;
    while day_number(year, 3, 1) > day {
        // Each step goes back by at least as many years as the days that are too many hold.
        year -= 1 + (day_number(year, 3, 1) - day - 1) / 366;
    }
    let in_year = day - day_number(year, 3, 1);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - days_before(month) + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        posix(&text.parse().unwrap())
    }

    #[test]
    fn known_times_read_and_print() {
        for (spelling, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2001-03-01T00:00:00Z", 983_404_800),
            ("2027-03-01T00:00:00Z", 1_803_859_200),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
            ("2100-02-28T23:59:59Z", 4_107_542_399),
            ("9999-12-31T23:59:59Z", END - 1),
        ] {
            assert_eq!(read(spelling), Some(seconds), "{spelling}");
            assert_eq!(text(seconds), spelling);
        }
        assert_eq!(read("2027-03-01T01:30:00+01:30"), Some(1_803_859_200));
        assert_eq!(read("2027-02-28 23:00:00-01:00"), Some(1_803_859_200));
    }

    #[test]
    fn days_until_the_end_lead_back() {
        for day in (0..END / 86_400).step_by(7) {
            assert_eq!(read(&text(day * 86_400 + 1)), Some(day * 86_400 + 1), "day {day}");
        }
    }

    #[test]
    fn what_is_no_point_in_time_or_has_no_canonical_spelling_is_refused() {
        for spelling in [
            "2027-03-01",
            "2027-03-01T00:00:00",
            "12:00:00",
            "2027-03-01T00:00:00.5Z",
            "2016-12-31T23:59:60Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(read(spelling), None, "{spelling}");
        }
    }
}
