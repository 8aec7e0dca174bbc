//! Narinfos in Guix's dialect.

use std::fs;

use proptest::prelude::*;
use proptest::sample::Index;
use schema::claim::{Claim, Dialect, GuixText};
use schema::compression::Compression;
use schema::guix::acl::{Acl, AclError, AclKey};
use schema::guix::key_file::{KeyFileError, parse_public, parse_secret};
use schema::hash::{FileHash, NarHash};
use schema::narinfo::Delivery;
use schema::narinfo::guix::{GuixNarInfo, GuixNarInfoError, SignatureLine, is_readable, print};
use tests::program::project;

use super::arbitrary::{base_name, base_url, compression, guix_claim, guix_key};
use super::mutation::mutation;

fn vector(name: &str) -> String {
    fs::read_to_string(project().join("tests/vectors/guix").join(name)).unwrap()
}

/// Where a pool has a NAR.
fn delivery() -> impl Strategy<Value = Delivery> {
    let file = (any::<[u8; 32]>(), compression(), prop::option::of(1u64..));
    let file = file.prop_filter("Guix unpacks it", |(_, compression, _)| is_readable(*compression));
    (file, prop::option::of(base_url())).prop_map(|((hash, compression, file_size), elsewhere)| {
        let place =
            format!("nar/{}.nar{}", NarHash::from_bytes(hash).to_nix32(), compression.suffix());
        Delivery {
            url: elsewhere.map_or_else(|| place.clone(), |base| base.join(&place)),
            compression,
            file_hash: Some(FileHash::from_bytes(hash)),
            file_size,
        }
    })
}

/// What crashes Guix, by its own `guix/narinfo.scm`: a narinfo without one of these fields, a NAR hash
/// in anything but base 32, a line without a colon, and carriage returns.
fn crashes_guix(text: &str) -> Option<&'static str> {
    let has = |key: &str| text.lines().any(|line| line.starts_with(&format!("{key}: ")));
    for key in ["StorePath", "URL", "NarHash", "NarSize", "References"] {
        if !has(key) {
            return Some("a field is missing");
        }
    }
    let hash = text.lines().find_map(|line| line.strip_prefix("NarHash: sha256:"));
    if hash.is_none_or(|hash| NarHash::from_nix32(hash).is_err()) {
        return Some("the NAR hash is not in base 32");
    }
    if text.lines().any(|line| !line.contains(": ")) || !text.ends_with('\n') {
        return Some("a line has no colon, or no end");
    }
    text.contains('\r').then_some("it has a carriage return")
}

#[test]
fn narinfos_by_guix_publish_read_and_print_back() {
    for name in [
        "d65b0whlqqa0dzxh2vkb232f7jjphdgi",
        "qjn255qfwia10b4dabwshvhpsgf1w2d7",
        "sr37x1sjhsgj193l0avparp0x2vhvllq",
    ] {
        let text = vector(&format!("{name}.narinfo"));
        let read = GuixNarInfo::parse(text.as_bytes()).unwrap();
        assert_eq!(read.claim.path().base().hash_part().to_string(), name);
        assert_eq!(read.claim.dialect(), Dialect::Guix);
        assert_eq!(read.deriver.is_some(), name.starts_with("sr37"));
        let packed: Vec<_> = read.deliveries.iter().map(|it| it.compression).collect();
        assert_eq!(packed, [Compression::Zstd, Compression::Gzip, Compression::Lzip]);
        let Some(SignatureLine::Ecdsa(signature)) = &read.signature else { panic!("{name}") };
        assert!(signature.holds(read.claim.id().as_bytes()));
        let numbers = schema::signature::Signature::from_bytes(signature.signature().to_bytes());
        let host = "vm".parse().unwrap();
        let signed_by = Some((&host, signature.key(), &numbers));
        // What follows are the other two places.
        let printed = print(&read.claim, None, signed_by, &read.deliveries[0]);
        assert!(text.starts_with(&printed), "{printed}");
        assert!(text[printed.len()..].starts_with("URL: nar/gzip/"), "{text}");
        assert_eq!(crashes_guix(&text), None);
    }
}

#[test]
fn the_worked_example_has_these_numbers() {
    let read = GuixNarInfo::parse(vector("sr37x1sjhsgj193l0avparp0x2vhvllq.narinfo").as_bytes());
    let read = read.unwrap();
    assert!(read.claim.id().to_hex().starts_with("a7d14e55"));
    let Some(SignatureLine::Ecdsa(signature)) = read.signature else { panic!("unsigned") };
    let numbers: String =
        signature.signature().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        numbers,
        "0eb76c4033e9b29a87541d4d00c75c36ddc1f1e8d648eb2c1073db405c74b07d\
         0d67a3e53f231819b4c659b9f874ab74224777d873be8b432050fa49a42cb4f7"
    );
}

/// With `rsa`, keys and signatures as libgcrypt writes them for RSA.
#[test]
fn rsa_is_carried_and_counts_for_nothing() {
    let key = "(public-key (rsa (n #00AB#) (e #010001#)))";
    assert_eq!(parse_public(key), Err(KeyFileError::Rsa));
    let tag = "(tag (guix import))";
    let list = format!("(acl (entry {key} {tag}) (entry {} {tag}))", vector("signing-key.pub"));
    let acl = Acl::parse(&list).unwrap();
    assert!(matches!(&acl.keys[..], [AclKey::Rsa(_), AclKey::Ecdsa(_)]));
    assert_eq!(Acl::parse(&acl.print()), Ok(acl));
    assert_eq!(Acl::parse("(acl (entry a b))"), Err(AclError::Shape));
    let other = list.replace("import", "export");
    assert_eq!(Acl::parse(&other), Err(AclError::Shape));

    let text = vector("qjn255qfwia10b4dabwshvhpsgf1w2d7.narinfo");
    let hash = Claim::parse(text.split("Signature").next().unwrap().as_bytes()).unwrap().id();
    let sexp = format!(
        "(signature (data (flags rfc6979) (hash sha256 #{}#)) (sig-val (rsa (s #00AB#))) {key})",
        hash.to_hex().to_uppercase()
    );
    let line = format!("1;old;{}", base64(&sexp));
    let start = text.find("Signature: ").unwrap() + "Signature: ".len();
    let end = start + text[start..].find('\n').unwrap();
    let signed = format!("{}{line}{}", &text[..start], &text[end..]);
    let read = GuixNarInfo::parse(signed.as_bytes()).unwrap();
    assert_eq!(read.signature, Some(SignatureLine::Rsa(line)));
    assert_eq!(read.deliveries.len(), 3);
}

fn base64(text: &str) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

/// Each is something that libgcrypt or Guix would take.
#[test]
fn what_is_signed_ends_in_one_place_and_is_spelled_in_one_way() {
    let good = vector("sr37x1sjhsgj193l0avparp0x2vhvllq.narinfo");
    for (from, to) in [
        ("Deriver: ", "Deriver: Signature:"),
        ("\nSignature: 1;", "\n Signature: 1;"),
        ("\nSignature: 1;", "\nSignature:1;"),
        ("\nSignature: 1;", "\nSignature: 2;"),
        ("NarSize: 184", "NarSize: 0184"),
        ("NarSize: 184\n", ""),
        ("References: ", "References:"),
        ("References: ", "References:  "),
        ("StorePath: /gnu/store/", "StorePath: /gnu/store/../store/"),
        ("StorePath: ", "Storepath: "),
        ("NarHash: sha256:", "NarHash: md5:"),
        ("NarHash", "X: y\nNarHash"),
        ("URL: nar/zstd/", "URL: "),
        ("Compression: zstd", "Compression: lzma"),
        ("FileSize: 145\nURL", "FileSize: -1\nURL"),
        ("\nNarHash", "\r\nNarHash"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let read = GuixNarInfo::parse(bad.as_bytes());
        let is_other = read.as_ref().is_ok_and(|it| it.deliveries[0].url.starts_with("sr37"));
        assert!(read.is_err() || is_other, "{to}: {read:?}");
    }
    let long = vec![b'a'; schema::narinfo::MAX_NARINFO_LEN + 1];
    assert_eq!(GuixNarInfo::parse(&long), Err(GuixNarInfoError::TooLong(long.len())));
    let key = vector("signing-key.pub");
    assert!(parse_secret(&key).is_err());
    assert!(parse_public(&key.replace("Ed25519", "Ed448")).is_err());
}

proptest! {
    #[test]
    fn text_leads_back(
        claim in guix_claim(),
        secret in guix_key(),
        delivery in delivery(),
    ) {
        let public = secret.public();
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        let signed_by = (public.name(), public.guix().unwrap(), signature.signature());
        let text = print(&claim, None, Some(signed_by), &delivery);
        let read = GuixNarInfo::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&read.claim, &claim);
        let Some(SignatureLine::Ecdsa(line)) = &read.signature else { panic!("{text}") };
        prop_assert!(line.holds(claim.id().as_bytes()));
        prop_assert_eq!(read.deliveries, [Delivery { file_hash: None, ..delivery }]);
    }

    /// Whatever a pool has been sent, no narinfo that is printed of it can crash the client.
    #[test]
    fn nothing_that_is_printed_crashes_guix(
        claim in guix_claim(),
        damage in prop::collection::vec(mutation(), 0..4),
        deriver in prop::option::of(base_name()),
        secret in guix_key(),
        delivery in delivery(),
    ) {
        let text = claim.signed_bytes().into_owned().into_bytes();
        let text = damage.iter().fold(text, |text, it| it.of(&text));
        let Ok(claim) = Claim::parse(&text) else { return Ok(()) };
        let public = secret.public();
        let claim = claim.in_guix(None);
        let signature = secret.sign(claim.signed_bytes().as_bytes());
        let signed_by = (public.name(), public.guix().unwrap(), signature.signature());
        for signed_by in [None, Some(signed_by)] {
            let text = print(&claim, deriver.as_ref(), signed_by, &delivery);
            prop_assert_eq!(crashes_guix(&text), None, "{}", text);
            let read = GuixNarInfo::parse(text.as_bytes()).unwrap();
            prop_assert!(read.claim.agrees_with(&claim));
            prop_assert_eq!(read.signature.is_some(), signed_by.is_some());
            let sizes = read.deliveries.iter().filter(|it| it.file_size.is_some()).count();
            prop_assert!(sizes == 0 || sizes == read.deliveries.len());
        }
    }

    #[test]
    fn damaged_text_is_another_claim_or_none(claim in guix_claim(), mutation in mutation()) {
        let text = claim.signed_bytes().into_owned();
        let damaged = mutation.of(text.as_bytes());
        if let Ok(read) = Claim::parse(&damaged) {
            let same = read.signed_bytes().as_bytes() == damaged;
            prop_assert!(same);
            prop_assert_eq!(read == claim, damaged == text.as_bytes());
        }
    }

    #[test]
    fn a_line_twice_or_missing_is_refused(claim in guix_claim(), line in any::<Index>()) {
        let text = claim.signed_bytes().into_owned();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let line = *line.get(&lines);
        let twice = format!("{text}{line}");
        prop_assert!(GuixText::parse(&twice).is_err());
        if !line.starts_with("Deriver") {
            prop_assert!(GuixText::parse(&text.replacen(line, "", 1)).is_err());
        }
    }
}
