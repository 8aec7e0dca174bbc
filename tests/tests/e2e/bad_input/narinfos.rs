//! Narinfos that could be read in two ways, point elsewhere, or speak of what is not here.

use schema::hash::{FileHash, NarHash};
use schema::narinfo::{MAX_NARINFO_LEN, NarInfo};
use schema::store_path::{BaseName, StorePath};
use tests::nar;
use tests::wire::Request;

use super::{Case, Target};

/// What every case starts from: a narinfo that would be taken.
struct Good {
    path: StorePath,
    text: String,
    address: String,
}

impl Good {
    fn new(target: &Target) -> Self {
        let (path, nar) = (nar::path("good", "good-1.0"), nar::file(b"good"));
        target.upload(&nar);
        let references = [path.base().clone(), nar::path("other", "other").base().clone()];
        let mut narinfo = target.narinfo(&path, &nar, &references);
        narinfo.deriver =
            Some("10sgw6gzy1gkmp22jkxs8z1pnvrd2b0k-good-1.0.drv".parse().expect("a base name"));
        Self {
            address: format!("/as/alice/{}.narinfo", path.base().hash_part()),
            text: narinfo.print_nix(),
            path,
        }
    }

    fn line(&self, key: &str) -> &str {
        self.text
            .split_inclusive('\n')
            .find(|line| line.starts_with(key))
            .expect("the line is there")
    }

    /// The text with one line changed.
    fn with(&self, key: &str, line: &str) -> Vec<u8> {
        self.text.replace(self.line(key), line).into_bytes()
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let target = Target::start(&[]);
    let good = Good::new(&target);
    let (path, text) = (&good.path, &good.text);
    let mut bad: Vec<(String, Vec<u8>, &'static str)> = Vec::new();
    for key in [
        "StorePath",
        "URL",
        "Compression",
        "FileHash",
        "FileSize",
        "NarHash",
        "NarSize",
        "References",
        "Deriver",
    ] {
        bad.push((
            format!("{key} twice"),
            format!("{text}{}", good.line(key)).into_bytes(),
            "repeats",
        ));
        bad.push((
            format!("{key} with a carriage return"),
            good.with(key, &good.line(key).replace('\n', "\r\n")),
            "0x0d",
        ));
    }
    for key in ["StorePath", "URL", "NarHash", "NarSize", "References"] {
        bad.push((format!("no {key}"), good.with(key, ""), "no "));
    }
    let named = |name: &str, line: &str, says: &'static str| {
        let key = line.split(':').next().expect("a line has a key");
        (name.to_owned(), good.with(key, line), says)
    };
    let hash = good.line("NarHash: ").trim_start_matches("NarHash: ").trim_end();
    let digits = path.base().hash_part().to_string();
    bad.extend([
        named("a newline in the URL", "URL: nar/x.nar\nNarSize: 7\n", "repeats NarSize"),
        named("a newline in the path", &format!("StorePath: {path}\nSig: x:y\n"), "Sig"),
        named("a NUL in the path", &format!("StorePath: {path}\0\n"), "0x00"),
        named("a NUL in the URL", "URL: nar/\0.nar\n", "0x00"),
        named("an escape in the URL", "URL: \u{1b}[2J.nar\n", "0x1b"),
        named("a space in the URL", "URL: nar/a b.nar\n", "URL"),
        named("no URL's value", "URL: \n", "URL"),
        named("a path out of the store", "StorePath: /nix/store/../../etc/passwd\n", "StorePath"),
        named("a path in a path", &format!("StorePath: {path}/bin/sh\n"), "StorePath"),
        named(
            "a path with dots",
            &format!("StorePath: /nix/./store/{}\n", path.base()),
            "StorePath",
        ),
        named("a relative path", &format!("StorePath: {}\n", path.base()), "StorePath"),
        named("a hidden name", &format!("StorePath: /nix/store/{digits}-.good\n"), "dot"),
        named(
            "a name with a slash",
            &format!("StorePath: /nix/store/{digits}-a%2fb\n"),
            "byte 0x25",
        ),
        named("no name", &format!("StorePath: /nix/store/{digits}-\n"), "0 bytes"),
        named(
            "a long name",
            &format!("StorePath: /nix/store/{digits}-{}\n", "a".repeat(212)),
            "212 bytes",
        ),
        named(
            "a reference with a directory",
            &format!("References: /nix/store/{}\n", path.base()),
            "References",
        ),
        named("a reference out of the store", "References: ../../etc/passwd\n", "References"),
        named("a reference twice", &format!("References: {0} {0}\n", path.base()), "twice"),
        named("a deriver out of the store", "Deriver: ../x.drv\n", "Deriver"),
        named("an unknown compression", "Compression: lz4\n", "unknown compression"),
        named("no size", "NarSize: \n", "size"),
        named("a size of zero", "NarSize: 0\n", "size"),
        named("a negative size", "NarSize: -1\n", "size"),
        named("a size with a leading zero", "NarSize: 0120\n", "size"),
        named("a size beyond 64 bits", "NarSize: 18446744073709551616\n", "size"),
        named("SHA-512", "NarHash: sha512:00\n", "SHA-256"),
        named("a hash with a letter too many", &format!("NarHash: {hash}0\n"), "52"),
        (
            "no newline at the end".to_owned(),
            text.trim_end().as_bytes().to_vec(),
            "ended by a newline",
        ),
        ("an empty line".to_owned(), format!("{text}\n").into_bytes(), "form Key: value"),
        (
            "a line without a colon".to_owned(),
            format!("{text}hello\n").into_bytes(),
            "form Key: value",
        ),
        (
            "References without its space".to_owned(),
            good.with("References", "References:\n"),
            "form Key: value",
        ),
        ("no UTF-8".to_owned(), [text.as_bytes(), b"X: \xff\n"].concat(), "UTF-8"),
        ("nothing".to_owned(), Vec::new(), "no StorePath"),
        (
            "too many references".to_owned(),
            good.with("References", &references(8193)),
            "8193 references",
        ),
        (
            "too many signatures".to_owned(),
            format!("{text}{}", good.line("Sig").repeat(256)).into_bytes(),
            "256",
        ),
    ]);
    let case = |(name, text, says)| {
        Case::new(name, &target.put(&good.address, text), 400, "narinfo_malformed").saying(says)
    };
    target.refuses(bad.into_iter().map(case).collect());
    assert_eq!(target.get(&good.address).status, 404);
    target.must_take(&target.put(&good.address, good.text.as_bytes()));
    assert_eq!(target.get(&good.address).status, 200);
}

fn references(count: usize) -> String {
    let names: Vec<String> =
        (0..count).map(|at| nar::path(&at.to_string(), "x").base().to_string()).collect();
    format!("References: {}\n", names.join(" "))
}

#[test]
fn what_is_sent_must_be_for_its_address_and_about_a_nar_that_is_here() {
    let target = Target::start(&[]);
    let good = Good::new(&target);
    let (path, nar) = (&good.path, nar::file(b"good"));
    let elsewhere = |dir: &str| {
        let path = StorePath::new(dir.parse().expect("a store"), path.base().clone());
        target.narinfo(&path, &nar, &[]).print_nix()
    };
    let put = |text: &str| target.put(&good.address, text);
    let other = format!("/as/alice/{}.narinfo", nar::path("other", "x").base().hash_part());
    let about = |nar: &[u8], change: &dyn Fn(&mut NarInfo)| {
        let mut narinfo = target.narinfo(path, nar, &[]);
        change(&mut narinfo);
        narinfo.print_nix()
    };
    let missing = nar::file(b"never uploaded");
    let longer = [&nar[..], b"x"].concat();
    let resized = about(&nar, &|narinfo| {
        let claim = &narinfo.claim;
        let claim = schema::claim::Claim::new(
            claim.path().clone(),
            claim.nar_hash(),
            longer.len() as u64,
            vec![],
        );
        narinfo.claim = claim.expect("a claim");
        narinfo.signatures = vec![target.alice.sign(narinfo.claim.signed_bytes().as_bytes())];
    });
    let renamed = about(&missing, &|narinfo| narinfo.delivery.file_hash = Some(FileHash::of(&nar)));
    let encoded = |encoding: &str, body: Vec<u8>| {
        target.put(&good.address, body).header("content-encoding", encoding)
    };
    target.refuses(vec![
        Case::new(
            "another path's address",
            &target.put(&other, good.text.as_bytes()),
            422,
            "wrong_store_path",
        ),
        Case::new("Guix's store", &put(&elsewhere("/gnu/store")), 422, "other_store")
            .saying("/nix/store"),
        Case::new("another store", &put(&elsewhere("/nix/store/x")), 422, "other_store"),
        Case::new("a NAR that is not here", &put(&about(&missing, &|_| {})), 422, "nar_missing")
            .saying("upload the NAR"),
        Case::new("a file that holds another NAR", &put(&renamed), 422, "nar_hash_mismatch"),
        Case::new("a size that the NAR has not", &put(&resized), 422, "nar_size_mismatch"),
        Case::new(
            "a long narinfo",
            &put(&"X: y\n".repeat(MAX_NARINFO_LEN / 5 + 1)),
            413,
            "body_too_large",
        ),
        Case::new(
            "a narinfo that unpacks to a long one",
            &encoded("zstd", nar::zstd(&vec![b'a'; MAX_NARINFO_LEN + 1])),
            413,
            "body_too_large",
        ),
        Case::new(
            "another encoding than said",
            &encoded("xz", nar::zstd(b"x")),
            400,
            "encoding_corrupt",
        ),
        Case::new("an unknown encoding", &encoded("rot13", b"x".to_vec()), 400, "unknown_encoding"),
        Case::new(
            "a narinfo that breaks off",
            &put(&good.text).announcing(9999),
            400,
            "body_truncated",
        )
        .breaking_off(),
        Case::new("a long log", &log(&target, (64 << 20) + 1), 413, "body_too_large"),
    ]);
    target.must_take(&encoded("zstd", nar::zstd(good.text.as_bytes())));
    target.must_take(&encoded("xz", nar::xz(good.text.as_bytes())));
}

fn log(target: &Target, len: usize) -> Request {
    target.put("/log/10sgw6gzy1gkmp22jkxs8z1pnvrd2b0k-good-1.0.drv", vec![b'x'; len])
}

#[test]
fn a_signer_may_be_unsure_but_not_without_end() {
    let target = Target::start(&[]);
    let (path, nar) = (nar::path("unsure", "unsure"), nar::file(b"unsure"));
    target.upload(&nar);
    let address = format!("/as/alice/{}.narinfo", path.base().hash_part());
    let claim = |at: usize| {
        let reference: BaseName = nar::path(&at.to_string(), "x").base().clone();
        target.put(&address, target.narinfo(&path, &nar, &[reference]).print_nix())
    };
    for at in 0..16 {
        target.must_take(&claim(at));
    }
    target.refuses(vec![
        Case::new("a seventeenth claim", &claim(16), 409, "too_many_claims")
            .saying("16 different things"),
    ]);
    let report = target.get(&format!("/api/v1/nars/{}", NarHash::of(&nar).to_nix32())).body;
    assert_eq!(report.matches(&path.base().hash_part().to_string()).count(), 1, "{report}");
}
