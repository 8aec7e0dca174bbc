//! The kinds of value a key may have: how each is written, read and shown.

mod files;
mod logs;
mod mirrors;
mod quota;
mod retention;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use schema::key::KeyName;
use schema::store_path::StoreDir;

use crate::log;
pub(super) use files::{Directory, Files, OptionalFile};
pub(super) use logs::{OptionalNoteName, VerifierKeys};
pub(super) use mirrors::AbsentNarsName;
pub use mirrors::{AbsentNars, Mirror};
pub(super) use mirrors::{Mirrors, OptionalUrl};
pub(super) use quota::{Addresses, Limits, OptionalRate, Percent};
pub use quota::{Limit, Measure, Quota, Rate};
pub use retention::ViewLease;
pub(super) use retention::{NamePatterns, OptionalSize, OptionalSpan, ViewLeases};

/// How a kind of value is written in the file. A string is always understood, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Number,
    /// A bare number, meaning bytes, or a text with a unit.
    Size,
    Flag,
    List,
}

/// A kind of value. `print` and `parse` are inverse to one another.
pub(super) trait Kind {
    type Value;
    const HOLDER: &'static str;
    const FORM: Form = Form::Text;

    /// The error says what is wrong with the text, which the caller quotes.
    fn parse(text: &str) -> Result<Self::Value, String>;
    fn print(value: &Self::Value) -> String;
}

/// IP address and port.
pub(super) struct Address;
impl Kind for Address {
    type Value = SocketAddr;
    const HOLDER: &'static str = "ADDR:PORT";

    fn parse(text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| "write it as 127.0.0.1:8484 or [::1]:8484".into())
    }

    fn print(value: &SocketAddr) -> String {
        value.to_string()
    }
}

/// A store directory.
pub(super) struct Store;
impl Kind for Store {
    type Value = StoreDir;
    const HOLDER: &'static str = "DIR";

    fn parse(text: &str) -> Result<StoreDir, String> {
        text.parse().map_err(|why: schema::store_path::StorePathError| why.to_string())
    }

    fn print(value: &StoreDir) -> String {
        value.to_string()
    }
}

/// A number.
pub(super) struct Number;
impl Kind for Number {
    type Value = u32;
    const HOLDER: &'static str = "N";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<u32, String> {
        text.parse().map_err(|_| format!("write a number from 0 to {}", u32::MAX))
    }

    fn print(value: &u32) -> String {
        value.to_string()
    }
}

/// How many of something; none is no choice.
pub(super) struct Count;
impl Kind for Count {
    type Value = NonZeroUsize;
    const HOLDER: &'static str = "N";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<NonZeroUsize, String> {
        let in_range = |count: &NonZeroUsize| count.get() <= 1_000_000;
        text.parse()
            .ok()
            .filter(in_range)
            .ok_or_else(|| "write a number from 1 to 1000000".to_owned())
    }

    fn print(value: &NonZeroUsize) -> String {
        value.to_string()
    }
}

/// Yes or no.
pub(super) struct Flag;
impl Kind for Flag {
    type Value = bool;
    const HOLDER: &'static str = "BOOL";
    const FORM: Form = Form::Flag;

    fn parse(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "write true or false".into())
    }

    fn print(value: &bool) -> String {
        value.to_string()
    }
}

/// Names of keys.
pub(super) struct Names;
impl Kind for Names {
    type Value = Vec<KeyName>;
    const HOLDER: &'static str = "NAME,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<KeyName>, String> {
        let mut names = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let name: KeyName = part.parse().map_err(|why| format!("{part:?} is {why}"))?;
            if names.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            names.push(name);
        }
        Ok(names)
    }

    fn print(value: &Vec<KeyName>) -> String {
        value.iter().map(KeyName::as_str).collect::<Vec<_>>().join(",")
    }
}

/// A time that may be zero.
pub(super) struct Span;
impl Kind for Span {
    type Value = Duration;
    const HOLDER: &'static str = "TIME";

    fn parse(text: &str) -> Result<Duration, String> {
        parse_span(text)
    }

    fn print(value: &Duration) -> String {
        if value.is_zero() {
            return "0s".to_owned();
        }
        let whole = |unit: &u64| value.as_millis().is_multiple_of(u128::from(*unit));
        let unit = SPANS.iter().rev().find(|(_, unit)| whole(unit)).unwrap_or(&SPANS[0]);
        format!("{}{}", value.as_millis() / u128::from(unit.1), unit.0)
    }
}

/// A time that must not be zero.
pub(super) struct Timeout;
impl Kind for Timeout {
    type Value = Duration;
    const HOLDER: &'static str = "TIME";

    fn parse(text: &str) -> Result<Duration, String> {
        match parse_span(text)? {
            Duration::ZERO => Err("more than zero is needed".into()),
            span => Ok(span),
        }
    }

    fn print(value: &Duration) -> String {
        Span::print(value)
    }
}

/// Units of time, in milliseconds.
const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a time such as `500ms`, `60s`, `5m`, `2h` or `90d`; at most 1000 years.
///
/// # Errors
/// Says how to write it.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let help = || "write a number and a unit, as in 500ms, 60s, 5m, 2h or 90d".to_owned();
    let (number, unit) = split_unit(text).ok_or_else(help)?;
    let (_, millis) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(help)?;
    let span = number.checked_mul(*millis).map(Duration::from_millis);
    span.filter(|span| span.as_secs() <= 1000 * 365 * 86_400).ok_or_else(|| "too long".to_owned())
}

/// A number of bytes.
pub(super) struct Size;
impl Kind for Size {
    type Value = u64;
    const HOLDER: &'static str = "SIZE";
    const FORM: Form = Form::Size;

    fn parse(text: &str) -> Result<u64, String> {
        parse_size(text)
    }

    fn print(value: &u64) -> String {
        let binary = SIZES.iter().rev().filter(|(name, _)| name.ends_with("iB"));
        match binary.into_iter().find(|(_, unit)| value.is_multiple_of(*unit)) {
            Some((name, unit)) => format!("{}{name}", value / unit),
            None => value.to_string(),
        }
    }
}

/// Reads a number of bytes such as `1048576`, `64MiB` or `10GB`; at most 1024 PiB.
///
/// # Errors
/// Says how to write it.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let help = || "write bytes, as in 1048576, 64MiB, 2GiB or 10GB".to_owned();
    let (number, unit) = split_unit(text).ok_or_else(help)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(help)?;
    let size = number.checked_mul(*bytes).filter(|size| (1..=1 << 60).contains(size));
    size.ok_or_else(|| "write a size from 1 byte to 1024 PiB".to_owned())
}

/// Units of size, in bytes.
const SIZES: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Splits `64MiB` into the number and its unit.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// What to log.
pub(super) struct LogFilter;
impl Kind for LogFilter {
    type Value = String;
    const HOLDER: &'static str = "LEVEL";

    fn parse(text: &str) -> Result<String, String> {
        log::check_filter(text).map(|()| text.to_owned())
    }

    fn print(value: &String) -> String {
        value.clone()
    }
}

/// How lines of the log are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A [`LogFormat`].
pub(super) struct LogFormatName;
impl Kind for LogFormatName {
    type Value = LogFormat;
    const HOLDER: &'static str = "FORMAT";

    fn parse(text: &str) -> Result<LogFormat, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("write text or json".into()),
        }
    }

    fn print(value: &LogFormat) -> String {
        match value {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, size, printed) in [
            ("1", 1, "1"),
            ("1048576", 1 << 20, "1MiB"),
            ("1536KiB", 1536 << 10, "1536KiB"),
            ("64 GiB", 64 << 30, "64GiB"),
            ("10GB", 10_000_000_000, "9765625KiB"),
            ("1000kB", 1_000_000, "1000000"),
        ] {
            assert_eq!(Size::parse(text), Ok(size), "{text}");
            assert_eq!(Size::print(&size), printed);
            assert_eq!(Size::parse(printed), Ok(size), "{printed}");
        }
        for text in ["", "0", "-1", "1.5GiB", "GiB", "1gib", "99999999TiB", "1048577TiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_read_and_print() {
        for (text, millis, printed) in [
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("90 s", 90_000, "90s"),
            ("120s", 120_000, "2m"),
            ("24h", 86_400_000, "1d"),
            ("90d", 90 * 86_400_000, "90d"),
        ] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(text), Ok(span), "{text}");
            assert_eq!(Span::print(&span), printed);
        }
        for text in ["", "60", "s", "1w", "-1s", "1.5h", "1h30m", "99999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
