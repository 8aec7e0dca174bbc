//! `nix-cache-info`.

use proptest::prelude::*;
use schema::cache_info::CacheInfo;

use super::arbitrary::store_dir;
use super::mutation::mutation;

fn cache_info() -> impl Strategy<Value = CacheInfo> {
    (store_dir(), any::<bool>(), any::<u32>(), prop::option::of("[!-~]{1,40}")).prop_map(
        |(store_dir, want_mass_query, priority, batch)| CacheInfo {
            store_dir,
            want_mass_query,
            priority,
            batch,
        },
    )
}

proptest! {
    #[test]
    fn text_leads_back(info in cache_info()) {
        prop_assert_eq!(CacheInfo::parse(&info.print()), Ok(info));
    }

    #[test]
    fn damaged_text_is_read_in_one_way_or_not_at_all(
        info in cache_info(),
        damage in prop::collection::vec(mutation(), 1..4),
    ) {
        let text = damage.iter().fold(info.print().into_bytes(), |text, it| it.of(&text));
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        if let Ok(read) = CacheInfo::parse(&text) {
            prop_assert_eq!(CacheInfo::parse(&read.print()), Ok(read));
        }
    }
}
