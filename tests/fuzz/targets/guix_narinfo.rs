//! A narinfo of Guix's that reads is printed as one that says the same; so is a key, and a list of keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::guix::acl::Acl;
use schema::guix::key_file::{parse_public, parse_secret, print_public, print_secret};
use schema::narinfo::guix::{GuixNarInfo, SignatureLine, print};
use schema::signature::Signature;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = parse_public(text) {
            assert_eq!(parse_public(&print_public(&key)), Ok(key));
        }
        if let Ok(key) = parse_secret(text) {
            let again = parse_secret(&print_secret(&key)).map(|key| key.public());
            assert_eq!(again, Ok(key.public()));
        }
        if let Ok(acl) = Acl::parse(text) {
            assert_eq!(Acl::parse(&acl.print()), Ok(acl));
        }
    }
    let Ok(narinfo) = GuixNarInfo::parse(data) else { return };
    let Some(delivery) = narinfo.deliveries.last() else { return };
    let unsigned = print(&narinfo.claim, narinfo.deriver.as_ref(), None, delivery);
    let again = GuixNarInfo::parse(unsigned.as_bytes()).map(|it| it.claim);
    assert_eq!(again, Ok(narinfo.claim.in_nix()));
    if let Some(SignatureLine::Ecdsa(line)) = &narinfo.signature {
        let Ok(host) = "host".parse() else { return };
        let signature = Signature::from_bytes(line.signature().to_bytes());
        let signed_by = (&host, line.key(), &signature);
        let signed = print(&narinfo.claim, None, Some(signed_by), delivery);
        let again = GuixNarInfo::parse(signed.as_bytes()).map(|it| it.claim);
        assert_eq!(again, Ok(narinfo.claim));
    }
});
