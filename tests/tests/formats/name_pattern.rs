//! Patterns over the names of store paths.

use proptest::prelude::*;
use schema::name_pattern::NamePattern;

use super::arbitrary::name_pattern;
use super::mutation::mutation;

/// The definition, tried in every way there is.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &byte in pattern {
        for at in 0..=name.len() {
            if byte == b'*' {
                reached[at] |= at > 0 && reached[at - 1];
            } else {
                let end = name.len() - at;
                reached[end] = end > 0 && reached[end - 1] && name[end - 1] == byte;
            }
        }
    }
    reached[name.len()]
}

/// Whether some text matches both, by trying how far each may be read.
fn overlap(one: &[u8], other: &[u8]) -> bool {
    let mut reached = vec![(0, 0)];
    let mut next = 0;
    while let Some(&(left, right)) = reached.get(next) {
        next += 1;
        let steps = match (one.get(left), other.get(right)) {
            (None, None) => return true,
            (Some(b'*'), Some(_)) | (Some(_), Some(b'*')) => {
                vec![(left + 1, right), (left, right + 1)]
            }
            (Some(b'*'), None) => vec![(left + 1, right)],
            (None, Some(b'*')) => vec![(left, right + 1)],
            (Some(left_byte), Some(right_byte)) if left_byte == right_byte => {
                vec![(left + 1, right + 1)]
            }
            _ => vec![],
        };
        for step in steps {
            if !reached.contains(&step) {
                reached.push(step);
            }
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn patterns_overlap_as_the_definition_says(
        one in "[ab]?(\\*?[ab]){0,5}\\*?",
        other in "[ab]?(\\*?[ab]){0,5}\\*?",
    ) {
        let (Ok(left), Ok(right)) = (one.parse::<NamePattern>(), other.parse::<NamePattern>())
        else { return Ok(()) };
        let expected = overlap(one.as_bytes(), other.as_bytes());
        prop_assert_eq!(left.overlaps(&right), expected, "{} {}", one, other);
        prop_assert_eq!(right.overlaps(&left), expected);
    }

    #[test]
    fn a_name_matches_as_the_definition_says(pattern in "[ab]?(\\*?[ab]){0,6}\\*?", name in "[ab]{0,10}") {
        if let Ok(read) = pattern.parse::<NamePattern>() {
            let expected = matches(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(read.matches(&name), expected, "{} {}", pattern, name);
        }
    }

    #[test]
    fn patterns_lead_back(pattern in name_pattern(), mutation in mutation()) {
        let text = pattern.to_string();
        prop_assert_eq!(text.parse(), Ok(pattern.clone()));
        prop_assert_eq!(text.matches('*').count(), text.len() - pattern.literals());
        prop_assert!(pattern.matches(&text.replace('*', "")));
        prop_assert!(pattern.matches(&text.replace('*', "-x")));
        let Ok(damaged) = String::from_utf8(mutation.of(text.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<NamePattern>() {
            prop_assert_eq!(read.as_str(), &damaged);
            prop_assert_eq!(read == pattern, damaged == text);
        }
    }
}
