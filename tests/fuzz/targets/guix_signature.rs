//! Whatever reads as an s-expression, or as a signature of Guix, is printed as what reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::guix::signature::GuixSignature;
use schema::sexp::Sexp;

fuzz_target!(|data: &[u8]| {
    if let Ok(sexp) = Sexp::parse(data) {
        let printed = sexp.print();
        // Hexadecimal takes two digits a byte, and may not fit any more.
        if let Ok(again) = Sexp::parse(&printed) {
            assert_eq!(again, sexp);
            assert_eq!(again.print(), printed);
        }
    }
    if let Ok(signature) = GuixSignature::parse(data) {
        assert_eq!(GuixSignature::parse(&signature.to_sexp().print()), Ok(signature.clone()));
        assert_eq!(GuixSignature::parse_line(&signature.to_line("host")), Ok(signature));
    }
});
