//! The key of this host, with which the proxy signs what it shows. It is made at the first start,
//! never leaves the host, and is the only one that the host's package manager trusts.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use schema::claim::{Claim, Dialect};
use schema::guix::ecdsa::EcdsaSecret;
use schema::key::{KeyName, PublicKey, SecretKey};
use schema::signature::NamedSignature;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::key_file;

/// Where it lies in the state directory: a host may have a policy for Nix, and one for Guix.
const fn file(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Nix => "proxy.key",
        Dialect::Guix => "proxy-guix.key",
    }
}

/// The host's key.
pub(crate) struct HostKey(SecretKey);

impl HostKey {
    /// The key in this state directory; both are made if missing, for their owner's eyes only.
    pub(crate) fn of(state: &Path, dialect: Dialect) -> Result<Self> {
        let path = state.join(file(dialect));
        if !path.try_exists().with_context(|| path.display().to_string())? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state)
                .map_err(anyhow::Error::new)
                .and_then(|()| make(state, &path, dialect))
                .with_context(|| format!("making the host's key {}", path.display()))?;
        }
        let mode = fs::metadata(&path).with_context(|| path.display().to_string())?;
        if mode.permissions().mode() & 0o077 != 0 {
            let message = format!("others can read the host's key {}", path.display());
            let hint = "remove it and start again: a new one is made, which the package manager \
                        must be told of";
            return Err(Failure::could_not_tell(message).hint(hint).into());
        }
        Ok(Self(match dialect {
            Dialect::Nix => key_file::secret(&path)?,
            // It has no name in its file, and Guix does not care.
            Dialect::Guix => {
                let key = key_file::guix_secret(&path)?;
                SecretKey::of_guix(name(key.public().id().as_bytes())?, key)
            }
        }))
    }

    /// The half that the package manager is told of.
    pub(crate) fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// A claim in the words of this host's package manager, and the signature that its narinfo carries.
    pub(super) fn sign(&self, claim: &Claim) -> (Claim, NamedSignature) {
        let claim = claim.in_dialect(self.public().dialect(), None);
        let signature = self.0.sign(claim.signed_bytes().as_bytes());
        (claim, signature)
    }
}

/// What a key with this tag is called. Hosts must not have two keys of one name.
fn name(tag: &[u8]) -> Result<KeyName> {
    let digits: String = tag.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("narpool-proxy-{digits}").parse()?)
}

/// All or nothing. Who starts at the same time and comes second takes the first one's.
fn make(state: &Path, path: &Path, dialect: Dialect) -> Result<()> {
    let mut random = Zeroizing::new([0; 64]);
    getrandom::fill(&mut *random)?;
    let key = match dialect {
        Dialect::Nix => {
            let seed = Zeroizing::new(random[..32].try_into()?);
            SecretKey::from_seed(name(&random[32..])?, &seed)
        }
        Dialect::Guix => {
            let key = EcdsaSecret::from_random(&random)?;
            SecretKey::of_guix(name(key.public().id().as_bytes())?, key)
        }
    };
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(state)?;
    file.write_all(key.to_text().as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let key = HostKey::of(&state, Dialect::Nix).unwrap().public();
        assert_eq!(HostKey::of(&state, Dialect::Nix).unwrap().public(), key);
        let suffix = key.name().as_str().strip_prefix("narpool-proxy-").unwrap().to_owned();
        assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(file(Dialect::Nix)))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
        let other = HostKey::of(&dir.path().join("c"), Dialect::Nix).unwrap().public();
        assert!(other != key && other.name() != key.name());
    }

    #[test]
    fn guixs_is_another_and_has_the_same_name_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let key = HostKey::of(dir.path(), Dialect::Guix).unwrap().public();
        assert_eq!(HostKey::of(dir.path(), Dialect::Guix).unwrap().public(), key);
        assert!(key.guix().is_some());
        assert!(HostKey::of(dir.path(), Dialect::Nix).unwrap().public().guix().is_none());
    }

    #[test]
    fn one_that_others_could_have_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        HostKey::of(dir.path(), Dialect::Nix).unwrap();
        fs::set_permissions(dir.path().join(file(Dialect::Nix)), fs::Permissions::from_mode(0o640))
            .unwrap();
        let error = HostKey::of(dir.path(), Dialect::Nix).err().unwrap();
        assert!(error.to_string().contains("others can read"), "{error:#}");
    }
}
