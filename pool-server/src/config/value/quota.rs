//! How much of something somebody may have in a time.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Form, Kind, Size, Span, parse_span};

/// The shortest time: clients are told to come back in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The largest amount.
const MOST: u64 = 1 << 60;

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests of every kind.
    Requests,
    /// Bytes of the bodies of requests, of every kind, as sent.
    Bytes,
    /// NARs sent, whether they were here or not.
    Nars,
    /// Attestations handed in, whether they were here or not.
    Attestations,
}

impl Measure {
    /// Every one, in the order in which they are printed.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Bytes, Self::Nars, Self::Attestations];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Bytes => "bytes",
            Self::Nars => "nars",
            Self::Attestations => "attestations",
        }
    }

    fn parse_amount(self, text: &str) -> Result<u64, String> {
        match self {
            Self::Bytes => Size::parse(text),
            _ => text.trim().parse().map_err(|_| format!("write a number from 1 to {MOST}")),
        }
    }

    /// An amount of it, for people.
    #[must_use]
    pub fn print_amount(self, amount: u64) -> String {
        match self {
            Self::Bytes if amount > 0 => Size::print(&amount),
            _ => amount.to_string(),
        }
    }
}

/// So much in a time: `50GiB/1d`. All of it may be taken at once; it comes back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    amount: NonZeroU64,
    time: Duration,
}

impl Rate {
    /// So much in a time.
    ///
    /// # Errors
    /// An amount that is 0 or above 2^60; a time below a second or above 366 days.
    pub fn new(amount: u64, time: Duration) -> Result<Self, String> {
        let amount = NonZeroU64::new(amount).filter(|amount| amount.get() <= MOST);
        let amount = amount.ok_or_else(|| format!("the amount is from 1 to {MOST}"))?;
        if !(SHORTEST..=LONGEST).contains(&time) {
            return Err("the time is from 1s to 366d".to_owned());
        }
        Ok(Self { amount, time })
    }

    /// How much.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount.get()
    }

    /// In what time.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time
    }

    fn parse(measure: Measure, text: &str) -> Result<Self, String> {
        let help = || "write an amount and a time, as in 1000/1h or, for bytes, 50GiB/1d";
        let (amount, time) = text.split_once('/').ok_or_else(help)?;
        Self::new(measure.parse_amount(amount)?, parse_span(time.trim())?)
    }

    /// As it is written; bytes have units.
    #[must_use]
    pub fn print(&self, measure: Measure) -> String {
        format!("{}/{}", measure.print_amount(self.amount()), Span::print(&self.time))
    }
}

/// One limit: `nars=1000/1h`, or `nars=none` for none, whatever the default is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub measure: Measure,
    /// To how much.
    pub rate: Option<Rate>,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rate) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is no limit: write nars=1000/1h, or nars=none"))?;
        let name = name.trim();
        let measure = Measure::ALL.into_iter().find(|measure| measure.name() == name);
        let measure = measure.ok_or_else(|| {
            format!("{name:?} cannot be limited: requests, bytes, nars or attestations can")
        })?;
        let rate = match rate.trim() {
            "none" => None,
            rate => Some(Rate::parse(measure, rate).map_err(|why| format!("{text:?}: {why}"))?),
        };
        Ok(Self { measure, rate })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.map_or_else(|| "none".to_owned(), |rate| rate.print(self.measure));
        write!(f, "{}={rate}", self.measure.name())
    }
}

/// The limits of one token: at most one of each measure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Quota(Vec<Limit>);

impl Quota {
    /// These limits together.
    ///
    /// # Errors
    /// One measure is limited twice.
    pub fn of(mut limits: Vec<Limit>) -> Result<Self, String> {
        limits.sort_by_key(|limit| limit.measure);
        match limits.windows(2).find(|pair| pair[0].measure == pair[1].measure) {
            Some(pair) => Err(format!("{} are limited twice", pair[0].measure.name())),
            None => Ok(Self(limits)),
        }
    }

    /// Whether nothing is said of any measure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is allowed of a measure; nothing, when it is not limited.
    #[must_use]
    pub fn rate(&self, measure: Measure) -> Option<Rate> {
        self.said(measure)?.rate
    }

    /// These limits, and those of `defaults` for what nothing is said of here.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let said = |measure| self.said(measure).or_else(|| defaults.said(measure)).copied();
        Self(Measure::ALL.into_iter().filter_map(said).collect())
    }

    fn said(&self, measure: Measure) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.measure == measure)
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let limits = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Self::of(limits.map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl TryFrom<String> for Quota {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Quota> for String {
    fn from(quota: Quota) -> Self {
        quota.to_string()
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&limits.join(","))
    }
}

/// A [`Quota`].
pub(in crate::config) struct Limits;
impl Kind for Limits {
    type Value = Quota;
    const HOLDER: &'static str = "LIMIT,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Quota, String> {
        text.parse()
    }

    fn print(value: &Quota) -> String {
        value.to_string()
    }
}

/// So many in a time, or as many as one likes.
pub(in crate::config) struct OptionalRate;
impl Kind for OptionalRate {
    type Value = Option<Rate>;
    const HOLDER: &'static str = "N/TIME";

    fn parse(text: &str) -> Result<Option<Rate>, String> {
        (!text.is_empty()).then(|| Rate::parse(Measure::Requests, text)).transpose()
    }

    fn print(value: &Option<Rate>) -> String {
        value.map(|rate| rate.print(Measure::Requests)).unwrap_or_default()
    }
}

/// A part of a whole, in percent.
pub(in crate::config) struct Percent;
impl Kind for Percent {
    type Value = u8;
    const HOLDER: &'static str = "PERCENT";
    const FORM: Form = Form::Number;

    fn parse(text: &str) -> Result<u8, String> {
        let percent = text.parse().ok().filter(|percent| (1..=100).contains(percent));
        percent.ok_or_else(|| "write a number from 1 to 100".to_owned())
    }

    fn print(value: &u8) -> String {
        value.to_string()
    }
}

/// IP addresses.
pub(in crate::config) struct Addresses;
impl Kind for Addresses {
    type Value = Vec<IpAddr>;
    const HOLDER: &'static str = "ADDR,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<IpAddr>, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parse = |part: &str| match part.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_canonical()),
            Err(_) => Err(format!("{part:?} is no address: write 127.0.0.1 or ::1")),
        };
        parts.map(parse).collect()
    }

    fn print(value: &Vec<IpAddr>) -> String {
        value.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}
