//! Files that stock Nix made: see `tests/vectors/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use schema::attestation::Signed;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::key::PublicKey;
use schema::narinfo::NarInfo;

use super::tree::ingested;

fn vectors() -> PathBuf {
    tests::program::project().join("tests/vectors")
}

fn caches() -> [PathBuf; 2] {
    ["cache.nixos.org", "nix-2.8"].map(|cache| vectors().join(cache))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn narinfos(cache: &Path) -> Vec<(PathBuf, NarInfo)> {
    let files = fs::read_dir(cache).expect("the vectors are there");
    let paths = files.map(|file| file.expect("the vectors can be listed").path());
    let read = |path: PathBuf| {
        let narinfo = NarInfo::parse_nix(read(&path).as_bytes());
        narinfo
            .map(|narinfo| (path.clone(), narinfo))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.filter(|path| path.extension().is_some_and(|it| it == "narinfo")).map(read).collect()
}

#[test]
fn narinfos_print_as_nix_wrote_them() {
    let mut seen = 0;
    for (path, narinfo) in caches().iter().flat_map(|cache| narinfos(cache)) {
        assert_eq!(narinfo.print_nix(), read(&path));
        let signed = narinfo.claim.signed_bytes();
        assert_eq!(Claim::parse(signed.as_bytes()).unwrap(), narinfo.claim);
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn signatures_by_nix_verify_over_what_was_signed_and_nothing_else() {
    let mut seen = 0;
    for cache in caches() {
        let keys = read(&cache.join("keys"));
        let keys: Vec<PublicKey> = keys.lines().map(|line| line.parse().unwrap()).collect();
        for (path, narinfo) in narinfos(&cache) {
            for signature in &narinfo.signatures {
                let key = keys.iter().find(|key| key.name() == signature.name()).unwrap();
                let verify = |claim| Signed::new(claim, signature.clone()).verify(key);
                let claim = &narinfo.claim;
                assert!(verify(claim.clone()).is_ok(), "{} by {}", path.display(), key.name());
                let (at, references) = (claim.path().clone(), claim.references().to_vec());
                let longer = Claim::new(at, claim.nar_hash(), claim.nar_size() + 1, references);
                assert!(verify(longer.unwrap()).is_err(), "{} by {}", path.display(), key.name());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 14);
}

#[test]
fn content_addresses_by_nix_give_their_paths_alone() {
    let narinfos = narinfos(&vectors().join("nix-2.8"));
    let addresses: Vec<_> =
        narinfos.iter().filter_map(|(_, it)| it.content_address.clone()).collect();
    assert_eq!(addresses.len(), 2);
    for (path, narinfo) in &narinfos {
        for address in &addresses {
            let own = narinfo.content_address.as_ref() == Some(address);
            assert_eq!(address.gives_path_of(&narinfo.claim), own, "{}", path.display());
        }
    }
}

#[test]
fn nars_by_nix_are_what_their_narinfos_and_listings_say() {
    let cache = vectors().join("nix-2.8");
    let mut seen = 0;
    for (path, narinfo) in narinfos(&cache) {
        let Ok(file) = fs::read(cache.join(&narinfo.delivery.url)) else { continue };
        let (claim, delivery) = (&narinfo.claim, &narinfo.delivery);
        let verified = ingested(&file, Compression::Zstd);
        assert_eq!(
            (verified.nar_hash(), verified.nar_size()),
            (claim.nar_hash(), claim.nar_size())
        );
        assert_eq!(Some(verified.file_hash()), delivery.file_hash);
        assert_eq!(Some(verified.file_size()), delivery.file_size);
        assert_eq!(verified.file_hash(), FileHash::of(&file));
        let nar = zstd::decode_all(&file[..]).unwrap();
        assert_eq!(NarHash::of(&nar), claim.nar_hash());
        let (candidates, listing) = verified.into_findings();
        for reference in claim.references() {
            assert!(
                candidates.contains(&reference.hash_part()),
                "{reference} in {}",
                path.display()
            );
        }
        let ours: serde_json::Value = serde_json::from_slice(&listing.unwrap()).unwrap();
        let by_nix = read(&path.with_extension("ls"));
        assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&by_nix).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_same_nar_comes_out_of_every_compression_of_nix() {
    let cache = vectors().join("nix-2.8");
    let narinfos = narinfos(&cache);
    let (_, narinfo) =
        narinfos.iter().find(|(_, it)| it.claim.path().base().name() == "flavoured").unwrap();
    for compression in Compression::ALL.into_iter().filter(|it| *it != Compression::None) {
        let file = fs::read(cache.join(format!("compressed/flavoured.nar.{compression}"))).unwrap();
        let verified = ingested(&file, compression);
        assert_eq!(verified.nar_hash(), narinfo.claim.nar_hash(), "{compression}");
        assert_eq!(verified.file_hash(), FileHash::of(&file));
    }
}
