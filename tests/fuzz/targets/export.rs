//! Whatever reads as what follows a NAR in an exported stream is written so again, but for the spelling
//! of its signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::export::{Trailer, print_seal};

fuzz_target!(|data: &[u8]| {
    let Ok((trailer, signature)) = Trailer::parse(data) else { return };
    let printed = [trailer.print(), print_seal(signature.as_ref())].concat();
    match &signature {
        None => assert_eq!(printed, data),
        Some(_) => assert!(data.starts_with(&trailer.print())),
    }
    assert_eq!(Trailer::parse(&printed), Ok((trailer, signature)));
});
