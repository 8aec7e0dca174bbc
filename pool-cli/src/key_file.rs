//! Key files in Nix's own formats: one line, `name:base64`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use schema::key::{KeyName, PublicKey, SecretKey};

use crate::exit::Failure;

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
        let path = Path::new(text);
        let line = line_of(path)?;
        if let Ok(secret) = line.parse() {
            return Ok(Self::Secret(secret));
        }
        let wrong = |why| malformed(path, "key", why);
        Ok(Self::Public(line.parse().map_err(wrong)?))
    }
}

/// Makes a new key and writes it to `path`, which must not exist.
pub(crate) fn generate(name: KeyName, path: &Path) -> Result<PublicKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("asking the system for random bytes")?;
    let key = SecretKey::from_seed(name, &seed);
    seed.fill(0);
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

/// Reads a secret key.
pub(crate) fn secret(path: &Path) -> Result<SecretKey> {
    let line = line_of(path)?;
    line.parse().map_err(|why| {
        let looks_public = line.parse::<PublicKey>().is_ok();
        let hint = "this is the public half; the file that `pool key generate` or \
                    `nix key generate-secret` wrote is needed";
        malformed(path, "secret key", why).maybe_hint(looks_public.then(|| hint.to_owned())).into()
    })
}

fn line_of(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("reading the key {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn malformed(path: &Path, what: &str, why: schema::key::KeyError) -> Failure {
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
        let public = generate("alice-1".parse().unwrap(), &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(secret(&path).unwrap().public(), public);
        let before = fs::read(&path).unwrap();
        let again = generate("alice-1".parse().unwrap(), &path).unwrap_err();
        assert!(format!("{again:#}").contains("alice.secret"));
        assert!(crate::exit::hint(&again).unwrap().contains("never overwritten"));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn either_half_names_a_key_and_a_secret_never_shows_in_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bob.secret");
        let public = generate("bob-1".parse().unwrap(), &path).unwrap();
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
}
