//! Content addresses.

use proptest::prelude::*;
use schema::content_address::ContentAddress;

use super::arbitrary::{claim, content_address};
use super::mutation::mutation;

proptest! {
    #[test]
    fn text_leads_back(address in content_address()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn a_damaged_address_is_another_one_or_none(address in content_address(), mutation in mutation()) {
        let text = address.to_string();
        let Ok(damaged) = String::from_utf8(mutation.of(text.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<ContentAddress>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == address, damaged == text);
        }
    }

    /// 160 bits do not agree by chance.
    #[test]
    fn no_path_follows_from_an_address_that_is_not_its_own(address in content_address(), claim in claim()) {
        prop_assert!(!address.gives_path_of(&claim));
    }
}
