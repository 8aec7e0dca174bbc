//! The crate `nix-narinfo`, by other people, reads what we write and judges as we do.

use nix_narinfo::TrustedPublicKey;
use proptest::prelude::*;
use schema::attestation::Signed;
use schema::claim::Claim;
use schema::narinfo::NarInfo;
use schema::signature::{NamedSignature, Signature};
use schema::store_path::{StoreDir, StorePath};

use super::arbitrary::{base_name, content_address, narinfo_in, secret_key};
use super::mutation::mutation;

fn theirs(text: &str) -> nix_narinfo::NarInfo {
    nix_narinfo::NarInfo::parse_in(&Default::default(), text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

proptest! {
    #[test]
    fn it_reads_and_prints_the_same(narinfo in narinfo_in(StoreDir::nix())) {
        let text = narinfo.print_nix();
        let theirs = theirs(&text);
        prop_assert_eq!(theirs.fingerprint(theirs.store_dir()), narinfo.claim.signed_bytes());
        prop_assert_eq!(String::from_utf8(theirs.to_canonical_bytes()).unwrap(), text);
        prop_assert_eq!(theirs.nar_size(), narinfo.claim.nar_size());
        prop_assert_eq!(theirs.file_size(), narinfo.delivery.file_size);
        prop_assert_eq!(theirs.compression().as_str(), narinfo.delivery.compression.name());
        prop_assert_eq!(theirs.references().len(), narinfo.claim.references().len());
        prop_assert_eq!(theirs.signatures().len(), narinfo.signatures.len());
    }

    /// Ours is the stricter reader: whatever it takes, theirs takes, and for the same claim.
    #[test]
    fn it_reads_whatever_we_read(
        narinfo in narinfo_in(StoreDir::nix()),
        damage in prop::collection::vec(mutation(), 1..3),
    ) {
        let text = damage.iter().fold(narinfo.print_nix().into_bytes(), |text, it| it.of(&text));
        let Ok(ours) = NarInfo::parse_nix(&text) else { return Ok(()) };
        prop_assume!(*ours.claim.path().dir() == StoreDir::nix());
        let theirs = theirs(&ours.print_nix());
        prop_assert_eq!(theirs.fingerprint(theirs.store_dir()), ours.claim.signed_bytes());
    }

    #[test]
    fn it_judges_signatures_as_we_do(
        mut narinfo in narinfo_in(StoreDir::nix()),
        secret in secret_key(),
        mutation in prop::option::of(mutation()),
    ) {
        let (public, message) = (secret.public(), narinfo.claim.signed_bytes());
        let mut signature = secret.sign(message.as_bytes());
        let damaged = mutation.map(|mutation| mutation.of(signature.signature().as_bytes()));
        if let Some(bytes) = damaged.and_then(|bytes| bytes.try_into().ok()) {
            signature = NamedSignature::new(signature.name().clone(), Signature::from_bytes(bytes));
        }
        narinfo.signatures = vec![signature.clone()];
        let key = TrustedPublicKey::parse(&public.to_string()).unwrap();
        let theirs = theirs(&narinfo.print_nix());
        let ours = Signed::new(narinfo.claim, signature).verify(&public);
        prop_assert_eq!(theirs.has_valid_signature(theirs.store_dir(), &[key]), ours.is_ok());
    }

    /// It makes the path of a content address; we must agree that this is the path.
    #[test]
    fn it_makes_the_paths_that_we_recognise(
        mut narinfo in narinfo_in(StoreDir::nix()),
        address in content_address(),
        other in base_name(),
    ) {
        narinfo.content_address = Some(address.clone());
        narinfo.signatures.clear();
        let theirs = theirs(&narinfo.print_nix());
        let to_self = theirs.references().contains(theirs.store_path());
        let others = theirs.references().iter().filter(|path| *path != theirs.store_path());
        let name = theirs.store_path().name();
        let Some(address_of_theirs) = theirs.content_address() else { panic!("no CA line") };
        let path = theirs.store_dir().build_ca_path(name, address_of_theirs, others, to_self);
        let own = narinfo.claim.path().base().clone();
        let claim = |path: StorePath| {
            let references = narinfo.claim.references().iter();
            let references =
                references.map(|it| if *it == own { path.base() } else { it }.clone()).collect();
            Claim::new(path, narinfo.claim.nar_hash(), narinfo.claim.nar_size(), references).unwrap()
        };
        if let Ok(path) = path {
            let base = path.to_basename().parse().unwrap();
            prop_assert!(address.gives_path_of(&claim(StorePath::new(StoreDir::nix(), base))));
        }
        prop_assert!(!address.gives_path_of(&claim(StorePath::new(StoreDir::nix(), other))));
    }
}
