//! Values of every kind, well formed.

use proptest::prelude::*;
use proptest::sample::select;
use schema::base_url::BaseUrl;
use schema::base32;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::content_address::ContentAddress;
use schema::guix::ecdsa::EcdsaSecret;
use schema::hash::{FileHash, NarHash};
use schema::key::{KeyName, SecretKey};
use schema::name_pattern::NamePattern;
use schema::narinfo::{Delivery, NarInfo};
use schema::signature::{NamedSignature, Signature};
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};

pub(super) fn nar_hash() -> impl Strategy<Value = NarHash> {
    any::<[u8; 32]>().prop_map(NarHash::from_bytes)
}

pub(super) fn compression() -> impl Strategy<Value = Compression> {
    select(&Compression::ALL[..])
}

pub(super) fn base_name() -> impl Strategy<Value = BaseName> {
    let name = "[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{0,210}";
    (any::<[u8; 20]>().prop_map(HashPart::from_bytes), name)
        .prop_map(|(hash_part, name)| parsed(&format!("{hash_part}-{name}")))
}

pub(super) fn name_pattern() -> impl Strategy<Value = NamePattern> {
    "([0-9A-Za-z+_?=-]|\\*[0-9A-Za-z+._?=-])[0-9A-Za-z+._?=-]{0,40}(\\*[0-9A-Za-z+._?=-]{1,40}){0,3}\\*?"
        .prop_map(|pattern| parsed(&pattern))
}

pub(super) fn store_dir() -> impl Strategy<Value = StoreDir> {
    let other = "(/[0-9A-Za-z+_=@~-][0-9A-Za-z+._=@~-]{0,30}){1,6}";
    prop_oneof![Just(StoreDir::nix()), Just(StoreDir::guix()), other.prop_map(|dir| parsed(&dir))]
}

pub(super) fn store_path() -> impl Strategy<Value = StorePath> {
    (store_dir(), base_name()).prop_map(|(dir, base)| StorePath::new(dir, base))
}

pub(super) fn key_name() -> impl Strategy<Value = KeyName> {
    "[0-9A-Za-z][0-9A-Za-z._+@-]{0,127}".prop_map(|name| parsed(&name))
}

pub(super) fn secret_key() -> impl Strategy<Value = SecretKey> {
    (key_name(), any::<[u8; 32]>()).prop_map(|(name, seed)| SecretKey::from_seed(name, &seed))
}

/// A key of Guix's.
pub(super) fn guix_key() -> impl Strategy<Value = SecretKey> {
    (key_name(), any::<[u8; 64]>()).prop_map(|(name, random)| {
        SecretKey::of_guix(name, EcdsaSecret::from_random(&random).expect("not zero"))
    })
}

/// A key of either kind.
pub(super) fn any_key() -> impl Strategy<Value = SecretKey> {
    prop_oneof![secret_key(), guix_key()]
}

pub(super) fn named_signature() -> impl Strategy<Value = NamedSignature> {
    (key_name(), any::<[u8; 64]>())
        .prop_map(|(name, bytes)| NamedSignature::new(name, Signature::from_bytes(bytes)))
}

/// A claim in Nix's words.
pub(super) fn claim() -> impl Strategy<Value = Claim> {
    store_dir().prop_flat_map(claim_in)
}

/// A claim in Guix's words, with or without a deriver.
pub(super) fn guix_claim() -> impl Strategy<Value = Claim> {
    (claim_in(StoreDir::guix()), prop::option::of(base_name()))
        .prop_map(|(claim, deriver)| claim.in_guix(deriver.as_ref()))
}

/// A claim about a path in this store, which may refer to itself.
pub(super) fn claim_in(dir: StoreDir) -> impl Strategy<Value = Claim> {
    let references = prop::collection::btree_set(base_name(), 0..8);
    (base_name(), nar_hash(), 1u64.., references, any::<bool>()).prop_map(
        move |(base, nar_hash, nar_size, mut references, to_self)| {
            if to_self {
                references.insert(base.clone());
            }
            let path = StorePath::new(dir.clone(), base);
            let references = references.into_iter().collect();
            Claim::new(path, nar_hash, nar_size, references).expect("the parts make a claim")
        },
    )
}

pub(super) fn content_address() -> impl Strategy<Value = ContentAddress> {
    let text =
        any::<[u8; 32]>().prop_map(|digest| format!("text:sha256:{}", base32::encode(&digest)));
    let sized = select(vec![("md5", 16), ("sha1", 20), ("sha256", 32), ("sha512", 64)]);
    let fixed = (select(vec!["fixed", "fixed:r"]), sized, any::<[u8; 64]>()).prop_map(
        |(method, (algorithm, len), digest)| {
            format!("{method}:{algorithm}:{}", base32::encode(&digest[..len]))
        },
    );
    prop_oneof![text, fixed].prop_map(|address| parsed(&address))
}

pub(super) fn narinfo_in(dir: StoreDir) -> impl Strategy<Value = NarInfo> {
    let file_hash = any::<[u8; 32]>().prop_map(FileHash::from_bytes);
    let file = (prop::option::of(file_hash), prop::option::of(1u64..));
    let delivery = ("[!-~]{1,80}", compression(), file).prop_map(|(url, compression, file)| {
        Delivery { url, compression, file_hash: file.0, file_size: file.1 }
    });
    let unsigned = (prop::option::of(base_name()), prop::option::of(content_address()));
    let signatures = prop::collection::vec(named_signature(), 0..4);
    (claim_in(dir), delivery, unsigned, signatures).prop_map(
        |(claim, delivery, (deriver, content_address), signatures)| NarInfo {
            claim,
            delivery,
            deriver,
            content_address,
            signatures,
        },
    )
}

pub(super) fn narinfo() -> impl Strategy<Value = NarInfo> {
    store_dir().prop_flat_map(narinfo_in)
}

/// The address of a server.
pub(super) fn base_url() -> impl Strategy<Value = BaseUrl> {
    let host = "([0-9a-z][0-9a-zA-Z._-]{0,40}|\\[[0-9a-f:.]{2,39}\\])";
    let rest = "(:[1-9][0-9]{0,3})?(/[0-9A-Za-z._~%!$&()*+;=:@-]{1,20}){0,4}";
    let text = format!("https?://{host}{rest}");
    proptest::string::string_regex(&text).expect("a pattern").prop_map(|url| parsed(&url))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("what was generated is well formed")
}
