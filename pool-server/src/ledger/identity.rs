//! The pool's own keys and names. They sign its logs, and what the operator says of keys, and
//! nothing that makes anybody believe a build.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use schema::key::{KeyError, KeyName, PublicKey, SecretKey};
use schema::tlog::cosignature::Cosigner;
use schema::tlog::note::{NoteName, NoteSigner, VerifierKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::durable;
use crate::index::LogId;
use crate::rejected::Error;

/// Where, in the data directory, the key is that signs logs and enrolments.
pub const KEY_FILE: &str = "pool.key";
/// Where, in the data directory, the key is that cosigns the logs of others. A key that made both
/// kinds of signature would have to be careful about which it makes; two need not be.
pub const WITNESS_KEY_FILE: &str = "witness.key";

/// Where, in the data directory, the key is that says which logs of others are kept here whole.
pub const MIRROR_KEY_FILE: &str = "mirror.key";

/// Who the pool is to those who verify its logs.
#[derive(Debug, Clone)]
pub struct Identity {
    origin: Arc<str>,
    key: Arc<SecretKey>,
    witness: Cosigner,
    mirror: Cosigner,
}

impl Identity {
    /// Reads the keys in the data directory, making them when there are none. `origin` is the name
    /// the operator gave the pool; without one it is called like its key.
    ///
    /// # Errors
    /// A file that cannot be read or written, or holds no key.
    pub fn open(data: &Path, origin: Option<&NoteName>) -> Result<Self, Error> {
        let key = Arc::new(read_or_make(&data.join(KEY_FILE), "narpool")?);
        let origin: Arc<str> = origin.map_or(key.name().as_str(), NoteName::as_str).into();
        let cosigner = |file: &str, kind: &str| {
            let key = read_or_make(&data.join(file), &format!("narpool-{kind}"))?;
            let name = note_name(&format!("{origin}/{kind}"))?;
            Cosigner::new(name, Arc::new(key)).map_err(not_of_a_pool)
        };
        let witness = cosigner(WITNESS_KEY_FILE, "witness")?;
        let mirror = cosigner(MIRROR_KEY_FILE, "mirror")?;
        Ok(Self { origin, key, witness, mirror })
    }

    /// What the origins of its logs begin with.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key that signs logs and enrolments.
    #[must_use]
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Its public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// What cosigns the logs of others.
    #[must_use]
    pub fn witness(&self) -> &Cosigner {
        &self.witness
    }

    /// What cosigns those logs of others that are kept here whole.
    #[must_use]
    pub fn mirror(&self) -> &Cosigner {
        &self.mirror
    }

    /// What signs the checkpoints of one of its logs; the log is called like its key.
    ///
    /// # Errors
    /// An origin that is too long.
    pub fn log_signer(&self, log: LogId) -> Result<NoteSigner, Error> {
        NoteSigner::new(self.log_name(log)?, Arc::clone(&self.key)).map_err(not_of_a_pool)
    }

    /// The key by which others verify one of its logs.
    ///
    /// # Errors
    /// As [`log_signer`](Self::log_signer).
    pub fn log_key(&self, log: LogId) -> Result<VerifierKey, Error> {
        self.log_signer(log).map(|signer| signer.verifier().clone())
    }

    fn log_name(&self, log: LogId) -> Result<NoteName, Error> {
        note_name(&format!("{}/{log}", self.origin))
    }
}

fn not_of_a_pool(error: KeyError) -> Error {
    Error::Damaged(format!("a key of the pool's own: {error}"))
}

fn note_name(name: &str) -> Result<NoteName, Error> {
    name.parse().map_err(|error| Error::Setup {
        detail: format!("{name} cannot be the name of a log: {error}"),
        hint: "set `origin` to something shorter, such as pool.example.org".to_owned(),
    })
}

fn read_or_make(path: &Path, kind: &str) -> Result<SecretKey, Error> {
    match fs::read_to_string(path) {
        Ok(line) => Zeroizing::new(line).trim_end().parse().map_err(|error| Error::Setup {
            detail: format!("{} holds no key: {error}", path.display()),
            hint: "put it back from a backup; the logs are tied to it".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = generate(kind)?;
            durable::replace(path, format!("{}\n", *key.to_text()).as_bytes(), durable::SECRET)?;
            Ok(key)
        }
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// A new key; its name tells pools apart.
fn generate(kind: &str) -> Result<SecretKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|error| Error::Io { doing: "make a key", source: std::io::Error::other(error) })?;
    let unnamed = SecretKey::from_seed(plain_name(kind), &seed).public();
    let digest = Sha256::digest(unnamed.as_bytes());
    let name =
        format!("{kind}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    Ok(SecretKey::from_seed(plain_name(&name), &seed))
}

fn plain_name(name: &str) -> KeyName {
    name.parse().unwrap_or_else(|_| unreachable!("letters, digits and dashes"))
}
