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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

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
