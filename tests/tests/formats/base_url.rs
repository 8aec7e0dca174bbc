//! Addresses of servers, and what they do to narinfos.

use proptest::prelude::*;
use schema::base_url::{BaseUrl, MAX_BASE_URL_LEN};
use schema::narinfo::NarInfo;

use super::arbitrary::{base_url, narinfo};
use super::mutation::mutation;

proptest! {
    #[test]
    fn text_leads_back(url in base_url()) {
        prop_assert_eq!(url.to_string().parse(), Ok(url.clone()));
        prop_assert_eq!(format!("{url}/").parse(), Ok(url));
    }

    /// Whatever reads stands in a line, in a list with commas, and in quotes.
    #[test]
    fn what_reads_ends_nothing(url in base_url(), damage in prop::collection::vec(mutation(), 1..4)) {
        let text = damage.iter().fold(url.to_string().into_bytes(), |text, it| it.of(&text));
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        if let Ok(read) = text.parse::<BaseUrl>() {
            prop_assert!(read.as_str().len() <= MAX_BASE_URL_LEN && !read.as_str().ends_with('/'));
            prop_assert!(read.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!read.as_str().contains([',', '"', '\'', '?', '#', '\\', '<', '>']));
            let rest = read.as_str().split_once("://").unwrap().1;
            prop_assert!(!rest.split('/').next().unwrap().contains('@'));
        }
    }

    /// Where a NAR is, nobody signs: another address changes one line, and nothing that is signed.
    #[test]
    fn no_signature_is_over_where_a_nar_is(narinfo in narinfo(), url in base_url()) {
        let here = narinfo.print_nix();
        let mut moved = narinfo.clone();
        moved.delivery.url = url.join(&narinfo.delivery.url);
        let there = moved.print_nix();
        let differ: Vec<_> = here.lines().zip(there.lines()).filter(|(one, other)| one != other).collect();
        prop_assert!(differ.len() == 1 && differ[0].1.starts_with(&format!("URL: {url}/")), "{differ:?}");
        let read = NarInfo::parse_nix(there.as_bytes()).unwrap();
        prop_assert_eq!(read.claim.signed_bytes(), narinfo.claim.signed_bytes());
        prop_assert_eq!(&read.signatures, &narinfo.signatures);
        prop_assert_eq!(read, moved);
    }
}
