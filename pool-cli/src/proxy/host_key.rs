//! The key of this host, with which the proxy signs what it shows. It is made at the first start,
//! never leaves the host, and is the only one that the host's package manager trusts.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use schema::claim::Claim;
use schema::key::{KeyName, PublicKey, SecretKey};
use schema::signature::NamedSignature;

use crate::exit::Failure;
use crate::key_file;

/// Where it lies in the state directory.
const FILE: &str = "proxy.key";

/// The host's key.
pub(crate) struct HostKey(SecretKey);

impl HostKey {
    /// The key in this state directory; both are made if missing, for their owner's eyes only.
    pub(crate) fn of(state: &Path) -> Result<Self> {
        let path = state.join(FILE);
        if !path.try_exists().with_context(|| path.display().to_string())? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state)
                .map_err(anyhow::Error::new)
                .and_then(|()| make(state, &path))
                .with_context(|| format!("making the host's key {}", path.display()))?;
        }
        let mode = fs::metadata(&path).with_context(|| path.display().to_string())?;
        if mode.permissions().mode() & 0o077 != 0 {
            let message = format!("others can read the host's key {}", path.display());
            let hint = "remove it and start again: a new one is made, which nix.conf must name";
            return Err(Failure::could_not_tell(message).hint(hint).into());
        }
        Ok(Self(key_file::secret(&path)?))
    }

    /// The half that nix.conf names.
    pub(crate) fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// The signature that a narinfo carries.
    pub(super) fn sign(&self, claim: &Claim) -> NamedSignature {
        self.0.sign(claim.signed_bytes().as_bytes())
    }
}

/// All or nothing. Who starts at the same time and comes second takes the first one's.
fn make(state: &Path, path: &Path) -> Result<()> {
    let (mut tag, mut seed) = ([0; 4], [0; 32]);
    getrandom::fill(&mut tag)?;
    getrandom::fill(&mut seed)?;
    let name = format!("narpool-proxy-{:08x}", u32::from_be_bytes(tag));
    let name: KeyName = name.parse()?;
    let line = SecretKey::from_seed(name, &seed).to_text();
    seed.fill(0);
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(state)?;
    file.write_all(line.as_bytes())?;
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
        let key = HostKey::of(&state).unwrap().public();
        assert_eq!(HostKey::of(&state).unwrap().public(), key);
        let suffix = key.name().as_str().strip_prefix("narpool-proxy-").unwrap().to_owned();
        assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
        let other = HostKey::of(&dir.path().join("c")).unwrap().public();
        assert!(other != key && other.name() != key.name());
    }

    #[test]
    fn one_that_others_could_have_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        HostKey::of(dir.path()).unwrap();
        fs::set_permissions(dir.path().join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let error = HostKey::of(dir.path()).err().unwrap();
        assert!(error.to_string().contains("others can read"), "{error:#}");
    }
}
