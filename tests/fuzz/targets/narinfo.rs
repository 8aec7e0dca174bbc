//! Whatever reads as a narinfo prints as one that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::claim::Claim;
use schema::narinfo::NarInfo;

fuzz_target!(|data: &[u8]| {
    let Ok(narinfo) = NarInfo::parse_nix(data) else { return };
    let printed = narinfo.print_nix();
    assert_eq!(NarInfo::parse_nix(printed.as_bytes()).as_ref(), Ok(&narinfo));
    let signed = narinfo.claim.signed_bytes();
    assert_eq!(Claim::parse(signed.as_bytes()).as_ref(), Ok(&narinfo.claim));
    if let Some(address) = &narinfo.content_address {
        assert_eq!(address.to_string().parse().as_ref(), Ok(address));
        let _ = address.gives_path_of(&narinfo.claim);
    }
});
