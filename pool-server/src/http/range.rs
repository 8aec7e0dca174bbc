//! Which part of an immutable file is asked for (RFC 9110, sections 13 and 14).

use axum::http::{HeaderMap, header};

use super::etag::Etag;

/// What to answer with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// 304: the asker has it.
    NotModified,
    /// 200.
    Whole,
    /// 206: from `start` up to `end`, exclusive.
    Range { start: u64, end: u64 },
    /// 416.
    Unsatisfiable,
}

/// Reads `If-None-Match`, `If-Range` and a single `Range`; several ranges get the whole file.
pub(super) fn asked_part(headers: &HeaderMap, etag: &Etag, len: u64) -> Part {
    if etag.is_in(headers) {
        return Part::NotModified;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag.as_str()) {
        return Part::Whole;
    }
    parse(range.trim(), len)
}

fn parse(range: &str, len: u64) -> Part {
    let Some((first, last)) = range.split_once('-') else { return Part::Whole };
    let bounds = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => {
            Some((first, last.saturating_add(1).min(len)))
        }
        (Some(first), None) if last.is_empty() => Some((first, len)),
        (None, Some(suffix)) if first.is_empty() => Some((len.saturating_sub(suffix), len)),
        _ => None,
    };
    match bounds {
        Some((start, end)) if start < end => Part::Range { start, end },
        Some(_) => Part::Unsatisfiable,
        None => Part::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(header::HeaderName, &str)]) -> Part {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name, value.parse().unwrap());
        }
        asked_part(&headers, &Etag::named("tag"), 100)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let range = |text| asked(&[(header::RANGE, text)]);
        assert_eq!(asked(&[]), Part::Whole);
        assert_eq!(range("bytes=0-"), Part::Range { start: 0, end: 100 });
        assert_eq!(range("bytes=10-19"), Part::Range { start: 10, end: 20 });
        assert_eq!(range("bytes=90-200"), Part::Range { start: 90, end: 100 });
        assert_eq!(range("bytes=-5"), Part::Range { start: 95, end: 100 });
        assert_eq!(range("bytes=-500"), Part::Range { start: 0, end: 100 });
        assert_eq!(range("bytes=100-"), Part::Unsatisfiable);
        assert_eq!(range("bytes=-0"), Part::Unsatisfiable);
        assert_eq!(range("bytes=99999999999999999999-"), Part::Unsatisfiable);
        for odd in [
            "bytes=5-1",
            "bytes=1-2,5-6",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "chunks=1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(range(odd), Part::Whole, "{odd}");
        }
    }

    #[test]
    fn conditions_come_first() {
        let (known, first) = ((header::IF_NONE_MATCH, "\"tag\""), (header::RANGE, "bytes=0-0"));
        assert_eq!(asked(&[known, first]), Part::NotModified);
        assert_eq!(asked(&[(header::IF_NONE_MATCH, "\"x\"")]), Part::Whole);
        let ranged = (header::RANGE, "bytes=1-1");
        assert_eq!(asked(&[ranged.clone(), (header::IF_RANGE, "\"x\"")]), Part::Whole);
        assert_eq!(
            asked(&[ranged, (header::IF_RANGE, "\"tag\"")]),
            Part::Range { start: 1, end: 2 }
        );
    }
}
