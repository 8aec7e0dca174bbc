//! Which pool to talk to and with what token: flags, environment, or what `pool login` kept.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cli::Global;
use crate::exit::Failure;
use crate::user_dirs;

const FILE: &str = "credentials.toml";

/// Everything needed to reach a pool.
#[derive(Clone)]
pub(crate) struct Access {
    /// Without a final slash.
    pub(crate) server: String,
    /// Shown to that server only.
    pub(crate) token: Option<String>,
    /// More certificates to trust.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Access {
    /// Puts together what the user said and what was kept.
    pub(crate) fn find(global: &Global) -> Result<Self> {
        Self::find_at(global.server.as_deref(), global)
    }

    /// The same for each of these pools, or for the usual one when there are none. A token that was
    /// given is for one pool; for several, each gets the one that was kept for it.
    pub(crate) fn find_each(servers: &[String], global: &Global) -> Result<Vec<Self>> {
        match servers {
            [] => Ok(vec![Self::find(global)?]),
            [server] => Ok(vec![Self::find_at(Some(server), global)?]),
            _ if global.token_file.is_some() => {
                let hint = "`pool login URL` keeps a token for each";
                Err(Failure::could_not_tell("one token file, and several pools").hint(hint).into())
            }
            _ => servers.iter().map(|server| Self::kept(Some(server), None, global)).collect(),
        }
    }

    /// The same for the pool at an address that the command was given by itself, if it was.
    pub(crate) fn find_at(server: Option<&str>, global: &Global) -> Result<Self> {
        Self::kept(server, given_token(global)?, global)
    }

    /// The same for a pool that is read from beside another: only a token that was kept for it is shown
    /// to it, never the one that was given.
    pub(crate) fn find_kept(server: &str, global: &Global) -> Result<Self> {
        Self::kept(Some(server), None, global)
    }

    fn kept(server: Option<&str>, given: Option<String>, global: &Global) -> Result<Self> {
        let kept = Credentials::load(&user_dirs::config())?;
        let server = match server {
            Some(server) => trimmed(server),
            None => kept.default.clone().ok_or_else(no_server)?,
        };
        let kept = kept.pool.get(&server);
        let token = given.or_else(|| kept.and_then(|pool| pool.token.clone()));
        let ca_file = global.ca_file.clone().or_else(|| kept.and_then(|pool| pool.ca_file.clone()));
        Ok(Self { server, token, ca_file })
    }
}

/// The token in `--token-file` or the environment.
pub(crate) fn given_token(global: &Global) -> Result<Option<String>> {
    let token = match &global.token_file {
        Some(path) => fs::read_to_string(path)
            .with_context(|| format!("reading the token {}", path.display()))?,
        None => env::var("NARPOOL_TOKEN").unwrap_or_default(),
    };
    let token = token.trim();
    if token.is_empty() && global.token_file.is_some() {
        return Err(Failure::could_not_tell("the token file is empty").into());
    }
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

/// One spelling for one pool.
pub(crate) fn trimmed(server: &str) -> String {
    server.trim().trim_end_matches('/').to_owned()
}

fn no_server() -> Failure {
    Failure::could_not_tell("no pool is named")
        .hint("say --server URL, set NARPOOL_SERVER, or run `pool login URL` once")
}

/// The file that `pool login` writes.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default)]
    pool: BTreeMap<String, Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
}

impl Credentials {
    /// Reads the file in `dir`; none is an empty one.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // The parser's own message would quote the line, and with it a token.
        toml::from_str(&text).map_err(|_| {
            Failure::could_not_tell(format!("{} is malformed", path.display()))
                .hint("remove it and run `pool login` again")
                .into()
        })
    }

    /// Keeps `access`, and makes its pool the default one.
    pub(crate) fn keep(&mut self, access: &Access) {
        let kept = Kept { token: access.token.clone(), ca_file: access.ca_file.clone() };
        self.pool.insert(access.server.clone(), kept);
        self.default = Some(access.server.clone());
    }

    /// Writes the file, readable by its owner alone, all or nothing. Returns its path.
    pub(crate) fn save(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(FILE);
        let text = toml::to_string(self).context("writing TOML")?;
        let write = || {
            fs::create_dir_all(dir)?;
            // Temporary files are made with mode 0600, and renaming keeps that.
            let mut file = tempfile::NamedTempFile::new_in(dir)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn access(server: &str, token: &str) -> Access {
        Access { server: server.to_owned(), token: Some(token.to_owned()), ca_file: None }
    }

    #[test]
    fn what_is_kept_is_private_and_the_last_login_is_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("narpool");
        for (server, token) in [("http://a:1", "one"), ("http://b:2", "two"), ("http://a:1", "new")]
        {
            let mut credentials = Credentials::load(&dir).unwrap();
            credentials.keep(&access(server, token));
            let path = credentials.save(&dir).unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let credentials = Credentials::load(&dir).unwrap();
        assert_eq!(credentials.default.as_deref(), Some("http://a:1"));
        assert_eq!(credentials.pool["http://a:1"].token.as_deref(), Some("new"));
        assert_eq!(credentials.pool["http://b:2"].token.as_deref(), Some("two"));
    }

    #[test]
    fn a_malformed_file_is_an_error_that_quotes_no_token() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "token = \"np_secret\"\n").unwrap();
        let error = format!("{:#}", Credentials::load(dir.path()).err().unwrap());
        assert!(error.contains("malformed") && !error.contains("np_secret"), "{error}");
    }
}
