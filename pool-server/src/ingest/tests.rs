use std::io::Write;

use nix_archive::nar::{NamedNode, Node, encode_tree};
use schema::listing::Listing;

use super::*;

const LIMITS: Limits = Limits {
    nar_size: 1 << 20,
    file_size: 1 << 20,
    decoder_memory: 64 << 20,
    listing_size: 1 << 16,
};

fn nar() -> Vec<u8> {
    let script = b"#!/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-bash/bin/sh\n";
    let file = |executable, contents| Node::Regular { executable, contents };
    let tree = Node::Directory(&[
        NamedNode { name: b"empty", node: file(false, b"") },
        NamedNode { name: b"link", node: Node::Symlink { target: b"run" } },
        NamedNode { name: b"run", node: file(true, script) },
    ]);
    let mut nar = Vec::new();
    encode_tree(&mut nar, &tree).unwrap();
    nar
}

fn compressed(compression: Compression, nar: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        Compression::None => out.extend_from_slice(nar),
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(&mut out, 1);
            encoder.write_all(nar).unwrap();
            encoder.finish().unwrap();
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast());
            encoder.write_all(nar).unwrap();
            encoder.finish().unwrap();
        }
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
            encoder.write_all(nar).unwrap();
            encoder.finish().unwrap();
        }
        Compression::Zstd => zstd::stream::copy_encode(nar, &mut out, 1).unwrap(),
        Compression::Brotli => {
            brotli::CompressorWriter::new(&mut out, 4096, 1, 20).write_all(nar).unwrap();
        }
        Compression::Lzip => {
            let options = lzma_rust2::LzipOptions::with_preset(1);
            let mut encoder = lzma_rust2::LzipWriter::new(&mut out, options);
            encoder.write_all(nar).unwrap();
            encoder.finish().unwrap();
        }
    }
    out
}

fn declared(compression: Compression) -> Declared {
    Declared { compression: Some(compression), ..Declared::default() }
}

fn code(file: &[u8], declared: &Declared, limits: &Limits) -> &'static str {
    match check(file, declared, limits) {
        Ok(_) => "taken",
        Err(refused) => refused.code(),
    }
}

#[test]
fn every_compression_gives_the_same_nar() {
    let nar = nar();
    for compression in Compression::ALL {
        let file = compressed(compression, &nar);
        let verified = check(&file[..], &declared(compression), &LIMITS).unwrap();
        assert_eq!(verified.nar_hash(), NarHash::of(&nar), "{compression}");
        assert_eq!(verified.nar_size(), nar.len() as u64);
        assert_eq!(verified.file_hash(), FileHash::of(&file));
        assert_eq!(verified.file_size(), file.len() as u64);
    }
}

#[test]
fn files_of_several_frames_or_members_are_one_nar() {
    let nar = nar();
    let (one, two) = nar.split_at(nar.len() / 2);
    for compression in [
        Compression::Xz,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Lzip,
    ] {
        let file = [compressed(compression, one), compressed(compression, two)].concat();
        let verified = check(&file[..], &declared(compression), &LIMITS).unwrap();
        assert_eq!(verified.nar_hash(), NarHash::of(&nar), "{compression}");
    }
}

#[test]
fn a_name_that_does_not_tell_gzip_from_none_is_no_hindrance() {
    for compression in [Compression::None, Compression::Gzip] {
        let file = compressed(compression, &nar());
        let verified = check(&file[..], &Declared::default(), &LIMITS).unwrap();
        assert_eq!(verified.compression(), compression);
    }
}

#[test]
fn references_and_files_are_found() {
    let nar = nar();
    let (candidates, listing) =
        check(&nar[..], &declared(Compression::None), &LIMITS).unwrap().into_findings();
    let found: Vec<String> = candidates.hash_parts.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["3n58xw4373jp0ljirf06d8077j15pc4j"]);
    let listing: Listing = serde_json::from_slice(&listing.unwrap()).unwrap();
    let text = serde_json::to_string(&listing).unwrap();
    let offset = nar.windows(2).position(|pair| pair == b"#!").unwrap();
    assert!(text.contains(&format!("\"executable\":true,\"narOffset\":{offset}")), "{text}");
    assert!(text.contains(r#""link":{"type":"symlink","target":"run"}"#), "{text}");
}

#[test]
fn a_listing_that_would_be_too_long_is_left_out() {
    let limits = Limits { listing_size: 100, ..LIMITS };
    let verified = check(&nar()[..], &declared(Compression::None), &limits).unwrap();
    assert_eq!(verified.into_findings().1, None);
}

#[test]
fn bytes_after_the_end_are_refused_in_every_compression() {
    let nar = nar();
    let longer = [&nar[..], b"x"].concat();
    for compression in Compression::ALL {
        let inside = compressed(compression, &longer);
        assert_eq!(
            code(&inside, &declared(compression), &LIMITS),
            "nar_trailing_data",
            "{compression}"
        );
        let after = [&compressed(compression, &nar)[..], b"garbage after the end"].concat();
        assert_ne!(code(&after, &declared(compression), &LIMITS), "taken", "{compression}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let nar = nar();
    for compression in Compression::ALL {
        let file = compressed(compression, &nar);
        for len in (0..file.len()).step_by(7) {
            assert_ne!(
                code(&file[..len], &declared(compression), &LIMITS),
                "taken",
                "{compression} at {len}"
            );
        }
    }
}

#[test]
fn what_was_declared_must_hold() {
    let file = nar();
    let plain = declared(Compression::None);
    let size = file.len() as u64;
    for (declared, expected) in [
        (Declared { nar_hash: Some(NarHash::of(b"")), ..plain }, "nar_hash_mismatch"),
        (Declared { file_hash: Some(FileHash::of(b"")), ..plain }, "file_hash_mismatch"),
        (Declared { nar_size: Some(size + 1), ..plain }, "nar_size_mismatch"),
        (Declared { nar_size: Some(size - 1), ..plain }, "nar_too_long"),
        (Declared { nar_size: Some(size), ..plain }, "taken"),
        (Declared { compression: Some(Compression::Zstd), ..plain }, "compression_corrupt"),
    ] {
        assert_eq!(code(&file, &declared, &LIMITS), expected, "{declared:?}");
    }
}

#[test]
fn bombs_are_cut_short_at_the_bound() {
    let mut big = Vec::new();
    nix_archive::nar::encode_regular(&mut big, &vec![0; 2 << 20], false).unwrap();
    for compression in Compression::ALL {
        let file = compressed(compression, &big);
        let limits = Limits { file_size: 4 << 20, ..LIMITS };
        assert_eq!(code(&file, &declared(compression), &limits), "nar_too_long", "{compression}");
    }
    let limits = Limits { file_size: 100, ..LIMITS };
    assert_eq!(code(&nar(), &declared(Compression::None), &limits), "file_too_long");
}

#[test]
fn a_decoder_takes_no_more_memory_than_allowed() {
    let limits = Limits { decoder_memory: 1 << 20, ..LIMITS };
    let mut zstd = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    zstd.window_log(24).unwrap();
    zstd.write_all(&nar()).unwrap();
    let zstd = zstd.finish().unwrap();
    assert_eq!(code(&zstd, &declared(Compression::Zstd), &limits), "compression_corrupt");
    assert_eq!(code(&zstd, &declared(Compression::Zstd), &LIMITS), "taken");
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 9);
    xz.write_all(&nar()).unwrap();
    let xz = xz.finish().unwrap();
    assert_eq!(code(&xz, &declared(Compression::Xz), &limits), "compression_corrupt");
    let mut options = lzma_rust2::LzipOptions::with_preset(1);
    options.lzma_options.dict_size = 32 << 20;
    let mut lzip = lzma_rust2::LzipWriter::new(Vec::new(), options);
    lzip.write_all(&nar()).unwrap();
    let lzip = lzip.finish().unwrap();
    assert_eq!(code(&lzip, &declared(Compression::Lzip), &limits), "compression_corrupt");
}
