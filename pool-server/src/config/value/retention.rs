//! What stays, and for how long.

use std::time::Duration;

use schema::name_pattern::{NamePattern, NamePatternError};

use super::{Form, Kind, Size, Span};
use crate::assemble::view::View;

/// The most views that have a lease of their own.
const MAX_VIEWS: usize = 64;

/// How long the NARs stay that narinfos of one view name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewLease {
    /// A policy's view, or a builder's own.
    pub view: View,
    /// Counted from when a narinfo is served.
    pub lease: Duration,
}

/// Leases of single views.
pub(in crate::config) struct ViewLeases;
impl Kind for ViewLeases {
    type Value = Vec<ViewLease>;
    const HOLDER: &'static str = "VIEW=TIME,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<ViewLease>, String> {
        let mut leases: Vec<ViewLease> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let lease = parse_view_lease(part)?;
            if leases.iter().any(|it| it.view == lease.view) {
                return Err(format!("{part:?}: the view has a lease before it"));
            }
            leases.push(lease);
        }
        if leases.len() > MAX_VIEWS {
            return Err(format!("{} views; at most {MAX_VIEWS} are allowed", leases.len()));
        }
        Ok(leases)
    }

    fn print(value: &Vec<ViewLease>) -> String {
        let print = |it: &ViewLease| {
            let view = match &it.view {
                View::Policy(name) => format!("policy/{name}"),
                View::As(name) => format!("as/{name}"),
                View::Default | View::Signers { .. } => unreachable!("no text reads as such"),
            };
            format!("{view}={}", Span::print(&it.lease))
        };
        value.iter().map(print).collect::<Vec<_>>().join(",")
    }
}

fn parse_view_lease(text: &str) -> Result<ViewLease, String> {
    let help = || format!("{text:?}: write policy/<name>=30d or as/<signer>=2d");
    let (view, lease) = text.rsplit_once('=').ok_or_else(help)?;
    let view = match view.trim().split_once('/').ok_or_else(help)? {
        ("policy", name) => View::Policy(name.parse().map_err(|why| format!("{name:?}: {why}"))?),
        ("as", name) => View::As(name.parse().map_err(|why| format!("{name:?}: {why}"))?),
        _ => return Err(help()),
    };
    Ok(ViewLease { view, lease: Span::parse(lease.trim())? })
}

/// Patterns over the names of store paths.
pub(in crate::config) struct NamePatterns;
impl Kind for NamePatterns {
    type Value = Vec<NamePattern>;
    const HOLDER: &'static str = "PATTERN,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<NamePattern>, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parse =
            |part: &str| part.parse().map_err(|why: NamePatternError| format!("{part:?}: {why}"));
        parts.map(parse).collect()
    }

    fn print(value: &Vec<NamePattern>) -> String {
        value.iter().map(NamePattern::as_str).collect::<Vec<_>>().join(",")
    }
}

/// A number of bytes, or nothing.
pub(in crate::config) struct OptionalSize;
impl Kind for OptionalSize {
    type Value = Option<u64>;
    const HOLDER: &'static str = Size::HOLDER;
    const FORM: Form = Form::Size;

    fn parse(text: &str) -> Result<Option<u64>, String> {
        if text.is_empty() { Ok(None) } else { Size::parse(text).map(Some) }
    }

    fn print(value: &Option<u64>) -> String {
        value.as_ref().map(Size::print).unwrap_or_default()
    }
}

/// A time, or nothing.
pub(in crate::config) struct OptionalSpan;
impl Kind for OptionalSpan {
    type Value = Option<Duration>;
    const HOLDER: &'static str = Span::HOLDER;

    fn parse(text: &str) -> Result<Option<Duration>, String> {
        if text.is_empty() { Ok(None) } else { Span::parse(text).map(Some) }
    }

    fn print(value: &Option<Duration>) -> String {
        value.as_ref().map(Span::print).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_of_views_read_and_print() {
        let text = "policy/ci=2d,as/alice=12h";
        let leases = ViewLeases::parse(" policy/ci = 48h, as/alice=12h").unwrap();
        assert_eq!(ViewLeases::print(&leases), text);
        assert_eq!(ViewLeases::parse(text).unwrap(), leases);
        assert_eq!(leases[1].view, View::As("alice".parse().unwrap()));
        for text in ["ci=2d", "policy/ci", "policy/=2d", "signers/1=2d", "as/a=2d,as/a=3d"] {
            assert!(ViewLeases::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_may_be_left_out_reads_and_prints() {
        assert_eq!(OptionalSize::parse("500GiB"), Ok(Some(500 << 30)));
        assert_eq!(OptionalSize::print(&Some(500 << 30)), "500GiB");
        assert_eq!(OptionalSpan::parse("90d").map(|it| OptionalSpan::print(&it)), Ok("90d".into()));
        assert_eq!((OptionalSize::parse(""), OptionalSpan::parse("")), (Ok(None), Ok(None)));
        assert_eq!(
            NamePatterns::print(&NamePatterns::parse("linux-*, gcc-*").unwrap()),
            "linux-*,gcc-*"
        );
        assert!(NamePatterns::parse("a/b").is_err());
    }
}
