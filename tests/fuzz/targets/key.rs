//! Whatever reads as a key or a signature has one spelling, and a key verifies what it signs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::key::{PublicKey, SecretKey};
use schema::signature::NamedSignature;

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
        assert_eq!(PublicKey::from_bytes(key.name().clone(), key.as_bytes()), Ok(key));
    }
    if let Ok(signature) = text.parse::<NamedSignature>() {
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(secret) = text.parse::<SecretKey>() {
        assert_eq!(*secret.to_text(), text);
        assert!(secret.public().verifies(b"words", secret.sign(b"words").signature()));
    }
});
