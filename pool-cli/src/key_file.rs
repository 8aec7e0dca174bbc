//! Key files: Nix's, a line `name:base64`, and Guix's, s-expressions without a name. The latter get one
//! where they are spoken of, as in `berlin-1=/etc/guix/signing-key.sec`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::guix::ecdsa::{EcdsaKey, EcdsaSecret};
use schema::guix::key_file::{parse_public, parse_secret};
use schema::key::{KeyError, KeyName, PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::remote::Remote;

/// What a user may name a key by.
#[derive(Debug)]
pub(crate) enum AnyKey {
    /// The contents of a secret key file.
    Secret(SecretKey),
    /// A public key file, or the line itself.
    Public(PublicKey),
}

impl AnyKey {
    /// Reads `text` as a public key line, or else as the name of a file with either half.
    pub(crate) fn read(text: &str) -> Result<Self> {
        if let Ok(public) = text.parse() {
            return Ok(Self::Public(public));
        }
        let (name, path) = named(Path::new(text));
        match Contents::read(path)? {
            Contents::Secret(key) => Ok(Self::Secret(key)),
            Contents::Public(key) => Ok(Self::Public(key)),
            Contents::GuixSecret(key) => Ok(Self::Secret(SecretKey::of_guix(of(name, path)?, key))),
            Contents::GuixPublic(key) => Ok(Self::Public(PublicKey::of_guix(of(name, path)?, key))),
            Contents::Neither(why) => Err(malformed(path, "key", &why).into()),
        }
    }

    /// The public half.
    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Secret(key) => key.public(),
            Self::Public(key) => key.clone(),
        }
    }
}

/// A key of Guix's, whose name does not matter.
pub(crate) fn guix_public(text: &str) -> Result<EcdsaKey> {
    let path = Path::new(text);
    let public = match text.parse::<PublicKey>() {
        Ok(public) => public.guix().cloned(),
        Err(_) => match Contents::read(named(path).1)? {
            Contents::GuixSecret(key) => Some(key.public()),
            Contents::GuixPublic(key) => Some(key),
            Contents::Neither(why) => return Err(malformed(path, "key", &why).into()),
            Contents::Secret(_) | Contents::Public(_) => None,
        },
    };
    Ok(public.ok_or_else(|| {
        Failure::no(format!("{text} is a key of Nix's, which Guix has no use for"))
            .hint("`pool key generate NAME --guix` makes one for Guix")
    })?)
}

/// What lies in a file.
enum Contents {
    Secret(SecretKey),
    Public(PublicKey),
    GuixSecret(EcdsaSecret),
    GuixPublic(EcdsaKey),
    /// Why it is neither.
    Neither(String),
}

impl Contents {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("reading the key {}", path.display()))?;
        let text = Zeroizing::new(text);
        let text = text.trim();
        if text.starts_with('(') {
            // What holds a secret is read by nothing that does not wipe what it has read.
            if text.contains("private-key") {
                let read = parse_secret(text);
                return Ok(read.map_or_else(|why| Self::Neither(why.to_string()), Self::GuixSecret));
            }
            let read = parse_public(text);
            return Ok(read.map_or_else(|why| Self::Neither(why.to_string()), Self::GuixPublic));
        }
        Ok(match (text.parse(), text.parse()) {
            (Ok(key), _) => Self::Secret(key),
            (_, Ok(key)) => Self::Public(key),
            (Err(why), _) => Self::Neither(KeyError::to_string(&why)),
        })
    }
}

/// Parts `NAME=FILE`. A file that is called so is meant as it is.
fn named(argument: &Path) -> (Option<KeyName>, &Path) {
    let whole = (None, argument);
    let Some((name, file)) = argument.to_str().and_then(|text| text.split_once('=')) else {
        return whole;
    };
    match name.parse() {
        Ok(name) if !argument.exists() => (Some(name), Path::new(file)),
        _ => whole,
    }
}

/// The same argument, for whoever works in another directory. The key must be readable now.
pub(crate) fn absolute(argument: &Path) -> Result<PathBuf> {
    held(argument)?;
    let (name, path) = named(argument);
    let path = std::path::absolute(path)?;
    Ok(match name {
        Some(name) => format!("{name}={}", path.display()).into(),
        None => path,
    })
}

fn of(name: Option<KeyName>, path: &Path) -> Result<KeyName> {
    let path = path.display();
    Ok(name.ok_or_else(|| {
        Failure::could_not_tell(format!("{path} has no name in it: Guix's keys have none"))
            .hint(format!("write the name before it: NAME={path}"))
    })?)
}

/// Makes a new key and writes it to `path`, which must not exist.
pub(crate) fn generate(name: KeyName, guix: bool, path: &Path) -> Result<PublicKey> {
    let mut random = Zeroizing::new([0; 64]);
    getrandom::fill(&mut *random).context("asking the system for random bytes")?;
    let key = if guix {
        SecretKey::of_guix(name, EcdsaSecret::from_random(&random)?)
    } else {
        let seed = Zeroizing::new(random[..32].try_into()?);
        SecretKey::from_seed(name, &seed)
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| cannot_create(path, &error))?;
    file.write_all(key.to_text().as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(key.public())
}

/// Reads a secret key, which must have a name.
pub(crate) fn secret(argument: &Path) -> Result<SecretKey> {
    match held(argument)? {
        Held::Named(key) => Ok(key),
        Held::Unnamed(_) => {
            Err(of(None, argument).err().unwrap_or_else(|| unreachable!("no name")))
        }
    }
}

/// Reads a secret key. One of Guix's gets the name that it is known by to a pool.
pub(crate) async fn secret_known_to(remote: &Remote<'_>, argument: &Path) -> Result<SecretKey> {
    let key = match held(argument)? {
        Held::Named(key) => return Ok(key),
        Held::Unnamed(key) => key,
    };
    let id = key.public().id();
    let known = remote.signers().await?.into_iter().find(|signer| signer.key_id == id);
    let unknown = || {
        let (server, path) = (remote.server(), argument.display());
        Failure::no(format!("{server} does not know the key {path}")).hint(format!(
            "`pool signer enrol NAME={path}` makes it known, under a name you choose"
        ))
    };
    Ok(SecretKey::of_guix(known.ok_or_else(unknown)?.name, key))
}

/// Reads a secret key of Guix's, whose name does not matter.
pub(crate) fn guix_secret(argument: &Path) -> Result<EcdsaSecret> {
    match Contents::read(named(argument).1)? {
        Contents::GuixSecret(key) => Ok(key),
        _ => {
            let message = format!("{} is no secret key of Guix's", argument.display());
            let hint = "`pool key generate NAME --guix` makes one, and so does `guix archive \
                        --generate-key`, in /etc/guix/signing-key.sec";
            Err(Failure::could_not_tell(message).hint(hint).into())
        }
    }
}

enum Held {
    Named(SecretKey),
    Unnamed(EcdsaSecret),
}

fn held(argument: &Path) -> Result<Held> {
    let (name, path) = named(argument);
    let public = "this is the public half; the file that `pool key generate`, `guix archive \
                  --generate-key` or `nix key generate-secret` wrote is needed";
    let wrong = |why: &str, hint: Option<&str>| {
        malformed(path, "secret key", why).maybe_hint(hint.map(str::to_owned))
    };
    match (Contents::read(path)?, name) {
        (Contents::Secret(key), Some(name)) if name != *key.name() => {
            let hint = "only keys of Guix's are given a name";
            Err(wrong(&format!("it holds the key of {}", key.name()), Some(hint)).into())
        }
        (Contents::Secret(key), _) => Ok(Held::Named(key)),
        (Contents::GuixSecret(key), Some(name)) => Ok(Held::Named(SecretKey::of_guix(name, key))),
        (Contents::GuixSecret(key), None) => Ok(Held::Unnamed(key)),
        (Contents::Public(_) | Contents::GuixPublic(_), _) => {
            Err(wrong("it holds the public half", Some(public)).into())
        }
        (Contents::Neither(why), _) => Err(wrong(&why, None).into()),
    }
}

fn malformed(path: &Path, what: &str, why: &str) -> Failure {
    Failure::could_not_tell(format!("{} is not a {what} file: {why}", path.display()))
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::could_not_tell(format!("cannot create {}: {error}", path.display()));
    if error.kind() == ErrorKind::AlreadyExists {
        failure.hint("a key is never overwritten; choose another file with --out")
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_generated_key_is_private_reads_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice.secret");
        let public = generate("alice-1".parse().unwrap(), false, &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(secret(&path).unwrap().public(), public);
        let before = fs::read(&path).unwrap();
        let again = generate("alice-1".parse().unwrap(), false, &path).unwrap_err();
        assert!(format!("{again:#}").contains("alice.secret"));
        assert!(crate::exit::hint(&again).unwrap().contains("never overwritten"));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn either_half_names_a_key_and_a_secret_never_shows_in_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bob.secret");
        let public = generate("bob-1".parse().unwrap(), false, &path).unwrap();
        let line = public.to_string();
        assert!(matches!(AnyKey::read(&line).unwrap(), AnyKey::Public(key) if key == public));
        let file = path.to_str().unwrap();
        assert!(
            matches!(AnyKey::read(file).unwrap(), AnyKey::Secret(key) if key.public() == public)
        );
        let pub_file = dir.path().join("bob.pub");
        fs::write(&pub_file, format!("{line}\n")).unwrap();
        assert!(secret(&pub_file).is_err());
        let secret_line = fs::read_to_string(&path).unwrap();
        fs::write(&path, &secret_line[..secret_line.len() - 3]).unwrap();
        let error = format!("{:#}", secret(&path).unwrap_err());
        assert!(!error.contains(&secret_line[8..30]), "{error}");
    }

    #[test]
    fn a_key_of_guix_is_named_where_it_is_spoken_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing-key.sec");
        let public = generate("berlin-1".parse().unwrap(), true, &path).unwrap();
        let file = path.to_str().unwrap();
        let named = format!("berlin-1={file}");
        assert_eq!(secret(Path::new(&named)).unwrap().public(), public);
        assert!(matches!(AnyKey::read(&named).unwrap(), AnyKey::Secret(_)));
        let error = secret(&path).unwrap_err();
        assert!(crate::exit::hint(&error).unwrap().contains("NAME="), "{error:#}");
        assert_eq!(guix_public(file).unwrap(), *public.guix().unwrap());
        assert_eq!(guix_public(&public.to_string()).unwrap(), *public.guix().unwrap());
        let half = dir.path().join("signing-key.pub");
        fs::write(&half, schema::guix::key_file::print_public(public.guix().unwrap())).unwrap();
        let named = format!("berlin-1={}", half.display());
        assert_eq!(AnyKey::read(&named).unwrap().public(), public);
        assert!(secret(Path::new(&named)).is_err());
        let nix = dir.path().join("alice.secret");
        generate("alice-1".parse().unwrap(), false, &nix).unwrap();
        assert!(guix_public(nix.to_str().unwrap()).is_err());
    }
}
