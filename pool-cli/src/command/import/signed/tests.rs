use schema::key::SecretKey;
use schema::narinfo::guix::GuixNarInfo;
use schema::narinfo::{Delivery, NarInfo};

use super::*;

const NIX: &str = "1;/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12;\
    sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;112;";

fn signer(key: &PublicKey) -> Signer {
    Signer {
        name: key.name().clone(),
        public_key: key.clone(),
        key_id: key.id(),
        enrolled_at: 0,
        since: 0,
        standing: KeyStanding::Active,
        until: None,
        delegated_by: None,
        names: None,
        not_after: None,
    }
}

fn told(claim: Claim, signatures: Signatures) -> Told {
    let compression = schema::compression::Compression::None;
    let delivery = Delivery { url: "x".into(), compression, file_hash: None, file_size: None };
    Told { claim, deriver: None, content_address: None, signatures, delivery }
}

fn of_nix(keys: &[&SecretKey]) -> Told {
    let lines = keys.iter().map(|key| key.sign(NIX.as_bytes())).collect();
    told(Claim::parse(NIX.as_bytes()).unwrap(), Signatures::Nix(lines))
}

#[test]
fn of_the_keys_of_one_name_any_may_have_signed_but_one_that_has_ended_may_not_any_more() {
    let key = |seed| SecretKey::from_seed("a-1".parse().unwrap(), &[seed; 32]);
    let (old, new) = (key(1), key(2));
    let mut signers = vec![signer(&old.public()), signer(&new.public())];
    signers[0].standing = KeyStanding::Rotated;
    let found = |told: &Told, signers: &[Signer]| Vouched::find(told, signers, 1000);
    let by_new = found(&of_nix(&[&new, &new]), &signers);
    assert!(matches!(&by_new, Vouched::By(items) if items.len() == 1), "{by_new:?}");
    let barred = Vouched::ByOthers(vec![Other::Barred("a-1".into())]);
    assert_eq!(found(&of_nix(&[&old]), &signers), barred);
    assert!(matches!(found(&of_nix(&[&new, &key(3)]), &signers), Vouched::Not(_)));
    assert_eq!(found(&of_nix(&[]), &signers), Vouched::ByOthers(vec![]));
}

#[test]
fn a_machine_speaks_of_what_it_may_and_in_time() {
    let key = SecretKey::from_seed("box-1".parse().unwrap(), &[1; 32]);
    let of = |names: &str, not_after| {
        let names = Some(names.parse().unwrap());
        vec![Signer { names, not_after: Some(not_after), ..signer(&key.public()) }]
    };
    let found = |signers: &[Signer]| Vouched::find(&of_nix(&[&key]), signers, 1000);
    assert!(matches!(found(&of("hello-*", 1000)), Vouched::By(_)));
    assert!(matches!(found(&of("hello-*", 999)), Vouched::ByOthers(_)));
    assert!(matches!(found(&of("linux-*", 1000)), Vouched::ByOthers(_)));
}

#[test]
fn a_key_of_another_kind_is_another_key_whatever_its_name() {
    let guix = schema::guix::ecdsa::EcdsaSecret::from_random(&[7; 64]).unwrap();
    let guix = SecretKey::of_guix("a-1".parse().unwrap(), guix);
    let nix = SecretKey::from_seed("a-1".parse().unwrap(), &[1; 32]);
    let found = Vouched::find(&of_nix(&[&nix]), &[signer(&guix.public())], 1000);
    assert_eq!(found, Vouched::ByOthers(vec![Other::Name("a-1".into())]));
}

#[test]
fn what_guix_itself_has_signed_is_handed_in_as_it_was_signed() {
    let vector = |name: &str| {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/guix");
        std::fs::read_to_string(format!("{dir}/{name}")).unwrap()
    };
    let key = schema::guix::key_file::parse_public(&vector("signing-key.pub")).unwrap();
    let signers = [signer(&PublicKey::of_guix("vm-1".parse().unwrap(), key))];
    let text = vector("sr37x1sjhsgj193l0avparp0x2vhvllq.narinfo");
    let read = |text: &str| {
        let narinfo = GuixNarInfo::parse(text.as_bytes()).unwrap();
        told(narinfo.claim, Signatures::Guix(narinfo.signature))
    };
    let Vouched::By(items) = Vouched::find(&read(&text), &signers, 0) else { panic!("{text}") };
    let signed = items[0].signed.as_deref().unwrap();
    assert!(text.starts_with(&format!("{signed}Signature: ")));
    assert!(signers[0].public_key.verifies(signed.as_bytes(), items[0].signature.signature()));
    let other = text.replacen("NarSize: ", "NarSize: 1", 1);
    assert!(matches!(Vouched::find(&read(&other), &signers, 0), Vouched::Not(_)));
}

#[test]
fn what_a_large_cache_has_signed_is_verified_with_its_key() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/cache.nixos.org");
    let file = format!("{dir}/axp6zlky4x2v3jwcbq24a2cz25hzlw9b.narinfo");
    let narinfo = NarInfo::parse_nix(&std::fs::read(file).unwrap()).unwrap();
    let key = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".parse().unwrap();
    let found = told(narinfo.claim, Signatures::Nix(narinfo.signatures));
    let found = Vouched::find(&found, &[signer(&key)], 0);
    assert!(matches!(&found, Vouched::By(items) if items.len() == 1), "{found:?}");
}
