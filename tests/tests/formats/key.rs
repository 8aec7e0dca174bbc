//! Keys and signatures, Nix's and Guix's.

use ed25519_dalek::VerifyingKey;
use proptest::prelude::*;
use schema::guix::acl::{Acl, AclKey};
use schema::guix::key_file::{parse_public, parse_secret, print_public};
use schema::key::{KeyName, PublicKey, SecretKey};
use schema::signature::{NamedSignature, Signature};

use super::arbitrary::{any_key, guix_key, key_name, named_signature, secret_key};
use super::mutation::mutation;

proptest! {
    #[test]
    fn lines_lead_back(secret in secret_key(), signature in named_signature()) {
        let public = secret.public();
        prop_assert_eq!(public.to_string().parse::<PublicKey>(), Ok(public.clone()));
        let again: SecretKey = secret.to_text().parse().unwrap();
        prop_assert!(again.to_text() == secret.to_text());
        prop_assert_eq!(again.public(), public);
        prop_assert_eq!(signature.to_string().parse(), Ok(signature.clone()));
        prop_assert_eq!(signature.name().to_string().parse::<KeyName>(), Ok(signature.name().clone()));
    }

    #[test]
    fn files_of_guix_lead_back(secret in guix_key()) {
        let public = secret.public();
        prop_assert_eq!(public.to_string().parse::<PublicKey>(), Ok(public.clone()));
        let key = public.guix().unwrap();
        prop_assert_eq!(parse_public(&print_public(key)), Ok(key.clone()));
        let again = parse_secret(&secret.to_text()).unwrap();
        prop_assert_eq!(&again.public(), key);
        // The nonces follow from the very bytes of the file.
        let again = SecretKey::of_guix(secret.name().clone(), again);
        prop_assert!(again.sign(b"x") == secret.sign(b"x"));
        prop_assert!(public.verifies(b"x", again.sign(b"x").signature()));
        let acl = Acl { keys: vec![AclKey::Ecdsa(key.clone())] };
        prop_assert_eq!(Acl::parse(&acl.print()), Ok(acl.clone()));
    }

    #[test]
    fn a_damaged_signature_by_guix_is_none(secret in guix_key(), mutation in mutation()) {
        let signature = secret.sign(b"x");
        let bytes = mutation.of(signature.signature().as_bytes());
        let Ok(damaged) = <[u8; 64]>::try_from(bytes) else { return Ok(()) };
        let damaged = Signature::from_bytes(damaged);
        let same = damaged == *signature.signature();
        prop_assert_eq!(secret.public().verifies(b"x", &damaged), same);
    }

    #[test]
    fn a_damaged_line_is_another_key_or_none(secret in any_key(), mutation in mutation()) {
        let (public, line) = (secret.public(), secret.public().to_string());
        let Ok(damaged) = String::from_utf8(mutation.of(line.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<PublicKey>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == public, damaged == line);
        }
    }

    #[test]
    fn a_damaged_secret_is_no_key_unless_its_name_changed(secret in secret_key(), mutation in mutation()) {
        let line = secret.to_text().to_string();
        let Ok(damaged) = String::from_utf8(mutation.of(line.as_bytes())) else { return Ok(()) };
        match damaged.parse::<SecretKey>() {
            Ok(read) => {
                prop_assert!(*read.to_text() == damaged);
                prop_assert!(read.public().as_bytes() == secret.public().as_bytes());
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(!message.contains(&line[line.len() - 40..]), "{}", message);
            }
        }
    }

    #[test]
    fn a_damaged_signature_is_another_one_or_none(signature in named_signature(), mutation in mutation()) {
        let line = signature.to_string();
        let Ok(damaged) = String::from_utf8(mutation.of(line.as_bytes())) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<NamedSignature>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == signature, damaged == line);
        }
    }

    /// A key that is taken has one spelling, and is no point that anybody can sign for.
    #[test]
    fn arbitrary_bytes_are_a_canonical_key_or_none(name in key_name(), bytes in any::<[u8; 32]>()) {
        if let Ok(key) = PublicKey::from_bytes(name, &bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
            let point = VerifyingKey::from_bytes(&bytes).unwrap();
            prop_assert!(!point.is_weak());
        }
    }

    #[test]
    fn a_signature_holds_for_its_message_and_key_alone(
        secret in secret_key(),
        other in secret_key(),
        message in prop::collection::vec(any::<u8>(), 1..300),
        mutation in mutation(),
    ) {
        let signature = secret.sign(&message);
        prop_assert!(secret.public().verifies(&message, signature.signature()));
        prop_assert!(!other.public().verifies(&message, signature.signature()));
        let damaged = mutation.of(&message);
        prop_assert_eq!(secret.public().verifies(&damaged, signature.signature()), damaged == message);
        let damaged = mutation.of(signature.signature().as_bytes());
        if let Ok(bytes) = <[u8; 64]>::try_from(damaged) {
            let same = bytes == *signature.signature().as_bytes();
            prop_assert_eq!(secret.public().verifies(&message, &Signature::from_bytes(bytes)), same);
        }
    }

    /// S and S + L satisfy the same equation; RFC 8032 allows only the one below L.
    #[test]
    fn the_other_spelling_of_s_does_not_verify(secret in secret_key(), message in any::<[u8; 40]>()) {
        let mut bytes = *secret.sign(&message).signature().as_bytes();
        add_order(&mut bytes[32..]);
        prop_assert!(!secret.public().verifies(&message, &Signature::from_bytes(bytes)));
    }
}

/// L = 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn add_order(scalar: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
}
