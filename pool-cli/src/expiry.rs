//! Until when something holds: a day, or a while from now.

use std::str::FromStr;

use crate::output::time;

const DAY: u64 = 86400;
const HOUR: u64 = 3600;
/// Nobody plans for longer; and every such time fits its arithmetic.
const MAX_DAYS: u64 = 100 * 366;

/// A point in time as people give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// So many seconds from now, such as `90d` or `12h`.
    In(u64),
    /// The end of a day in UTC, such as `2027-03-31`, in POSIX seconds.
    EndOf(u64),
}

impl Expiry {
    /// In POSIX seconds, when it is `now`.
    pub(crate) fn from(self, now: u64) -> u64 {
        match self {
            Self::In(seconds) => now.saturating_add(seconds),
            Self::EndOf(day) => day,
        }
    }
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "write 90d for days, 12h for hours, or the last day as 2027-03-31".to_owned();
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let span = [('d', DAY), ('h', HOUR)].into_iter().find_map(|(unit, seconds)| {
            let count: u64 = number(text.strip_suffix(unit)?)?;
            count.checked_mul(seconds).filter(|span| (1..=MAX_DAYS * DAY).contains(span))
        });
        span.map(Self::In).or_else(|| end_of(text, number).map(Self::EndOf)).ok_or_else(wrong)
    }
}

/// The last second of `YYYY-MM-DD`, for years that people write with four digits.
fn end_of(text: &str, number: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let [year, month, date] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let (year, month, date) = (number(year)?, number(month)?, number(date)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || date == 0 {
        return None;
    }
    let leap = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leap(year - 1) - leap(1969);
    let february = 28 + leap(year) - leap(year - 1);
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days: u64 = months.iter().take(usize::try_from(month - 1).ok()?).sum();
    let end = (years + days + date) * DAY - 1;
    // The calendar's own spelling refuses the 31st of April, and `2027-3-1`.
    time(end).starts_with(&format!("{text} ")).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_hours_and_dates_are_read() {
        assert_eq!("90d".parse(), Ok(Expiry::In(90 * DAY)));
        assert_eq!("12h".parse::<Expiry>().unwrap().from(1000), 1000 + 12 * HOUR);
        for (text, end) in [
            ("1970-01-01", 86399),
            ("2000-02-29", 951_868_799),
            ("2024-12-31", 1_735_689_599),
            ("2100-02-28", 4_107_542_399),
        ] {
            assert_eq!(text.parse::<Expiry>().unwrap().from(5), end, "{text}");
        }
        for day in 0..80_000 {
            let text = time(day * DAY);
            let date = text.split(' ').next().unwrap();
            assert_eq!(date.parse(), Ok(Expiry::EndOf((day + 1) * DAY - 1)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "d",
            "90",
            "90 d",
            "-1d",
            "+1d",
            "0d",
            "1w",
            "36601d",
            "99999999999999999999h",
            "2027-02-29",
            "2027-04-31",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "2027-1-1",
            "1969-12-31",
            "10000-01-01",
            "2027-01-01T00:00:00Z",
            "2027-01",
        ] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
