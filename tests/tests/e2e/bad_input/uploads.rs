//! Files that are not what they are said to be.

use std::fs;

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::nar_batch::Record;
use tests::deadline::wait_for;
use tests::nar;
use tests::program::project;
use tests::wire::{Request, Wire};

use super::{Case, Target};

/// Small bounds, so that what is beyond them is small, too.
const LIMITS: [&str; 6] =
    ["--max-nar-size", "4MiB", "--max-upload-size", "8MiB", "--max-decoder-memory", "16MiB"];

fn api(nar: &[u8], options: &str) -> String {
    format!("/api/v1/nars/{}?{options}", NarHash::of(nar).to_nix32())
}

/// One NAR in every compression, made by stock Nix, and the NAR.
fn vectors() -> (Vec<(Compression, Vec<u8>)>, Vec<u8>) {
    let directory = project().join("tests/vectors/nix-2.8/compressed");
    let file = |compression: Compression| {
        let name = format!("flavoured.nar.{compression}");
        (compression, fs::read(directory.join(name)).expect("the vectors are there"))
    };
    let packed = Compression::ALL.into_iter().filter(|it| *it != Compression::None);
    let files: Vec<_> = packed.map(file).collect();
    let zstd = files.iter().find(|(compression, _)| *compression == Compression::Zstd);
    let nar = zstd.map(|(_, file)| zstd::decode_all(&file[..]).expect("a whole file"));
    (files, nar.expect("zstd is among them"))
}

#[test]
fn what_is_declared_must_hold() {
    let target = Target::start(&LIMITS);
    let (good, other) = (nar::file(b"good"), nar::file(b"other"));
    let put = |address: String, body: Vec<u8>| target.put(&address, body);
    let file =
        |file: &[u8], suffix: &str| format!("/nar/{}.nar{suffix}", FileHash::of(file).to_nix32());
    let (size, zstd) = (good.len(), nar::zstd(&good));
    target.refuses(vec![
        Case::new(
            "another NAR",
            &put(api(&other, "compression=none"), good.clone()),
            422,
            "nar_hash_mismatch",
        ),
        Case::new(
            "another packed NAR",
            &put(api(&other, "compression=zstd"), zstd.clone()),
            422,
            "nar_hash_mismatch",
        )
        .saying("nix store verify"),
        Case::new(
            "a longer NAR than declared",
            &put(api(&good, &format!("compression=zstd&nar_size={}", size - 1)), zstd.clone()),
            413,
            "nar_too_long",
        ),
        Case::new(
            "a shorter NAR than declared",
            &put(api(&good, &format!("compression=zstd&nar_size={}", size + 1)), zstd.clone()),
            422,
            "nar_size_mismatch",
        ),
        Case::new(
            "another file",
            &put(file(&other, ".zst"), zstd.clone()),
            422,
            "file_hash_mismatch",
        ),
        Case::new(
            "another plain file",
            &put(file(&other, ""), good.clone()),
            422,
            "file_hash_mismatch",
        ),
        Case::new(
            "plain as zstd",
            &put(api(&good, "compression=zstd"), good.clone()),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "plain as xz",
            &put(file(&good, ".xz"), good.clone()),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "zstd as plain",
            &put(api(&good, "compression=none"), zstd.clone()),
            422,
            "nar_malformed",
        ),
        Case::new("zstd as xz", &put(file(&zstd, ".xz"), zstd.clone()), 422, "compression_corrupt")
            .saying("suffix"),
        Case::new(
            "zstd as lzip",
            &put(file(&zstd, ".lzip"), zstd.clone()),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "zstd as gzip",
            &put(file(&zstd, ".gz"), zstd.clone()),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "zstd as bzip2",
            &put(file(&zstd, ".bz2"), zstd.clone()),
            422,
            "compression_corrupt",
        ),
        Case::new("nothing", &put(api(b"", "compression=none"), Vec::new()), 422, "nar_malformed"),
        Case::new(
            "nothing as zstd",
            &put(api(b"", "compression=zstd"), Vec::new()),
            422,
            "compression_corrupt",
        ),
    ]);
    target.must_take(&put(api(&good, &format!("compression=zstd&nar_size={size}")), zstd));
}

#[test]
fn every_compression_ends_where_its_nar_ends() {
    let target = Target::start(&LIMITS);
    let (files, nar) = vectors();
    let mut cases = Vec::new();
    for (compression, file) in &files {
        let address = api(&nar, &format!("compression={compression}"));
        let (cut, damaged) = (&file[..file.len() - 9], damage(file));
        let longer = [&file[..], b"and more"].concat();
        // Both have their checksum at the end; before that, the NAR no longer makes sense.
        let found = match compression {
            Compression::Gzip | Compression::Zstd => "nar_malformed",
            _ => "compression_corrupt",
        };
        let twice = [&file[..], file].concat();
        cases.extend([
            Case::new(
                format!("{compression}, cut"),
                &target.put(&address, cut),
                422,
                "compression_corrupt",
            ),
            Case::new(
                format!("{compression}, damaged"),
                &target.put(&address, damaged),
                422,
                found,
            ),
            Case::new(
                format!("{compression} and more"),
                &target.put(&address, longer),
                422,
                "compression_corrupt",
            ),
        ]);
        // Brotli has no frames; the others read on, and find a second NAR.
        let code = if *compression == Compression::Brotli {
            "compression_corrupt"
        } else {
            "nar_trailing_data"
        };
        cases.push(Case::new(
            format!("{compression} twice"),
            &target.put(&address, twice),
            422,
            code,
        ));
    }
    let inside = [&nar[..], b"\0"].concat();
    for (compression, file) in
        [("none", inside.clone()), ("zstd", nar::zstd(&inside)), ("xz", nar::xz(&inside))]
    {
        let request = target.put(&api(&inside, &format!("compression={compression}")), file);
        let case = Case::new(
            format!("a NAR and a byte as {compression}"),
            &request,
            422,
            "nar_trailing_data",
        );
        cases.push(case.saying("at byte 120"));
    }
    target.refuses(cases);
    for (compression, file) in files {
        target.must_take(&target.put(&api(&nar, &format!("compression={compression}")), file));
    }
}

/// One bit is wrong, in the middle.
fn damage(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let middle = file.len() / 2;
    file[middle] ^= 0x10;
    file
}

#[test]
fn bombs_do_not_go_off() {
    let target = Target::start(&LIMITS);
    let big = nar::file(&vec![0; 64 << 20]);
    let noise = nar::file(&nar::noise(1, 5 << 20));
    let small = nar::file(b"small");
    let padding = 9_u32 << 20;
    let padded = [
        &0x184d_2a50_u32.to_le_bytes()[..],
        &padding.to_le_bytes(),
        &vec![0; padding as usize],
        &nar::zstd(&small),
    ]
    .concat();
    let put = |nar: &[u8], compression: &str, file: Vec<u8>| {
        target.put(&api(nar, &format!("compression={compression}")), file)
    };
    target.refuses(vec![
        Case::new("zeros in zstd", &put(&big, "zstd", nar::zstd(&big)), 413, "nar_too_long")
            .saying("max-nar-size"),
        Case::new("zeros in xz", &put(&big, "xz", nar::xz(&big)), 413, "nar_too_long"),
        Case::new(
            "a NAR that is too long",
            &put(&noise, "none", noise.clone()),
            413,
            "nar_too_long",
        ),
        Case::new("a file that is too long", &put(&small, "zstd", padded), 413, "file_too_long"),
        Case::new(
            "zstd's window",
            &put(&small, "zstd", wide_zstd(&small)),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "xz's dictionary",
            &put(&small, "xz", wide_xz(&small)),
            422,
            "compression_corrupt",
        ),
        Case::new(
            "lzip's dictionary",
            &put(&small, "lzip", wide_lzip()),
            422,
            "compression_corrupt",
        ),
    ]);
    let limit = 150 << 20;
    assert!(target.server.peak_memory() < limit, "{} bytes", target.server.peak_memory());
}

/// A frame that asks for a window of 128 MiB.
fn wide_zstd(nar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory takes what is written");
    encoder.window_log(27).expect("zstd goes so far");
    std::io::Write::write_all(&mut encoder, nar).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// A stream that asks for a dictionary of 64 MiB.
fn wide_xz(nar: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
    std::io::Write::write_all(&mut encoder, nar).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// A member that asks for a dictionary of 512 MiB: the fifth byte says so.
fn wide_lzip() -> Vec<u8> {
    let (files, _) = vectors();
    let lzip = files.into_iter().find(|(compression, _)| *compression == Compression::Lzip);
    let mut file = lzip.expect("lzip is among them").1;
    file[5] = 29;
    file
}

#[test]
fn uploads_that_break_off_leave_nothing() {
    let target = Target::start(&[]);
    let nar = nar::file(&nar::noise(2, 20 << 20));
    let address = api(&nar, "compression=none");
    let (start, small) = (&nar[..9 << 20], nar::zstd(&nar::file(b"small")));
    let chunked = |body: &[u8]| {
        let mut bytes = Request::new("PUT", &address)
            .token(&target.token)
            .header("transfer-encoding", "chunked")
            .to_bytes();
        bytes.extend_from_slice(body);
        bytes
    };
    let file = format!("/nar/{}.nar", FileHash::of(&nar).to_nix32());
    let cut = |name: String, request: &Request| {
        Case::new(name, request, 400, "upload_truncated").breaking_off()
    };
    let put = |address: &str, body: &[u8], len: usize| target.put(address, body).announcing(len);
    let mut cases = vec![
        cut("a shorter body".into(), &put(&address, start, nar.len())).saying("9437184 bytes"),
        cut("no body".into(), &put(&address, b"", nar.len())),
        cut("a shorter file".into(), &put(&file, start, nar.len())),
    ];
    for (name, body) in [("no last chunk", b"4\r\nabcd\r\n"), ("no chunk", b"z\r\nabcd\r\n")] {
        cases.push(Case { bytes: chunked(body), ..cut(name.into(), &put(&address, b"", 0)) });
    }
    for compression in Compression::ALL {
        let address = api(&nar, &format!("compression={compression}"));
        let body = if compression == Compression::Zstd { &small[..] } else { b"" };
        let request = put(&address, body, body.len() + 1000);
        cases.push(cut(format!("{compression} that breaks off"), &request));
    }
    target.refuses(cases);

    let before = target.kept();
    let mut wire = Wire::open(target.server.address());
    wire.send(&target.put(&address, start).announcing(nar.len()).to_bytes());
    let staging = target.server.data().join("blobs/staging");
    wait_for("the upload to begin", || fs::read_dir(&staging).ok()?.next().map(drop));
    drop(wire);
    wait_for("the pool to notice that the client is gone", || {
        (target.kept() == before).then_some(())
    });
    target.must_take(&target.put(&address, nar));
}

#[test]
fn a_batch_is_whole_or_refused() {
    let target = Target::start(&LIMITS);
    let (good, other) = (nar::file(b"good"), nar::file(b"other"));
    let record = |nar: &[u8], file: &[u8]| {
        let mut body = Vec::new();
        let record = Record { nar_hash: NarHash::of(nar), compression: Compression::None, file };
        record.encode_to(&mut body).expect("the record is short");
        body
    };
    let post = |body: Vec<u8>| target.post("/api/v1/nars", body);
    let whole = record(&good, &good);
    let mut unknown = whole.clone();
    unknown[32] = 9;
    let many = record(&good, b"").repeat(1025);
    target.refuses(vec![
        Case::new("a cut record", &post(whole[..whole.len() - 1].to_vec()), 400, "batch_malformed")
            .saying("record 0"),
        Case::new("a cut head", &post(whole[..36].to_vec()), 400, "batch_malformed"),
        Case::new("no such compression", &post(unknown), 400, "batch_malformed").saying("number 9"),
        Case::new("too many records", &post(many), 413, "batch_too_large"),
        Case::new("too long", &post(vec![0; (8 << 20) + 1]), 413, "body_too_large"),
        Case::new("another NAR", &post(record(&other, &good)), 422, "nar_hash_mismatch")
            .saying("record 0"),
        Case::new("a malformed NAR", &post(record(&good, &good[..40])), 422, "nar_malformed")
            .saying("record 0"),
        Case::new(
            "a batch that breaks off",
            &post(whole.clone()).announcing(1000),
            400,
            "body_truncated",
        )
        .breaking_off(),
    ]);
    target.must_take(&post(whole));
}
