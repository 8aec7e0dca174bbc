//! References that do not fit what the NAR holds, where the operator minds.

use tests::nar;

use super::{Case, Target};

#[test]
fn references_must_be_those_in_the_nar() {
    let target = Target::start(&["--strict-references", "true"]);
    let (library, own) = (nar::path("library", "library"), nar::path("program", "program"));
    let plain = nar::file(b"no references at all");
    let nar = nar::file(format!("#!{library}/bin/sh\n# I am {own}\n").as_bytes());
    target.upload(&plain);
    target.upload(&nar);
    let (known, itself) = (library.base().clone(), own.base().clone());
    let put = |path: &schema::store_path::StorePath, nar: &[u8], references: &[_]| {
        let narinfo = target.narinfo(path, nar, references).print_nix();
        target.put(&format!("/as/alice/{}.narinfo", path.base().hash_part()), narinfo)
    };
    target.must_take(&put(&library, &plain, &[]));
    let refused = |name: &str, request| {
        Case::new(name, &request, 422, "references_differ").saying("strict-references")
    };
    target.refuses(vec![
        refused("one too few", put(&own, &nar, std::slice::from_ref(&itself))),
        refused("none", put(&own, &nar, &[])),
        refused("one too many", put(&own, &plain, std::slice::from_ref(&known))),
        refused("another one", put(&own, &plain, &[nar::path("never", "seen").base().clone()])),
    ]);
    target.must_take(&put(&own, &nar, &[known, itself]));
}
