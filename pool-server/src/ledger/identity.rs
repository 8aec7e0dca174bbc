//! The pool's own key. It signs what the operator says of keys, and nothing that makes anybody
//! believe a build.

use std::fs;
use std::path::Path;

use schema::key::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::durable;
use crate::rejected::Error;

/// Where, in the data directory, the key is.
pub const KEY_FILE: &str = "pool.key";

/// Reads the pool's key, making one when there is none.
///
/// # Errors
/// A file that cannot be read or written, or holds no key.
pub fn open(data: &Path) -> Result<SecretKey, Error> {
    let path = data.join(KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(line) => Zeroizing::new(line).trim_end().parse().map_err(|error| Error::Setup {
            detail: format!("{} holds no key: {error}", path.display()),
            hint: "put the pool's key back from a backup; its ledger is tied to it".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = generate()?;
            durable::replace(&path, format!("{}\n", *key.to_line()).as_bytes(), durable::SECRET)?;
            Ok(key)
        }
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

/// A new key; its name tells pools apart.
fn generate() -> Result<SecretKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|error| Error::Io { doing: "make a key", source: std::io::Error::other(error) })?;
    let digest = Sha256::digest(unnamed(&seed).as_bytes());
    let name =
        format!("narpool-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    Ok(SecretKey::from_seed(name.parse().unwrap_or_else(|_| unreachable!("a plain name")), &seed))
}

fn unnamed(seed: &[u8; 32]) -> PublicKey {
    let name = "narpool".parse().unwrap_or_else(|_| unreachable!("a plain name"));
    SecretKey::from_seed(name, seed).public()
}
